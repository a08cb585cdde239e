"""The one word for the state of a loop, and the events that go with it."""

from collections.abc import Sequence
from typing import Final

from edge.core.looptick import LoopPartName
from edge.core.record import Draft
from edge.process.engineevents import sensor_fault_event
from edge.process.occupancycounter import OccupancyCounter
from edge.process.traffic.activitycheck import ActivityCheck

PARTS: Final[tuple[LoopPartName, ...]] = ("lead", "trail")


def loop_state(loop: OccupancyCounter, activity: ActivityCheck, flooded: bool) -> str:
    """The worst that was true of a loop in the window, right after its border."""
    if loop.was_stuck:
        return "stuck_on"
    if activity.was_chatter or flooded:
        return "chatter"
    if loop.seen_ns < 1000:
        return "unobserved"
    return "no_activity" if activity.silent else "ok"


def loop_fault_events(
    lane: str, loops: Sequence[OccupancyCounter], activities: Sequence[ActivityCheck]
) -> list[Draft]:
    """What began or ended in the window, as events; the lead loop is first."""
    fault_events = [
        sensor_fault_event(lane, at, "stuck_on", on, part, since_s=loop.max_s)
        for part, loop in zip(PARTS, loops, strict=False)
        for at, on in loop.faults
    ]
    return fault_events + [
        sensor_fault_event(lane, at, fault, on, part, since_s=activity.since_s[fault])
        for part, activity in zip(PARTS, activities, strict=False)
        for at, fault, on in activity.faults
    ]
