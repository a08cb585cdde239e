"""Which loop of a lane counts, and what its record can say: by the states of lead and trail.

The table of it stands in docs/traffic.md, and each of its cells is a test.
"""

from collections.abc import Iterable, Mapping
from functools import cache
from typing import Final, NamedTuple

from edge.core.loop import Part
from edge.process import tally

OK: Final = "ok"
PAIR: Final = ("swapped", "mismatch")
"""The two loops do not fit each other: either counts each vehicle, and together they tell none."""
DOUBTFUL: Final = ("overhang", "crosstalk", "undercount", "breakup")
"""What such a loop counts is a number, and not the right one."""
VOID: Final[Mapping[str, str]] = {
    "no_activity": tally.BAD_LOOP,
    "unobserved": tally.BAD_GAP,
    "stuck_off": tally.BAD_LOOP,
    "never_active": tally.BAD_LOOP,
    "inverted": tally.BAD_LOOP,
    "chatter": tally.FAULT,
    "stuck_on": tally.STUCK,
}
"""States in which nothing that a loop says is a number, and the quality that says why."""
STATES: Final = (OK, *PAIR, *DOUBTFUL, *VOID)
"""Of a loop, the worst last."""
HEALTH: Final = (OK, *(f"trail_{state}" for state in (*DOUBTFUL, *VOID)), *STATES[1:])
"""Of a lane, the worst last."""


SOUND, DOUBT, NOTHING = range(3)  # how much the count of a loop is worth


class Belief(NamedTuple):
    """What is made of a lane's window. `by` is the loop that counts; None: neither of them can.

    `sure`: its count is right. `timed`: so is for how long it was occupied. `pair`: both loops
    together tell speed and length. `why` is the quality of what is null, if anything is.
    """

    by: Part | None
    sure: bool
    timed: bool
    pair: bool
    health: str
    why: str | None


@cache
def believe(lead: str, trail: str | None) -> Belief:
    """By the states of a lane's loops; `trail` is None where there is but one."""
    by: Part = "lead" if trail is None or _worth(lead) <= _worth(trail) else "trail"
    worth = _worth(lead if by == "lead" else trail)
    both = (lead, trail)
    pair = both == (OK, OK)
    whole = pair or (trail is None and worth != NOTHING)
    return Belief(
        by=None if worth == NOTHING else by,
        sure=worth == SOUND,
        timed=worth == SOUND and "mismatch" not in both,
        pair=pair,
        health=_health(lead, trail),
        why=None if whole else VOID.get(lead) or VOID.get(trail or OK) or tally.BAD_LOOP,
    )


def worst(states: Iterable[str]) -> str:
    """Of what a loop was in a window."""
    return max(states, key=STATES.index)


def _worth(state: str | None) -> int:
    """Of two loops the better one counts; of equals the lead."""
    return NOTHING if state in VOID else DOUBT if state in DOUBTFUL else SOUND


def _health(lead: str, trail: str | None) -> str:
    """The lead's word; else the trail's, which is the lane's own where it speaks of the pair."""
    if lead != OK or trail is None or trail == OK:
        return lead
    return trail if trail in PAIR else f"trail_{trail}"
