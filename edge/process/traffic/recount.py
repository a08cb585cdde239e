"""What the trail loop of a lane has counted, for a window in which the lead is not to be believed.

Seldom asked, and so nothing is counted while edges come: they are kept until the window after, and
played when a record wants them. A vehicle that began before the window is known from the last
changes of the time before.
"""

from collections.abc import Sequence
from itertools import chain
from typing import Final

from edge.process import qualitycounts
from edge.process.debounce import FALL, LOST, RISE, LineChange, LineEvent
from edge.process.enginesetup import LaneSetup
from edge.process.traffic.headway import HeadwayTracker, pulse_quality
from edge.process.traffic.loopwindow import LoopWindow

CHANGES_KEPT: Final = 8  # changes before a window: the vehicle that is there, and the one before it


def changes_to_keep(
    hole_ns: int, before: Sequence[LineEvent], changes: Sequence[LineEvent]
) -> list[LineEvent]:
    """What the next window has to know of the time up to its start.

    A rise less than `hole_ns` after a fall is the same vehicle.
    """
    out: list[LineEvent] = []  # the newest first
    for change in chain(reversed(changes), reversed(before)):
        after = out[-1] if out else None
        if (
            after
            and after.what is RISE
            and change.what is FALL
            and after.at_ns - change.at_ns < hole_ns
        ):
            out.pop()  # the same vehicle goes on
        elif len(out) == CHANGES_KEPT:
            break
        else:
            out.append(change)
    return out[::-1]


def recount_trail(
    setup: LaneSetup,
    hole_ns: int,
    before: Sequence[LineEvent],
    changes: Sequence[LineEvent],
    span: tuple[int, int],
) -> LoopWindow:
    """The window from..to, but for what its Loop and its Queue have."""
    start_ns, end_ns = span
    headways = HeadwayTracker(setup, LoopWindow())
    _play(setup, hole_ns, headways, before)
    headways.settle(start_ns)
    headways.window = window = LoopWindow()
    _play(setup, hole_ns, headways, changes)
    headways.settle(end_ns)
    return window


def _play(
    setup: LaneSetup, hole_ns: int, headways: HeadwayTracker, changes: Sequence[LineEvent]
) -> None:
    stuck_ns = round(setup.max_presence_s * 1e9)
    for change in changes:
        what, at = change.what, change.at_ns
        if what is RISE:
            headways.count(at, hole_ns)
        elif what is FALL:
            time = headways.leave(at)
            if time is None:
                continue
            if setup.mode == "pulse":
                qualitycounts.add_count(headways.window.quality, pulse_quality(time))
            if time >= stuck_ns:
                headways.last = None  # what was stuck was no vehicle: no headway to it
        else:
            if what is LOST:
                qualitycounts.add_count(headways.window.quality, qualitycounts.UNCERTAIN_GAP)
            headways.forget()


def snapshot_changes(before: Sequence[LineEvent]) -> list[list[int]]:
    """For a snapshot: of each change what and when."""
    return [[each.what, each.at_ns] for each in before]


def restore_changes(state: Sequence[Sequence[int]]) -> list[LineEvent]:
    """Back from `snapshot_changes`."""
    return [LineEvent(int(at), LineChange(what)) for what, at in state]
