"""A layer in virtual time that does nothing: what a test plans comes at its moments."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from edge.rig.layer import LayerError
from edge.rig.runlog import Driven, Evidence, Heard, Seen
from edge.rig.scenario import Fault, LayerName, Scenario


def window(source: str, from_s: float, to_s: float, at_s: float, **body: object) -> Heard:
    """A record of a lane."""
    return Heard(
        t_s=at_s, stream="traffic", source=source, from_s=float(from_s), to_s=float(to_s), body=body
    )


@dataclass
class FakeLayer:
    """`coming` is heard at its `t_s`; `seen` says what the box tells of itself at a moment."""

    coming: list[Heard] = field(default_factory=list)
    seen: Callable[[float], Seen] = lambda t_s: Seen(t_s=t_s, queue=0, connected=True)
    fails_s: float = 1e9
    refuses: str = ""
    interrupts_s: float = 1e9
    clock: tuple[float, float] = (0.0, 0.0)
    name: LayerName = "sim"
    box: str = "fake"
    done: list[tuple[float, str]] = field(default_factory=list)
    looks: list[float] = field(default_factory=list)
    _now_s: float = 0.0
    _from: int = 0

    def open(self, scenario: Scenario) -> None:
        self.done.append((0.0, "open"))
        if self.refuses == "open":
            raise LayerError("mosquitto is not installed")

    def close(self) -> None:
        self.done.append((self._now_s, "close"))

    def now_s(self) -> float:
        return self._now_s

    def run_until(self, t_s: float) -> None:
        assert t_s >= self._now_s
        self._now_s = min(t_s, max(self._now_s, self.fails_s))
        if self._now_s >= self.interrupts_s:
            raise KeyboardInterrupt

    def begin_fault(self, fault: Fault) -> None:
        if self.refuses == fault.name:
            raise LayerError(f"{fault.kind} cannot be done here")
        self.done.append((self._now_s, f"begin {fault.name}"))

    def end_fault(self, fault: Fault) -> None:
        self.done.append((self._now_s, f"heal {fault.name}"))

    def evidence(self, fault: Fault) -> tuple[int, Sequence[Evidence]]:
        return 3, [Evidence(t_s=self._now_s, text=fault.name)]

    def look(self) -> Seen:
        self.looks.append(self._now_s)
        return self.seen(self._now_s)

    def new_heard(self) -> list[Heard]:
        found = [one for one in self.coming[self._from :] if one.t_s <= self._now_s]
        self._from += len(found)
        return found

    def driven(self) -> list[Driven]:
        one = Driven(lane="north_1", on_s=1.0, off_s=2.0, speed_kmh=50.0, length_m=4.5)
        return [one] if self._now_s >= one.off_s else []

    def box_clock(self) -> tuple[float, float]:
        return self.clock

    def failed(self) -> str:
        return "the box has ended with code 1" if self._now_s >= self.fails_s else ""
