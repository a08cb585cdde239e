"""What the trail loop of a lane has counted, for a window in which the lead is not to be believed.

Seldom asked, and so nothing is counted while edges come: they are kept until the window after, and
played when a record wants them. A vehicle that began before the window is known from the last
changes of the time before.
"""

from collections.abc import Sequence
from typing import Final

from edge.process import tally
from edge.process.line import FALL, LOST, RISE, Change, Event
from edge.process.setup import LaneSetup
from edge.process.traffic.following import Following, pulse_quality
from edge.process.traffic.window import Window

NS_PER_MS: Final = 1_000_000
KEPT: Final = 8  # changes before a window: the vehicle that is there, and the one before it
LOOKED: Final = 64  # among so many: one that breaks up changes often


def kept(setup: LaneSetup, before: Sequence[Event], changes: Sequence[Event]) -> list[Event]:
    """What the next window has to know of the time up to its start."""
    hole, out = _hole(setup), list[Event]()
    for change in (*before, *changes[-LOOKED:]):
        last = out[-1] if out else None
        if change.what is RISE and last and last.what is FALL and change.at_ns - last.at_ns < hole:
            out.pop()  # the same vehicle goes on
        else:
            out.append(change)
    return out[-KEPT:]


def recount(
    setup: LaneSetup, before: Sequence[Event], changes: Sequence[Event], start_ns: int, end_ns: int
) -> Window:
    """The window, but for what its Loop and its Queue tell."""
    follow = Following(setup, Window())
    _play(setup, follow, before)
    follow.settle(start_ns)
    follow.window = window = Window()
    _play(setup, follow, changes)
    follow.settle(end_ns)
    return window


def _play(setup: LaneSetup, follow: Following, changes: Sequence[Event]) -> None:
    hole, stuck_ns = _hole(setup), round(setup.max_presence_s * 1e9)
    for change in changes:
        what, at = change.what, change.at_ns
        if what is RISE:
            follow.count(at, hole)
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


def _hole(setup: LaneSetup) -> int:
    return round(setup.merge_ms * NS_PER_MS) if setup.mode == "presence" else 0


def packed(before: Sequence[Event]) -> list[list[int]]:
    """For a snapshot: of each change what and when."""
    return [[int(each.what), each.at_ns] for each in before]


def unpacked(state: Sequence[Sequence[int]]) -> list[Event]:
    """Back from `packed`."""
    return [Event(int(at), Change(what)) for what, at in state]
