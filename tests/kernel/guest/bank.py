"""A bank of simulated GPIO lines in the guest's kernel, made and pulled through gpio-sim."""

import time
from collections.abc import Sequence
from pathlib import Path
from typing import Final

CONFIG: Final = Path("/sys/kernel/config/gpio-sim")
DEVICES: Final = Path("/sys/devices/platform")


class Bank:
    """Appears when built. `path` is its character device; every line is pulled low at first."""

    def __init__(self, lines: Sequence[str], name: str = "cabinet") -> None:
        self.lines = tuple(lines)
        self.driven: list[tuple[int | str, bool, int]] = []  # line, level, monotonic ns
        self._config = CONFIG / name
        self._bank = self._config / "bank"
        self._bank.mkdir(parents=True)
        (self._bank / "num_lines").write_text(str(len(lines)))
        (self._bank / "label").write_text(name)
        for number, line in enumerate(lines):
            if line:
                folder = self._bank / f"line{number}"
                folder.mkdir()
                (folder / "name").write_text(line)
        self.plug()

    def plug(self) -> None:
        """The chip appears."""
        (self._config / "live").write_text("1")
        chip = (self._bank / "chip_name").read_text().strip()
        self.path = f"/dev/{chip}"
        self._attributes = DEVICES / (self._config / "dev_name").read_text().strip() / chip

    def unplug(self) -> None:
        """The chip vanishes, whoever has lines of it."""
        (self._config / "live").write_text("0")

    def close(self) -> None:
        """Nothing of it stays."""
        self.unplug()
        for number, line in enumerate(self.lines):
            if line:
                (self._bank / f"line{number}").rmdir()
        self._bank.rmdir()
        self._config.rmdir()

    def pulls(self, line: str | int) -> Path:
        """The attribute that pulls a line: pull-up or pull-down."""
        return self._attribute(line) / "pull"

    def pull(self, line: str | int, high: bool) -> None:
        """Drive a line from outside."""
        self.pulls(line).write_text("pull-up" if high else "pull-down")

    def drive(self, line: int | str, level: bool | None, mono_ns: int) -> None:
        """As `drivers.sim.gpio.SimChip` has it; the kernel stamps the edge, not we."""
        self.driven.append((line, bool(level), time.monotonic_ns()))
        self.pull(line, bool(level))

    def wait_read(self, most: int = 0, timeout_s: float = 10.0) -> bool:
        """Nobody knows here what has been read."""
        return True

    def pulled(self, line: str | int) -> str:
        """Which way a line is pulled now, by us or by the bias that its user asked for."""
        return self.pulls(line).read_text().strip()

    def level(self, line: str | int) -> str:
        """The level of a line, which its user may drive: 0 or 1."""
        return (self._attribute(line) / "value").read_text().strip()

    def _attribute(self, line: str | int) -> Path:
        number = self.lines.index(line) if isinstance(line, str) else line
        return self._attributes / f"sim_gpio{number}"
