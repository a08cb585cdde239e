"""Registers go on where they were: what the box's own totals say is no finding, what was counted
twice or cut out is one."""

from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import to_builtins

from edge.core import Point, PointKind, Quantity, Record, Stream
from edge.core.quality import Reason, bad, uncertain
from edge.platform import registercontinuity
from edge.platform.audit import audit_store
from edge.platform.completeness import CompletenessCheck
from edge.platform.openstore import open_store
from edge.platform.receivedranges import ReceivedRanges
from edge.platform.registercontinuity import (
    NEAR_US,
    RegisterContinuity,
    RegisterReading,
    RegisterStep,
    _began_anew,
    _explained,
    _reading,
    is_continuous,
)
from edge.process.engineevents import meter_event
from edge.process.merge import merge_bodies
from edge.process.registerwindow import RegisterWindow
from tests.kit.asread import as_read
from tests.kit.records import E1, E2, GW, S, entry, record, sealed
from tests.long import examples

DOUBTS = (uncertain(Reason.GAP), bad(Reason.GAP), bad(Reason.SILENT))
POINT = Point("energy_import", Quantity.ENERGY, kind=PointKind.TOTAL, resolution=0.1)


def reported(rng: Random, windows: int) -> list[Record]:
    """A meter's windows of a minute: it stands still, grows, jumps, is reset, and is doubted."""
    total = RegisterWindow(POINT, 10.0)
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
            draft = meter_event("hut", jump.at_ns, "energy_import", "kWh", before, after, jump.kind)
            at_s = jump.at_ns // S
            events.append(
                record(
                    len(events) + 1,
                    stream=Stream.EVENT,
                    at=(at_s, at_s),
                    body=as_read(draft),
                )
            )
        total.next()
        body = to_builtins({"covered_s": 60.0, "points": points})
        records.append(record(window + 1, stream=Stream.ENERGY, body=body))
        if rng.random() < 0.1:  # a restart: from its state, as a snapshot keeps it
            state = total.snapshot()
            total = RegisterWindow(POINT, 10.0)
            total.restore(state)
    return [*_merged(rng, records), *events]


def _merged(rng: Random, records: list[Record]) -> list[Record]:
    """Some neighbours as one, as an outbox downsamples them."""
    found: list[Record] = []
    for record_ in records:
        each = record_
        if found and rng.random() < 0.2 and "covers" not in found[-1].body:
            one = found.pop()
            body = {**merge_bodies(one.body, each.body), "covers": [[one.key.seq, each.key.seq, 1]]}
            each = Record(each.key, each.source, each.boot, one.from_ns, each.to_ns, body)
        found.append(each)
    return found


def kinds(records: list[Record]) -> list[str]:
    with TemporaryDirectory() as folder:
        store = open_store(Path(folder) / "store.db", write=True)
        numbers = [each for each in records if each.key.stream is Stream.ENERGY]
        events = [each for each in records if each.key.stream is Stream.EVENT]
        store.commit([entry(each) for each in [*sealed(*numbers), *events]], [])
        (done,) = audit_store(store)
        store.close()
    return [finding.kind for _, finding in done.findings]


@settings(max_examples=examples(60), deadline=None)
@given(seed=st.integers(0, 1 << 32), windows=st.integers(2, 40))
def test_what_the_boxs_own_totals_say_goes_on(seed: int, windows: int) -> None:
    assert kinds(reported(Random(seed), windows)) == []


def growing(count: int) -> list[dict[str, Any]]:
    return [
        {"first": n / 10, "last": n / 10 + 0.1, "delta": 0.1, "step": 0.1, "quality": {"good": 6}}
        for n in range(count)
    ]


@given(at=st.integers(2, 8), moved=st.integers(-9, 9).filter(lambda n: abs(n) > 1))
@settings(max_examples=examples(30), deadline=None)
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


ENERGY = ("energy", "hut", "energy_import")


def reading(number: int, before: int, last: int, **more: Any) -> RegisterReading:
    made = RegisterReading((E1, number), 1, number * NEAR_US, 0.1, before, last, before, sure=True)
    return made._replace(**more)


@pytest.mark.parametrize(
    ("event", "right_at", "explained"),
    [
        ({"at": 2}, 3, True),
        ({"at": 2, "event": "swap", "point": None}, 3, True),
        ({"at": 2, "source": "other"}, 3, False),
        ({"at": 2, "point": "energy_export"}, 3, False),
        ({"at": 2, "boot": 2}, 3, False),
        ({"at": 1}, 3, True),
        ({"at": 1, "more_us": -1}, 3, False),
        ({"at": 4}, 3, True),
        ({"at": 4, "more_us": 1}, 3, False),
        ({"at": 3}, 1, True),
        ({"at": 3, "more_us": 1}, 1, False),
        ({"at": 0, "boot": 3}, 3, True),
        ({"at": 4, "boot": 3}, 3, True),
        ({"at": 4, "boot": 3, "more_us": 1}, 3, False),
    ],
)
def test_an_event_explains_a_register_near_it(
    event: dict[str, Any], right_at: int, explained: bool
) -> None:
    """The step leads from 2 in boot 1 to boot 3; times are in units of what is near."""
    body = {"event": "meter", "source": "hut", "point": "energy_import", "boot": 1, **event}
    at_us = body.pop("at") * NEAR_US + body.pop("more_us", 0)
    received = ReceivedRanges(GW, E1)
    for number in (1, 2, 3):
        received.add_number(E1, "energy", number)
    received.declared.event((GW, E1, "event", 1), {**body, "mono": [0, at_us]})
    right = reading(3, 9, 12, boot=3, at_us=right_at * NEAR_US)
    step = RegisterStep(ENERGY, reading(2, 0, 5), right, grown=True)
    assert _explained(CompletenessCheck(received), step) == explained


def test_records_that_are_missing_between_explain_it_too() -> None:
    received = ReceivedRanges(GW, E1)
    for number in (1, 4):
        received.add_number(E1, "energy", number)
    step = RegisterStep(ENERGY, reading(1, 0, 5), reading(4, 9, 12), grown=True)
    assert _explained(CompletenessCheck(received), step)
    for number in (2, 3):
        received.add_number(E1, "energy", number)
    assert not _explained(CompletenessCheck(received), step)


def test_readings_meet_within_a_step_and_where_nobody_can_tell() -> None:
    left = reading(1, 0, 5)
    for before, meets in ((4, True), (5, True), (6, True), (3, False), (7, False)):
        assert is_continuous(left, reading(2, before, 9)) == meets
    assert is_continuous(left, reading(2, 7, 9, sure=False))
    assert is_continuous(left._replace(sure=False), reading(2, 7, 9))
    assert is_continuous(left, reading(2, 7, 9, step=1.0))


def test_a_register_that_began_anew_is_told_from_one_that_was_counted_twice() -> None:
    left = reading(1, 0, 5)
    for right, grown, anew in (
        (reading(2, 9, 12), False, True),
        (reading(2, 9, 12), True, False),
        (reading(2, 9, 12, first=5), False, True),
        (reading(2, 9, 12, first=6), False, False),
        (reading(2, 3, 12), False, False),
        (reading(2, 5, 12), False, False),
    ):
        assert _began_anew(RegisterStep(ENERGY, left, right, grown)) == anew


def test_what_is_no_reading_is_passed_over() -> None:
    sent = {"boot": 4, "mono": [1, 9]}
    reported = {"first": 1.0, "last": 1.5, "delta": 0.4, "step": 0.1}
    key = GW, E1, "energy", 3
    assert _reading(key, sent, reported) == RegisterReading(
        (E1, 3), 4, 9, 0.1, 10, 15, 11, sure=True
    )
    for quality, sure in (
        ({"good": 1}, True), (None, True), ({"uncertain:gap": 1}, False), ({"bad:gap": 2}, False),
        ("uncertain:gap", True),
    ):  # fmt: skip
        found = _reading(key, sent, {**reported, "quality": quality})
        assert found is not None
        assert found.sure == sure
    for wrong in ({"step": 0}, {"last": float("inf")}, {"delta": float("nan")}):
        assert _reading(key, sent, {**reported, **wrong}) is None


def test_steps_are_told_up_to_a_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(registercontinuity, "FINDINGS_LIMIT", 2)
    seen, received = RegisterContinuity(), ReceivedRanges(GW, E1)
    for n in range(1, 7):
        received.add_number(E1, "energy", n)
        point = {"first": n * 10, "last": n * 10 + 1, "delta": 1, "step": 1}
        body = {"boot": 1, "mono": [n, n + 1], "points": {"energy_import": point, "x": None}}
        seen.take((GW, E1, "energy", n), "hut", body)
    seen.take((GW, E1, "energy", 7), "hut", {"points": 7})
    findings, anew = seen.judge(CompletenessCheck(received))
    places = [(GW, E1, "energy", 2), (GW, E1, "energy", 3), None]
    assert [each.place for each in findings] == places
    assert findings[-1].text == f"{GW}: 3 more registers do not continue as expected"
    text = f"{GW} {E1}/energy/2: hut.energy_import grew from 20 to 21, and the record before it"
    assert findings[0].text.startswith(f"{text} ({E1}/1) ends at 11: the growth between these two")
    assert anew == 0


Reported = tuple[int, int, int, int, int]  # epoch, number, first, last, delta


def fed(*reported: Reported, words: dict[int, int] | None = None) -> tuple[list[int], int]:
    """The numbers of the findings, and how many registers began anew."""
    seen, received = RegisterContinuity(), ReceivedRanges(GW, reported[0][0])
    for epoch, number, first, last, delta in reported:
        received.add_number(epoch, "energy", number)
        point = {"first": first, "last": last, "delta": delta, "step": 1}
        body = {"boot": 1, "mono": [0, 1], "points": {"energy_import": point}}
        seen.take((GW, epoch, "energy", number), "hut", body)
    for by, of in (words or {}).items():
        received.declared.claims.former(by, of, {"energy": 1})
    findings, anew = seen.judge(CompletenessCheck(received))
    return [each.place[3] for each in findings if each.place is not None], anew


def test_what_grew_before_cannot_begin_anew() -> None:
    still, again = (E1, 2, 5, 5, 0), (E1, 3, 9, 12, 3)
    assert fed((E1, 1, 0, 5, 0), still, again) == ([], 1)
    assert fed((E1, 1, 0, 5, 5), still, again) == ([3], 0)
    assert fed((E1, 1, 0, 4, 0), (E1, 2, 4, 5, 1), again) == ([3], 0)


def test_one_step_that_is_explained_hides_no_other() -> None:
    assert fed((E1, 1, 0, 5, 5), (E1, 3, 9, 12, 3), (E1, 4, 20, 21, 1)) == ([4], 0)


def test_registers_go_on_over_epochs_in_their_order() -> None:
    high, low = (E2, 1, 0, 5, 5), (E1, 1, 5, 8, 3)  # a new card counts epochs anew
    assert fed(low, high, words={E1: E2}) == ([], 0)
    assert fed(low, high, words={E2: E1}) == ([1], 0)
    assert fed(low, high) == ([], 0), "nobody says which was first"
    assert fed(low, high, words={E1: E2, E2: E1}) == ([], 0), "nor in a circle"
    assert fed((E1, 1, 0, 5, 5), (E2, 1, 9, 12, 3), words={E2: E1}) == ([], 1)
    others = (E2 + 1, *low[1:]), (E2 + 2, *high[1:])
    circle = {E1: E2, E2: E1, E2 + 2: E2 + 1}
    assert fed(low, high, *others, words=circle) == ([1], 0), "a circle hides no other epochs"
