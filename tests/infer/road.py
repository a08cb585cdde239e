"""A road for the rule of silent lanes: so many vehicles in each slot of 30 s."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from edge.core.looptick import LoopTick, Stay
from edge.infer.loops.activity import LaneActivity
from edge.infer.loops.looprules import Ruling
from edge.infer.sites import ApproachSite, LaneSite
from tests.kit.engine import S

THREE = tuple(LaneSite(f"a_{i}", "a", "corridor") for i in (0, 1, 2))
Paces = Mapping[str, float]


def slot_of(number: int, counts: Paces, on: Iterable[str] = (), **more: Any) -> list[LoopTick]:
    """Vehicles that came in a slot; `on`: lanes on which one stands."""
    begin, end = number * 30 * S, (number + 1) * 30 * S
    return [
        LoopTick(
            lane, "lead", begin, end, 30 * S, int(n) * S // 3,
            tuple(
                Stay(begin + i * S + k * S // 3, begin + i * S + (k + 1) * S // 3)
                for i in range(int(n))
            ),
            since_ns=begin if lane in on else None, **more,
        )
        for k, (lane, n) in enumerate(counts.items())
    ]  # fmt: skip


class ActivityRoad:
    """Feeds a rule: so many vehicles in each slot."""

    def __init__(
        self,
        lanes: Iterable[LaneSite] = THREE,
        approaches: Iterable[ApproachSite] = (),
        doubted: Iterable[str] = (),
    ) -> None:
        self.sites, self.ways = tuple(lanes), tuple(approaches)
        self.doubted = set(doubted)
        self.rule = self.new()
        self.slot = 0
        self.reported: dict[str, tuple[float, Ruling]] = {}  # minutes and what was said first

    def new(self) -> LaneActivity:
        return LaneActivity(
            self.sites, self.ways, lambda key: "breakup" if key[0] in self.doubted else None
        )

    def drive(
        self, minutes: float, counts: Paces, wall_s: float | None = None, **more: Any
    ) -> None:
        for _ in range(round(minutes * 2)):
            ticks = slot_of(self.slot, counts, **more)
            self.slot += 1
            wall = None if wall_s is None else wall_s + self.slot * 30.0
            for key, ruling in self.rule.step(
                {(t.lane, t.part): t for t in ticks}, {}, wall
            ).items():
                self.reported.setdefault(key[0], (self.slot / 2.0, ruling))


STATIONS = tuple(LaneSite(f"{a}_{i}", a, "corridor") for a in "mno" for i in (0, 1))
WAYS = (ApproachSite("m", "n", 500.0), ApproachSite("n", "o", 500.0), ApproachSite("o"))

MONDAY_S = 1_789_948_800.0  # midnight, a Monday
