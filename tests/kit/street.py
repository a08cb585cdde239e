"""The street of a gateway under test: vehicles over its loops, and the air in its cabinet.

A `LoopStreet` plays the kernel's side of GPIO lines and of an I2C bus on sockets that the site's
file names (`sim:...`), so that a daemon as a process of its own reads them as hardware:

    with LoopStreet(folder) as street:
        gateway.start()
        street.drive(every_s=1.2)
        ...
        street.end()
        assert len(street.passed) > 3
"""

import threading
import time
from collections.abc import Sequence
from pathlib import Path

from drivers.sim.gpio import SimChip
from drivers.sim.i2c import I2cChip, I2cKernel
from drivers.sim.i2c_server import I2cServer
from drivers.sim.loops import LoopPair, SimVehicle, TrueTimes

LINES = ("lead", "trail", "heat")


class LoopStreet:
    """Loops and air behind simulated wires, and how many vehicles have passed."""

    def __init__(
        self, folder: Path, air: I2cChip | None = None, lines: Sequence[str] = LINES
    ) -> None:
        self.chip = SimChip(lines, folder / "gpio.sock")
        self.i2c = None if air is None else I2cServer(I2cKernel({0x69: air}), folder / "i2c.sock")
        self.passed: list[TrueTimes] = []
        self.start_ns = 0
        self._thread: threading.Thread | None = None
        self._stop = threading.Event()

    def __enter__(self) -> "LoopStreet":
        self.chip.start()
        if self.i2c is not None:
            self.i2c.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.end()
        self.chip.close()
        if self.i2c is not None:
            self.i2c.stop()

    def drive(self, every_s: float = 1.2, speed_kmh: float = 50.0, length_m: float = 4.5) -> None:
        """Vehicles pass one after the other until `end`."""
        assert self.chip.wait_requested(["lead", "trail"], 60)
        self._thread = threading.Thread(target=self._drive, args=(every_s, speed_kmh, length_m))
        self._thread.start()

    def vehicle(self, speed_kmh: float = 50.0, length_m: float = 4.5) -> None:
        """One vehicle passes now; when this returns it has left."""
        assert self.chip.wait_requested(["lead", "trail"], 60)
        pair = LoopPair(self.chip, "lead", "trail", 4.0, 2.0, "high", at_ns=time.monotonic_ns())
        pair.play([SimVehicle(0.02, speed_kmh, length_m)], time.monotonic_ns(), "real")

    def end(self) -> None:
        self._stop.set()
        if self._thread is not None:
            self._thread.join()

    def _drive(self, every_s: float, speed_kmh: float, length_m: float) -> None:
        pair = LoopPair(self.chip, "lead", "trail", 4.0, 2.0, "high", at_ns=time.monotonic_ns())
        while not self._stop.is_set():
            now_ns = time.monotonic_ns()
            truth = pair.play([SimVehicle(0.02, speed_kmh, length_m)], now_ns, "real")
            self.passed += [moved(vehicle, now_ns) for vehicle in truth]
            left_s = every_s - (time.monotonic_ns() - now_ns) / 1e9
            self._stop.wait(max(0.0, left_s))


def moved(vehicle: TrueTimes, by_ns: int) -> TrueTimes:
    """The same vehicle, in absolute time."""
    return TrueTimes(
        vehicle.lead_on_ns + by_ns,
        vehicle.lead_off_ns + by_ns,
        vehicle.trail_on_ns + by_ns,
        vehicle.trail_off_ns + by_ns,
        vehicle.speed_kmh,
        vehicle.length_m,
    )
