"""A device as a site has it: with some of its points only, or mounted the other way round.

Both wrap a device and pass on everything else. Where its transformers, or the whole of it, are
mounted backwards, its import is our export: every register gets the other one's name, and power
and current change their sign.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from difflib import get_close_matches

from edge.core import (
    Bad,
    Condition,
    ConfigError,
    PacedDevice,
    Point,
    Polled,
    Sample,
    SelfReporting,
    SettlingDevice,
    Stateful,
    UncertainValue,
    WaitingDevice,
)
from edge.core.point import SIGNED_QUANTITIES, Quantity, opposite_key


def with_points(device: Polled, keys: Sequence[str]) -> Polled:
    """The device with these of its points, in its own order. Raises ConfigError for a stranger."""
    known = [point.key for point in device.points]
    for key in keys:
        if key not in known:
            hint = get_close_matches(key, known, 1)
            meant = f"did you mean {hint[0]!r}?" if hint else f"choose from {', '.join(known)}"
            raise ConfigError(f"it has no point {key!r}; {meant}")
    return _PointSubset(device, tuple(place for place, key in enumerate(known) if key in keys))


def reversed_device(device: Polled) -> Polled:
    """The device that is mounted backwards, as if it were not.

    A register that has no counterpart keeps counting what it counts, under the other name. Raises
    ConfigError where none of its points has a direction.
    """
    # of a meter that tells both directions a site may want one register
    if not any(
        (p.quantity in SIGNED_QUANTITIES and p.low < 0) or opposite_key(p.key) != p.key
        for p in device.points
    ):
        raise ConfigError(
            "reversed: it reports no direction, so nothing can be turned; leave it out"
        )
    return _Reversed(device)


@dataclass(slots=True)
class _Forwarding:
    """Passes on what a device says of itself."""

    device: Polled

    async def open(self) -> None:
        await self.device.open()

    async def close(self) -> None:
        await self.device.close()

    @property
    def identity(self) -> str:
        return self.device.identity if isinstance(self.device, SelfReporting) else ""

    @property
    def health(self) -> Mapping[Condition, str]:
        return self.device.health if isinstance(self.device, SelfReporting) else {}

    @property
    def timeout_s(self) -> float:
        return self.device.timeout_s if isinstance(self.device, WaitingDevice) else 0.0

    @property
    def pace_s(self) -> float:
        return self.device.pace_s if isinstance(self.device, PacedDevice) else 0.0

    @property
    def settle_reads(self) -> int:
        return self.device.settle_reads if isinstance(self.device, SettlingDevice) else 0

    def snapshot(self) -> bytes:
        return self.device.snapshot() if isinstance(self.device, Stateful) else b""

    def restore(self, kept: bytes, age_s: float) -> None:
        if isinstance(self.device, Stateful):
            self.device.restore(kept, age_s)


@dataclass(slots=True)
class _PointSubset(_Forwarding):
    """`places` are those of the points that are wanted."""

    places: tuple[int, ...]
    points: Sequence[Point] = field(init=False)

    def __post_init__(self) -> None:
        self.points = tuple(self.device.points[place] for place in self.places)

    async def read(self) -> tuple[Sample, ...]:
        samples = await self.device.read()
        return tuple(samples[place] for place in self.places)


@dataclass(slots=True)
class _Reversed(_Forwarding):
    """Some devices give a current the sign of its power, some never, and a range does not tell:
    currents are turned once one of them has been below zero.
    """

    points: Sequence[Point] = field(init=False)
    _flows: tuple[int, ...] = field(init=False, repr=False)  # places of what has a sign
    _currents: tuple[int, ...] = field(init=False, repr=False)
    _signed: bool = field(init=False, repr=False, default=False)

    def __post_init__(self) -> None:
        points = self.device.points
        signed = [
            at for at, p in enumerate(points) if p.quantity in SIGNED_QUANTITIES and p.low < 0
        ]
        self._currents = tuple(at for at in signed if points[at].quantity is Quantity.CURRENT)
        self._flows = tuple(at for at in signed if at not in self._currents)
        self.points = tuple(
            replace(p, low=-p.high, high=-p.low)
            if at in signed
            else replace(p, key=opposite_key(p.key))
            for at, p in enumerate(points)
        )

    async def read(self) -> tuple[Sample, ...]:
        samples = list(await self.device.read())
        if not self._signed:
            self._signed = any(_is_below_zero(samples[at]) for at in self._currents)
        for at in (*self._flows, *self._currents) if self._signed else self._flows:
            samples[at] = _negative(samples[at])
        return tuple(samples)


def _is_below_zero(sample: Sample) -> bool:
    value = sample.value if isinstance(sample, UncertainValue) else sample
    return not isinstance(value, Bad | str) and value < 0


def _negative(sample: Sample) -> Sample:
    match sample:
        case UncertainValue(value, reason) if not isinstance(value, str):
            return UncertainValue(0.0 - value, reason)  # 0 stays 0, and is not -0
        case Bad() | UncertainValue() | str():
            return sample
    return 0.0 - sample
