"""The wall clock is set while the daemon runs: records go on, without a hole and without overlap.

In one test the daemon runs here, with a wall clock that the test sets; in the other it is a process
of its own under libfaketime. Monotonic time is real in both.
"""

import asyncio
import shutil
import sqlite3
import sys
import time
from collections.abc import Callable
from contextlib import closing
from datetime import datetime
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

import drivers
from edge.acquire.clock import SystemClock
from edge.config import load_site
from edge.core import Stamp
from edge.core.release import RELEASED_NS
from edge.gateway.daemon import Daemon, know_the_past
from edge.kernelclock import Discipline
from edge.outbox import AsyncOutbox
from edge.uplink.sender import Sender
from tests.kit.broker import Mosquitto
from tests.kit.clock import NTP
from tests.kit.faketime import FakeWall, needs_faketime
from tests.kit.gateway import LOOPS, GatewayProcess, Records
from tests.kit.street import LoopStreet
from tests.kit.subscribed import ALL, end_us, events, once

S = 1_000_000_000
HOUR, DAY = 3600 * S, 86_400 * S
YEAR = 365 * DAY
NEAR = S // 10
BUSY_US = 10_000_000
# what a container cannot have: a kernel that says synchronised
SYNCED = """
import sys
from edge.acquire import clock
from edge.kernelclock import Discipline
clock.SystemClock.__init__.__kwdefaults__["kernel"] = lambda: Discipline(True, 0)
from edge.cli.main import main
sys.exit(main())
"""


class SteppedWall:
    """A wall clock that stands `shift_ns` beside the true one, and a kernel that trusts it or not.

    It starts in 1970 and is not trusted, as that of a board without a battery.
    """

    def __init__(self) -> None:
        # when this boot began: near the release, since what is far from it is watched for minutes
        self.true_ns = RELEASED_NS + 10 * DAY - time.monotonic_ns()
        self.shift_ns, self.synced = -self.true_ns, False

    def clock(self, root: Path) -> SystemClock:
        return SystemClock(
            root=root,
            wall_ns=lambda: time.monotonic_ns() + self.true_ns + self.shift_ns,
            kernel=lambda: Discipline(self.synced, 1000),
        )

    def beside_ns(self, record: dict[str, Any]) -> int:
        """How far beside the true time a record is dated."""
        reported_ns = round(datetime.fromisoformat(record["to"]).timestamp() * 1000) * 1_000_000
        return reported_ns - end_us(record) * 1000 - self.true_ns


def came_since(records: Records, at_ns: int) -> list[dict[str, Any]]:
    """Windows that began after this moment."""
    return [r for r in records.of("traffic") if r["mono"][0] * 1000 > at_ns]


STEPS = [  # how far beside, and what is thought of it when the kernel says that it is right
    (0, "ntp"),
    (20 * YEAR, "none"),  # not to be believed yet: one answer is too few
    (-HOUR, "ntp"),
    (-HOUR - S, "ntp"),  # a leap second
    (-10 * YEAR, "none"),  # not to be believed: this version is younger
    (0, "ntp"),
]


async def test_a_clock_that_is_set_while_the_daemon_runs_does_no_harm(
    tmp_path: Path,
    broker: Mosquitto,
    site: Callable[..., GatewayProcess],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    wall, in_thread = SteppedWall(), asyncio.to_thread  # what blocks must not block the daemon
    one = site(LOOPS, period_s=1)
    daemon = Daemon(load_site(one.config, drivers.catalogue()), wall.clock(tmp_path))
    seen: list[bool] = []
    dates = Sender.add_mark

    def see(sender: Sender, now: Stamp) -> None:
        """From here on records are dated by it."""
        if not sender.knows_clock(now):
            seen.append(now.tq in durable_marks(one.folder / "store", tmp_path / f"cut{len(seen)}"))
        dates(sender, now)

    monkeypatch.setattr(Sender, "add_mark", see)
    records = await in_thread(Records, broker, tmp_path, *ALL)
    with LoopStreet(tmp_path):
        running = asyncio.create_task(daemon.run())
        try:
            await in_thread(records.wait, lambda r: r.of("traffic"))
            for wall.shift_ns, tq in STEPS:
                wall.synced, at_ns = True, time.monotonic_ns()

                def is_dated(so_far: Records, at_ns: int = at_ns, tq: str = tq) -> bool:
                    """A new record has come, and is dated as the clock stands."""
                    return any(
                        r["tq"] == tq
                        and (tq == "none" or abs(wall.beside_ns(r) - wall.shift_ns) < NEAR)
                        for r in came_since(so_far, at_ns)
                    )

                await in_thread(records.wait, is_dated)
                assert not running.done()
        finally:
            daemon.stop()
            await running
    found = list(records.all())
    code, said = await in_thread(records.stop)
    assert code == 0, said
    check_windows(found, period_us=1_000_000)
    why = [event["reason"] for event in events(found, "clock")]
    assert why == ["synchronised", "step", "step"]  # not for 20 years, nor at the leap second
    check_marked(found)
    dated = [wall.beside_ns(r) for r in once(found, "traffic") if r["tq"] == "ntp"]
    believed = [shift_ns for shift_ns, tq in STEPS if tq == "ntp"]
    assert all(any(abs(reported - one) < NEAR for one in believed) for reported in dated)
    assert once(found, "traffic")[0]["tq"] == "none"
    assert len(seen) >= len(STEPS)
    assert all(seen), "a power cut would have taken what dated records"


def durable_marks(store: Path, copy: Path) -> set[str]:
    """Qualities of the clock's marks that a power cut leaves."""
    shutil.copytree(store, copy)
    with closing(sqlite3.connect(copy / "outbox.db")) as database:
        return {tq for (tq,) in database.execute("SELECT tq FROM clock")}


def check_windows(found: list[dict[str, Any]], period_us: int) -> None:
    """They follow each other without a hole; only those that were cut are short."""
    lane = once(found, "traffic")
    assert [r["seq"] for r in lane] == list(range(1, len(lane) + 1))
    assert all(a["mono"][1] == b["mono"][0] for a, b in pairwise(lane))
    cuts = {event["mono"][0] for event in events(found, "clock")}
    for r in lane[1:-1]:  # the first and the last are those of the start and of the stop
        length = r["mono"][1] - r["mono"][0]
        assert length <= 1.5 * period_us
        assert length >= period_us / 4 or r["mono"][1] in cuts


def check_marked(found: list[dict[str, Any]]) -> None:
    """A window that straddles a step says so: the one that was cut, or on a busy machine the one
    that had ended just before."""
    marked = [r["mono"] for r in once(found, "traffic") if "uncertain:clock" in quality(r)]
    for event in events(found, "clock"):
        if event["reason"] == "step":
            at_us = end_us(event)
            assert any(start < at_us and at_us - end < BUSY_US for start, end in marked), event


def quality(record: dict[str, Any]) -> str:
    return str(record["quality"])


async def test_a_restart_in_a_boot_that_was_certain_does_not_watch_again(tmp_path: Path) -> None:
    """The box slept for a year, was certain after minutes, and its program is replaced."""
    wall = SteppedWall()
    wall.shift_ns, wall.synced = YEAR, True
    for certain in (False, True):
        began_ns = wall.true_ns + wall.shift_ns
        writer = await AsyncOutbox.start(
            tmp_path / "outbox", limit_bytes=8 << 20, boot_id="a", ballast_bytes=0
        )
        clock = wall.clock(tmp_path)
        await know_the_past(clock, writer)
        assert clock.now().tq == ("ntp" if certain else "floor")
        mono_ns = time.monotonic_ns()
        await writer.commit((), {"x": (1, b"")}, Stamp(mono_ns, began_ns + mono_ns, NTP))
        await writer.close()


class Faked(GatewayProcess):
    """A daemon whose wall the test sets, while monotonic time is real.

    Its time service is an authentic one, so that it is believed at once.
    """

    def start(self) -> None:
        self.wall = FakeWall(self.folder)
        text = self.config.read_text()
        self.config.write_text(text.replace("[site]\n", '[site]\ntime = "nts"\n', 1))
        self.command = (*self.wall.command, sys.executable, "-c", SYNCED)  # type: ignore[misc]
        super().start()


@needs_faketime
def test_a_process_whose_clock_is_set_goes_on(tmp_path: Path, broker: Mosquitto) -> None:
    records = Records(broker, tmp_path, *ALL)
    one = Faked(tmp_path, broker, LOOPS, period_s=1)
    try:
        with LoopStreet(tmp_path):
            one.start()
            records.wait(lambda r: r.of("traffic"))
            for shift in ("+20y", "-10y", "+0"):
                at_ns = time.monotonic_ns()
                one.wall.set(shift)
                records.wait(lambda r, at=at_ns: came_since(r, at))  # type: ignore[misc]
            assert one.stop() == 0, one.log.read_text()
    finally:
        one.close()
    found = list(records.all())
    code, said = records.stop()
    assert code == 0, said
    check_windows(found, period_us=1_000_000)
    check_marked(found)
    assert [event["reason"] for event in events(found, "clock")] == ["step"] * 2
    years = {r["to"][:4] for r in once(found, "traffic") if r["tq"] == "nts"}
    now = time.gmtime().tm_year
    assert years == {str(now), str(now + 20)}
