"""What the trail loop of a lane has counted, for a window in which the lead is not to be believed.

Seldom asked, and so nothing is counted while edges come: they are kept until the window after, and
played when a record wants them. A vehicle that began before the window is known from the last
changes of the time before.
"""

from collections.abc import Sequence
from itertools import chain
from typing import Final

from edge.process import tally
from edge.process.line import FALL, LOST, RISE, Change, Event
from edge.process.setup import LaneSetup
from edge.process.traffic.following import Following, pulse_quality
from edge.process.traffic.window import Window

KEPT: Final = 8  # changes before a window: the vehicle that is there, and the one before it


def kept(hole_ns: int, before: Sequence[Event], changes: Sequence[Event]) -> list[Event]:
    """What the next window has to know of the time up to its start.

    A rise less than `hole_ns` after a fall is the same vehicle.
    """
    out: list[Event] = []  # the newest first
    for change in chain(reversed(changes), reversed(before)):
        after = out[-1] if out else None
        if (
            after
            and after.what is RISE
            and change.what is FALL
            and after.at_ns - change.at_ns < hole_ns
        ):
            out.pop()  # the same vehicle goes on
        elif len(out) == KEPT:
            break
        else:
            out.append(change)
    return out[::-1]


def recount(
    setup: LaneSetup,
    hole_ns: int,
    before: Sequence[Event],
    changes: Sequence[Event],
    span: tuple[int, int],
) -> Window:
    """The window from..to, but for what its Loop and its Queue tell."""
    start_ns, end_ns = span
    follow = Following(setup, Window())
    _play(setup, hole_ns, follow, before)
    follow.settle(start_ns)
    follow.window = window = Window()
    _play(setup, hole_ns, follow, changes)
    follow.settle(end_ns)
    return window


def _play(setup: LaneSetup, hole_ns: int, follow: Following, changes: Sequence[Event]) -> None:
    stuck_ns = round(setup.max_presence_s * 1e9)
    for change in changes:
        what, at = change.what, change.at_ns
        if what is RISE:
            follow.count(at, hole_ns)
        elif what is FALL:
            time = follow.leave(at)
            if time is None:
                continue
            if setup.mode == "pulse":
                tally.count(follow.window.quality, pulse_quality(time))
            if time >= stuck_ns:
                follow.last = None  # what was stuck was no vehicle: no headway to it
        else:
            if what is LOST:
                tally.count(follow.window.quality, tally.GAP)
            follow.forget()


def packed(before: Sequence[Event]) -> list[list[int]]:
    """For a snapshot: of each change what and when."""
    return [[each.what, each.at_ns] for each in before]


def unpacked(state: Sequence[Sequence[int]]) -> list[Event]:
    """Back from `packed`."""
    return [Event(int(at), Change(what)) for what, at in state]
