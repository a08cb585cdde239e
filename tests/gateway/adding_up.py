"""What comes after a kill is held against what passed on the wires, but for named gaps."""

from collections.abc import Iterator, Sequence
from pathlib import Path

from edge.core import Record, Stream
from edge.gateway.recover import MAX_WINDOW_PERIODS
from tests.kit.lives import PERIOD_NS, GatewayStorage, ends, grown, volumes
from tests.kit.wires import WIRES

SOURCES = ("north_1", "east_1", "hut_air", "main_meter", "heat")
LOOPS = {"north_1": "north_1.lead", "east_1": "east_1.lead"}


def folders(place: Path) -> Iterator[Path]:
    number = 0
    while True:
        number += 1
        folder = place / str(number)
        folder.mkdir()
        yield folder


def check(box: GatewayStorage, whole: GatewayStorage) -> None:
    """Everything is there, once, but for what gap events name."""
    report = box.audit()
    assert report.clean, [finding.text for finding in report.findings]
    holes = box.gaps()
    for lane, source in LOOPS.items():
        seen = [at for at in WIRES.rises(source) if not inside(at, holes)]
        assert volumes(box, lane) == len(seen), (lane, holes)
    pulses = [at for at in WIRES.rises("heat") if not inside(at, holes)]
    assert grown(box, "heat") == len(pulses), holes
    first, last = ends(box, "main_meter")
    assert grown(box, "main_meter") == last - first
    undisturbed(box, whole, min((begin for begin, _ in holes), default=1 << 62))
    listened = box.gaps(lines=False)
    for record in box.records:
        assert_covered(record, holes if record.key.stream == Stream.TRAFFIC else listened)
        assert_on_borders(record)


def inside(at_ns: int, holes: Sequence[tuple[int, int]]) -> bool:
    return any(begin < at_ns < end for begin, end in holes)


def undisturbed(box: GatewayStorage, whole: GatewayStorage, until_ns: int) -> None:
    """Records of windows that ended before the first gap are those of the uninterrupted run."""
    for source in SOURCES:
        wanted = {r.from_ns: bare(r) for r in whole.of(source)}
        for record in box.of(source):
            if record.to_ns <= until_ns and "partial" not in record.body:
                assert bare(record) == wanted[record.from_ns]


def bare(record: Record) -> tuple[object, ...]:
    """A record without its number and the judges' say, whose state is kept every 15 min only."""
    body = {k: v for k, v in record.body.items() if k not in ("p_congested", "anomaly")}
    return record.source, record.from_ns, record.to_ns, body


def assert_covered(record: Record, holes: Sequence[tuple[int, int]]) -> None:
    """No record claims to have watched while nobody did; those of lanes watched when they could."""
    if "covered_s" not in record.body:
        return
    deaf_ns = sum(
        max(0, min(end, record.to_ns) - max(begin, record.from_ns)) for begin, end in holes
    )
    most_s = (record.to_ns - record.from_ns - deaf_ns) / 1e9
    assert record.body["covered_s"] <= most_s + 1e-5, (bare(record), holes)
    if record.key.stream == Stream.TRAFFIC:
        assert record.body["covered_s"] >= most_s - 1e-5, (bare(record), holes)


def assert_on_borders(record: Record) -> None:
    """A window ends where its period does, or says that it was cut; none is much longer."""
    if record.key.stream not in (Stream.TRAFFIC, Stream.AIR, Stream.ENERGY):
        return
    assert record.body.get("partial") or record.to_ns % PERIOD_NS == 0, bare(record)
    assert 1 < record.to_ns - record.from_ns <= MAX_WINDOW_PERIODS * PERIOD_NS, bare(record)
