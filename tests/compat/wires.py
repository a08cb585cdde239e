"""The far side of a box's wires: loops, a bay, a door, a gas sensor and a meter, all simulated.

with Wires(folder) as wires:
    ...
    wires.cars()  # one after the other, until the end of the block
"""

import threading
import time
from contextlib import ExitStack
from pathlib import Path
from typing import Final

from drivers.sim.gpio import SimChip
from drivers.sim.i2c import I2cKernel
from drivers.sim.i2c_server import I2cServer
from drivers.sim.loops import LoopPair, SimVehicle
from drivers.sim.meter import MeterLoad, MeterServer
from drivers.sim.meter_tcp import MeterTcp
from drivers.sim.sen55 import Sen55

LINES: Final = ("lead", "trail", "bay", "door")
AIR: Final = {
    "pm1_0": 5.2, "pm2_5": 9.5, "pm4_0": 12.6, "pm10": 13.3, "humidity": 45.5,
    "temperature": 23.5, "voc_index": 100.0, "nox_index": 1.0,
}  # fmt: skip
UNITS: Final = range(1, 4)
EVERY_S: Final = 1.3


class Wires:
    """On sockets in the folder, and a port. Without `loops` there is no GPIO chip."""

    def __init__(self, folder: Path, *, loops: bool = True) -> None:
        self._folder = folder
        folder.mkdir(exist_ok=True)
        self.sensor = Sen55(AIR, powered_s=86_400)  # since yesterday: its gas sensors have settled
        load = MeterLoad(1)
        load.reset(1234.5)
        units = {unit: MeterServer("sdm120", load.values) for unit in UNITS}
        self._meters = MeterTcp(units)
        self.port = self._meters.port
        self.chip = SimChip(LINES, folder / "gpio.sock") if loops else None
        self._stack, self._end = ExitStack(), threading.Event()

    def __enter__(self) -> "Wires":
        if self.chip is not None:
            self.chip.start()
            self._stack.callback(self.chip.close)
            for line in LINES:
                self.chip.drive(line, False, time.monotonic_ns())
        kernel = I2cKernel({0x69: self.sensor})
        self._stack.enter_context(I2cServer(kernel, self._folder / "i2c.sock"))
        self._meters.start()
        self._stack.callback(self._meters.stop)
        return self

    def __exit__(self, *_: object) -> None:
        self._end.set()
        self._stack.close()

    def cars(self) -> None:
        """Vehicles, stays in the bay, and a door that opens and closes."""
        assert self.chip is not None
        assert self.chip.wait_requested(LINES, 60)
        thread = threading.Thread(target=self._drive, args=(self.chip,))
        self._stack.callback(thread.join)
        thread.start()

    def _drive(self, chip: SimChip) -> None:
        pair = LoopPair(chip, "lead", "trail", 4.0, 2.0, "high", at_ns=time.monotonic_ns())
        passed = 0
        while not self._end.wait(EVERY_S):
            now_ns = time.monotonic_ns()
            chip.drive("bay", passed % 4 < 2, now_ns)
            chip.drive("door", passed % 6 < 3, now_ns)
            pair.play([SimVehicle(0.02, 40.0 + passed % 30, 4.5)], now_ns, "real")
            passed += 1
