"""Why the daemon starts: one word and a sentence, from what the outbox knows and the board says.

Sources: Documentation/watchdog/watchdog-api.rst of Linux (bits of `bootstatus`, read without
opening the watchdog: ABI/testing/sysfs-class-watchdog). bcm2835_wdt, the Raspberry Pi's, leaves it
0, but its firmware hands on the register PM_RSTS as `chosen/bootloader/rsts` (raspberrypi.com,
configuration of the device tree; big-endian): bit 12 power-on, bits 4 to 6 watchdog, 8 to 10
software, 0 to 2 debugger (raspberrypi/linux issue 932 and drivers/watchdog/bcm2835_wdt.c). An
ordinary reboot goes through the watchdog, too (issue 1586): only together with an end without a
goodbye it means one. A Pi 4 may show power-on after every reset (issue 4527). `chosen/power/
power_reset` of a Pi 5: bit 0 over-voltage, 1 under-voltage, 2 too hot, 4 watchdog; it may stay
until the supply was off, so it counts only after such an end. `/sys/fs/pstore` is root's alone
unless a rule opens it, and systemd-pstore empties it at the boot.
"""

from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Final

from edge.health.kernelfiles import ROOT, matching_files, read_bytes, read_number, read_table

OVERHEAT: Final = 0x01  # WDIOF_OVERHEAT
POWER_UNDER: Final = 0x10  # WDIOF_POWERUNDER
CARD_RESET: Final = 0x20  # WDIOF_CARDRESET: the watchdog has reset the board
RSTS_POWER: Final = 1 << 12
RSTS_WATCHDOG: Final = 0x70
TREE: Final = "proc/device-tree/chosen"


class Cause(StrEnum):
    """Closed: a consumer may rely on it."""

    FIRST = "first"  # no start is known before this one
    CLEAN = "clean"  # the machine was shut down or rebooted in order
    RESTART = "restart"  # of the daemon alone, in order
    CRASH = "crash"  # of the daemon alone
    POWER = "power"
    WATCHDOG = "watchdog"
    PANIC = "panic"
    UNDERVOLTAGE = "undervoltage"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Reset:
    """What the board says about its last reset; None where it says nothing."""

    bootstatus: int | None = None  # of all watchdogs together
    rsts: int | None = None
    power_reset: int | None = None
    panics: int = 0  # files that a dying kernel has left
    oom_kills: int | None = None  # since this boot


@dataclass(frozen=True, slots=True)
class Reboot:
    """Why we start, and in plain words."""

    cause: Cause
    text: str


def read_reset(root: Path = ROOT) -> Reset:
    """Look at everything that survives a reset."""
    words = [
        read_number(file)
        for file in matching_files(root, "sys/class/watchdog/watchdog*/bootstatus")
    ]
    known = [word for word in words if word is not None]
    bootstatus = None
    for word in known:
        bootstatus = (bootstatus or 0) | max(0, word)
    return Reset(
        bootstatus,
        _cell(root / TREE / "bootloader/rsts"),
        _cell(root / TREE / "power/power_reset"),
        len(matching_files(root, "sys/fs/pstore/dmesg-*")),
        read_table(root / "proc/vmstat", "oom_kill").get("oom_kill"),
    )


def reboot_cause(
    reset: Reset, *, first: bool, same_boot: bool, unclean: bool, other_box: bool = False
) -> Reboot:
    """`first`: no former start is known. `unclean`: the former one said no goodbye. `other_box`: it
    was on another board, of which this one's registers say nothing."""
    if other_box:
        text = "The first start on this box: it goes on in the place of another one."
        return Reboot(Cause.FIRST, text)
    if first:
        return Reboot(Cause.FIRST, "No earlier start is recorded on this box.")
    if same_boot and not unclean:
        return Reboot(Cause.RESTART, "The daemon was stopped and started again.")
    if same_boot:
        return Reboot(Cause.CRASH, _crash(reset.oom_kills))
    if not unclean:
        return Reboot(Cause.CLEAN, "The machine was shut down in order and started again.")
    return _hard(reset)


def _crash(oom_kills: int | None) -> str:
    sentence_text = "The daemon ended unexpectedly: it was killed, or failed."
    if not oom_kills:
        return sentence_text
    return (
        f"{sentence_text} The kernel has killed {oom_kills} processes since the boot, "
        "because memory ran out."
    )


def _hard(reset: Reset) -> Reboot:
    """The machine went down without a goodbye. What is most certain comes first."""
    status, power, rsts = reset.bootstatus or 0, reset.power_reset or 0, reset.rsts
    if reset.panics:
        return Reboot(
            Cause.PANIC,
            "The kernel panicked; its last messages are in /sys/fs/pstore.",
        )
    if status & POWER_UNDER or power & 0x02:
        return Reboot(
            Cause.UNDERVOLTAGE,
            "The supply voltage fell too low, and the board was reset.",
        )
    if status & CARD_RESET or power & 0x10:
        return Reboot(Cause.WATCHDOG, "The board's watchdog has reset a machine that hung.")
    if status & OVERHEAT or power & 0x04:
        return Reboot(
            Cause.UNKNOWN,
            "The board was too hot and reset itself: check the cabinet's ventilation.",
        )
    if rsts is not None and rsts & RSTS_WATCHDOG:
        return Reboot(
            Cause.WATCHDOG,
            "The board was reset unexpectedly and without a power cut: by its watchdog, or "
            f"after a panic of the kernel (rsts 0x{rsts:x}).",
        )
    if rsts is not None and rsts & RSTS_POWER:
        return Reboot(Cause.POWER, f"The power was cut (rsts 0x{rsts:x}).")
    register_text = "" if rsts is None else f" (rsts 0x{rsts:x})"
    return Reboot(
        Cause.UNKNOWN,
        "The machine stopped unexpectedly: by a power cut, a reset, or a kernel that hung; the "
        f"board does not report which{register_text}.",
    )


def _cell(path: Path) -> int | None:
    """One 32-bit cell of a device tree."""
    found = read_bytes(path)
    return int.from_bytes(found, "big") if found is not None and len(found) == 4 else None
