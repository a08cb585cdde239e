"""A loop that lets go late is found on pairs and on single loops; a queue and a lorry are none."""

import json
import random
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from edge.core.looptick import LoopTick, Stay
from edge.infer.loops.evidence import LoopKey
from edge.infer.loops.laterelease import LateReleaseRule
from edge.infer.loops.loopflag import FAULTS, OLDEST, LoopFlag
from edge.infer.loops.loopjudge import LoopJudge
from edge.infer.modelguard import ModelGuard
from edge.infer.sites import LaneSite
from tests.infer.test_loopjudge import judged, modelled, ruled
from tests.infer.test_looprules import HOURS, HURT, LANES, Spans, street, ticks

ALONE = tuple(replace(lane, paired=False, spacing_m=None) for lane in LANES)


def late(stays: Spans, share: float, least_s: float = 0.5, most_s: float = 4.0) -> Spans:
    """With a contact that stays on after some of them; who comes meanwhile is not seen."""
    chance = random.Random(11)
    out: Spans = []
    for on, off in stays:
        later = chance.uniform(least_s, most_s) if chance.random() < share else 0.0
        if out and on <= out[-1][1]:
            out[-1] = (out[-1][0], max(out[-1][1], off + later))
        else:
            out.append((on, off + later))
    return out


def said(
    stays: dict[LoopKey, Spans], lanes: tuple[LaneSite, ...], fault: str | None = None
) -> dict[LoopKey, int]:
    """In how many slots of an hour the rule speaks of each loop."""
    rule = LateReleaseRule(lanes, lambda key: fault)
    out: dict[LoopKey, int] = {}
    for slot in ticks(stays, HOURS):
        for key in rule.step({(t.lane, t.part): t for t in slot}, {}, None):
            out[key] = out.get(key, 0) + 1
    return out


@pytest.mark.parametrize("share", [0.2, 0.5, 0.8])
@pytest.mark.parametrize("lanes", [LANES, ALONE], ids=["pairs", "single"])
def test_a_late_release_is_found_and_no_other_loop_is_called_so(
    share: float, lanes: tuple[LaneSite, ...]
) -> None:
    whole = street(HOURS)
    whole[HURT] = late(whole[HURT], share)
    found = said(whole, lanes)
    assert set(found) == {HURT}
    assert found[HURT] > 60  # of 120 slots


@pytest.mark.parametrize("gap_s", [3.0, 6.0, 20.0])
@pytest.mark.parametrize("lanes", [LANES, ALONE], ids=["pairs", "single"])
def test_sound_loops_let_go_in_time(gap_s: float, lanes: tuple[LaneSite, ...]) -> None:
    assert said(street(HOURS, gap_s, seed=5), lanes) == {}


def queue(hours: float) -> Spans:
    """A stop line: some stand on the loop, those behind them start, the last ones drive over it."""
    chance, out, at = random.Random(3), Spans(), 0.0
    while at < hours * 3600 - 120:
        waits = chance.randrange(0, 8)
        if waits:
            out.append((at + chance.uniform(0.0, 43.0), at + 46.0))
        on = at + 47.5
        for i in range(1, waits):
            out.append((on, on + 0.5 + 1.6 / i))
            on = out[-1][1] + chance.uniform(0.7, 1.5)
        while on < at + 80.0:
            on += chance.uniform(1.5, 12.0)
            out.append((on, on + chance.uniform(0.4, 0.6)))
            on = out[-1][1]
        at += 90.0
    return out


def test_a_queue_at_a_stop_line_is_no_late_release() -> None:
    lane = LaneSite("s", "s", "stop")
    assert said({("s", "lead"): queue(1.0)}, (lane,)) == {}


@pytest.mark.parametrize("lanes", [LANES, ALONE], ids=["pairs", "single"])
def test_an_inverted_loop_lets_go_in_time(lanes: tuple[LaneSite, ...]) -> None:
    whole = street(HOURS)
    edges = [at for stay in whole[HURT] for at in stay]
    whole[HURT] = list(zip([0.0, *edges[1::2]], edges[::2], strict=False))
    assert said(whole, lanes) == {}


def test_what_is_broken_besides_keeps_its_word() -> None:
    whole = street(HOURS)
    whole[HURT] = late(whole[HURT], 0.5)
    for fault in ("chatter", "breakup", "stuck_on", "stuck_off"):
        assert said(whole, LANES, fault) == {}
    assert set(said(whole, LANES, "mismatch")) == {HURT}


@pytest.mark.parametrize("by", ["model", "rule"])
def test_the_judge_raises_it_and_ends_it_after_the_repair(by: str, tmp_path: Path) -> None:
    whole = street(2 * HOURS)
    sound = [stay for stay in whole[HURT] if stay[0] > 3600.0]
    whole[HURT] = late([stay for stay in whole[HURT] if stay[0] <= 3600.0], 0.5) + sound
    reported = judged(modelled() if by == "model" else ruled(tmp_path), ticks(whole, 2 * HOURS))
    turns = [v for v in reported[HURT] if v.change]
    assert ("on", "late_release") in [(v.change, v.fault) for v in turns]
    assert turns[-1].change == "off"
    assert 3600.0 < len(reported[HURT][: reported[HURT].index(turns[-1])]) * 30 < 5400.0
    assert not [v for key, vs in reported.items() if key != HURT for v in vs if v.fault]


def test_it_remembers_over_a_restart_and_a_gap_joins_nothing() -> None:
    whole = street(HOURS)
    whole[HURT] = late(whole[HURT], 0.5)
    slots: list[dict[LoopKey, LoopTick]] = [
        {(t.lane, t.part): t for t in slot} for slot in ticks(whole, HOURS)
    ]
    one, other = (LateReleaseRule(LANES, lambda key: None) for _ in range(2))
    for slot in slots[:80]:
        one.step(slot, {}, None)
    saved = json.loads(json.dumps(one.snapshot()))
    other.restore(saved)
    assert other.snapshot() == saved
    other.missing(30.0)
    assert set(other.step(slots[81], {}, None)) == {HURT}
    blind = {key: t._replace(seen_ns=t.seen_ns - 1) for key, t in slots[82].items()}
    before = other.snapshot()
    other.step(blind, {}, None)
    assert other.snapshot() == before


@pytest.mark.parametrize(
    "saved", [{"m_0|lead": []}, {"m_0|lead": [-1.0] * 4}, {"m_0|lead": [float("nan")] * 4}]
)
def test_what_is_no_snapshot_is_refused_and_nothing_has_changed(saved: Any) -> None:
    rule = LateReleaseRule(LANES, lambda key: None)
    before = rule.snapshot()
    with pytest.raises((TypeError, ValueError)):
        rule.restore(saved)
    assert rule.snapshot() == before


def test_a_pulse_says_nothing_of_a_release() -> None:
    lane = LaneSite("p", "p", "corridor", mode="pulse")
    assert said({("p", "lead"): late(street(HOURS)[HURT], 0.5)}, (lane,)) == {}


def test_a_flag_that_0_2_0_kept_is_read() -> None:
    flag = LoopFlag(0.6, 0.3)
    (smooth, *rest) = flag.snapshot()
    assert len(smooth) == OLDEST < 1 + len(FAULTS)
    flag.restore([smooth, *rest], same_model=True)
    assert len(flag.smooth) == 1 + len(FAULTS)
    flag.smooth[-1] = 0.9
    assert len(flag.snapshot()[0]) == 1 + len(FAULTS)


def test_a_judge_that_knew_no_late_release_begins_to_look_for_it(tmp_path: Path) -> None:
    first = ruled(tmp_path)
    slots = ticks(street(HOURS), HOURS)
    judged(first, slots[:20])
    saved = first.snapshot()
    witnesses = dict(saved["witnesses"])  # type: ignore[call-overload]
    del witnesses["release"]
    second = LoopJudge(LANES, (), ModelGuard("loopfault", tmp_path / "none"))
    assert second.restore({**saved, "witnesses": witnesses})


def test_the_last_stay_of_a_pair_waits_for_what_the_other_loop_says() -> None:
    """A lorry that stands on both loops is no late release of the one that it leaves first."""
    rule = LateReleaseRule(LANES[:1], lambda key: None)
    ((lead, trail),) = [[t for t in ticks({("m_0", "lead"): [], ("m_0", "trail"): []}, 1 / 120)[0]]]
    s = 1_000_000_000
    lead = lead._replace(stays=(Stay(2 * s, 20 * s),))
    trail = trail._replace(since_ns=3 * s)
    rule.step({("m_0", "lead"): lead, ("m_0", "trail"): trail}, {}, None)
    assert rule.snapshot()["m_0|lead"][2] == 0.0  # nothing was compared


def lorries(seed: int) -> dict[LoopKey, Spans]:
    """Nothing but lorries of 8 to 12 m at 50 km/h, in one lane with two loops."""
    chance, at = random.Random(seed), 0.0
    out: dict[LoopKey, Spans] = {("m_0", "lead"): [], ("m_0", "trail"): []}
    while at < 600.0:
        at += 2.0 + chance.expovariate(1 / 3.1)
        v, m = chance.gauss(14.0, 1.0), chance.uniform(8.0, 12.0)
        out["m_0", "lead"].append((at, at + (m + 2.0) / v))
        out["m_0", "trail"].append((at + 4.0 / v, at + (m + 6.0) / v))
    return out


@pytest.mark.parametrize("part", ["lead", "trail"])
@pytest.mark.parametrize("seed", range(3))
def test_beside_one_that_loses_lorries_in_their_middle_nobody_lets_go_late(
    part: str, seed: int
) -> None:
    """The second part begins as near to the other loop's stay as the lorry itself did."""
    stays = lorries(seed)
    assert said(stays, LANES) == {}
    stays["m_0", part] = [
        half
        for on, off in stays["m_0", part]
        for half in ((on, on + 0.6 * (off - on)), (on + 0.6 * (off - on) + 0.06, off))
    ]
    assert said(stays, LANES) == {}
