"""What a lane has counted in the open window, and how a record says it."""

from collections.abc import Sequence
from typing import Any, Final

from edge.process import tally
from edge.process.setup import LaneSetup
from edge.process.traffic.histogram import LENGTH, SPEED, TIME, Histogram
from edge.process.traffic.passage import Passage

VOID: Final = {"stuck_on": tally.STUCK, "chatter": tally.FAULT, "unobserved": tally.BAD_GAP}
"""States of a lead loop in which nothing it says is a number, and the quality that says why."""


class Window:
    """Counts and histograms, from one border to the next."""

    def __init__(self) -> None:
        self.volume = 0
        self.breakups = 0
        self.lost = 0  # edges
        self.reversed = 0
        self.quality: tally.Tally = {}
        self.speed, self.length = Histogram(SPEED), Histogram(LENGTH)
        self.headway, self.gap = Histogram(TIME), Histogram(TIME)

    def clear(self) -> None:
        """The next window begins."""
        self.volume = self.breakups = self.lost = self.reversed = 0
        self.quality = {}
        for histogram in (self.speed, self.length, self.headway, self.gap):
            histogram.clear()

    def passed(self, passages: Sequence[Passage], single: int) -> None:
        """Vehicles of a pair: those with a speed, and how many without one."""
        for each in passages:
            self.speed.add(each.speed, each.pace)
            self.length.add(each.length)
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
        optional = {
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
