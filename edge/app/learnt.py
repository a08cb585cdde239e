"""What the algorithms of devices have learnt, kept over a restart: baselines that took hours."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from edge.app.windows import SYNCED
from edge.core import Keeping, Stamp


@dataclass(frozen=True, slots=True)
class Learnt:
    """What each device had learnt at one moment of one boot."""

    boot: int
    at: Stamp
    kept: Mapping[str, bytes]

    @classmethod
    def parse(cls, state: Mapping[str, Any]) -> "Learnt":
        """Back from `packed`, of this very version."""
        mono_ns, wall_ns, tq = state["at"]
        return cls(state["boot"], Stamp(mono_ns, wall_ns, tq), state["kept"])

    def packed(self) -> dict[str, Any]:
        """For the outbox."""
        at = [self.at.mono_ns, self.at.wall_ns, self.at.tq]
        return {"boot": self.boot, "at": at, "kept": dict(self.kept)}

    def age_s(self, boot: int, now: Stamp) -> float:
        """How long ago that was; -1 when neither clock knows."""
        if boot == self.boot:
            return (now.mono_ns - self.at.mono_ns) / 1e9
        if now.tq in SYNCED and self.at.tq in SYNCED:
            return max(0, now.wall_ns - self.at.wall_ns) / 1e9
        return -1.0

    def give_back(self, devices: Mapping[str, Any], boot: int, now: Stamp) -> None:
        """To each device that is still there and can use it. Before it is opened."""
        for name, kept in self.kept.items():
            device = devices.get(name)
            if isinstance(device, Keeping):
                device.restore(kept, self.age_s(boot, now))
