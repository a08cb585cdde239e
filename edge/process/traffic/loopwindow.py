"""What the loops of a lane have counted in a window, and how a record says it."""

from collections.abc import Sequence

from msgspec import UNSET

from edge.process import qualitycounts
from edge.process.enginesetup import LaneSetup
from edge.process.traffic.histogram import LENGTH_BINS, SPEED_BINS, TIME_BINS, HistogramCounts
from edge.process.traffic.loopselection import LoopSelection
from edge.process.traffic.passage import Passage, count_by_class
from edge.wire.contract.histogram import Lengths, Times
from edge.wire.contract.single import SingleSpeed, Tailgating
from edge.wire.contract.traffic import Lane


class LoopWindow:
    """What one loop counts, from one border to the next."""

    __slots__ = (
        "breakups", "covered_us", "followed", "gap", "headway", "on_us", "over", "quality",
        "queue_ns", "single", "stopped", "tailgaters", "volume",
    )  # fmt: skip

    def __init__(self) -> None:
        self.volume = 0
        self.breakups = 0
        self.stopped = 0  # vehicles that stood on the loop
        # gaps between moving vehicles; those that are too short
        self.followed = self.tailgaters = 0
        self.covered_us = self.on_us = self.queue_ns = 0
        self.single: SingleSpeed | None = None  # speed from this loop alone
        self.over: list[tuple[int, int]] = []  # vehicles, from..to
        self.quality: qualitycounts.QualityCounts = {}  # of pulses, and of what was lost
        self.headway, self.gap = HistogramCounts(TIME_BINS), HistogramCounts(TIME_BINS)


class PairWindow:
    """What both loops of a lane together have of a window."""

    __slots__ = ("length", "lengths", "measured", "quality", "reversed", "speed")

    def __init__(self) -> None:
        self.speed, self.length = HistogramCounts(SPEED_BINS), HistogramCounts(LENGTH_BINS)
        self.lengths: list[int] = []  # cm
        self.measured = 0  # vehicles of which both loops together have told the speed
        self.reversed = 0
        self.quality: qualitycounts.QualityCounts = {}  # a vehicle counts once it is over

    def passed(
        self, passages: Sequence[Passage], estimated: Sequence[Passage], rest: int, wrong_way: int
    ) -> None:
        """Vehicles: measured ones, those that one loop has estimated, how many have no speed, and
        how many came the wrong way."""
        self.measured, self.reversed = len(passages), wrong_way
        for each in (*passages, *estimated):
            self.speed.add(each.speed, each.pace)
        self.speed.estimated += len(estimated)
        lengths = [each.length for each in passages if each.length is not None]
        for length in lengths:
            self.length.add(length)
        self.lengths += lengths
        qualitycounts.add_count(self.quality, qualitycounts.GOOD_WORD, len(passages))
        qualitycounts.add_count(self.quality, qualitycounts.UNCERTAIN_ESTIMATED, len(estimated))
        qualitycounts.add_count(self.quality, qualitycounts.BAD_RANGE, rest)


def lane_body(
    setup: LaneSetup,
    selection: LoopSelection,
    window: LoopWindow,
    pairs: PairWindow,
    lost: int,
    marks: Sequence[str],
) -> Lane:
    """The record of a lane. What the state of its loops does not allow to say is null.

    `window` is that of the loop that counts, `lost` are edges, `marks` qualities of the whole.
    """
    known = selection.counting_loop is not None
    presence = known and setup.mode == "presence"
    paired = presence and setup.paired and selection.pair
    covered_us, on_us = window.covered_us, window.on_us
    body = Lane(
        lane=setup.name,
        approach=setup.approach,
        covered_s=covered_us / 1e6,
        volume=window.volume if known else None,
        occupancy=round(on_us / covered_us, 4) if presence and covered_us else None,
        on_us=on_us if presence else None,
        speed=pairs.speed.speeds() if paired else None,
        length=pairs.length.form(Lengths) if paired else None,
        headway=window.headway.form(Times) if known else None,
        gap=window.gap.form(Times) if presence else None,
        quality=_quality(setup, selection, window, pairs, marks),
        health=selection.health,
        kind="bicycle" if setup.kind == "bicycle" else UNSET,
        counted_by="trail" if selection.counting_loop == "trail" else UNSET,
        lost_edges=lost or UNSET,
    )
    if not known:
        body.void_s = covered_us / 1e6 or UNSET
    if presence:
        body.speed_single = window.single or UNSET
        body.stopped = window.stopped or UNSET
        body.queue_us = window.queue_ns // 1000 or UNSET
        body.breakups = window.breakups or UNSET
        if setup.kind == "vehicle" and window.followed:
            body.tailgating = Tailgating(n=window.tailgaters, of=window.followed)
    if paired:
        body.wrong_way = pairs.reversed or UNSET
        if setup.kind == "vehicle":
            body.classes = count_by_class(setup.classes, pairs.lengths) or UNSET
    return body


def _quality(
    setup: LaneSetup,
    selection: LoopSelection,
    window: LoopWindow,
    pairs: PairWindow,
    marks: Sequence[str],
) -> qualitycounts.QualityCounts:
    quality: qualitycounts.QualityCounts = {}
    if selection.counting_loop is not None:
        quality = dict(window.quality)
        if setup.mode == "pulse":
            qualitycounts.add_count(
                quality, qualitycounts.BAD_SUPPRESSED
            )  # a pulse says that, not for how long
        elif selection.pair:
            quality = qualitycounts.sum_counts(quality, pairs.quality)
        else:
            qualitycounts.add_count(quality, qualitycounts.GOOD_WORD, window.volume)
        if not selection.sure:  # a zero is doubtful, too
            qualitycounts.add_count(
                quality,
                qualitycounts.UNCERTAIN_LOOP,
                max(1, quality.pop(qualitycounts.GOOD_WORD, 0)),
            )
        elif not selection.timed and setup.mode == "presence":
            qualitycounts.add_count(quality, qualitycounts.UNCERTAIN_LOOP)
    if selection.reason and not (selection.counting_loop and setup.mode == "pulse"):
        qualitycounts.add_count(quality, selection.reason)
    for mark in marks:
        qualitycounts.add_count(quality, mark)
    return qualitycounts.sum_counts(quality, {})
