"""How proofs lie in a database: a row for each chapter, and a row for each day that was counted."""

from typing import Final

import msgspec

from edge.platform.days import DayCounts
from edge.platform.streamproof import DamagedProofError, StreamProof

ENCODER: Final = msgspec.msgpack.Encoder()
DECODER: Final = msgspec.msgpack.Decoder(StreamProof)
COVERED: Final = msgspec.msgpack.Decoder(dict[str, float])

DayRow = tuple[int, int, int, int, int, bytes]
"""Records, numbers, gaps, drops, proved manifests; covered seconds by source, as MessagePack."""


def pack_proof(proof: StreamProof) -> bytes:
    return ENCODER.encode(proof)


def load_proof(packed: bytes) -> StreamProof:
    """Raises DamagedProofError for what this program has not packed."""
    try:
        return DECODER.decode(packed)
    except (ValueError, TypeError) as error:
        raise DamagedProofError(f"{error}") from error


def day_row(counts: DayCounts) -> DayRow:
    """Of one stream."""
    covered = {source: seconds for (_, source), seconds in counts.covered.items()}
    return (
        counts.records, counts.numbers, counts.gaps, counts.drops, counts.proved,
        ENCODER.encode(covered),
    )  # fmt: skip


def day_counts(stream: str, row: DayRow) -> DayCounts:
    """Raises DamagedProofError."""
    records, numbers, gaps, drops, proved, covered = row
    try:
        seconds = {(stream, source): each for source, each in COVERED.decode(covered).items()}
    except (ValueError, TypeError) as error:
        raise DamagedProofError(f"{error}") from error
    return DayCounts(records, numbers, seconds, gaps, drops, proved)
