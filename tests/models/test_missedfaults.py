"""Loop faults that are missed are drawn: what drove, what the loop saw, and whether it differed."""

import re
from dataclasses import replace

import numpy as np
import pytest

from edge.infer.loops.evidence import LoopKey
from models import BUNDLES
from models.congestion.scenarios.loopfaults import LoopFault
from models.congestion.scenarios.simstreet import SAMPLE, find_streets, load_street
from models.loopfault import missedfaults
from models.loopfault.flagscores import FlagAlarm, missed_faults
from models.loopfault.missedfaults import MissedFault

STREET = load_street(find_streets(SAMPLE)[0])


def undercount(from_s: float, to_s: float) -> MissedFault:
    """Every other vehicle of the first loop is missed in that time."""
    loop, stays = STREET.loops[0], STREET.stays[0]
    inside = (stays[:, 0] >= from_s) & (stays[:, 1] < to_s)
    kept = ~inside | (np.cumsum(inside) % 2 == 0)
    injured = replace(STREET, stays=(stays[kept], *STREET.stays[1:]))
    fault = LoopFault(loop.lane, loop.part, "undercount", from_s, to_s, 0.5)
    return MissedFault(STREET, injured, fault, ())


def test_a_flag_in_the_time_of_a_fault_finds_it_and_one_before_does_not() -> None:
    fault = undercount(300.0, 900.0).fault
    key: LoopKey = (fault.lane, fault.part)
    alarms = {key: [FlagAlarm(200.0, 400.0, "undercount")]}
    assert missed_faults(alarms, [fault]) == [fault]
    alarms[key].append(FlagAlarm(700.0, 800.0, "breakup"))
    assert missed_faults(alarms, [fault]) == []


def test_a_timeline_shows_what_the_loop_did_not_see() -> None:
    one = undercount(300.0, 900.0)
    head, minutes, drove, saw, *_ = missedfaults.timeline(one)
    assert "undercount of 0.50, 600 s from 300 s on" in head
    assert f"{len(one.changed)} stays changed of {len(one.stays)}" in head
    assert head.endswith("flags: none")
    at = minutes.split()[1:]
    counts = {
        name: [int(count) for count in re.findall(r"(\d+)/", line)]
        for name, line in (("drove", drove), ("saw", saw))
    }
    assert len(at) == len(counts["drove"]) == len(counts["saw"])
    sound = at.index("0")
    assert counts["drove"][:sound] == counts["saw"][:sound]
    assert sum(counts["saw"][sound:]) < sum(counts["drove"][sound:])


def test_a_cell_is_vehicles_that_came_in_the_minute_and_occupancy_of_all() -> None:
    stays = np.array([[50.0, 66.0], [70.0, 76.0], [119.0, 150.0]])
    assert missedfaults.minute_cell(stays, 60.0) == " 2/ 22"


def test_the_longest_of_the_kinds_that_are_missed_most_often_are_drawn() -> None:
    short, long = undercount(300.0, 500.0), undercount(300.0, 900.0)
    other = replace(long, fault=replace(long.fault, kind="breakup"))
    empty = replace(long, injured=long.sound, fault=replace(long.fault, to_s=1200.0))
    assert not empty.changed
    assert long.changed > short.changed > set()
    assert missedfaults.longest_of_kinds([short, other, long, empty], 1) == [long]
    assert missedfaults.longest_of_kinds([short, other, long], 3) == [long, other]


def test_a_judge_that_says_nothing_misses_all(monkeypatch: pytest.MonkeyPatch) -> None:
    places = find_streets(SAMPLE)[:1]
    silent: dict[LoopKey, list[FlagAlarm]] = {(loop.lane, loop.part): [] for loop in STREET.loops}
    monkeypatch.setattr(missedfaults, "judged_alarms", lambda *_: silent)
    first, blank, head, *_ = missedfaults.drawn_misses(places, BUNDLES / "loopfault", 1)
    counts = re.findall(r"(\d+) of (\d+)", first)
    assert counts
    assert all(missed == made for missed, made in counts)
    assert (blank, head.split()[0]) == ("", STREET.name)
