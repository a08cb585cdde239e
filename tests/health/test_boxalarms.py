"""Alarms: on at once, off after a rest, few whatever flaps."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.health.board import Space, Vitals
from edge.health.boxalarms import (
    ALARM_WORDS,
    HOLD_NS,
    HOT_LIMITS,
    SCARCE_LIMITS,
    AlarmFinding,
    BoxAlarms,
    BoxReadings,
    above_hysteresis,
    alarm_findings,
    below_hysteresis,
)
from edge.health.countergrowth import HOUR_NS
from edge.health.flash import Wear
from edge.wire.contract.health import BoardCondition

WELL = BoxReadings(
    Vitals(
        cpu_temperature=50.0,
        memory_available_bytes=200 << 20,
        memory_total_bytes=400 << 20,
        oom_kills=0,
        throttled=(),
        seen=(),
        undervoltage=False,
    ),
    Space(5 << 30, 10 << 30),
    read_only=False,
    wear=Wear(0.1, "normal"),
)


def seen(
    look: BoxReadings, was: BoxAlarms | None = None, **other: Any
) -> Mapping[BoardCondition, AlarmFinding]:
    reported: dict[str, Any] = {
        "oom_kills_before": 0,
        "card_years": 10.0,
        "unsynced_ns": 0,
        "log_flood": None,
        **other,
    }
    return alarm_findings(look, was or BoxAlarms(), **reported)


def wrong(look: BoxReadings, **other: Any) -> list[str]:
    return [word for word, finding in seen(look, **other).items() if finding.wrong]


def vital(**values: Any) -> BoxReadings:
    return replace(WELL, vitals=replace(WELL.vitals, **values))


def test_a_healthy_box_has_no_alarm() -> None:
    found = seen(WELL)
    assert tuple(found) == ALARM_WORDS
    assert [finding.wrong for finding in found.values()] == [False] * len(ALARM_WORDS)


def test_a_box_that_tells_nothing_has_none_and_clears_none() -> None:
    found = seen(BoxReadings(), card_years=None)
    known = {word: f.wrong for word, f in found.items() if f.wrong is not None}
    assert known == {"clock_unsynchronised": False, "log_flood": False}


@pytest.mark.parametrize(
    ("look", "other", "word"),
    [
        (vital(undervoltage=True), {}, "undervoltage"),
        (vital(throttled=("frequency_capped",)), {}, "throttled"),
        (vital(cpu_temperature=80.0), {}, "hot"),
        (replace(WELL, space=Space(1 << 20, 1 << 30)), {}, "disk_full"),
        (replace(WELL, read_only=True), {}, "read_only"),
        (vital(memory_available_bytes=20 << 20), {}, "memory"),
        (vital(oom_kills=1), {}, "memory"),
        (replace(WELL, wear=Wear(0.9, "normal")), {}, "card_worn"),
        (replace(WELL, wear=Wear(None, "warning")), {}, "card_worn"),
        (replace(WELL, filesystem_errors=1), {}, "card_worn"),
        (WELL, {"card_years": 1.5}, "card_worn"),
        (WELL, {"unsynced_ns": HOUR_NS + 1}, "clock_unsynchronised"),
        (WELL, {"log_flood": "kerbstone.bus: %s"}, "log_flood"),
    ],
)
def test_each_alarm_has_its_reason_and_a_remedy(
    look: BoxReadings, other: dict[str, Any], word: BoardCondition
) -> None:
    assert wrong(look, **other) == [word]
    assert len(seen(look, **other)[word].text) > 40


def test_the_way_back_is_longer() -> None:
    assert [above_hysteresis(cel, HOT_LIMITS, False) for cel in (79.9, 80.0)] == [False, True]
    assert [above_hysteresis(cel, HOT_LIMITS, True) for cel in (74.9, 75.0)] == [False, True]
    assert [below_hysteresis(part, SCARCE_LIMITS, False) for part in (0.07, 0.08)] == [True, False]
    assert [below_hysteresis(part, SCARCE_LIMITS, True) for part in (0.11, 0.12)] == [True, False]
    assert above_hysteresis(None, HOT_LIMITS, True) is None
    assert below_hysteresis(None, HOT_LIMITS, True) is None


def test_a_value_near_its_limit_does_not_flap() -> None:
    alarms = BoxAlarms()
    turns = []
    for minute in range(240):
        look = vital(cpu_temperature=80.5 if minute % 2 else 79.5)
        turns += [t.word for t in alarms.see(minute * 60_000_000_000, seen(look, alarms))]
    assert turns == ["hot"]
    assert alarms.on == ("hot",)


@given(st.lists(st.none() | st.booleans(), min_size=1, max_size=720))
def test_a_bit_that_flaps_makes_at_most_twelve_events_an_hour(bits: list[bool | None]) -> None:
    """Looked at each 30 s. On and off take turns, whatever is seen, or not seen."""
    alarms, at, states = BoxAlarms(), [], []
    for step, bit in enumerate(bits):
        now_ns = step * 30_000_000_000
        for turn in alarms.see(now_ns, {"hot": AlarmFinding(bit, "it is hot")}):
            at.append(now_ns)
            states.append(turn.on)
    assert all(sum(0 <= a - b < HOUR_NS for a in at) <= 12 for b in at)
    assert states == [n % 2 == 0 for n in range(len(states))]
    assert ("hot" in alarms) is (len(states) % 2 == 1)


def test_an_alarm_goes_off_only_after_a_rest() -> None:
    alarms = BoxAlarms()
    assert [t.on for t in alarms.see(0, {"hot": AlarmFinding(True, "hot!")})] == [True]
    assert list(alarms.see(1, {"hot": AlarmFinding(False)})) == []
    assert list(alarms.see(HOLD_NS, {"hot": AlarmFinding(True, "hot!")})) == []
    assert list(alarms.see(HOLD_NS + 1, {"hot": AlarmFinding(False)})) == []
    [turn] = alarms.see(2 * HOLD_NS + 1, {"hot": AlarmFinding(False)})
    assert (turn.on, turn.text) == (False, "Ended: hot!")


def test_what_a_former_process_told_goes_off_here() -> None:
    alarms = BoxAlarms()
    alarms.restore({"hot": "it was hot", "of a later version": "?"})
    assert alarms.snapshot() == {"hot": "it was hot"}
    assert list(alarms.see(0, {"hot": AlarmFinding(False)})) == []
    [turn] = alarms.see(HOLD_NS, {"hot": AlarmFinding(False)})
    assert turn.text == "Ended: it was hot"
