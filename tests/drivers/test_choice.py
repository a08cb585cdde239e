"""A device with some of its points, or turned round, is the same device otherwise."""

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

import pytest

from drivers.choice import reversed_device, with_points
from edge.core import Condition, Point, Polled, Quantity, Sample, ports

POINTS = (Point("power", Quantity.POWER, -1e4, 1e4), Point("voltage", Quantity.VOLTAGE, 0, 300))
# what a device may be besides: each protocol that poller, worker or outbox looks for
ABILITIES = [
    each
    for _, each in inspect.getmembers(ports, inspect.isclass)
    if Protocol in each.__bases__ and getattr(each, "_is_runtime_protocol", False)
    and each is not Polled
]  # fmt: skip


@dataclass
class AbleMeter:
    """It can all that a device may be able to."""

    points: tuple[Point, ...] = POINTS
    identity: str = "SN-1"
    health: Mapping[Condition, str] = field(default_factory=lambda: {Condition.FAN: "it stands"})
    timeout_s: float = 2.5
    pace_s: float = 30.0
    settle_reads: int = 45
    restored: list[Any] = field(default_factory=list)

    async def open(self) -> None: ...
    async def close(self) -> None: ...
    async def read(self) -> tuple[Sample, ...]:
        return (1.0, 230.0)

    def snapshot(self) -> bytes:
        return b"learnt"

    def restore(self, kept: bytes, age_s: float) -> None:
        self.restored.append((kept, age_s))


WRAPPED: list[Callable[[Polled], Polled]] = [
    lambda device: with_points(device, ["voltage"]),
    reversed_device,
    lambda device: reversed_device(with_points(device, ["power"])),
]


@pytest.mark.parametrize("ability", ABILITIES)
@pytest.mark.parametrize("wrapped", WRAPPED)
def test_what_a_device_is_able_to_is_asked_of_itself(
    wrapped: Callable[[Polled], Polled], ability: Any
) -> None:
    meter = AbleMeter()
    assert isinstance(meter, ability), "the meter of this test lacks it: give it to it"
    device: Any = wrapped(meter)
    assert isinstance(device, ability), "drivers/choice.py does not pass it on"
    for name in (each for each in vars(ability) if not each.startswith("_")):
        if name == "restore":
            device.restore(b"kept", 7.0)
            assert meter.restored == [(b"kept", 7.0)]
        elif callable(own := getattr(meter, name)):
            assert getattr(device, name)() == own()
        else:
            assert getattr(device, name) == own
