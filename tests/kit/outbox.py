"""An outbox in a folder of the test: opened small, filled with drafts, read to its end, killed.

An example:

    outbox = opened(tmp_path)
    outbox.begin()
    outbox.commit(drafts(3))
    kill(outbox)  # as kill -9: what lies on the disk stays
    assert len(everything(opened(tmp_path))) == 3
"""

import base64
import random
from functools import cache
from pathlib import Path

from edge.core import Draft, Stamp, Stream
from edge.outbox import Outbox, StoredRecord
from tests.kit.clock import NTP

S = 1_000_000_000
MARK = Stamp(5 * S, 1_790_000_000 * S, NTP)
LIMIT = 8 << 20


def opened(
    folder: Path, *, limit: int = LIMIT, boot: str = "b1", run: Path | None = None
) -> Outbox:
    return Outbox.open(
        folder / "outbox", limit_bytes=limit, boot_id=boot, run_dir=run, ballast_bytes=0
    )


def drafts(count: int, stream: Stream = Stream.AIR, size: int = 10, at: int = 0) -> list[Draft]:
    return [
        Draft(stream, f"s{n % 3}", (at + n) * S, (at + n + 1) * S, {"n": n, "text": text(n, size)})
        for n in range(count)
    ]


def text(seed: int, size: int) -> str:
    """Of so many characters that do not shrink much when they are compressed."""
    characters = _characters()
    begin = seed * 7919 % (len(characters) - size)
    return characters[begin : begin + size]


@cache
def _characters() -> str:
    """Made once: that takes longer than to store them."""
    return base64.b85encode(random.Random(1).randbytes(1 << 20)).decode()


def everything(outbox: Outbox) -> list[StoredRecord]:
    found: list[StoredRecord] = []
    while rows := outbox.pending(found[-1].row if found else 0, 100):
        found += rows
    return found


def kill(outbox: Outbox) -> None:
    """As kill -9: the files are left as they are."""
    assert outbox._storage.disk is not None
    outbox._storage.disk.close()
    outbox.journal.close()
