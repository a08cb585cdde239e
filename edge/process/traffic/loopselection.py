"""The one word for the state of a loop, with the events that go with it; and by the states of lead
and trail, which loop of a lane counts, and what its record can say.

The table of it stands in docs/traffic.md, and each of its cells is a test.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Final, cast

from edge.core.looptick import LoopPartName
from edge.core.record import Draft
from edge.process import qualitycounts
from edge.process.engineevents import sensor_fault_event
from edge.process.occupancycounter import OccupancyCounter
from edge.process.traffic.activitycheck import ActivityCheck
from edge.wire.contract.traffic import LaneHealth

OK: Final = "ok"
PAIR_STATES: Final = ("swapped", "mismatch")
"""The two loops do not fit each other: either counts each vehicle, and together they give none."""
UNCERTAIN_STATES: Final = ("splashover", "crosstalk", "late_release", "undercount", "breakup")
"""What such a loop counts is a number, and not the right one."""
HEALTH_OF: Final[Mapping[str, str]] = {"late_release": "undercount"}
"""States that the closed list of lane health has no word for: whoever comes meanwhile is missed."""
STATE_QUALITIES: Final[Mapping[str, str]] = {
    "no_activity": qualitycounts.BAD_LOOP,
    "unobserved": qualitycounts.BAD_GAP,
    "stuck_off": qualitycounts.BAD_LOOP,
    "never_active": qualitycounts.BAD_LOOP,
    "inverted": qualitycounts.BAD_LOOP,
    "chatter": qualitycounts.BAD_FAULT,
    "stuck_on": qualitycounts.BAD_STUCK,
}
"""States in which nothing that a loop says is a number, and the quality that says why."""
STATES: Final = (OK, *PAIR_STATES, *UNCERTAIN_STATES, *STATE_QUALITIES)
"""Of a loop, the worst last."""
HEALTH_STATES: Final = (
    OK,
    *(f"trail_{s}" for s in (*UNCERTAIN_STATES, *STATE_QUALITIES) if s not in HEALTH_OF),
    *(state for state in STATES[1:] if state not in HEALTH_OF),
)
"""Of a lane, the worst last."""


SOUND, DOUBT, NOTHING = range(3)  # how much the count of a loop is worth
PARTS: Final[tuple[LoopPartName, ...]] = ("lead", "trail")


@dataclass(frozen=True, slots=True)
class LoopSelection:
    """What is made of a lane's window. `counting_loop` is the one that counts; None: neither can.

    `sure`: its count is right. `timed`: so is for how long it was occupied. `pair`: both loops
    together give speed and length. `reason` is the quality of what is null, if anything is.
    """

    counting_loop: LoopPartName | None
    sure: bool
    timed: bool
    pair: bool
    health: LaneHealth
    reason: str | None


@cache
def select_loop(lead: str, trail: str | None) -> LoopSelection:
    """By the states of a lane's loops; `trail` is None where there is but one."""
    by: LoopPartName = "lead" if trail is None or _worth(lead) <= _worth(trail) else "trail"
    worth = _worth(lead if by == "lead" else trail)
    both = (lead, trail)
    pair = both == (OK, OK)
    whole = pair or (trail is None and worth != NOTHING)
    return LoopSelection(
        counting_loop=None if worth == NOTHING else by,
        sure=worth == SOUND,
        timed=worth == SOUND and "mismatch" not in both,
        pair=pair,
        health=cast("LaneHealth", _health(lead, trail)),
        reason=None
        if whole
        else STATE_QUALITIES.get(lead)
        or STATE_QUALITIES.get(trail or OK)
        or qualitycounts.BAD_LOOP,
    )


def worst_state(states: Iterable[str]) -> str:
    """Of what a loop was in a window."""
    return max(states, key=STATES.index)


def doubted_state(own: str, doubts: Iterable[str]) -> str:
    """Of a loop that is `own` by what it counted, and has these faults by loop health, which end
    only with sound traffic. What has been silent for long does not chatter any more."""
    return worst_state([own, *(d for d in doubts if (own, d) != ("no_activity", "chatter"))])


def _worth(state: str | None) -> int:
    """Of two loops the better one counts; of equals the lead."""
    return NOTHING if state in STATE_QUALITIES else DOUBT if state in UNCERTAIN_STATES else SOUND


def _health(lead: str, trail: str | None) -> str:
    """The lead's word; else the trail's, which is the lane's own where it speaks of the pair."""
    lead = HEALTH_OF.get(lead, lead)
    trail = trail and HEALTH_OF.get(trail, trail)
    if lead != OK or trail is None or trail == OK:
        return lead
    return trail if trail in PAIR_STATES else f"trail_{trail}"


def loop_state(loop: OccupancyCounter, activity: ActivityCheck, flooded: bool) -> str:
    """The worst that was true of a loop in the window, right after its border."""
    if loop.was_stuck:
        return "stuck_on"
    if activity.chatter.has_chattered or flooded:
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
