"""The supply of a modem: a USB port that is deauthorised, or a GPIO line that switches it."""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Final, Protocol

from edge.config.model.link import USB as PORT

USB: Final = Path("/sys/bus/usb/devices")
OFF_S: Final = 10.0  # capacitors of a modem hold it for some seconds

Wait = Callable[[float], None]


class PowerLine(Protocol):
    """An output that is on or off."""

    def set(self, on: bool) -> None: ...


class ModemPower(Protocol):
    """What can be switched off and on again. Raises OSError."""

    def power_cycle(self) -> str: ...


class UsbPortPower:
    """The kernel's `authorized` of a device, named as the kernel does: "1-1.2".

    Without it the kernel forgets what the device can do, and learns it again. Most hubs leave the
    current on: it helps a driver that is stuck, and not always a modem that is.
    """

    def __init__(self, port: str, wait: Wait, devices: Path = USB) -> None:
        if not re.match(PORT, port):
            raise ValueError(f"{port!r:.40} is no USB port; one is called 1-1.2")
        self._file, self._wait = devices / port / "authorized", wait

    def power_cycle(self) -> str:
        self._write("0")
        try:
            self._wait(OFF_S)
        finally:
            self._write("1")  # a modem is never left off because we were stopped meanwhile
        return f"{self._file.parent.name} was deauthorised for {OFF_S:.0f} s"

    def _write(self, text: str) -> None:
        with self._file.open("r+", encoding="ascii") as file:  # never makes the file
            file.write(text)


class SwitchedPower:
    """A relay or a load switch on a GPIO line."""

    def __init__(self, line: PowerLine, wait: Wait) -> None:
        self._line, self._wait = line, wait

    def power_cycle(self) -> str:
        self._line.set(False)
        try:
            self._wait(OFF_S)
        finally:
            self._line.set(True)
        return f"its supply was off for {OFF_S:.0f} s"
