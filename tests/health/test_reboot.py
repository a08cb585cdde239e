"""Why the daemon starts, case by case."""

from pathlib import Path

import pytest

from edge.health.reboot import Cause, Reset, read_reset, reboot_cause
from tests.kit.kerneltrees import lay

TREE = "proc/device-tree/chosen/"


def test_a_reset_that_says_nothing_is_none(tmp_path: Path) -> None:
    assert read_reset(tmp_path) == Reset()


def test_all_that_survives_a_reset_is_read(tmp_path: Path) -> None:
    root = lay(
        tmp_path,
        {
            "sys/class/watchdog/watchdog0/bootstatus": "0\n",
            "sys/class/watchdog/watchdog1/bootstatus": "32\n",
            TREE + "bootloader/rsts": b"\x00\x00\x10\x20",
            TREE + "power/power_reset": b"\x00\x00\x00\x02",
            "sys/fs/pstore/dmesg-ramoops-0": "Panic#1",
            "sys/fs/pstore/console-ramoops-0": "login:",
            "proc/vmstat": "oom_kill 3\n",
        },
    )
    assert read_reset(root) == Reset(32, 0x1020, 2, 1, 3)
    lay(root, {TREE + "bootloader/rsts": b"\x10"})
    assert read_reset(root).rsts is None


@pytest.mark.parametrize(
    ("first", "same_boot", "unclean", "cause"),
    [
        (True, False, False, Cause.FIRST),
        (False, True, False, Cause.RESTART),
        (False, True, True, Cause.CRASH),
        (False, False, False, Cause.CLEAN),
        (False, False, True, Cause.UNKNOWN),
    ],
)
def test_the_outbox_alone_tells_most(
    first: bool, same_boot: bool, unclean: bool, cause: Cause
) -> None:
    assert reboot_cause(Reset(), first=first, same_boot=same_boot, unclean=unclean).cause is cause


@pytest.mark.parametrize(
    ("found", "cause", "said"),
    [
        (Reset(rsts=0x1000), Cause.POWER, "power was cut"),
        (Reset(rsts=0x20), Cause.WATCHDOG, "watchdog"),
        (Reset(rsts=0x200), Cause.UNKNOWN, "0x200"),
        (Reset(bootstatus=0x20, rsts=0x1000), Cause.WATCHDOG, "watchdog"),
        (Reset(bootstatus=0x30), Cause.UNDERVOLTAGE, "supply voltage"),
        (Reset(power_reset=0x02, rsts=0x1000), Cause.UNDERVOLTAGE, "supply voltage"),
        (Reset(power_reset=0x10), Cause.WATCHDOG, "watchdog"),
        (Reset(bootstatus=0x01), Cause.UNKNOWN, "too hot"),
        (Reset(panics=1, bootstatus=0x20), Cause.PANIC, "panicked"),
        (Reset(bootstatus=0), Cause.UNKNOWN, "does not report"),
    ],
)
def test_after_an_end_without_a_goodbye_the_board_is_asked(
    found: Reset, cause: Cause, said: str
) -> None:
    reboot = reboot_cause(found, first=False, same_boot=False, unclean=True)
    assert reboot.cause is cause
    assert said in reboot.text
    # an ordinary reboot goes through the watchdog, too: what the board says does not count then
    assert reboot_cause(found, first=False, same_boot=False, unclean=False).cause is Cause.CLEAN


def test_a_crash_for_want_of_memory_is_told() -> None:
    reboot = reboot_cause(Reset(oom_kills=2), first=False, same_boot=True, unclean=True)
    assert "killed 2 processes" in reboot.text
