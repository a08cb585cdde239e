"""What is written to the card, how long it lasts at that rate, and how worn it says it is.

Sources: Documentation/admin-guide/iostats.rst of Linux, field 7 of a disk's `stat` counts sectors
of 512 bytes written. proc_pid_io(5): `write_bytes` is what this process caused to be written; what
the file system's journal adds is not in it. Documentation/driver-api/mmc/mmc-dev-attrs.rst:
`life_time` and `pre_eol_info` of an eMMC (JEDEC JESD84-B51, EXT_CSD 267 to 269); SD cards have
nothing like it. Endurance: FAILURES.md section 7, 0.4 to 1 TB of host writes for a consumer card
of 32 GB: an assumption, and reported as one.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from edge.health.countergrowth import HOUR_NS, CounterGrowth
from edge.health.kernelfiles import ROOT, parse_number, read_number, read_table, read_text
from edge.wire.contract.health import PreEol

SECTOR: Final = 512
ENDURANCE_TB: Final = 0.4  # host writes; 1 TB = 10**12 bytes
YEAR_DAYS: Final = 365.25
PRE_EOL: Final[Mapping[int, PreEol]] = {
    1: "normal",
    2: "warning",
    3: "urgent",
}  # 80 % and 90 % of spare blocks are gone


@dataclass(frozen=True, slots=True)
class Wear:
    """What an eMMC says: the used part of its life (0..1, the step's upper end), and a word."""

    life_used: float | None = None
    pre_eol: PreEol | None = None


def disk_bytes_written(disk: str, root: Path = ROOT) -> int | None:
    """Bytes written to a whole disk since the boot."""
    words = (read_text(root / "sys/block" / disk / "stat") or "").split()
    sectors = parse_number(words[6]) if len(words) > 6 else None
    return None if sectors is None or sectors < 0 else sectors * SECTOR


def own_written(root: Path = ROOT) -> int | None:
    """Bytes that this process caused to be written since it started."""
    return read_table(root / "proc/self/io", "write_bytes").get("write_bytes")


def read_wear(disk: str, root: Path = ROOT) -> Wear:
    """Nothing for an SD card, and for an eMMC that does not say."""
    device = root / "sys/block" / disk / "device"
    steps = [parse_number(word, 16) for word in (read_text(device / "life_time") or "").split()]
    known = [step for step in steps if step is not None and 1 <= step <= 11]
    life_used = round(min(1.0, max(known) / 10), 1) if known else None
    return Wear(life_used, PRE_EOL.get(read_number(device / "pre_eol_info", 16) or 0))


def life_years(bytes_day: float | None, endurance_tb: float = ENDURANCE_TB) -> float | None:
    """How long a new card lasts at this rate; None when nothing is written or nobody knows."""
    if not bytes_day or bytes_day < 0:
        return None
    return endurance_tb * 1e12 / bytes_day / YEAR_DAYS


class FlashMeter:
    """Bytes a day over the last day: of the disk (all processes), and of this one."""

    def __init__(self, endurance_tb: float = ENDURANCE_TB) -> None:
        self.endurance_tb = endurance_tb
        self._disk, self._own = CounterGrowth(), CounterGrowth()

    def see(self, mono_ns: int, disk: int | None, own: int | None) -> None:
        """The counters as they stand; each may begin anew."""
        self._disk.see(mono_ns, disk)
        self._own.see(mono_ns, own)

    def disk_day(self, watched_ns: int = HOUR_NS) -> float | None:
        """Bytes a day of the whole disk, None before it was watched for so long."""
        return self._disk.per_day(watched_ns)

    def own_day(self, watched_ns: int = HOUR_NS) -> float | None:
        """Bytes a day of this process, without what the file system adds."""
        return self._own.per_day(watched_ns)

    def years(self, watched_ns: int = HOUR_NS) -> float | None:
        """What a new card of this endurance lasts at the disk's rate."""
        return life_years(self.disk_day(watched_ns), self.endurance_tb)
