"""Faults of the process: starved, blocked, leaking; with a real daemon and a real broker."""

import os
import signal
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest

from tests.faults.slowly import ALL, only_with_all
from tests.faults.traced import AIR, EVERY_S, UP, polls, sensor
from tests.kit.broker import Mosquitto
from tests.kit.gateway import GatewayProcess, Records
from tests.kit.hugesite import huge_site
from tests.kit.memorygroup import MemoryGroup
from tests.kit.subscribed import events
from tests.kit.watchdog import manager, wait_for
from tests.system.changingbox import ChangingBox, TriedBox

STOPPED_S: Final = 60.0 if ALL else 4.0
ROOM: Final = 24 << 20  # bytes that a process may still take before its group is full
TRIAL_ROOM: Final = 40 << 20  # the same; a start with the former configuration needs less


class SickSite(GatewayProcess):
    command = (sys.executable, "-m", "tests.faults.sick")

    @property
    def pid(self) -> int:
        assert self._daemon is not None
        return self._daemon.pid

    def ended(self) -> int:
        """Waits for it to end by itself; the code."""
        assert self._daemon is not None
        return self._daemon.wait(120)


@pytest.fixture
def one(tmp_path: Path, broker: Mosquitto, monkeypatch: pytest.MonkeyPatch) -> Iterator[SickSite]:
    monkeypatch.setenv("SICK", str(tmp_path))
    os.mkfifo(tmp_path / "never")
    with sensor(tmp_path):
        made = SickSite(tmp_path, broker, AIR, period_s=1)
        yield made
        made.close()


def test_a_main_loop_that_is_blocked_feeds_no_watchdog_and_a_restart_heals_it(
    tmp_path: Path, broker: Mosquitto, one: SickSite, monkeypatch: pytest.MonkeyPatch
) -> None:
    records = Records(broker, tmp_path, "--check", "--filter", UP)
    with manager(tmp_path, monkeypatch) as systemd:
        one.start()
        for _ in range(3):
            systemd.fed()
        (tmp_path / "block").touch()
        wait_for(tmp_path / "blocked", one.log.read_text)
        systemd.starved()
        assert one.running, "alive, and no use to anybody"
        one.kill()  # as systemd does
        (tmp_path / "block").unlink()
        epoch = last_epoch(records)
        one.start()
        systemd.fed()
    records.wait(lambda r: [a for a in r.of("air") if a["epoch"] > epoch])
    assert [g for g in events(records.all(), "gap") if g["epoch"] > epoch], "it was away"
    assert one.stop() == 0
    code, said = records.stop()
    assert code == 0, said


def last_epoch(records: Records) -> int:
    return max((r["epoch"] for r in records.all() if r["kind"] == "record"), default=0)


@only_with_all
def test_a_processor_that_is_throttled_to_a_fifth_delays_and_loses_nothing(
    tmp_path: Path, broker: Mosquitto, one: SickSite
) -> None:
    """Stopped for 80 ms of each 100, as a hot board's governor or a neighbour does it."""
    records, over = Records(broker, tmp_path, "--check", "--filter", UP), threading.Event()

    def throttle() -> None:
        while not over.is_set():
            os.kill(one.pid, signal.SIGSTOP)
            over.wait(0.08)
            os.kill(one.pid, signal.SIGCONT)
            time.sleep(0.02)

    one.start()
    records.wait(lambda r: len(r.of("air")) >= 2)
    thread = threading.Thread(target=throttle)
    thread.start()
    try:
        begun = polls(records)[-1]
        count = len(records.of("air"))
        records.wait(lambda r: len(r.of("air")) >= count + 5)
    finally:
        over.set()
        thread.join()
    found = [at for at in polls(records) if at > begun]
    assert len(found) > 0.7 * (found[-1] - found[0]) / EVERY_S
    assert events(records.all(), "sensor_fault") == []
    assert events(records.all(), "bus") == []
    assert one.stop() == 0
    code, said = records.stop()
    assert code == 0, said


@only_with_all
def test_stopped_for_long_it_takes_nobody_for_hung_and_goes_on(
    tmp_path: Path, broker: Mosquitto, one: SickSite
) -> None:
    """Longer than a keep-alive would be needed for; `FAULTS=all` stops it for a minute."""
    records = Records(broker, tmp_path, "--check", "--filter", UP)
    one.start()
    records.wait(lambda r: len(r.of("air")) >= 2)
    os.kill(one.pid, signal.SIGSTOP)
    time.sleep(STOPPED_S)
    os.kill(one.pid, signal.SIGCONT)
    resumed_us = time.monotonic_ns() // 1000
    records.wait(lambda r: [a for a in r.of("air") if a["mono"][0] > resumed_us])
    found = records.all()
    assert events(found, "bus") == events(found, "sensor_fault") == []
    assert one.stop() == 0
    code, said = records.stop()
    assert code == 0, said


@only_with_all
def test_a_leak_ends_at_the_groups_limit_and_the_next_start_goes_on(
    tmp_path: Path, broker: Mosquitto, one: SickSite, group: MemoryGroup
) -> None:
    records = Records(broker, tmp_path, "--check", "--filter", UP)
    one.start()
    records.wait(lambda r: len(r.of("air")) >= 2)
    group.add(one.pid)
    group.limit(ROOM)
    (tmp_path / "leak").touch()
    assert one.ended() == -signal.SIGKILL, one.log.read_text()[-2000:]
    assert group.kills == 1
    (tmp_path / "leak").unlink()
    epoch = last_epoch(records)
    one.start()
    records.wait(lambda r: [a for a in r.of("air") if a["epoch"] > epoch])
    assert [g for g in events(records.all(), "gap") if g["epoch"] > epoch]
    assert one.stop() == 0
    code, said = records.stop()
    assert code == 0, said


class GroupedBox(TriedBox):
    """It is in a group of processes from its first byte on, as systemd starts a unit."""

    def __init__(self, folder: Path, broker: Mosquitto, *, group: MemoryGroup) -> None:
        super().__init__(folder, broker)
        self.command = (*group.command, *TriedBox.command)  # type: ignore[misc]
        self.ends: list[int] = []

    def start_again(self) -> None:
        """As systemd does it, when it has ended."""
        if not self.running:
            self.ends.append(self.process.returncode)
            self.start()


@only_with_all
def test_a_file_that_fills_the_memory_in_its_trial_is_killed_by_the_kernel_and_rolled_back(
    tmp_path: Path, broker: Mosquitto, monkeypatch: pytest.MonkeyPatch, group: MemoryGroup
) -> None:
    """1,900 meters, where the group has room for some hundred."""
    monkeypatch.setenv("STATE_DIRECTORY", str(tmp_path / "state"))
    monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "nobody"))

    with ChangingBox(tmp_path, broker, kind=GroupedBox, group=group) as box:
        gateway = box.gateway
        assert isinstance(gateway, GroupedBox)
        group.limit(group.used + TRIAL_ROOM)
        gateway.apply(huge_site(gateway.text), code=None)

        def is_rolled_back() -> bool:
            gateway.start_again()
            return gateway.status().get("state") == "rolled_back"

        gateway.until(is_rolled_back, 300)
        assert gateway.ends == [-signal.SIGKILL] * len(gateway.ends)
        assert group.kills == len(gateway.ends) >= 2, (
            "when it was taken, and in the start that had it"
        )
        assert gateway.status()["reason"] == "bad_start", gateway.log.read_text()[-2000:]
        box.records.wait(lambda r: ("rolled_back", "bad_start") in box.changes())
        count = len(box.records.of("traffic"))
        box.records.wait(lambda r: len(r.of("traffic")) > count)
        box.finish()
        assert box.twice() == []
        assert group.kills == len(gateway.ends), "and nobody afterwards"
