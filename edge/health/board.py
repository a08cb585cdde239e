"""What the board reports of itself: who it is, how warm, how well fed, how much memory is left.

What it does not report is None, never 0.

Sources: Documentation/ABI/testing/sysfs-class-thermal, sysfs-devices-system-cpu and
admin-guide/cgroup-v2.rst (memory.events) of Linux. `get_throttled`: the Raspberry Pi's property
0x00030046 as `vcgencmd get_throttled` documents its bits. Its driver raspberrypi-hwmon asks every
2 s and has the firmware clear the bits "since boot" each time (drivers/hwmon/raspberrypi-hwmon.c,
`value = 0xffff`): with it they mean "in the last seconds", and `in0_lcrit_alarm` is bit 16. The
file in sysfs is the Raspberry Pi kernel's own; the first who reads it leaves a warning in its log.
"""

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from msgspec import UNSET

from edge.health.kernelfiles import (
    ROOT,
    matching_files,
    parse_number,
    read_number,
    read_table,
    read_text,
)
from edge.wire.contract.body import known
from edge.wire.contract.health import Health, Throttle

THROTTLE_BITS: Final[tuple[Throttle, ...]] = (
    "undervoltage", "frequency_capped", "throttled", "soft_temperature_limit",
)  # fmt: skip
MEMORY: Final = ("MemTotal", "MemAvailable", "SwapTotal", "SwapFree")
THROTTLE_FILES: Final = (
    "sys/devices/platform/soc*/*firmware/get_throttled",  # soc/soc:firmware on all but the newest
    "sys/devices/platform/soc*/soc*/*firmware/get_throttled",
)


@dataclass(frozen=True, slots=True)
class Board:
    """Which machine this is."""

    model: str | None = None
    serial: str | None = None


@dataclass(frozen=True, slots=True)
class Vitals:
    """How it is now. Cel, Hz, bytes. `throttled` and `seen` are words of THROTTLE_BITS: now, and of
    late."""

    cpu_temperature: float | None = None
    cpu_frequency_hz: int | None = None
    load_1min: float | None = None
    memory_available_bytes: int | None = None
    memory_total_bytes: int | None = None
    swap_used_bytes: int | None = None
    rss_bytes: int | None = None
    oom_kills: int | None = None  # of all processes, since the boot
    memory_high: int | None = None  # how often this unit was held back at MemoryHigh
    throttled: tuple[Throttle, ...] | None = None
    seen: tuple[Throttle, ...] | None = None
    undervoltage: bool | None = None

    def health(self) -> Health:
        """What a health record says of it; an alarm says whether the voltage is too low."""
        return Health(
            cpu_temperature=known(self.cpu_temperature),
            cpu_frequency_hz=known(self.cpu_frequency_hz),
            load_1min=known(self.load_1min),
            memory_available_bytes=known(self.memory_available_bytes),
            memory_total_bytes=known(self.memory_total_bytes),
            swap_used_bytes=known(self.swap_used_bytes),
            rss_bytes=known(self.rss_bytes),
            oom_kills=known(self.oom_kills),
            memory_high=known(self.memory_high),
            throttled=UNSET if self.throttled is None else list(self.throttled),
        )


@dataclass(frozen=True, slots=True)
class Space:
    """Of the file system of a folder, in bytes; `free` is what this user may still write."""

    free: int
    total: int


def read_board(root: Path = ROOT) -> Board:
    """From the device tree; a PC has its product's name instead."""
    tree = root / "proc/device-tree"
    model = read_text(tree / "model") or read_text(root / "sys/class/dmi/id/product_name")
    return Board(model or None, read_text(tree / "serial-number") or None)


def read_vitals(root: Path = ROOT) -> Vitals:
    """A look at all of it; some 15 small files."""
    found = read_table(root / "proc/meminfo", *MEMORY)
    memory = {name: kib * 1024 for name, kib in found.items()}
    word = read_throttle_word(root)
    swap, unused = memory.get("SwapTotal"), memory.get("SwapFree")
    khz = read_number(root / "sys/devices/system/cpu/cpu0/cpufreq/scaling_cur_freq")
    return Vitals(
        cpu_temperature=read_temperature(root),
        cpu_frequency_hz=None if khz is None else khz * 1000,
        load_1min=_load(root),
        memory_available_bytes=memory.get("MemAvailable"),
        memory_total_bytes=memory.get("MemTotal"),
        swap_used_bytes=None if swap is None or unused is None else swap - unused,
        rss_bytes=_rss(root),
        oom_kills=read_table(root / "proc/vmstat", "oom_kill").get("oom_kill"),
        memory_high=_unit_events(root).get("high"),
        throttled=None if word is None else _bit_words(word),
        seen=None if word is None else _bit_words(word >> 16),
        undervoltage=is_undervoltage(word, root),
    )


def read_temperature(root: Path = ROOT) -> float | None:
    """The hottest zone in Cel. A zone that is off or broken says what cannot be."""
    zones = (
        read_number(file) for file in matching_files(root, "sys/class/thermal/thermal_zone*/temp")
    )
    known = [milli / 1000 for milli in zones if milli is not None and -60_000 < milli < 200_000]
    return round(max(known), 1) if known else None


def read_throttle_word(root: Path = ROOT) -> int | None:
    """A Raspberry Pi's word: bits 0 to 3 are THROTTLE_BITS now, 16 to 19 since the boot or the last
    look."""
    for pattern in THROTTLE_FILES:
        for file in matching_files(root, pattern):
            word = read_number(file, 16)
            if word is not None:
                return word
    return None


def is_undervoltage(word: int | None, root: Path = ROOT) -> bool | None:
    """Whether the supply is too low now: as the hwmon driver says, else bit 0 of the word."""
    for name in matching_files(root, "sys/class/hwmon/hwmon*/name"):
        if read_text(name) == "rpi_volt":
            alarm = read_number(name.parent / "in0_lcrit_alarm")
            if alarm is not None:
                return alarm != 0
    return None if word is None else bool(word & 1)


def read_space(folder: Path) -> Space | None:
    """None when the file system does not answer."""
    try:
        found = os.statvfs(folder)
    except OSError:
        return None
    return Space(found.f_bavail * found.f_frsize, found.f_blocks * found.f_frsize)


def _bit_words(word: int) -> tuple[Throttle, ...]:
    return tuple(name for bit, name in enumerate(THROTTLE_BITS) if word >> bit & 1)


def _load(root: Path) -> float | None:
    words = (read_text(root / "proc/loadavg") or "").split()
    try:
        load = float(words[0])
    except (IndexError, ValueError):
        return None
    return load if 0 <= load < 1e6 else None


def _rss(root: Path) -> int | None:
    """proc_pid_statm(5): the second number, in pages."""
    words = (read_text(root / "proc/self/statm") or "").split()
    pages = parse_number(words[1]) if len(words) > 1 else None
    return None if pages is None else pages * os.sysconf("SC_PAGE_SIZE")


def _unit_events(root: Path) -> dict[str, int]:
    """memory.events of the own cgroup (version 2; beside version 1 it is mounted as `unified`)."""
    for line in (read_text(root / "proc/self/cgroup") or "").splitlines():
        if line.startswith("0::/") and ".." not in line:
            for mount in ("sys/fs/cgroup", "sys/fs/cgroup/unified"):
                events = read_table(root / mount / line[4:] / "memory.events", "high")
                if events:
                    return events
    return {}
