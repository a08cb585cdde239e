"""What the algorithms of devices have learnt, kept over a restart: baselines that took hours."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from edge.core import Stamp, Stateful, TimeQuality


@dataclass(frozen=True, slots=True)
class Baseline:
    """What one device had learnt at one moment of one boot."""

    boot: int
    at: Stamp
    kept: bytes

    def age_s(self, boot: int, now: Stamp) -> float:
        """How long ago that was; -1 when neither clock knows."""
        if boot == self.boot:
            return (now.mono_ns - self.at.mono_ns) / 1e9
        if now.tq.is_synchronised and self.at.tq.is_synchronised:
            return max(0, now.wall_ns - self.at.wall_ns) / 1e9
        return -1.0


class Baselines:
    """What all devices have learnt. One that is silent keeps what it had, and its age."""

    def __init__(self, devices: Mapping[str, Any]) -> None:
        self._devices = {n: each for n, each in devices.items() if isinstance(each, Stateful)}
        self._learnt: dict[str, Baseline] = {}

    def restore(self, state: Mapping[str, Any]) -> None:
        """Back from `snapshot`; of devices that are not there any more nothing is kept.

        Raises KeyError, TypeError or ValueError for a state that is not one.
        """
        found: dict[str, Baseline] = {}
        for name, (boot, mono_ns, wall_ns, tq, kept) in dict(state["learnt"]).items():
            if name in self._devices:
                found[name] = Baseline(
                    int(boot), Stamp(int(mono_ns), int(wall_ns), TimeQuality(tq)), bytes(kept)
                )
        self._learnt = found

    def snapshot(self) -> dict[str, Any]:
        """For the outbox."""
        return {
            "learnt": {
                name: [one.boot, one.at.mono_ns, one.at.wall_ns, one.at.tq, one.kept]
                for name, one in self._learnt.items()
            }
        }

    def update(self, kept: Mapping[str, bytes], boot: int, now: Stamp) -> None:
        """What devices have learnt by now. What is the same as before was not learnt now."""
        for name, each in kept.items():
            before = self._learnt.get(name)
            if each and (before is None or before.kept != each):
                self._learnt[name] = Baseline(boot, now, each)

    def restore_devices(self, boot: int, now: Stamp) -> None:
        """To each device what it had learnt. Before it is opened."""
        for name, one in self._learnt.items():
            self._devices[name].restore(one.kept, one.age_s(boot, now))
