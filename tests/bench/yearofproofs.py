"""A year of a city as its database knows it once all is proved: ledger, proofs and counts by the
day, without the records. An audit reads nothing else of what was proved.

Gateways have eight lanes, an air sensor and a meter, a record of each a minute, manifests every 15
minutes, and a start a month.
"""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Final

import psycopg
from psycopg.types.multirange import Multirange
from psycopg.types.range import Range

from edge.core.numbers import count_in_ranges
from edge.platform.days import DayCounts
from edge.platform.postgres.ranges import multirange_of
from edge.platform.registercontinuity import RegisterReading
from edge.platform.storedproofs import day_row, pack_proof
from edge.platform.streamproof import DaySpan, RegisterSpan, Saying, StreamProof

STARTS: Final = 12
DAYS: Final = 30  # of each
MINUTES: Final = DAYS * 1440
DAY_US: Final = 86_400_000_000
BEGIN: Final = datetime(2025, 12, 1, tzinfo=UTC)
LANES: Final = tuple(f"lane_{number}" for number in range(8))
SOURCES: Final = {"traffic": LANES, "air": ("air",), "energy": ("meter",)}
MISSING: Final = 4711  # number of the air in the last start of the gateway that lost one


def name_of(gateway: int) -> str:
    return f"gw-{gateway:05d}"


def fill(db: psycopg.Connection, gateways: int, lost: int) -> int:
    """Returns how many numbers there are. Gateway `lost` has lost one."""
    numbers = 0
    with db.cursor().copy("COPY branch (branch) FROM STDIN") as copy:
        for gateway in range(gateways):
            copy.write_row((f"kerbstone/v1/mitte/{name_of(gateway)}",))
    with db.cursor().copy("COPY gateway (id, gw, joined_epoch) FROM STDIN") as copy:
        for gateway in range(gateways):
            copy.write_row((gateway + 1, name_of(gateway), epoch_of(0)))
    with db.cursor().copy("COPY ledger (id, gateway, epoch, stream, got) FROM STDIN") as copy:
        for number, (gateway, start, stream, proof) in enumerate(places(gateways, lost), 1):
            ranges = multirange_of(proof.numbers)
            copy.write_row((number, gateway + 1, epoch_of(start), stream, ranges))
            numbers += count_in_ranges(proof.numbers)
    columns = "ledger, chapter, numbers, seen, waiting, facts"
    with db.cursor().copy(f"COPY proof ({columns}) FROM STDIN (FORMAT BINARY)") as copy:
        copy.set_types(("int4", "int4", "int8multirange", "int8multirange", "bool", "bytea"))
        for number, (*_, proof) in enumerate(places(gateways, lost), 1):
            found = Multirange([Range(first, last + 1) for first, last in proof.numbers])
            copy.write_row((number, 0, found, found, False, pack_proof(proof)))
    fill_days(db)
    return numbers


def fill_days(db: psycopg.Connection) -> None:
    """A row for each row of the ledger and each of its days."""
    for stream, sources in (*SOURCES.items(), ("event", ()), ("manifest", ())):
        count = 1440 * len(sources) if sources else 96 * 3 if stream == "manifest" else 0
        counts = DayCounts(count, count, {(stream, each): 86_400.0 for each in sources})
        counts.proved = count if stream == "manifest" else 0
        values = day_row(counts)
        db.execute(
            """INSERT INTO proof_day
            SELECT id, to_char(%s::date + (epoch >> 32)::int * 30 + day, 'YYYY-MM-DD'),
                %s, %s, %s, %s, %s, %s
            FROM ledger, generate_series(-30, -1) AS day WHERE stream = %s""",
            (BEGIN.date(), *values, stream),
        )


def epoch_of(start: int) -> int:
    return (start + 1) << 32


def places(gateways: int, lost: int) -> Iterator[tuple[int, int, str, StreamProof]]:
    """Gateway, start, stream and what was proved of it."""
    for gateway in range(gateways):
        topic = f"kerbstone/v1/mitte/{name_of(gateway)}/up"
        for start in range(STARTS):
            for stream, proof in _of_start(start, topic).items():
                if (gateway, start, stream) == (lost, STARTS - 1, "air"):
                    proof.numbers = [(1, MISSING - 1), (MISSING + 1, MINUTES)]
                    proof.stretches["air"] = _around(MISSING)
                yield gateway, start, stream, proof


def _around(missing: int) -> list[tuple[int, int, int, int]]:
    minute = 60_000_000
    return [
        (0, (missing - 1) * minute, 1, missing - 1),
        (missing * minute, MINUTES * minute, missing + 1, MINUTES),
    ]


def _of_start(start: int, topic: str) -> dict[str, StreamProof]:
    """Each start is a boot, and its gap begins where the boot does."""
    found: dict[str, StreamProof] = {}
    manifests = MINUTES // 15 * len(SOURCES)
    last = {stream: MINUTES * len(sources) for stream, sources in SOURCES.items()}
    former = {"epoch": epoch_of(start - 1), "last": {**last, "event": 1, "manifest": manifests}}
    for stream, sources in SOURCES.items():
        found[stream] = _proof(start, f"{topic}/{stream}/{sources[0]}", last[stream])
        found[stream].stretches = {
            source: [(0, MINUTES * 60_000_000, 1 + at, last[stream] - len(sources) + 1 + at)]
            for at, source in enumerate(sources)
        }
    found["energy"].registers = [_register(start)]
    found["event"] = _proof(start, f"{topic}/event/gateway", 1)
    gap = {
        "event": "gap", "gap": [0 if start else None, 0], "sources": ["*"], "boot": start + 1,
        "boot_before": start or None, "mono": [0, 0], **({"former": former} if start else {}),
    }  # fmt: skip
    found["event"].sayings = [Saying(1, gap)]
    found["manifest"] = _proof(start, f"{topic}/manifest/air", manifests)
    found["manifest"].sealing = manifests
    found["manifest"].sayings = [Saying(1, {"former": former})] if start else []
    return found


def _proof(start: int, topic: str, last: int) -> StreamProof:
    proof = StreamProof(numbers=[(1, last)], topic=topic, boot=start + 1, stretches={})
    proof.heard = (BEGIN + timedelta(days=DAYS * (start + 1))).isoformat(timespec="milliseconds")
    a_day = max(1, last // DAYS)
    for at in range(min(last, DAYS)):
        name = (BEGIN + timedelta(days=DAYS * start + at)).date().isoformat()
        proof.days.append(DaySpan(at * a_day + 1, (at + 1) * a_day, name))
    return proof


def _register(start: int) -> RegisterSpan:
    """It goes on from where the start before has left it."""

    head, tail = (
        RegisterReading(
            (epoch_of(start), seq), start + 1, seq * 60_000_000, 0.05, start * MINUTES + seq - 1,
            start * MINUTES + seq, start * MINUTES + seq - 1, sure=True,
        )
        for seq in (1, MINUTES)
    )  # fmt: skip
    return RegisterSpan("meter", "energy_import", head, tail, True)
