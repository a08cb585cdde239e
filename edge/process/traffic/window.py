"""What a lane has counted in the open window, and how a record says it."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from edge.process import tally
from edge.process.setup import LaneSetup
from edge.process.traffic.classes import sorted_out
from edge.process.traffic.histogram import LENGTH, SPEED, TIME, Histogram
from edge.process.traffic.passage import Passage
from edge.process.traffic.single import merged as merged_single

VOID: Final = {"stuck_on": tally.STUCK, "chatter": tally.FAULT, "unobserved": tally.BAD_GAP}
"""States of a lead loop in which nothing it says is a number, and the quality that says why."""


class Window:
    """Counts and histograms, from one border to the next."""

    def __init__(self) -> None:
        self.volume = 0
        self.breakups = 0
        self.lost = 0  # edges
        self.reversed = 0
        self.stopped = 0  # vehicles that stood on the loop
        self.followed = self.tailgaters = (
            0  # gaps between moving vehicles; those that are too short
        )
        self.queue_ns = 0
        self.single: dict[str, Any] | None = None  # speed from the lead loop alone
        self.lengths: list[int] = []  # cm, of a pair
        self.over: list[tuple[int, int]] = []  # vehicles on the lead loop, from..to
        self.quality: tally.Tally = {}
        self.speed, self.length = Histogram(SPEED), Histogram(LENGTH)
        self.headway, self.gap = Histogram(TIME), Histogram(TIME)

    def clear(self) -> None:
        """The next window begins."""
        self.volume = self.breakups = self.lost = self.reversed = 0
        self.stopped = self.followed = self.tailgaters = self.queue_ns = 0
        self.single, self.lengths, self.over = None, [], []
        self.quality = {}
        for histogram in (self.speed, self.length, self.headway, self.gap):
            histogram.clear()

    def passed(self, passages: Sequence[Passage], single: int, wrong_way: int) -> None:
        """Vehicles of a pair: those with a speed, how many without one, how many the wrong way."""
        self.reversed = wrong_way
        for each in passages:
            self.speed.add(each.speed, each.pace)
            self.length.add(each.length)
        self.lengths += [each.length for each in passages]
        tally.count(self.quality, tally.GOOD_WORD, len(passages))
        tally.count(self.quality, tally.BAD_RANGE, single)

    def body(
        self, setup: LaneSetup, health: str, covered_us: int, on_us: int, marks: Sequence[str]
    ) -> dict[str, Any]:
        """The record. What the state of the loops does not allow to say is null."""
        known = health not in VOID
        presence = known and setup.mode == "presence"
        paired = presence and setup.paired and health != "trail_stuck_on"
        body: dict[str, Any] = {
            "lane": setup.name,
            "approach": setup.approach,
            "covered_s": covered_us / 1e6,
            "volume": self.volume if known else None,
            "occupancy": round(on_us / covered_us, 4) if presence and covered_us else None,
            "on_us": on_us if presence else None,
            "speed": self.speed.body() if paired else None,
            "length": self.length.body() if paired else None,
            "headway": self.headway.body() if known else None,
            "gap": self.gap.body() if presence else None,
            "quality": self._quality(setup, health, marks),
            "health": health,
        }
        if setup.kind != "vehicle":
            body["kind"] = setup.kind
        vehicles = setup.kind == "vehicle"
        gaps = {"n": self.tailgaters, "of": self.followed}
        optional = {
            "classes": sorted_out(setup.classes, self.lengths) if paired and vehicles else None,
            "speed_single": self.single if presence else None,
            "tailgating": gaps if presence and vehicles and self.followed else None,
            "stopped": self.stopped if presence else 0,
            "queue_us": self.queue_ns // 1000 if presence else 0,
            "void_s": covered_us / 1e6 if not known else 0,
            "breakups": self.breakups if presence else 0,
            "wrong_way": self.reversed if paired else 0,
            "lost_edges": self.lost,
        }
        return body | {key: value for key, value in optional.items() if value}

    def _quality(self, setup: LaneSetup, health: str, marks: Sequence[str]) -> tally.Tally:
        quality = dict(self.quality) if health not in VOID else {VOID[health]: 1}
        if health == "trail_stuck_on":
            tally.count(quality, tally.STUCK)
        elif setup.mode == "pulse" and health not in VOID:
            tally.count(quality, tally.SUPPRESSED)  # a pulse says that, not for how long
        for mark in marks:
            tally.count(quality, mark)
        return tally.added(quality, {})


def merged_rare(a: Mapping[str, Any], b: Mapping[str, Any]) -> dict[str, Any]:
    """Of two records as one what stands in them only when there is something to tell."""
    told: dict[str, Any] = {}
    if "classes" in a or "classes" in b:
        told["classes"] = tally.added(a.get("classes", {}), b.get("classes", {}))
    speeds = [each["speed_single"] for each in (a, b) if "speed_single" in each]
    if speeds:
        told["speed_single"] = merged_single(*speeds) if len(speeds) == 2 else dict(speeds[0])
    gaps = [each["tailgating"] for each in (a, b) if "tailgating" in each]
    if gaps:
        told["tailgating"] = {key: sum(each[key] for each in gaps) for key in ("n", "of")}
    for key in ("stopped", "queue_us"):
        if count := a.get(key, 0) + b.get(key, 0):
            told[key] = count
    return told
