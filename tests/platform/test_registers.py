"""Registers go on where they were: what the box's own totals say is no finding, what was counted
twice or cut out is one."""

from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from edge.core import Kind, Point, Quantity, Record, Stream
from edge.core.quality import Reason, bad, uncertain
from edge.platform.audit import audit
from edge.platform.store import open_store
from edge.process.events import meter
from edge.process.merge import merge
from edge.process.total import Total
from tests.platform.records import S, entry, record, sealed

DOUBTS = (uncertain(Reason.GAP), bad(Reason.GAP), bad(Reason.SILENT))
POINT = Point("energy_import", Quantity.ENERGY, kind=Kind.TOTAL, resolution=0.1)


def told(rng: Random, windows: int) -> list[Record]:
    """A meter's windows of a minute: it stands still, grows, jumps, is reset, and is doubted."""
    total = Total(POINT, 10.0)
    reading = rng.choice((0.0, 1234.5))
    records: list[Record] = []
    events: list[Record] = []
    for window in range(windows):
        for second in range(0, 60, 10):
            at = window * 60 + second
            chance = rng.random()
            if chance < 0.5:
                reading += rng.choice((0.0, 0.1, 0.1, 0.2))
            elif chance < 0.52:
                reading = rng.choice((0.0, reading + 500.0))  # reset, or another meter
            if chance < 0.9:
                wild = 77.7 if chance < 0.03 else 0.0
                total.good([round(reading + wild, 1)], [at * S])
            elif chance < 0.95:
                total.other(reading, rng.choice(DOUBTS), at * S, late=False)
        points = {"energy_import": total.body()}
        for jump in total.jumps:
            before, after = total.step.value(jump.before), total.step.value(jump.after)
            draft = meter("hut", jump.at_ns, "energy_import", "kWh", before, after, jump.kind)
            at_s = jump.at_ns // S
            events.append(
                record(len(events) + 1, stream=Stream.EVENT, at=(at_s, at_s), body=dict(draft.body))
            )
        total.next()
        body = {"covered_s": 60.0, "points": points}
        records.append(record(window + 1, stream=Stream.ENERGY, body=body))
        if rng.random() < 0.1:  # a restart: from its state, as a snapshot keeps it
            state = total.state()
            total = Total(POINT, 10.0)
            total.load(state)
    return [*_merged(rng, records), *events]


def _merged(rng: Random, records: list[Record]) -> list[Record]:
    """Some neighbours as one, as an outbox thins them."""
    found: list[Record] = []
    for record_ in records:
        each = record_
        if found and rng.random() < 0.2 and "covers" not in found[-1].body:
            one = found.pop()
            body = {**merge(one.body, each.body), "covers": [[one.key.seq, each.key.seq, 1]]}
            each = Record(each.key, each.source, each.boot, one.from_ns, each.to_ns, body)
        found.append(each)
    return found


def kinds(records: list[Record]) -> list[str]:
    with TemporaryDirectory() as folder:
        store = open_store(Path(folder) / "store.db", write=True)
        numbers = [each for each in records if each.key.stream is Stream.ENERGY]
        events = [each for each in records if each.key.stream is Stream.EVENT]
        store.commit([entry(each) for each in [*sealed(*numbers), *events]], [])
        (done,) = audit(store)
        store.close()
    return [finding.kind for _, finding in done.findings]


@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 1 << 32), windows=st.integers(2, 40))
def test_what_the_boxs_own_totals_say_goes_on(seed: int, windows: int) -> None:
    assert kinds(told(Random(seed), windows)) == []


def growing(count: int) -> list[dict[str, Any]]:
    return [
        {"first": n / 10, "last": n / 10 + 0.1, "delta": 0.1, "step": 0.1, "quality": {"good": 6}}
        for n in range(count)
    ]


@given(at=st.integers(2, 8), moved=st.integers(-9, 9).filter(lambda n: abs(n) > 1))
@settings(max_examples=30, deadline=None)
def test_what_does_not_go_on_is_found(at: int, moved: int) -> None:
    points = growing(10)
    for point in points[at:]:
        point["first"] = round(point["first"] + moved / 10 + 2, 1)
        point["last"] = round(point["last"] + moved / 10 + 2, 1)
    for point in points[:at]:
        point["first"], point["last"] = point["first"] + 2, point["last"] + 2
    bodies = [{"covered_s": 60.0, "points": {"energy_import": point}} for point in points]
    records = [record(n, stream=Stream.ENERGY, body=b) for n, b in enumerate(bodies, 1)]
    assert kinds(records) == ["register"]
    assert kinds([each for each in records if each.key.seq != at]) == ["missing"], "told once"
