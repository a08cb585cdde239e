"""What the loops of a lane have counted in a window, and how a record says it."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from edge.process import qualitycounts
from edge.process.enginesetup import LaneSetup
from edge.process.traffic.histogram import LENGTH_BINS, SPEED_BINS, TIME_BINS, HistogramCounts
from edge.process.traffic.loopselection import LoopSelection
from edge.process.traffic.passage import Passage, count_by_class
from edge.process.traffic.singleloopspeed import merge_single_speeds as merged_single


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
        self.single: dict[str, Any] | None = None  # speed from this loop alone
        self.over: list[tuple[int, int]] = []  # vehicles, from..to
        self.quality: qualitycounts.QualityCounts = {}  # of pulses, and of what was lost
        self.headway, self.gap = HistogramCounts(TIME_BINS), HistogramCounts(TIME_BINS)


class PairWindow:
    """What both loops of a lane together have of a window."""

    __slots__ = ("length", "lengths", "quality", "reversed", "speed")

    def __init__(self) -> None:
        self.speed, self.length = HistogramCounts(SPEED_BINS), HistogramCounts(LENGTH_BINS)
        self.lengths: list[int] = []  # cm
        self.reversed = 0
        self.quality: qualitycounts.QualityCounts = {}  # a vehicle counts once it is over

    def passed(self, passages: Sequence[Passage], single: int, wrong_way: int) -> None:
        """Vehicles: those with a speed, how many without one, how many the wrong way."""
        self.reversed = wrong_way
        for each in passages:
            self.speed.add(each.speed, each.pace)
            self.length.add(each.length)
        self.lengths += [each.length for each in passages]
        qualitycounts.add_count(self.quality, qualitycounts.GOOD_WORD, len(passages))
        qualitycounts.add_count(self.quality, qualitycounts.BAD_RANGE, single)


def lane_body(
    setup: LaneSetup,
    selection: LoopSelection,
    window: LoopWindow,
    pairs: PairWindow,
    lost: int,
    marks: Sequence[str],
) -> dict[str, Any]:
    """The record of a lane. What the state of its loops does not allow to say is null.

    `window` is that of the loop that counts, `lost` are edges, `marks` qualities of the whole.
    """
    known = selection.counting_loop is not None
    presence = known and setup.mode == "presence"
    paired = presence and setup.paired and selection.pair
    covered_us, on_us = window.covered_us, window.on_us
    body: dict[str, Any] = {
        "lane": setup.name,
        "approach": setup.approach,
        "covered_s": covered_us / 1e6,
        "volume": window.volume if known else None,
        "occupancy": round(on_us / covered_us, 4) if presence and covered_us else None,
        "on_us": on_us if presence else None,
        "speed": pairs.speed.body() if paired else None,
        "length": pairs.length.body() if paired else None,
        "headway": window.headway.body() if known else None,
        "gap": window.gap.body() if presence else None,
        "quality": _quality(setup, selection, window, pairs, marks),
        "health": selection.health,
    }
    if setup.kind != "vehicle":
        body["kind"] = setup.kind
    vehicles = setup.kind == "vehicle"
    gaps = {"n": window.tailgaters, "of": window.followed}
    optional = {
        "counted_by": selection.counting_loop if selection.counting_loop == "trail" else None,
        "classes": count_by_class(setup.classes, pairs.lengths) if paired and vehicles else None,
        "speed_single": window.single if presence else None,
        "tailgating": gaps if presence and vehicles and window.followed else None,
        "stopped": window.stopped if presence else 0,
        "queue_us": window.queue_ns // 1000 if presence else 0,
        "void_s": covered_us / 1e6 if not known else 0,
        "breakups": window.breakups if presence else 0,
        "wrong_way": pairs.reversed if paired else 0,
        "lost_edges": lost,
    }
    return body | {key: value for key, value in optional.items() if value}


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


def merge_rare(a: Mapping[str, Any], b: Mapping[str, Any]) -> dict[str, Any]:
    """Of two records as one what stands in them only when there is something to tell."""
    merged: dict[str, Any] = {}
    if by := _merged_by(a, b):
        merged["counted_by"] = by
    if "classes" in a or "classes" in b:
        merged["classes"] = qualitycounts.sum_counts(a.get("classes", {}), b.get("classes", {}))
    speeds = [each["speed_single"] for each in (a, b) if "speed_single" in each]
    if speeds:
        merged["speed_single"] = merged_single(*speeds) if len(speeds) == 2 else dict(speeds[0])
    gaps = [each["tailgating"] for each in (a, b) if "tailgating" in each]
    if gaps:
        merged["tailgating"] = {key: sum(each[key] for each in gaps) for key in ("n", "of")}
    for key in ("stopped", "queue_us"):
        if count := a.get(key, 0) + b.get(key, 0):
            merged[key] = count
    return merged


LEAD: Final = "lead"  # of a record that does not say it, and has a count


def _merged_by(a: Mapping[str, Any], b: Mapping[str, Any]) -> str | None:
    """Which loop counted: `both`, one after the other, or None for the lead, or for nobody."""
    by = {each.get("counted_by", LEAD) for each in (a, b) if each["volume"] is not None}
    return None if by <= {LEAD} else by.pop() if len(by) == 1 else "both"
