"""Approaches are judged slot by slot: by the loops that are believed, with neighbours, in words."""

import random
from collections.abc import Mapping
from typing import Any

import pytest

from edge.core import LoopTick
from edge.infer.approaches import ApproachJudge, ApproachVerdict
from edge.infer.approachverdict import congestion_reason, speed_text
from edge.infer.modelguard import ModelGuard
from edge.infer.observation import PositionObservation
from edge.infer.sites import ApproachSite, LaneSite
from models import BUNDLES
from models.congestion.congestionstate import PLACES
from tests.infer.street import SHIPPED, SLOT_NS, tick

LANES = tuple(LaneSite(f"n{i}", "north", "mid") for i in (1, 2))
RULE = "rule occupancy"


def _approaches(
    lanes: tuple[LaneSite, ...] = LANES,
    *,
    loaded: bool = True,
    sites: tuple[ApproachSite, ...] = (),
) -> ApproachJudge:
    guard = ModelGuard("congestion", BUNDLES / "congestion", hurry=False)
    if loaded:
        assert guard.load()
    return ApproachJudge(lanes, guard, sites)


def _ticks(end_ns: int, *occupancy: float, slots: int = 1) -> list[LoopTick]:
    ends = [end_ns - (slots - 1 - k) * SLOT_NS for k in range(slots)]
    return [tick(f"n{i}", end, o) for end in ends for i, o in enumerate(occupancy, 1)]


def _run(
    judge: ApproachJudge, first: int, count: int, *occupancy: float, **scores: float
) -> list[ApproachVerdict]:
    broken = {(lane, "lead"): score for lane, score in scores.items()}
    reported = []
    for k in range(first, first + count):
        end_ns = (k + 1) * SLOT_NS
        reported += judge.step(end_ns, _ticks(end_ns, *occupancy), broken)
    return reported


def _turns(reported: list[ApproachVerdict]) -> list[str]:
    return [v.turn for v in reported if v.turn]


@pytest.mark.parametrize("loaded", [True, False])
def test_without_a_slot_nothing_turns_and_what_was_said_holds(loaded: bool) -> None:
    judge = _approaches(loaded=loaded)
    (nothing,) = judge.step(1, [], {})
    assert (nothing.p, nothing.turn) == (None, None)
    reported = _run(judge, 0, 40, 0.97, 0.95)
    (held,) = judge.step(40 * SLOT_NS + 5, [], {})
    assert (held.p, held.p5, held.p15) == (reported[-1].p, reported[-1].p5, reported[-1].p15)
    assert (held.turn, held.reason, held.by) == (None, "", reported[-1].by)


@pytest.mark.parametrize("loaded", [True, False])
def test_slots_of_one_window_are_as_slots_of_many(loaded: bool) -> None:
    one, two = _approaches(loaded=loaded), _approaches(loaded=loaded)
    rng = random.Random(1)
    calm, full = (0.05, 0.2), (0.7, 1.0)
    for k in range(1, 60):
        spread = full if 20 < k < 30 else calm
        pairs = [(rng.uniform(*spread), rng.uniform(*spread)) for _ in range(4)]
        end_ns = 4 * k * SLOT_NS
        ends = [end_ns - (3 - j) * SLOT_NS for j in range(4)]
        many = [t for end, pair in zip(ends, pairs, strict=True) for t in _ticks(end, *pair)]
        reported = one.step(end_ns, many, {})
        apart = [
            v
            for end, pair in zip(ends, pairs, strict=True)
            for v in two.step(end, _ticks(end, *pair), {})
        ]
        assert reported[-1] == apart[-1]
        assert _turns(reported) == _turns(apart)


@pytest.mark.parametrize("loaded", [True, False])
def test_a_loop_that_is_not_believed_is_left_out(loaded: bool) -> None:
    judge = _approaches(loaded=loaded)
    _run(judge, 0, 60, 0.06, 0.05)
    assert _turns(_run(judge, 60, 60, 0.06, 1.0, n2=0.9)) == []


def test_when_no_loop_is_believed_for_long_nothing_is_known() -> None:
    judge = _approaches()
    assert _turns(_run(judge, 0, 40, 0.97, 0.95)) == ["on"]
    reported = _run(judge, 40, 12, 0.97, 0.95, n1=1.0, n2=1.0)
    assert [v.p is None for v in reported] == [False] * 9 + [True] * 3
    assert _turns(reported) == ["off"]


def test_the_model_forecasts_and_the_rule_does_not() -> None:
    (said,) = _run(_approaches(), 0, 1, 0.1, 0.1)
    assert said.by == SHIPPED["congestion"]
    assert said.p is not None
    assert said.p5 is not None
    assert said.p15 is not None
    (said,) = _run(_approaches(loaded=False), 0, 1, 0.1, 0.1)
    assert (said.p5, said.p15, said.by) == (None, None, RULE)


@pytest.mark.parametrize("loaded", [True, False])
def test_a_turn_has_a_reason(loaded: bool) -> None:
    judge = _approaches(loaded=loaded)
    reported = _run(judge, 0, 60, 0.06, 0.05) + _run(judge, 60, 60, 0.97, 0.95)
    (on,) = (v for v in reported if v.turn)
    assert on.reason.startswith("occupancy 96 % on the mid-block loops")
    assert "a queue stands" not in on.reason or "mid" in on.reason
    assert all(not v.reason for v in reported if not v.turn)


def test_neighbours_are_those_that_the_site_names(monkeypatch: pytest.MonkeyPatch) -> None:
    lanes = (*LANES, LaneSite("s1", "south", "mid"))
    sites = (ApproachSite("north", "south"), ApproachSite("south"))
    judge = _approaches(lanes, sites=sites)
    given: list[Any] = []
    asked = judge.guard.ask

    def ask(now_ns: int, inputs: Mapping[str, Any]) -> Any:
        given.append(inputs)
        return asked(now_ns, inputs)

    monkeypatch.setattr(judge.guard, "ask", ask)
    judge.step(SLOT_NS, [*_ticks(SLOT_NS, 0.2, 0.2), tick("s1", SLOT_NS, 0.9)], {})
    mid, below, above = (PLACES.index(place) for place in ("mid", "below", "above"))
    north, south = given[0]["x"]
    assert [round(float(north[k]), 3) for k in (mid, below, above)] == [0.2, 0.9, 0.0]
    assert [round(float(south[k]), 3) for k in (mid, below, above)] == [0.9, 0.0, 0.2]
    assert given[0]["present"].tolist() == [[0, 0, 1, 0, 1, 0], [0, 0, 1, 0, 0, 1]]


def _seen(mean: float, standing: float = 0.0, longest_s: float = 1.0) -> PositionObservation:
    return PositionObservation(mean, mean, mean, 0.2, 0.5, standing, longest_s, None)


def test_reasons_in_words() -> None:
    slow = (0.0, 0.0, 1.1, 0.0)
    assert congestion_reason({"mid": _seen(0.62), "advance": _seen(0.3, standing=0.8)}, slow) == (
        "occupancy 62 % on the mid-block loops, vehicles at a third of their usual speed, "
        "a queue stands on the advance loops"
    )
    assert congestion_reason({"mid": _seen(0.62)}, slow) == (
        "occupancy 62 % on the mid-block loops, vehicles at a third of their usual speed"
    )
    assert congestion_reason({"stop": _seen(0.9, longest_s=40.0)}) == (
        "occupancy 90 % on the stop line loops, a queue stands on the stop line loops"
    )
    assert congestion_reason({}) == ""


@pytest.mark.parametrize(
    ("slow", "words"),
    [
        (0.7, "half their usual speed"),
        (1.1, "a third of their usual speed"),
        (1.4, "a quarter of their usual speed"),
        (0.0, "their usual speed"),
        (-0.5, "their usual speed"),
        (3.0, "a tenth of their usual speed"),
    ],
)
def test_speeds_in_words(slow: float, words: str) -> None:
    assert speed_text(slow) == words


def test_what_is_usual_at_a_site_is_taken_up_after_a_start() -> None:
    judge = _approaches(loaded=False)
    _run(judge, 0, 400, 0.3, 0.3)
    saved = judge.snapshot()
    again = _approaches(loaded=False)
    assert again.restore(saved)
    assert (
        again.snapshot()["usual"] == saved["usual"] != _approaches(loaded=False).snapshot()["usual"]
    )
    assert again.snapshot()["learned"] == saved["learned"]


@pytest.mark.parametrize("damage", [[[2.0] * 4], [[0.1] * 3], [None], "x"])
def test_a_damaged_usual_level_is_not_taken_up(damage: Any) -> None:
    judge = _approaches(loaded=False)
    with pytest.raises((KeyError, TypeError, ValueError)):
        judge.restore({**judge.snapshot(), "usual": damage})
