"""Air sensors on a simulated I2C bus, in time that the test moves: waits pass at once.

An example:

    now = Now()
    rig = SensorRig(now, 0x62, sim.Scd41(VALUES, clock=now), Scd41)
    await rig.driver.open()
    now.s += 5
    assert (await rig.read())["co2"] == 612.0
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from drivers.sim.i2c import I2C_M_RD, I2cChip, I2cKernel, I2cMessage
from edge.core import BusError, Polled, Sample

Chip = TypeVar("Chip", bound=I2cChip)
Driver = TypeVar("Driver", bound=Polled)


@dataclass
class Now:
    """Seconds, moved by hand."""

    s: float = 1000.0

    def __call__(self) -> float:
        return self.s


@dataclass
class SimI2c:
    """An `I2cBus` straight on the simulated kernel; each transfer takes a millisecond."""

    now: Now
    chips: dict[int, I2cChip]
    kernel: I2cKernel = field(init=False)

    def __post_init__(self) -> None:
        self.kernel = I2cKernel(self.chips)

    async def transfer(
        self, address: int, write: bytes = b"", read: int = 0, wait_s: float = 0.0
    ) -> bytes:
        self.now.s += 0.001
        answer = b""
        asked = [I2cMessage(address, I2C_M_RD, read)] if read else []
        reported = [I2cMessage(address, 0, len(write), write)] if write else []
        for part in [reported, asked] if wait_s else [reported + asked]:
            if part:
                code, got = self.kernel.transfer(part)
                if code < 0:
                    raise BusError(f"errno {-code}")
                answer += got
            if part is reported:
                self.now.s += wait_s
        return answer

    def commands(self) -> list[str]:
        """What was written since the last call."""
        found = [data.hex() for _, way, data in self.kernel.log if way == "w"]
        self.kernel.log.clear()
        return found


class SensorRig(Generic[Chip, Driver]):
    """A driver, its bus, its chip, and the seconds that chip and bus see."""

    def __init__(
        self, now: Now, address: int, chip: Chip, build: Callable[[SimI2c], Driver]
    ) -> None:
        self.now, self.chip = now, chip
        self.bus = SimI2c(now, {address: chip})
        self.driver = build(self.bus)

    async def read(self) -> dict[str, Sample]:
        """One reading, by the keys of its points."""
        keys = [point.key for point in self.driver.points]
        return dict(zip(keys, await self.driver.read(), strict=True))

    async def reopen(self) -> None:
        """As the poller does after silence."""
        await self.driver.close()
        await self.driver.open()
