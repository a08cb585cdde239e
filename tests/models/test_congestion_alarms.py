"""How alarms are scored, and how odds become probabilities."""

import numpy as np
import pytest

from models.congestion import treelearning, tuning
from models.congestion.eventscores import (
    flag_starts,
    flagged_slots,
    recent_level,
    tally_flags,
    tally_link,
)


@pytest.mark.parametrize(
    ("alarm_s", "found", "wrong"),
    [(880, 1, 0), (1000, 1, 0), (1500, 1, 0), (879, 0, 1), (1501, 0, 1), (5020, 0, 0)],
)
def test_an_alarm_is_right_from_two_minutes_before_an_onset_to_the_events_end(
    alarm_s: float, found: int, wrong: int
) -> None:
    t = tally_link(np.asarray([float(alarm_s)]), [(1000.0, 1500.0)], [(5000.0, 5050.0)], 1.0)
    assert (t.found, t.wrong) == (found, wrong)


def test_a_second_alarm_in_one_event_finds_nothing_more() -> None:
    t = tally_link(np.asarray([1000.0, 1200.0]), [(1000.0, 1500.0), (3000.0, 3500.0)], [], 1.0)
    assert (t.found, t.events, t.right, t.wrong) == (1, 2, 2, 0)
    assert t.f1 == pytest.approx(2 * 1 * 0.5 / 1.5)
    t = tally_link(np.asarray([1000.0, 1200.0, 2000.0]), [(1000.0, 1500.0)], [], 1.0)
    assert t.precision == 0.5  # one of two: that it came twice earns nothing


def test_flags_go_on_at_the_level_and_off_after_a_quiet_minute() -> None:
    level = np.asarray([0.1, 0.6, 0.2, 0.6, 0.2, 0.2, 0.2, 0.6])
    flag = flagged_slots(level, recent_level(level, 20.0), 0.5, 0.3)
    assert flag.tolist() == [False, True, True, True, True, True, False, True]
    assert flag_starts(flag).tolist() == [1, 7]


def test_a_flag_that_clears_early_and_one_that_stays_are_told_apart() -> None:
    ends_s = 10.0 * np.arange(1, 31)
    flag = np.zeros(30, bool)
    flag[9:14] = True  # 100 to 140 s
    flag[19:27] = True  # 200 to 270 s
    t = tally_flags(flag, ends_s, [(90.0, 240.0)], [], 1.0)
    assert (t.found, t.wrong) == (1, 0)
    assert (t.found_s, t.cleared_s, t.over_s) == (150.0, 50.0, 30.0)
    assert [t.cleared, t.over] == pytest.approx([1 / 3, 0.2])


def test_odds_become_the_share_that_is_true() -> None:
    rng = np.random.default_rng(3)
    odds = rng.normal(0, 3, 20_000)
    truth = rng.random(20_000) < 1 / (1 + np.exp(-(0.5 * odds - 1.0)))
    scale, shift = tuning.platt_scaling(odds, truth)
    assert scale == pytest.approx(0.5, abs=0.03)
    assert shift == pytest.approx(-1.0, abs=0.06)


def test_streets_that_are_left_out_together_are_all_streets_once() -> None:
    names = [f"{kind}_{i}" for kind in ("corridor", "grid") for i in range(10)]
    folds = treelearning.street_folds(names)
    assert sorted(name for fold in folds for name in fold) == sorted(names)
    for kind in ("corridor", "grid"):
        assert all(any(name.startswith(kind) for name in fold) for fold in folds)
