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
from edge.process.traffic.breakup import BreakupRule
from edge.process.traffic.headway import HeadwayTracker, pulse_quality
from edge.process.traffic.loopwindow import LoopWindow

CHANGES_KEPT: Final = 8  # changes before a window: the vehicle that is there, and the one before it


def changes_to_keep(
    breakup: BreakupRule, before: Sequence[LineEvent], changes: Sequence[LineEvent]
) -> list[LineEvent]:
    """What the next window has to know of the time up to its start.

    A rise that ends a hole in a vehicle is the same vehicle.
    """
    out: list[LineEvent] = []
    for change in chain(before, changes):
        if change.what is RISE and len(out) > 1 and out[-1].what is FALL and out[-2].what is RISE:
            on_ns, hole_ns = out[-1].at_ns - out[-2].at_ns, change.at_ns - out[-1].at_ns
            if hole_ns < breakup.longest_hole_ns(on_ns, breakup.merge_ns):
                out.pop()  # the same vehicle goes on
                continue
        out.append(change)
    return out[-CHANGES_KEPT:]


def recount_trail(
    setup: LaneSetup,
    breakup: BreakupRule,
    before: Sequence[LineEvent],
    changes: Sequence[LineEvent],
    span: tuple[int, int],
) -> LoopWindow:
    """The window from..to, but for what its Loop and its Queue have."""
    start_ns, end_ns = span
    headways = HeadwayTracker(setup, breakup, LoopWindow())
    _play(setup, breakup.merge_ns, headways, before)
    headways.settle(start_ns)
    headways.window = window = LoopWindow()
    _play(setup, breakup.merge_ns, headways, changes)
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
