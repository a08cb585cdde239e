"""The same seed gives the same faults; all kinds come, and the end is quiet."""

from itertools import pairwise
from typing import get_args

import pytest

from tests.oracle.schedule import IN_MEMORY_S, LASTS, PARTS, QUIET_S, SHORT, Kind, schedule

ALL = list(get_args(Kind))


@pytest.mark.parametrize("seed", range(20))
def test_every_kind_comes_within_twelve_minutes_and_then_it_is_quiet(seed: int) -> None:
    faults = schedule(seed, 720, ALL)
    assert {fault.kind for fault in faults} == set(ALL) == LASTS.keys()
    assert all(fault.end_s <= 720 - QUIET_S for fault in faults)
    for part in PARTS.values():
        mine = [fault for fault in faults if PARTS[fault.kind] == part]
        assert all(a.end_s < b.at_s for a, b in pairwise(mine))


@pytest.mark.parametrize("seed", range(20))
def test_power_is_not_cut_while_the_outbox_is_in_memory(seed: int) -> None:
    faults = schedule(seed, 720, ALL)
    full = [fault for fault in faults if fault.kind == "disk_full"]
    for cut in (fault for fault in faults if fault.kind == "power_cut"):
        assert not any(a.at_s < cut.end_s and cut.at_s < a.end_s + IN_MEMORY_S for a in full)


def test_a_seed_can_be_repeated_and_another_one_differs() -> None:
    assert schedule(7, 720, ALL) == schedule(7, 720, ALL) != schedule(8, 720, ALL)


def test_a_short_run_has_four_faults_in_its_first_part() -> None:
    faults = schedule(1, 20, ALL)
    assert sorted(fault.kind for fault in faults) == sorted(SHORT)
    assert max(fault.end_s for fault in faults) < 16


def test_what_cannot_be_injected_does_not_come() -> None:
    assert {fault.kind for fault in schedule(1, 720, ["reset", "hole"])} == {"reset", "hole"}
