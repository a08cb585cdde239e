"""Files beside the database: the ledger of starts, and the quarantine for what cannot be read."""

import os
import shutil
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Final

LEDGER: Final = "ledger"
QUARANTINE: Final = "quarantine"
KEEP: Final = 2  # quarantined databases


@dataclass(frozen=True, slots=True)
class Ledger:
    """Counts that must survive the loss of the database: they keep epochs and boots apart."""

    starts: int = 0
    boots: int = 0
    boot_id: str = ""
    epoch: int = 0  # of the latest start


def read_ledger(folder: Path) -> Ledger:
    """What the last start wrote; an empty ledger when it is missing or damaged."""
    try:
        text = (folder / LEDGER).read_text(encoding="ascii")
        line, _, crc = text.rstrip("\n").rpartition(" ")
        if zlib.crc32(line.encode()) != int(crc, 16):
            return Ledger()
        starts, boots, epoch, boot_id = line.split(" ")
        return Ledger(int(starts), int(boots), boot_id, int(epoch))
    except (OSError, ValueError):
        return Ledger()


def write_ledger(folder: Path, ledger: Ledger) -> None:
    """Replace the ledger so that a power cut leaves the old one or the new one. Raises OSError."""
    line = f"{ledger.starts} {ledger.boots} {ledger.epoch} {ledger.boot_id}"
    path = folder / f"{LEDGER}.new"
    with path.open("w", encoding="ascii") as file:
        file.write(f"{line} {zlib.crc32(line.encode()):08x}\n")
        file.flush()
        os.fsync(file.fileno())
    path.replace(folder / LEDGER)
    _sync(folder)


def quarantine(folder: Path, database: str, limit_bytes: int) -> Path:
    """Move a database that cannot be used out of the way, keep two of them. Raises OSError.

    One that is larger than `limit_bytes` is cut: bounded storage comes before evidence.
    """
    home = folder / QUARANTINE
    home.mkdir(exist_ok=True)
    number = 1 + max((int(path.name) for path in _kept(home)), default=0)
    place = home / f"{number:06}"
    place.mkdir()
    for name in (database, f"{database}-wal", f"{database}-shm", f"{database}-journal"):
        if os.path.lexists(folder / name):
            (folder / name).rename(place / name)
    _sync(folder)
    for old in _kept(home)[:-KEEP]:
        shutil.rmtree(old)
    kept = _kept(home)
    while len(kept) > 1 and _bytes(home) > limit_bytes:
        shutil.rmtree(kept.pop(0))
    if _bytes(home) > limit_bytes:
        for path in place.iterdir():
            if path.is_file() and path.stat().st_size > limit_bytes // 2:
                os.truncate(path, limit_bytes // 2)
    return place


def quarantined(folder: Path) -> tuple[int, int]:
    """How many databases are in quarantine, and their bytes."""
    home = folder / QUARANTINE
    return len(_kept(home)), _bytes(home)


def _kept(home: Path) -> list[Path]:
    try:
        return sorted(path for path in home.iterdir() if path.name.isdecimal())
    except OSError:
        return []


def _bytes(home: Path) -> int:
    return sum(path.lstat().st_size for path in home.rglob("*") if not path.is_dir())


def _sync(folder: Path) -> None:
    fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)
