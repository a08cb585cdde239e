"""A simulated I2C bus with time under the test's thumb: waits pass at once, and are seen."""

from dataclasses import dataclass, field

from drivers.sim.i2c import I2C_M_RD, I2cChip, I2cKernel, I2cMessage
from edge.core import BusError


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
        told = [I2cMessage(address, 0, len(write), write)] if write else []
        for part in [told, asked] if wait_s else [told + asked]:
            if part:
                code, got = self.kernel.transfer(part)
                if code < 0:
                    raise BusError(f"errno {-code}")
                answer += got
            if part is told:
                self.now.s += wait_s
        return answer

    def commands(self) -> list[str]:
        """What was written since the last call."""
        found = [data.hex() for _, way, data in self.kernel.log if way == "w"]
        self.kernel.log.clear()
        return found
