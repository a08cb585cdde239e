"""The end of a window: all that is told the engine besides its input, live and in a replay."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

from edge.core import Condition, Reason
from edge.process.engine import Engine


@dataclass(frozen=True, slots=True)
class WindowEnd:
    """`end_ns` is monotonic, `wall_s` the same moment in seconds since 1970 (None: nobody can be
    sure). `expired` are points whose calibration is out of date, by device; `conditions` what
    devices say of themselves; `stepped`: the wall clock was set within the window; `doubted`: what
    was counted may be counted again after a power cut."""

    end_ns: int
    partial: bool
    wall_s: float | None
    expired: Mapping[str, Collection[str]]
    conditions: Mapping[str, Collection[Condition]]
    stepped: bool = False
    doubted: bool = False

    def tell(self, engine: Engine) -> None:
        """Right before the window is closed."""
        engine.expired(self.expired)
        engine.conditions(self.conditions)
        if self.stepped:
            engine.mark(Reason.CLOCK)
        if self.doubted:
            engine.doubt_past(older=False)

    def snapshot(self) -> list[Any]:
        """For MessagePack."""
        expired = {name: sorted(points) for name, points in self.expired.items()}
        conditions = {name: [str(one) for one in all_] for name, all_ in self.conditions.items()}
        return [
            self.end_ns, self.partial, self.wall_s, expired, conditions, self.stepped, self.doubted
        ]  # fmt: skip

    @classmethod
    def restore(cls, data: Any) -> "WindowEnd":
        """Raises TypeError or ValueError for what is none."""
        end_ns, partial, wall_s, expired, conditions, stepped, doubted = data
        return cls(
            int(end_ns),
            bool(partial),
            None if wall_s is None else float(wall_s),
            {str(name): set(map(str, points)) for name, points in dict(expired).items()},
            {str(name): tuple(map(Condition, all_)) for name, all_ in dict(conditions).items()},
            bool(stepped),
            bool(doubted),
        )
