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
from tests.kit.subscribed import events
from tests.kit.watchdog import manager, wait_for

STOPPED_S: Final = 60.0 if ALL else 4.0
ROOM: Final = 24 << 20  # bytes that a process may still take before its group is full


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


@pytest.fixture
def group() -> Iterator[Path]:
    """A group of processes with a limit of memory of its own, if we may make one."""
    v2, v1 = Path("/sys/fs/cgroup"), Path("/sys/fs/cgroup/memory")
    place = (v1 if v1.is_dir() else v2) / f"kerbstone-faults-{os.getpid()}"
    try:
        place.mkdir()
    except OSError as error:
        pytest.skip(f"no group of processes may be made here: {error}")
    try:
        if not limit_file(place).exists():
            pytest.skip("the groups of processes here do not limit memory")
        yield place
    finally:
        place.rmdir()


def limit_file(group: Path) -> Path:
    v1 = group / "memory.limit_in_bytes"
    return v1 if v1.exists() else group / "memory.max"


@only_with_all
def test_a_leak_ends_at_the_groups_limit_and_the_next_start_goes_on(
    tmp_path: Path, broker: Mosquitto, one: SickSite, group: Path
) -> None:
    records = Records(broker, tmp_path, "--check", "--filter", UP)
    one.start()
    records.wait(lambda r: len(r.of("air")) >= 2)
    (group / "cgroup.procs").write_text(str(one.pid))
    limit_file(group).write_text(str(ROOM))
    (tmp_path / "leak").touch()
    assert one.ended() == -signal.SIGKILL, one.log.read_text()[-2000:]
    (tmp_path / "leak").unlink()
    epoch = last_epoch(records)
    one.start()
    records.wait(lambda r: [a for a in r.of("air") if a["epoch"] > epoch])
    assert [g for g in events(records.all(), "gap") if g["epoch"] > epoch]
    assert one.stop() == 0
    code, said = records.stop()
    assert code == 0, said
