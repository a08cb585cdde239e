"""What devices say of themselves: events, and not too many."""

from itertools import pairwise
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from edge.core import Condition, Draft
from edge.core.reportlimits import HOUR_NS
from edge.gateway.deviceconditions import (
    EVENTS_BEFORE_FLICKER,
    EVENTS_PER_HOUR,
    FLICKER_SETTLE_NS,
    ConditionThrottle,
    DeviceConditions,
    condition_events,
)
from edge.gateway.recover import PreviousRun
from tests.kit.asread import as_read
from tests.kit.engine import S

FAN = {Condition.FAN: "the fan stands still"}


def bodies(before: DeviceConditions, now: DeviceConditions) -> list[dict[str, Any]]:
    return [as_read(draft) for draft in condition_events("hut", before, now, 7)]


def test_a_condition_is_an_event_when_it_comes_and_when_it_goes() -> None:
    (came,) = bodies(DeviceConditions("1"), DeviceConditions("1", FAN))
    assert (came["event"], came["state"], came["condition"]) == ("health", "on", "fan")
    assert came["text"] == "hut: the fan stands still"
    (gone,) = bodies(DeviceConditions("1", FAN), DeviceConditions("1"))
    assert (gone["state"], gone["condition"]) == ("off", "fan")
    assert gone["text"] == "hut: no longer reported: the fan stands still"
    warm = {Condition.WARMUP: "warming up after the start"}
    (settled,) = bodies(DeviceConditions("1", warm), DeviceConditions("1"))
    assert settled["text"] == "hut: warm-up finished"
    assert (
        bodies(DeviceConditions("1", FAN), DeviceConditions("1", {Condition.FAN: "in other words"}))
        == []
    )


def test_another_serial_number_is_an_event_and_the_first_is_none() -> None:
    assert bodies(DeviceConditions(), DeviceConditions("1")) == []
    (swap,) = bodies(DeviceConditions("1"), DeviceConditions("2"))
    assert (swap["event"], swap["before"], swap["after"]) == ("swap", "1", "2")


def test_it_survives_a_restart() -> None:
    assert DeviceConditions.restore(DeviceConditions("1", FAN).snapshot()) == DeviceConditions(
        "1", FAN
    )


def test_a_condition_of_a_later_version_costs_nothing_but_itself() -> None:
    kept: Any = DeviceConditions("1", FAN).snapshot()
    state = {**kept, "health": {**kept["health"], "hovering": "it flies"}}
    assert DeviceConditions.restore(state) == DeviceConditions("1", FAN)
    before = PreviousRun(1, 2, 3).snapshot() | {"told": {"hut": state}}
    assert PreviousRun.restore(before).conditions["hut"] == DeviceConditions("1", FAN)


def spoken(voice: ConditionThrottle, *said: tuple[int, DeviceConditions]) -> list[Draft]:
    """A word a second, and a window each minute; then an hour of silence."""
    found, words = list[Draft](), dict(said)
    for second in range(max(words) + 3700):
        if second in words:
            found += voice.update(words[second], second * S)
        if second % 60 == 59:
            found += voice.settle(second * S)
    return found


def test_a_bit_that_flaps_is_told_so_often_and_then_as_it_rests() -> None:
    flapping = [
        (i, DeviceConditions("1", FAN if i % 2 == 0 else {})) for i in range(3601)
    ]  # it ends broken
    found = [
        as_read(draft)["state"]
        for draft in spoken(ConditionThrottle("hut", DeviceConditions("1")), *flapping)
    ]
    assert found == ["on", "off"] * ((EVENTS_BEFORE_FLICKER - 2) // 2) + [
        "on",
        "flicker",
        "settled",
    ]
    flapping.append((3601, DeviceConditions("1")))
    found = [
        as_read(draft)["state"]
        for draft in spoken(ConditionThrottle("hut", DeviceConditions("1")), *flapping)
    ]
    assert found[-2:] == ["flicker", "off"]


def test_two_meters_at_one_address_are_told_so_often() -> None:
    found = spoken(
        ConditionThrottle("m", DeviceConditions("1")),
        *((i, DeviceConditions("12"[i % 2])) for i in range(3600)),
    )
    assert len(found) == EVENTS_BEFORE_FLICKER + 1
    assert [as_read(draft)["event"] for draft in found] == ["swap"] * (
        EVENTS_BEFORE_FLICKER - 1
    ) + ["health"] * 2
    assert [as_read(draft)["state"] for draft in found[-2:]] == ["flicker", "settled"]


def test_the_device_beside_it_is_told_at_once() -> None:
    voices = [
        ConditionThrottle("a", DeviceConditions("1")),
        ConditionThrottle("b", DeviceConditions("1")),
    ]
    for i in range(100):
        voices[0].update(DeviceConditions("1", FAN if i % 2 == 0 else {}), i * S)
    assert len(voices[1].update(DeviceConditions("1", FAN), 100 * S)) == 1


@given(
    st.lists(
        st.tuples(
            st.sampled_from([1, 61, 400, 4000]),
            st.sampled_from("12"),
            st.sets(st.sampled_from(list(Condition)), max_size=18),
        ),
        max_size=60,
    )
)
def test_events_are_bounded_and_the_last_state_is_always_told(
    words: list[tuple[int, str, set[Condition]]],
) -> None:
    voice, at_s, reported, found = (
        ConditionThrottle("m", DeviceConditions("1")),
        0,
        DeviceConditions("1"),
        list[Draft](),
    )
    for wait_s, identity, health in words:
        at_s += wait_s
        found += voice.settle(at_s * S)
        reported = DeviceConditions(identity, dict.fromkeys(health, "x"))
        found += voice.update(reported, at_s * S)
    found += voice.settle(at_s * S + HOUR_NS + FLICKER_SETTLE_NS)
    assert (voice.reported, voice.flickering) == (reported, False)
    times = [draft.from_ns for draft in found]
    assert all(b - a >= HOUR_NS for a, b in zip(times, times[EVENTS_PER_HOUR:], strict=False))
    assert all(a <= b for a, b in pairwise(times))
    known = {"swap": "1", "health": set[str]()}
    for draft in found:  # what the platform makes of it
        match as_read(draft):
            case {"event": "swap", "after": after}:
                known["swap"] = after
            case {"state": "on", "condition": word}:
                known["health"] = {*known["health"], word}
            case {"state": "off", "condition": word}:
                known["health"] = {*known["health"]} - {word}
    assert known == {"swap": reported.identity, "health": {str(word) for word in reported.health}}
