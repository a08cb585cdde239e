"""gpiozero on any Linux board: a pin factory over libgpiod 2.

Derived from gpiozero's Factory itself, not from its PiFactory: nothing here knows a revision of a
Raspberry Pi. Named `kerbstone` in the entry points: GPIOZERO_PIN_FACTORY=kerbstone.
"""

import difflib
import os
import time
from collections.abc import Callable, Hashable
from types import MappingProxyType
from typing import Final

from gpiozero import PinInvalidPin
from gpiozero.pins import BoardInfo, Factory, HeaderInfo, PinInfo

from drivers.buses.gpio.chip import GpioChip, open_chip
from drivers.buses.gpio.pin import GpiodPin
from drivers.buses.gpio.watcher import Watcher

CHIP_VARIABLE: Final = "KERBSTONE_GPIOCHIP"  # which chip, when gpiozero builds the factory itself
DEFAULT_CHIP: Final = "/dev/gpiochip0"


class GpiodFactory(Factory):
    """Pins of one GPIO chip: a path, `sim:` and the path of a simulator's socket, or a chip.

    `add_reader` and `remove_reader` of an event loop make gpiozero's callbacks arrive in the
    loop's thread; without them one thread reads all edges, which starts when one is needed.
    Raises OSError when the chip cannot be opened. A line answers to its offset (as number or as
    text), to its name in the device tree, and to GPIO<offset> where no other line is called so.
    """

    def __init__(
        self,
        chip: str | GpioChip = "",
        *,
        add_reader: Callable[[int, Callable[[], None]], object] | None = None,
        remove_reader: Callable[[int], object] | None = None,
        consumer: str = "kerbstone",
    ) -> None:
        super().__init__()  # type: ignore[no-untyped-call]  # gpiozero has no types
        # gpiozero calls a factory from an entry point without arguments: this is the one way in
        chip = chip or os.environ.get(CHIP_VARIABLE, DEFAULT_CHIP)
        self.chip = open_chip(chip)
        self._own_chip = isinstance(chip, str)
        self.consumer = consumer
        self._add, self._remove = add_reader, remove_reader
        self._watcher: Watcher | None = None
        self._pins: dict[int, GpiodPin] = {}
        try:
            self._board, self._lines = _board(self.chip)
        except OSError:
            self.close()
            raise

    def close(self) -> None:
        """Give back all lines, and the chip if it was opened here."""
        for pin in self._pins.values():
            pin.close()
        self._pins.clear()
        if self._watcher is not None:
            self._watcher.close()
            self._watcher = None
        if self._own_chip:
            self.chip.close()

    def pin(self, name: Hashable) -> GpiodPin:
        """The pin of a line; always the same object for the same line."""
        line = self._lines.get(name)
        if line is None:
            raise PinInvalidPin(self._no_line(name))
        if line not in self._pins:
            info = self._board.headers["lines"].pins[line + 1]
            self._pins[line] = GpiodPin(self, info, line)
        return self._pins[line]

    def add_reader(self, fd: int, callback: Callable[[], None]) -> object:
        if self._add is not None:
            return self._add(fd, callback)
        if self._watcher is None:
            self._watcher = Watcher()
        self._watcher.add(fd, callback)
        return None

    def remove_reader(self, fd: int) -> object:
        if self._remove is not None:
            return self._remove(fd)
        return self._watcher is not None and self._watcher.remove(fd)

    def ticks(self) -> int:
        """CLOCK_MONOTONIC in ns: the kernel stamps edges with the same clock."""
        return time.monotonic_ns()

    def ticks_diff(self, later: int, earlier: int) -> float:
        return (later - earlier) / 1e9

    def _get_board_info(self) -> BoardInfo:
        return self._board

    def _no_line(self, name: Hashable) -> str:
        info = self.chip.get_info()
        near = difflib.get_close_matches(str(name), [str(n) for n in self._lines], n=1)
        return (
            f"the chip {info.label} has no line {name}; it has {info.num_lines}, "
            f"0 to {info.num_lines - 1}" + (f"; did you mean {near[0]}?" if near else "")
        )


def _board(chip: GpioChip) -> tuple[BoardInfo, MappingProxyType[Hashable, int]]:
    """What gpiozero wants to know of a board, and which line each name means."""
    count = chip.get_info().num_lines
    named = [chip.get_line_info(line).name or "" for line in range(count)]
    # a name that two lines bear means neither of them; a name that is a number means the offset
    lines: dict[Hashable, int] = {
        name: line for line, name in enumerate(named) if name and named.count(name) == 1
    }
    for line in range(count):
        lines[line] = lines[str(line)] = line
        if f"GPIO{line}" not in named:
            lines[f"GPIO{line}"] = line
    pins = {
        # gpiozero uses PinInfo as a key: all in it must be hashable
        line + 1: PinInfo(
            line + 1,
            _own_name(line, lines),
            frozenset(name for name, i in lines.items() if i == line),
            "",
            line + 1,
            1,
            ("gpio",),
        )
        for line in range(count)
    }
    headers = {"lines": HeaderInfo("lines", count, 1, pins)}
    blank = dict.fromkeys(BoardInfo._fields, 0) | {"model": "linux", "board": ""}
    return BoardInfo(**(blank | {"headers": headers})), MappingProxyType(lines)


def _own_name(line: int, lines: dict[Hashable, int]) -> str:
    usual = f"GPIO{line}"
    return usual if lines.get(usual) == line else str(line)
