"""What a test has in its hands: the street, meters, the broker, the link and the rest of a box,
each with the words of its trade. All of them act on one `SteppedRun`.

What breaks and heals is a `Breakage`: it begins when it is called, and heals at the end of a
`with`, which also looks whether it was in force.
"""

from collections.abc import Collection, Sequence
from operator import methodcaller
from types import TracebackType
from typing import Any, Final, Self

from edge.core import ConfigError, Point
from edge.gateway.wiring import ENERGY_QUANTITIES
from edge.rig.outcome import Outcome
from edge.rig.runlog import Driven, Heard, Seen
from edge.rig.scenario import Condition, Fault, State, Traffic, Vehicle
from edge.rig.steppedrun import ExpectationError, SteppedRun

LIMIT_S: Final = 300.0  # of a wait for a state

__tracebackhide__ = methodcaller("errisinstance", (ExpectationError, ConfigError))


class Breakage:
    """A fault that has begun. `name` is what expectations call it; they take this in its place."""

    def __init__(self, run: SteppedRun, fault: Fault) -> None:
        self._run, self._fault = run, fault

    @property
    def name(self) -> str:
        return self._fault.name

    @property
    def began_s(self) -> float:
        """Seconds since the box was ready."""
        return self._fault.at_s or 0.0

    def heal(self) -> None:
        """Once; after that it does nothing."""
        self._run.heal(self.name)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, _: BaseException | None, __: TracebackType | None
    ) -> None:
        """It heals. Raises ExpectationError if nothing went through while it lasted, or if nothing
        went wrong: then the test has shown nothing of it."""
        try:
            if kind is None:
                self._run.check_in_force(self.name)
        finally:
            self.heal()


class _Part:
    """Something of the site, or around the box, that can break."""

    def __init__(self, run: SteppedRun, target: str) -> None:
        self._run, self._target = run, target

    def fault(self, kind: str, amount: float | None = None) -> Breakage:
        """Any that `kerbstone rig faults` lists for it; the layer may have a reason why not, and
        then the test is skipped."""
        return Breakage(self._run, self._run.begin(self._target, kind, amount))


class LaneUnderTest(_Part):
    """One lane of the site; as a target of faults its lead loop, or the pair."""

    @property
    def trail(self) -> _Part:
        """Its second loop, for faults."""
        return _Part(self._run, f"{self._target}.trail")

    def drive(
        self, speed_kmh: float = 50.0, length_m: float = 4.5, *, stops_s: float = 0.0,
        gap_m: float = 0.0, wait: bool = True,
    ) -> Driven:  # fmt: skip
        """Somebody drives over it, as soon as it is free. Returns when he is off the loops; with
        `wait=False` at once, so that others can drive beside him."""
        driven = self._run.drive(Vehicle(
            lane=self._target, at_s=0.0, speed_kmh=speed_kmh, length_m=length_m, stops_s=stops_s,
            gap_m=gap_m,
        ))  # fmt: skip
        if wait:
            self._run.pass_by(driven)
        return driven

    def traffic(self, per_hour: float, for_s: float, **words: Any) -> list[Driven]:
        """From now on for so long; `words` are those of `[[traffic]]`, such as `kind="mixed"`.
        Returns at once: let time pass with `gateway.wait`, or break something."""
        now_s = self._run.now_s
        return self._run.drive_all(Traffic(
            lanes=(self._target,), per_hour=per_hour, from_s=now_s, until_s=now_s + for_s, **words
        ))  # fmt: skip


class StreetUnderTest:
    """Lanes and approaches."""

    def __init__(self, run: SteppedRun) -> None:
        self._run = run

    def lane(self, name: str) -> LaneUnderTest:
        _known(name, self._run.site.site.lanes, "lane")
        return LaneUnderTest(self._run, name)

    def approach(self, name: str) -> _Part:
        """For faults of all its loops."""
        _known(name, self._run.site.site.approaches, "approach")
        return _Part(self._run, name)


class DeviceUnderTest(_Part):
    """One polled device."""

    def set(self, **values: float) -> "ValueChange":
        """What it measures from now on, by its points: `meter.set(voltage=231.5)`. In a `with` the
        values of before come back at its end."""
        before = {point: self._run.value(self._target, point) for point in values}
        for point, value in values.items():
            self._run.set_value(self._target, point, value)
        return ValueChange(self._run, self._target, before)

    def offset(self, point: str, by: float) -> Breakage:
        """It reads so much too high: a sensor that drifts."""
        return Breakage(self._run, self._run.begin(f"{self._target}.{point}", "offset", by))

    def silent(self) -> Breakage:
        """It does not answer."""
        return self.fault("silent")


class ValueChange:
    """Values that were set. `before`: point -> value that comes back."""

    def __init__(self, run: SteppedRun, device: str, before: dict[str, float]) -> None:
        self._run, self._device, self._before = run, device, before

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for point, value in self._before.items():
            self._run.set_value(self._device, point, value)


class DevicesUnderTest(DeviceUnderTest):
    """All meters, or all sensors, of a site: `meter("main_meter")` is one of them, `meter` itself
    the only one there is."""

    def __init__(self, run: SteppedRun, what: str, names: Sequence[str]) -> None:
        self._what, self._names = what, names
        super().__init__(run, names[0] if len(names) == 1 else "")

    def __call__(self, name: str) -> DeviceUnderTest:
        _known(name, self._names, self._what)
        return DeviceUnderTest(self._run, name)

    def fault(self, kind: str, amount: float | None = None) -> Breakage:
        self._only()
        return super().fault(kind, amount)

    def set(self, **values: float) -> ValueChange:
        self._only()
        return super().set(**values)

    def offset(self, point: str, by: float) -> Breakage:
        self._only()
        return super().offset(point, by)

    def _only(self) -> None:
        if len(self._names) != 1:
            raise ConfigError(
                f"the site has {len(self._names)} of the kind {self._what}: name one, such as "
                f"{self._what}({self._names[0] if self._names else 'NAME'!r}); there are "
                f"{', '.join(self._names) or 'none'}"
            )


def meters(run: SteppedRun) -> DevicesUnderTest:
    """What measures energy."""
    names = [name for name, points in run.site.points.items() if _is_meter(points.values())]
    return DevicesUnderTest(run, "meter", names)


def air_sensors(run: SteppedRun) -> DevicesUnderTest:
    """Polled devices that are no meter."""
    names = [name for name, points in run.site.points.items() if not _is_meter(points.values())]
    return DevicesUnderTest(run, "air", names)


def _is_meter(points: Collection[Point]) -> bool:
    return any(point.quantity in ENERGY_QUANTITIES for point in points)


class BrokerUnderTest(_Part):
    """The broker to which the box is connected."""

    def stop(self) -> Breakage:
        """It is gone until it heals: connections end, and none is made."""
        return self.fault("down")

    def flap(self, each_s: float = 5.0) -> Breakage:
        """It goes and comes back, again and again, each time for so long."""
        return self.fault("flap", each_s)


class LinkUnderTest(_Part):
    """The way between the box and its broker."""

    def down(self) -> Breakage:
        """Connections end at once, and none is made."""
        return self.fault("down")

    def reset(self) -> Breakage:
        """Each connection ends once. Over at once."""
        return self.fault("reset")

    def black_hole(self) -> Breakage:
        """Connections stay open, and nothing comes through."""
        return self.fault("black_hole")

    def latency(self, later_s: float) -> Breakage:
        """Everything comes later."""
        return self.fault("latency", later_s)

    def bandwidth(self, kbit_s: float) -> Breakage:
        """The way is narrow."""
        return self.fault("bandwidth", kbit_s)

    def chunk_loss(self, share: float) -> Breakage:
        """Pieces of the stream are missing, and the rest is damaged."""
        return self.fault("chunk_loss", share)


class PowerUnderTest(_Part):
    """The supply of the box."""

    def cut(self) -> Breakage:
        """It is gone and comes back: what was only in memory is lost. Over at once."""
        return self.fault("cut")


class ClockUnderTest(_Part):
    """The clock of the box."""

    def jump(self, by_s: float) -> Breakage:
        """Its wall clock is set, forward or with - backward. Over at once."""
        return self.fault("jump", by_s)


class DiskUnderTest(_Part):
    """The disk of the box."""

    def full(self) -> Breakage:
        """Nothing can be written any more."""
        return self.fault("full")


class GatewayUnderTest(_Part):
    """The box under test, and the time that it lives in."""

    @property
    def layer(self) -> str:
        return self._run.layer.name

    @property
    def now_s(self) -> float:
        """Seconds since it was ready."""
        return self._run.now_s

    @property
    def seen(self) -> Seen:
        """What it said of itself at the last look: queue, connection, open issues."""
        return self._run.seen

    def wait(self, for_s: float) -> None:
        """Let time pass: virtual time on `sim`."""
        self._run.wait(for_s)

    def wait_until(self, state: State, *, limit_s: float = LIMIT_S, **words: Any) -> None:
        """Until a state is reached, with the words of a fault's `when`:
        `gateway.wait_until("queue", above=1000)`."""
        self._run.wait_until(Condition(state=state, **words), limit_s)

    def kill(self) -> Breakage:
        """It is killed, and started again as systemd does. Over at once."""
        return self.fault("kill")

    def stop(self) -> Breakage:
        """It stands still until it heals."""
        return self.fault("stop")


class RecordsUnderTest:
    """What the box sends."""

    def __init__(self, run: SteppedRun) -> None:
        self._run = run

    def expect(
        self, what: str, *, fault: Breakage | str | None = None, wait_s: float | None = None,
        **words: Any,
    ) -> Outcome:  # fmt: skip
        """An `[[expect]]` of a scenario file, with its words; waits until it can be judged, for
        `wait_s` after its time at most. Raises AssertionError, with what happened around it, unless
        it passes."""
        given = {"what": what, **words}
        if fault is not None:
            given["fault"] = fault.name if isinstance(fault, Breakage) else fault
        return self._run.expect(given, wait_s)

    def heard(self, stream: str = "", source: str = "") -> list[Heard]:
        """All that has come, or that of a stream and a source, by the rig's clock."""
        return [
            one for one in self._run.so_far().heard
            if stream in ("", one.stream) and source in ("", one.source)
        ]  # fmt: skip


def _known(name: str, there: Collection[str], what: str) -> None:
    if name not in there:
        raise ConfigError(f"no {what} is called {name!r}; there are {', '.join(there) or 'none'}")
