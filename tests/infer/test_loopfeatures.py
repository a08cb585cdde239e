"""What the loops' features promise: finite, fixed, relative, and the same in any order."""

import math
import random
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge.core.looptick import LoopTick, Stay
from edge.infer.loops.evidence import LoopKey, LoopStays, filled_sums, loop_stays, slot_sums
from edge.infer.loops.loopfeatures import FEATURES, LoopFeatures
from edge.infer.loops.surroundings import loop_surroundings
from edge.infer.sites import ApproachSite, LaneSite
from tests.long import examples

S = 1_000_000_000
LANES = (
    LaneSite("a_0", "a", "advance", paired=True, spacing_m=4.0),
    LaneSite("a_1", "a", "advance", paired=True, spacing_m=4.0),
    LaneSite("a_2", "a", "advance", mode="pulse"),
    LaneSite("s_0", "a", "stop"),
    LaneSite("s_1", "a", "stop"),
    LaneSite("s_2", "a", "stop"),
    LaneSite("b_0", "b", "advance"),
)
SITES = (ApproachSite("a", "b", 300.0), ApproachSite("b"))
KEYS = tuple(loop_surroundings(LANES, SITES))


def tick(lane: str, part: str, slot: int, stays: list[tuple[float, float]]) -> LoopTick:
    """Seconds in, a tick of the slot that ends at 30 * (slot + 1) s out."""
    begin, end = 30 * S * slot, 30 * S * (slot + 1)
    whole = tuple(Stay(round(a * S), round(b * S)) for a, b in stays)
    on = sum(min(b, end) - max(a, begin) for a, b in whole)
    return LoopTick(lane, "lead" if part == "lead" else "trail", begin, end, 30 * S, on, whole)


def get(row: list[float], name: str) -> float:
    return row[FEATURES.index(name)]


@st.composite
def slots(draw: st.DrawFn) -> list[list[LoopTick]]:
    """Slots as a hostile street would give them: any lengths, gaps, floods and standing."""
    out, at = [], draw(st.integers(0, 10**6)) * S
    for _ in range(draw(st.integers(1, 6))):
        end = at + draw(st.integers(1, 45)) * S
        ticks = []
        for lane, part in draw(st.permutations(KEYS))[: draw(st.integers(0, len(KEYS)))]:
            moments = draw(
                st.lists(st.integers(max(0, at - 90 * S), end), max_size=20, unique=True)
            )
            edges = sorted(moments)
            stays = [Stay(a, b) for a, b in list(pairwise(edges))[::2]]
            since = draw(st.none() | st.integers(edges[-1] if edges else at, end))
            seen = draw(st.integers(0, end - at))
            ticks.append(
                LoopTick(
                    lane, "lead" if part == "lead" else "trail", at, end, seen,
                    draw(st.integers(0, end - at)), tuple(stays),
                    draw(st.sampled_from([0, 0, 3000])), since,
                    draw(st.integers(0, 50)), 0,
                    draw(st.none() | st.integers(0, end - at)),
                )
            )  # fmt: skip
        out.append(ticks)
        at = end + draw(st.sampled_from([0, 0, 3600])) * S
    return out


@settings(max_examples=examples(60), deadline=None)
@given(slots())
def test_a_row_is_finite_and_of_one_width_whatever_the_loops_do(
    street: list[list[LoopTick]],
) -> None:
    watch = LoopFeatures(LANES, SITES)
    for ticks in street:
        rows = watch.step(ticks)
        assert set(rows) == {(t.lane, t.part) for t in ticks}
        for row in rows.values():
            assert len(row) == len(FEATURES)
            assert all(math.isfinite(v) and abs(v) < 1e4 for v in row)


@settings(max_examples=examples(30), deadline=None)
@given(slots(), st.randoms())
def test_the_order_of_ticks_does_not_matter(
    street: list[list[LoopTick]], shuffler: random.Random
) -> None:
    one, other = LoopFeatures(LANES, SITES), LoopFeatures(LANES, SITES)
    for ticks in street:
        mixed = list(ticks)
        shuffler.shuffle(mixed)
        assert one.step(ticks) == other.step(mixed)


@settings(max_examples=examples(20), deadline=None)
@given(slots())
def test_a_snapshot_is_taken_up_whole(street: list[list[LoopTick]]) -> None:
    one, other = LoopFeatures(LANES, SITES), LoopFeatures(LANES, SITES)
    for ticks in street:
        one.step(ticks)
    other.restore(one.snapshot())
    assert other.snapshot() == one.snapshot()


def test_what_lies_around_a_loop() -> None:
    found = loop_surroundings(LANES, SITES)
    assert found["a_1", "lead"].beside == (("a_0", "lead"), ("a_2", "lead"))
    assert found["a_1", "trail"].beside == (("a_0", "trail"),)
    assert found["a_1", "trail"].partner == ("a_1", "lead")
    assert found["a_1", "lead"].along == (("s_1", "lead"), ("b_0", "lead"))
    assert found["b_0", "lead"].along == (("a_0", "lead"), ("s_0", "lead"))
    assert found["b_0", "lead"].beside == ()
    assert found["s_0", "lead"].partner is None


def test_loops_that_the_site_does_not_have_are_passed_over() -> None:
    rows = LoopFeatures(LANES, SITES).step([tick("nowhere", "lead", 0, [(1, 2)])])
    assert rows == {}


def _steady(watch: LoopFeatures, count: int, stays: dict[tuple[str, str], list[tuple[float,
float]]]) -> (
    dict[tuple[str, str], list[float]]
):  # fmt: skip
    rows: dict[tuple[str, str], list[float]] = {}
    for slot in range(count):
        ticks = [
            tick(*key, slot, [(30 * slot + a, 30 * slot + b) for a, b in whole])
            for key, whole in stays.items()
        ]
        rows = watch.step(ticks)
    return rows


def test_begins_that_fall_together_show_and_the_shorter_one_is_told() -> None:
    real = [(2.0, 2.4), (9.0, 9.5), (17.0, 17.4), (25.0, 25.6)]
    ghosts = [(a + 0.02, b - 0.05) for a, b in real]
    rows = _steady(LoopFeatures(LANES, SITES), 20, {("s_0", "lead"): real, ("s_1", "lead"): ghosts})
    assert get(rows["s_1", "lead"], "near_mid") > 0.8
    assert get(rows["s_1", "lead"], "near_short_mid") > 0.8
    assert get(rows["s_0", "lead"], "near_short_mid") < -0.8


def test_begins_apart_do_not_show() -> None:
    one = [(2.0, 2.4), (9.0, 9.5), (17.0, 17.4), (25.0, 25.6)]
    other = [(a + 1.3, b + 1.3) for a, b in one]
    rows = _steady(LoopFeatures(LANES, SITES), 20, {("s_0", "lead"): one, ("s_1", "lead"): other})
    assert get(rows["s_1", "lead"], "near_mid") < 0.05
    assert get(rows["s_1", "lead"], "midst_mid") < 0.05


@pytest.mark.parametrize(("shift", "before"), [(0.25, 0.0), (-0.25, 1.0)])
def test_the_order_of_a_pair_shows(shift: float, before: float) -> None:
    lead = [(2.0, 2.4), (9.0, 9.5), (17.0, 17.4), (25.0, 25.6)]
    trail = [(a + shift, b + shift) for a, b in lead]
    rows = _steady(LoopFeatures(LANES, SITES), 20, {("a_0", "lead"): lead, ("a_0", "trail"): trail})
    for part in ("lead", "trail"):
        assert get(rows["a_0", part], "before_mid") == pytest.approx(before, abs=0.1)


def test_what_a_pairs_loop_misses_shows_on_that_loop_only() -> None:
    lead = [(2.0, 2.4), (9.0, 9.5), (17.0, 17.4), (25.0, 25.6)]
    trail = [(a + 0.2, b + 0.2) for a, b in lead[:3]]
    rows = _steady(LoopFeatures(LANES, SITES), 40, {("a_0", "lead"): lead, ("a_0", "trail"): trail})
    assert get(rows["a_0", "trail"], "missed_mid") > 0.2
    assert get(rows["a_0", "trail"], "against_mate_slow") < -1.5
    assert get(rows["a_0", "lead"], "missed_mid") == 0.0


def test_a_gap_ends_what_lasts_but_not_what_was_learned() -> None:
    watch = LoopFeatures(LANES, SITES)
    _steady(watch, 40, {("s_0", "lead"): [(1.0, 1.5), (11.0, 11.5)]})
    usual = watch.memory["s_0", "lead"].usual()
    watch.missing(86_400.0)
    assert watch.memory["s_0", "lead"].usual() == usual
    assert watch.memory["s_0", "lead"].idle_s == 0.0
    assert max(watch.memory["s_0", "lead"].scales[2]) < 1e-6


@given(slots())
@settings(max_examples=examples(40), deadline=None)
def test_what_is_taken_for_nothing_is_nothing(slots: list[list[LoopTick]]) -> None:
    places = loop_surroundings(LANES, SITES)
    for ticks in slots:
        stays: dict[LoopKey, LoopStays] = {}
        for each in ticks:
            stays[each.lane, each.part] = loop_stays(each, ())
        for key in stays:
            sums = slot_sums(key, stays, places[key], 0.4 * S)
            assert {i for i, value in enumerate(sums) if value} <= {*filled_sums(places[key])}


def test_what_was_beside_fades_when_the_configuration_has_it_no_more() -> None:
    before = LoopFeatures(LANES, SITES)
    both = [(2.0, 2.4), (9.0, 9.5), (17.0, 17.4)]
    _steady(before, 40, {("s_0", "lead"): both, ("s_1", "lead"): both})
    after = LoopFeatures(LANES[3:4])
    after.restore(before.snapshot())
    row = after.step([tick("s_0", "lead", 40, [])])["s_0", "lead"]
    assert get(row, "near_z_mid") > 0.0
    for slot in range(41, 400):
        row = after.step([tick("s_0", "lead", slot, [])])["s_0", "lead"]
    assert get(row, "near_z_mid") == pytest.approx(0.0, abs=1e-3)
