"""The one word for the state of a loop, and the events that go with it."""

from collections.abc import Sequence
from typing import Final

from edge.core.loop import Part
from edge.core.record import Draft
from edge.process.events import sensor_fault
from edge.process.loop import Loop
from edge.process.traffic.rate import Rate

PARTS: Final[tuple[Part, ...]] = ("lead", "trail")


def state_of(loop: Loop, rate: Rate, flooded: bool) -> str:
    """The worst that was true of a loop in the window, right after its border."""
    if loop.was_stuck:
        return "stuck_on"
    if rate.was_chatter or flooded:
        return "chatter"
    if loop.seen_ns < 1000:
        return "unobserved"
    return "no_activity" if rate.silent else "ok"


def faults(lane: str, loops: Sequence[Loop], rates: Sequence[Rate]) -> list[Draft]:
    """What began or ended in the window, as events; the lead loop is first."""
    fault_events = [
        sensor_fault(lane, at, "stuck_on", on, part, loop.max_s)
        for part, loop in zip(PARTS, loops, strict=False)
        for at, on in loop.faults
    ]
    return fault_events + [
        sensor_fault(lane, at, fault, on, part, rate.since_s[fault])
        for part, rate in zip(PARTS, rates, strict=False)
        for at, fault, on in rate.faults
    ]
