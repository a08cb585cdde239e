"""Simulated GPIO lines in the guest's kernel, made and pulled through gpio-sim.

Source: Linux include/uapi/linux/gpio.h, struct gpio_v2_line_info.
"""

import fcntl
import os
import struct
from collections.abc import Sequence
from pathlib import Path
from typing import Final

CONFIG: Final = Path("/sys/kernel/config/gpio-sim/rig")
DEVICES: Final = Path("/sys/devices/platform")
GET_LINE_INFO: Final = 0xC100B405  # GPIO_V2_GET_LINEINFO_IOCTL
INFO_BYTES, OFFSET_AT, FLAGS_AT, USED = 256, 64, 72, 1


class SimLines:
    """Appears when built. `path` is its character device; every line is pulled low at first."""

    def __init__(self, names: Sequence[str]) -> None:
        self._numbers = {name: number for number, name in enumerate(names)}
        bank = CONFIG / "bank"
        bank.mkdir(parents=True)
        (bank / "num_lines").write_text(str(len(names)))
        (bank / "label").write_text("rig")
        for number, name in enumerate(names):
            line = bank / f"line{number}"
            line.mkdir()
            (line / "name").write_text(name)
        (CONFIG / "live").write_text("1")
        chip = (bank / "chip_name").read_text().strip()
        self.path = f"/dev/{chip}"
        lines = DEVICES / (CONFIG / "dev_name").read_text().strip() / chip
        self._pulls = [lines / f"sim_gpio{number}" / "pull" for number in range(len(names))]

    def pull(self, name: str, high: bool) -> None:
        """Drive a line from outside."""
        self._pulls[self._numbers[name]].write_text("pull-up" if high else "pull-down")

    def used(self, name: str) -> bool:
        """Whether a program has requested it."""
        info = bytearray(INFO_BYTES)
        struct.pack_into("=I", info, OFFSET_AT, self._numbers[name])
        chip = os.open(self.path, os.O_RDWR | os.O_CLOEXEC)
        try:
            fcntl.ioctl(chip, GET_LINE_INFO, info)
        finally:
            os.close(chip)
        return bool(struct.unpack_from("=Q", info, FLAGS_AT)[0] & USED)
