"""Injured loops: each fault does what its cause does, to its loop and to no other."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.congestion.scenarios.commoncauses import CARD, CAUSES, CommonCause, inject_cause
from models.congestion.scenarios.faulteffects import usual_on_time
from models.congestion.scenarios.loopfaults import (
    KINDS,
    LASTING,
    FaultKind,
    LoopFault,
    inject_faults,
    neighbours,
)
from models.congestion.scenarios.simstreet import SAMPLE, Floats, LoopPlace, SimStreet, load_street

CORRIDOR = load_street(SAMPLE / "corridor_1048")  # pairs, two lanes


def day(hours: float = 24.0) -> SimStreet:
    """A corridor of two lanes with pairs: a vehicle every 20 s on each, every tenth a long one."""
    loops: list[LoopPlace] = []
    stays: list[Floats] = []
    for lane in (0, 1):
        on = np.arange(30.0 + 7 * lane, hours * 3600 - 30, 20.0)
        length = np.where(np.arange(len(on)) % 10 == 0, 0.8, 0.25)
        for part, late in (("lead", 0.0), ("trail", 0.2)):
            loops.append(LoopPlace(f"l_{lane}", "l", "corridor", lane, part, 100.0, 2.0, 4.0))  # type: ignore[arg-type]
            stays.append(np.stack([on + late, on + late + length], axis=1).round(4))
    return SimStreet("d", "corridor", "train", 1, hours, (), tuple(loops), tuple(stays))


DAY = day()


def of(street: SimStreet, fault: LoopFault) -> Floats:
    """The stays of a fault's loop."""
    at = [(loop.lane, loop.part) for loop in street.loops].index((fault.lane, fault.part))
    return street.stays[at]


def within(stays: Floats, fault: LoopFault) -> Floats:
    return stays[(stays[:, 0] >= fault.from_s) & (stays[:, 1] <= fault.to_s)]


@given(
    seed=st.integers(0, 10_000),
    share=st.floats(0.0, 1.0),
    street=st.sampled_from([CORRIDOR, DAY]),
    kinds=st.lists(st.sampled_from(KINDS), min_size=1, unique=True),
)
def test_stays_remain_sorted_and_apart_and_other_loops_are_as_they_were(
    seed: int, share: float, street: SimStreet, kinds: list[FaultKind]
) -> None:
    hurt, faults = inject_faults(street, seed, share, kinds)
    touched = {(fault.lane, fault.part) for fault in faults}
    assert {fault.kind for fault in faults} <= set(kinds)
    for loop, before, after in zip(street.loops, street.stays, hurt.stays, strict=True):
        assert (np.diff(after.ravel()) > 0).all()
        if len(after):
            assert after[0, 0] >= 0
            assert after[-1, 1] <= street.hours * 3600
        if (loop.lane, loop.part) not in touched:
            assert after is before
    for one, two in pairwise(faults):
        if (one.lane, one.part) == (two.lane, two.part):
            assert one.to_s < two.from_s


@given(seed=st.integers(0, 10_000), kind=st.sampled_from(sorted(set(KINDS) - set(LASTING))))
def test_outside_its_time_a_fault_changes_nothing(seed: int, kind: FaultKind) -> None:
    hurt, faults = inject_faults(DAY, seed, 0.2, [kind])
    name = {(fault.lane, fault.part) for fault in faults}
    assert len(name) == 1
    before, after = of(DAY, faults[0]), of(hurt, faults[0])
    for stays, others in ((before, after), (after, before)):
        out = np.ones(len(stays), bool)
        for fault in faults:
            assert fault.to_s - fault.from_s >= 600
            out &= (stays[:, 1] < fault.from_s) | (stays[:, 0] > fault.to_s)
        assert np.isin(stays[out, 0], others[:, 0]).all()


def test_the_same_seed_injures_the_same_loops() -> None:
    one, two, other = (inject_faults(DAY, seed, 0.5) for seed in (5, 5, 6))
    assert one[1] == two[1] != other[1]
    for a, b in zip(one[0].stays, two[0].stays, strict=True):
        np.testing.assert_array_equal(a, b)


def test_all_kinds_come_and_about_as_many_loops_as_asked_for() -> None:
    found = {
        fault.kind for seed in range(12) for fault in inject_faults(CORRIDOR, seed, 0.5, KINDS)[1]
    }
    assert found == set(KINDS)
    loops = {(fault.lane, fault.part) for fault in inject_faults(CORRIDOR, 1, 0.5)[1]}
    assert len(loops) in (len(CORRIDOR.loops) // 2, len(CORRIDOR.loops) // 2 + 1)
    assert inject_faults(CORRIDOR, 1, 0.0)[1] == ()


def examples(kind: FaultKind) -> list[tuple[LoopFault, Floats, Floats, SimStreet]]:
    """Faults of a kind, what the loop saw in their time before and after."""
    out = []
    for seed in range(8):
        hurt, faults = inject_faults(DAY, seed, 0.25, [kind])
        out += [(f, within(of(DAY, f), f), within(of(hurt, f), f), hurt) for f in faults]
    assert out
    return out


def on_times(stays: Floats) -> Floats:
    return np.asarray(stays[:, 1] - stays[:, 0])


def test_a_stuck_loop_is_on_all_the_time_and_a_cut_one_never() -> None:
    for fault, _, _, hurt in examples("stuck_on"):
        stays = of(hurt, fault)  # one of them may have begun with a vehicle
        assert ((stays[:, 0] <= fault.from_s) & (stays[:, 1] >= fault.to_s)).sum() == 1
    for _, before, after, _ in examples("stuck_off"):
        assert len(before)
        assert not len(after)


def test_chatter_makes_many_short_stays() -> None:
    for fault, before, after, _ in examples("chatter"):
        minutes = (fault.to_s - fault.from_s) / 60
        assert 10 <= fault.severity <= 300
        assert len(after) > len(before) + 0.4 * fault.severity * minutes
        assert np.median(on_times(after)) < 0.2


def test_breakup_divides_long_vehicles_only() -> None:
    for fault, before, after, _ in examples("breakup"):
        assert 0.5 <= fault.severity <= 1
        long = on_times(before) > 1.5 * usual_on_time(before)
        assert np.isin(before[~long, 0], after[:, 0]).all()
        assert len(before) + 1 <= len(after) <= len(before) + 3 * long.sum()


def test_undercount_misses_the_share_that_it_says() -> None:
    for fault, before, after, _ in examples("undercount"):
        assert 0.1 <= fault.severity <= 0.6
        assert np.isin(after[:, 0], before[:, 0]).all()
        missed = 1 - len(after) / len(before)
        assert missed == pytest.approx(fault.severity, abs=3 / np.sqrt(len(before)))


def test_a_late_release_lengthens_some_stays_and_joins_what_comes_meanwhile() -> None:
    for fault, before, after, _ in examples("late_release"):
        assert 0.15 <= fault.severity <= 0.9
        assert np.isin(after[:, 0], before[:, 0]).all()
        ends = dict(zip(before[:, 0].tolist(), before[:, 1].tolist(), strict=True))
        late = np.array([end - ends[on] for on, end in after.tolist()])
        assert ((late == 0) | ((late > 0.499) & (late < 4.001))).all()
        assert (late > 0).mean() == pytest.approx(fault.severity, abs=3 / np.sqrt(len(before)))


@pytest.mark.parametrize(("kind", "late_s"), [("crosstalk", 0.031), ("splashover", 0.5)])
def test_ghosts_come_with_the_vehicles_of_the_next_lane(kind: FaultKind, late_s: float) -> None:
    for fault, before, after, _ in examples(kind):
        loop = next(p for p in DAY.loops if (p.lane, p.part) == (fault.lane, fault.part))
        (beside,) = neighbours(DAY, loop)
        assert DAY.loops[beside].lane != loop.lane
        ghosts = after[~np.isin(after[:, 0], before[:, 0])]
        source = DAY.stays[beside]
        away = np.abs(source[:, 0][None, :] - ghosts[:, 0][:, None]).min(axis=1)
        assert (away <= late_s).all()
        expected = fault.severity * len(within(source, fault))
        assert len(ghosts) == pytest.approx(expected, abs=4 * np.sqrt(expected) + 2)


def test_a_mismatched_loop_differs_by_what_it_says_all_day() -> None:
    for fault, before, after, hurt in examples("mismatch"):
        assert (fault.from_s, fault.to_s) == (0, 24 * 3600)
        assert 0.15 <= abs(fault.severity) <= 0.5
        assert len(before) == len(after)
        ratio = np.median(on_times(after) / on_times(before)) - 1
        assert ratio == pytest.approx(fault.severity, abs=0.02)
        assert len(hurt.loops) == len(DAY.loops)


def test_swapped_wires_exchange_lead_and_trail() -> None:
    hurt, faults = inject_faults(DAY, 1, 0.5, ["swapped"])
    assert [(fault.lane, fault.part) for fault in faults] == [
        (faults[0].lane, "lead"),
        (faults[0].lane, "trail"),
    ]
    for one, two in (faults, faults[::-1]):
        np.testing.assert_array_equal(of(hurt, one), of(DAY, two))
        assert one.to_s == 24 * 3600


def test_a_loop_without_a_neighbour_or_a_pair_gets_no_fault_that_needs_one() -> None:
    alone = SimStreet("a", "arterial", "train", 1, 24.0, (), DAY.loops[:1], DAY.stays[:1])
    assert inject_faults(alone, 1, 1.0, ["crosstalk", "splashover", "mismatch", "swapped"])[1] == ()


@pytest.mark.parametrize("cause", CAUSES)
def test_a_common_cause_hits_several_loops_of_one_place_and_no_other(cause: CommonCause) -> None:
    sizes = []
    for seed in range(12):
        hurt, found, faults = inject_cause(DAY, seed, (cause,))
        assert found == cause
        hit = {(fault.lane, fault.part) for fault in faults}
        sizes.append(len(hit))
        assert {fault.to_s for fault in faults} <= {DAY.hours * 3600}
        for loop, before, after in zip(DAY.loops, DAY.stays, hurt.stays, strict=True):
            assert (np.diff(after.ravel()) > 0).all()
            assert ((loop.lane, loop.part) in hit) or after is before
        begins = [fault.from_s for fault in faults]
        if cause == "card":
            assert len({fault.kind for fault in faults}) == len(set(begins)) == 1
            assert len(hit) <= CARD
        assert not begins or max(begins) - min(begins) <= 600.0
        assert inject_cause(DAY, seed, (cause,))[2] == faults
    assert sum(size > 1 for size in sizes) >= 9


def test_a_street_of_single_loops_has_nothing_in_common() -> None:
    alone = SimStreet("a", "arterial", "train", 1, 24.0, (), DAY.loops[:1], DAY.stays[:1])
    street, _, faults = inject_cause(alone, 1)
    assert (street, faults) == (alone, ())
