"""Flags that are up: kept small, given up when nobody watches any more, held while nobody knows."""

import copy
import random
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import msgpack
import pytest
from msgspec import to_builtins

from edge.core import Draft
from edge.infer.hysteresis import HysteresisFlag
from edge.infer.judge import ApproachSite, Judge, JudgeSetup, LaneSite
from tests.infer.street import PERIOD_NS, air, setup, ticks_of, traffic
from tests.kit.asread import as_read
from tests.kit.bundles import proven_once
from tests.kit.judging import judged
from tests.long import one_in

SECOND = 1_000_000_000


@pytest.fixture(autouse=True, scope="module")
def proven() -> Iterator[None]:
    with proven_once():
        yield


class FlaggedSite:
    """Two lanes and an air sensor, window after window."""

    def __init__(self, judge: Judge) -> None:
        self.judge, self.end_ns = judge, 0
        self.rng = random.Random(3)

    def run(self, windows: int, occupancy: float = 0.06, pm: float | None = None) -> list[Draft]:
        events: list[Draft] = []
        for _ in range(windows):
            self.end_ns += PERIOD_NS
            value = round(10 + self.rng.gauss(0, 0.5), 1) if pm is None else pm
            drafts = [*traffic(self.end_ns, [occupancy] * 2), air(self.end_ns, pm2_5=value)]
            events += judged(self.judge, self.end_ns, drafts, ticks_of(drafts)).events
        return events


def _loaded(what: JudgeSetup, folder: Path | None = None) -> Judge:
    judge = Judge(what, folder)
    judge.load()
    return judge


@pytest.fixture(scope="module")
def up() -> dict[str, Any]:
    """The flags of a judge that has flagged a jam and a sensor, through msgpack."""
    site = FlaggedSite(_loaded(setup()))
    assert site.run(60) == []
    events = site.run(100, 0.95, 0.0)
    assert {as_read(event)["event"] for event in events} == {"congestion", "anomaly"}
    assert {as_read(event)["state"] for event in events} == {"on"}
    state: dict[str, Any] = msgpack.unpackb(msgpack.packb(site.judge.snapshot_flags()))
    return state


def _judged(judge: Judge, end_ns: int, drafts: list[Draft]) -> list[Draft]:
    return judged(judge, end_ns, drafts, ticks_of(drafts)).events


def _reported(events: list[Draft]) -> list[tuple[str, str, str]]:
    return [(as_read(e)["event"], e.source, as_read(e)["state"]) for e in events]


def test_what_is_kept_with_every_window_is_small(up: dict[str, Any]) -> None:
    assert len(msgpack.packb(up)) < 3200  # an approach 850, a series whose flag is up 1,700
    calm = FlaggedSite(_loaded(setup()))
    calm.run(60)
    assert len(msgpack.packb(calm.judge.snapshot_flags())) < 1400
    assert calm.judge.snapshot_flags()["series"] == []


def test_a_flag_whose_approach_is_gone_goes_off_once_and_says_why(up: dict[str, Any]) -> None:
    lanes = (LaneSite("north_1", "south", "mid"), LaneSite("north_2", "south", "mid"))
    judge = _loaded(replace(setup(), lanes=lanes))
    judge.restore_flags(up)
    again = _loaded(replace(setup(), lanes=lanes))
    again.restore_flags(judge.snapshot_flags())  # killed before it could say so
    site = FlaggedSite(again)
    (event,) = site.run(1, pm=0.0)
    assert (event.source, as_read(event)["state"]) == ("north", "off")
    assert (
        as_read(event)["text"] == "Congestion on north is no longer watched, so the flag is closed."
    )
    assert "by" not in as_read(event)
    assert site.run(50, pm=0.0) == []
    assert "north" not in again.snapshot_flags()["approaches"]


def test_an_anomaly_whose_model_is_switched_off_goes_off_once(up: dict[str, Any]) -> None:
    judge = _loaded(replace(setup(), anomaly=False))
    judge.restore_flags(up)
    site = FlaggedSite(judge)
    (event,) = site.run(1, 0.95, 0.0)
    assert (as_read(event)["event"], as_read(event)["state"]) == ("anomaly", "off")
    assert as_read(event)["text"].endswith("is no longer watched, so the flag is closed.")
    assert site.run(50, 0.95, 0.0) == []


def test_a_jam_is_the_rules_when_its_model_is_switched_off(up: dict[str, Any]) -> None:
    judge = _loaded(replace(setup(), congestion=False, anomaly=False))
    judge.restore_flags(up)
    site = FlaggedSite(judge)
    assert site.run(20, 0.95)[1:] == []  # the first event closes the anomaly
    events = [as_read(event) for event in site.run(30)]
    assert [(event["event"], event["state"]) for event in events] == [("congestion", "off")]
    assert events[0]["by"] == "rule occupancy"


def test_a_flag_whose_sensor_is_gone_goes_off_with_the_first_window(up: dict[str, Any]) -> None:
    judge = _loaded(setup())
    judge.restore_flags(up)
    assert judged(judge, 1, []).events == []  # a window without length has no record at all
    assert [one[:2] for one in judge.snapshot_flags()["series"]] == [
        one[:2] for one in up["series"]
    ]
    (event,) = _judged(judge, PERIOD_NS, traffic(PERIOD_NS, [0.95, 0.95]))
    assert (event.source, as_read(event)["point"], as_read(event)["state"]) == (
        "hut_air",
        "pm2_5",
        "off",
    )
    assert as_read(event)["text"] == "pm2_5 of hut_air is no longer watched, so the flag is closed."
    assert judge.snapshot_flags()["series"] == []
    assert _judged(judge, 2 * PERIOD_NS, traffic(2 * PERIOD_NS, [0.95, 0.95])) == []


def test_a_series_that_is_silent_is_still_watched(up: dict[str, Any]) -> None:
    judge = _loaded(setup())
    judge.restore_flags(up)
    drafts = [*traffic(PERIOD_NS, [0.95, 0.95]), air(PERIOD_NS, pm2_5=None)]
    assert _judged(judge, PERIOD_NS, drafts) == []
    assert len(judge.snapshot_flags()["series"]) == 1


def test_flags_are_newer_than_the_state_that_says_otherwise(up: dict[str, Any]) -> None:
    jammed = FlaggedSite(_loaded(setup()))
    jammed.run(60)
    jammed.run(100, 0.95, 0.0)
    old = jammed.judge.snapshot()
    assert jammed.run(200)  # over, and `off` was sent
    judge = _loaded(setup())
    judge.restore(old)
    judge.restore_flags(jammed.judge.snapshot_flags())
    site = FlaggedSite(judge)
    assert site.run(100) == []


def _damaged(state: dict[str, Any]) -> dict[str, list[Any]]:
    """What is damaged (`whole` is all of it), and ways in which it is."""
    north = state["approaches"]["north"]
    (source, point, series) = state["series"][0]

    def approach(**change: Any) -> dict[str, Any]:
        return {**state, "approaches": {"north": {**north, **change}}}

    def of_series(**change: Any) -> dict[str, Any]:
        return {**state, "series": [[source, point, {**series, **change}]]}

    return {
        "whole": [
            {}, [], None, 7, "x", b"\x00", {"v": 2}, {"v": 1},
            {**state, "v": 2}, {**state, "models": []}, {**state, "models": None},
        ],
        "approaches": [
            {**state, "approaches": []}, {**state, "approaches": {"north": None}},
            {**state, "approaches": {3: north}}, {**state, "approaches": {"a/#": north}},
            approach(raised=1), approach(smooth=[0.1]), approach(smooth=[2.0] * 4),
            approach(smooth=[float("nan")] * 4), approach(age_s=[-1.0] * 4), approach(age_s=None),
            approach(low_s="1"), approach(hold_s=float("inf")), approach(hold_s=10**400),
            approach(row="text"), {k: v for k, v in state.items() if k != "approaches"},
        ],
        "series": [
            {**state, "series": {"a": 1}}, {**state, "series": [[source, point]]},
            {**state, "series": [[source, None, series]]},
            {**state, "series": [[source, point, series], ["a b", "c", series]]},
            of_series(samples=-1), of_series(hold_s=None), of_series(rule=[float("inf")] * 8),
            of_series(rule=3), of_series(row=None),
        ],
        "loops": [{**state, "loops": {"raised": 5}}, {**state, "loops": None}],
        "incidents": [
            {**state, "incidents": 5}, {**state, "incidents": [{}]},
            {**state, "incidents": [{**state["incidents"][0], "age_s": "x"}]},
        ],
    }  # fmt: skip


@pytest.fixture(scope="module")
def all_up() -> dict[str, Any]:
    """As `up`, and a loop and two stations of a road on which an incident is suspected."""
    site = FlaggedSite(_loaded(setup()))
    site.run(60)
    site.run(100, 0.95, 0.0)
    road = Judge(WIDE)
    loops = {"ours": [["up_1", "lead", "stuck_on"]], "theirs": [], "dropped": [], "raised": {}}
    known: dict[str, Any] = road.snapshot_flags()
    pair, *signals = known["incidents"]
    pair = {**pair, "values": [0.7, 0.04, 3.0, 9.0], "raised": True}
    state = {**known, **{key: site.judge.snapshot_flags()[key] for key in ("approaches", "series")}}
    state |= {"loops": {**known["loops"], **loops}, "incidents": [pair, *signals]}
    again: dict[str, Any] = msgpack.unpackb(msgpack.packb(state))
    return again


ROAD = tuple(LaneSite(f"{name}_1", name, "corridor") for name in ("up", "down"))
WIDE = replace(
    setup(), lanes=setup().lanes + ROAD, loopfault=True,
    approaches=(ApproachSite("up", "down", 500.0), ApproachSite("down")),
)  # fmt: skip
PARTS = ("approaches", "series", "loops", "incidents")


def _up_in(flags: dict[str, Any]) -> dict[str, object]:
    """What is up, by part."""
    return {
        "approaches": [name for name, one in flags["approaches"].items() if one["raised"]],
        "series": [one[:2] for one in flags["series"]],
        "loops": flags["loops"]["ours"],
        "incidents": [one["pair"] for one in flags["incidents"] if one.get("raised")],
    }


def test_all_that_was_up_is_known_again(all_up: dict[str, Any]) -> None:
    judge = Judge(WIDE)
    judge.restore_flags(all_up)
    assert _up_in(judge.snapshot_flags()) == _up_in(all_up)
    assert all(_up_in(all_up).values())


def test_a_state_that_is_damaged_as_a_whole_is_said_and_ignored(
    all_up: dict[str, Any], caplog: pytest.LogCaptureFixture
) -> None:
    for damaged in _damaged(all_up)["whole"]:
        caplog.clear()
        judge = Judge(WIDE)
        before = judge.snapshot_flags()
        judge.restore_flags(damaged)
        assert "damaged" in caplog.text, damaged
        assert judge.snapshot_flags() == before, damaged


@pytest.mark.parametrize("part", PARTS)
def test_what_is_damaged_in_one_part_leaves_the_others_alone(
    all_up: dict[str, Any], caplog: pytest.LogCaptureFixture, part: str
) -> None:
    """A flag that was not restored would stay up at the platform for ever."""
    for damaged in _damaged(all_up)[part]:
        caplog.clear()
        judge = Judge(WIDE)
        judge.restore_flags({**damaged, "judged_s": 600.0})
        (line,) = caplog.messages
        assert "damaged" in line, damaged
        assert _up_in(judge.snapshot_flags()) == {**_up_in(all_up), part: []}, damaged
        assert judge.snapshot_flags()["judged_s"] == 600.0


@one_in(2)
@pytest.mark.parametrize(
    "change",
    [{"row": b"123"}, {"row": b"\xff" * 320}, {"rule": (1.0,)}, {"rule": (0.0,) * 8}],
)
def test_a_memory_that_does_not_fit_costs_no_flag(
    up: dict[str, Any], change: dict[str, Any], tmp_path: Path
) -> None:
    state = copy.deepcopy(up)
    state["series"][0][2].update(change)
    state["approaches"]["north"]["row"] = change.get("row", b"")
    for folder in (None, tmp_path):
        judge = _loaded(setup(), folder)
        judge.restore_flags(state)
        site = FlaggedSite(judge)
        assert site.run(10, 0.95, 0.0) == []
        assert sorted(_reported(site.run(300))) == [
            ("anomaly", "hut_air", "off"),
            ("congestion", "north", "off"),
        ]


def test_a_model_that_begins_anew_amid_a_jam_does_not_call_it_over(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    site = FlaggedSite(_loaded(setup()))
    site.run(60)
    assert len(site.run(60, 0.95, 0.0)) == 2
    for part in (site.judge._approaches, site.judge._series):
        assert part is not None
        session: Any = part.guard.session
        with monkeypatch.context() as patched:
            patched.setattr(session._session, "run", _spoilt(session._session.run))
            assert site.run(1, 0.95, 0.0) == []
        assert part.guard.failures == 1
    assert site.run(7, 0.95, 0.0) == []  # 60 s later it is asked again
    # what has stayed the same since then is all that the model of the series knows
    assert _reported(site.run(100, 0.95, 0.0)) in ([], [("anomaly", "hut_air", "off")])
    assert to_builtins(site.judge.models())["congestion"]["answers"] == "model"
    assert ("congestion", "north", "off") in _reported(site.run(300))


def _spoilt(run: Any) -> Any:
    def spoilt(names: list[str], feed: object) -> list[Any]:
        return [answer * float("nan") for answer in run(names, feed)]

    return spoilt


@one_in(3)
@pytest.mark.parametrize("gap_s", [10, 400, 3600])
def test_a_jam_that_outlasts_a_gap_is_not_called_over(up: dict[str, Any], gap_s: int) -> None:
    judge = _loaded(setup())
    judge.restore_flags(up)
    judge.missing(0, gap_s * SECOND)
    site = FlaggedSite(judge)
    assert _reported(site.run(100, 0.95, 0.0)) == []
    assert len(site.run(300)) == 2


def test_a_state_that_waits_for_its_model_is_in_the_next_snapshot() -> None:
    site = FlaggedSite(_loaded(setup()))
    site.run(60)
    saved = site.judge.snapshot()
    waiting = Judge(setup())
    waiting.restore(saved)
    assert waiting.snapshot() == saved


@pytest.mark.parametrize("key", ["smooth", "age_s"])
def test_a_snapshot_with_impossible_numbers_is_refused_whole(key: str) -> None:
    saved = _loaded(setup()).snapshot()
    for bad in ([-1e9] * 4, [0.1] * 3, [float("nan")] * 4):
        saved["congestion"][key] = [bad]
        judge = Judge(setup())
        assert not judge.restore(saved)
        assert FlaggedSite(judge).run(2) == []


def test_a_held_flag_goes_off_only_after_its_hold_and_its_quiet() -> None:
    flag = HysteresisFlag(0.5, 0.3, quiet_s=60.0)
    flag.put(True, hold_s=100.0)
    turns = [flag.step(0.1, 0.1, 20.0) for _ in range(8)]
    assert turns == [None] * 7 + ["off"]
    flag.hold(100.0)
    assert (flag.raised, flag.hold_s) == (False, 0.0)  # nothing to hold


def test_a_hold_ends_when_whoever_judges_sees_it_too() -> None:
    flag = HysteresisFlag(0.5, 0.3)
    flag.put(True, hold_s=1000.0)
    assert [flag.step(level, level, 20.0) for level in (0.1, 0.4, 0.2)] == [None, None, "off"]
