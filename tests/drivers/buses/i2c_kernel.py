"""A simulated kernel with a chip of registers, that remembers what was one transfer."""

import time
from dataclasses import dataclass, field

from drivers.sim.i2c import I2cKernel, I2cMessage


@dataclass
class Registers:
    """A chip with a pointer and memory behind it, as most are."""

    memory: bytearray = field(default_factory=lambda: bytearray(range(64)))
    pointer: int = 0

    def write(self, data: bytes) -> None:
        if data:
            self.pointer = data[0]
            self.memory[self.pointer : self.pointer + len(data) - 1] = data[1:]

    def read(self, count: int) -> bytes:
        return bytes(self.memory[self.pointer : self.pointer + count])


@dataclass
class Kernel(I2cKernel):
    """Remembers what was one transfer, and when."""

    transfers: list[tuple[float, str]] = field(default_factory=list)

    def transfer(self, messages: list[I2cMessage]) -> tuple[int, bytes]:  # type: ignore[override]
        shape = "".join("r" if message.reads else "w" for message in messages)
        self.transfers.append((time.monotonic(), shape))
        return super().transfer(messages)

    def shapes(self) -> list[str]:
        return [shape for _, shape in self.transfers]
