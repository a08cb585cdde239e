"""The page: its weight as sent, its memory with and without a viewer, and what a viewer costs the
daemon."""

import threading
import time
import tracemalloc
from pathlib import Path

import pytest

from edge.core import Draft, Stream
from edge.gateway.dayhistory import SLOT_NS, DayHistory
from edge.web.staticfiles import StaticFiles
from edge.wire.contract.points import Air, Gauge
from tests.bench.report import Report
from tests.kit.broker import Mosquitto
from tests.kit.gateway import LOOPS, GatewayProcess
from tests.kit.process import environment
from tests.kit.street import LoopStreet
from tests.kit.waiting import wait_until
from tests.kit.webpage import Browser, WebPage

pytestmark = pytest.mark.bench

OPENDTU_KB = 216.0  # the script of OpenDTU's page alone, gzip
GOAL_MIB = 35.0
LOOK_S = 20.0
TRIM = {"MALLOC_TRIM_THRESHOLD_": "65536", "MALLOC_MMAP_THRESHOLD_": "65536"}  # as the unit has it
COURSES = 60  # of a site with four lanes, an air sensor and a three-phase meter


def test_weight(report: Report) -> None:
    files = StaticFiles()
    raw = packed = first = 0
    for path in files.paths:
        found = files.find(path)
        assert found is not None
        raw, packed = raw + len(found.plain()), packed + len(found.packed)
        if not path.startswith(("words/zh", "static/vendor")):
            first += len(found.packed)
    how = f"{len(files.paths)} files, raw {raw / 1000:.0f}; English, no plots {first / 1000:.0f}"
    report.add("page, all of it as sent (gzip)", packed / 1000, OPENDTU_KB, "kB", "OpenDTU", how)


def test_history(report: Report) -> None:
    history = DayHistory(0)
    tracemalloc.start()
    for n in range(COURSES):
        gauge = Gauge(
            mean=1.0, n=1, min=1.0, max=1.0, sum=0, sq=0, origin=0, step=0.1, quality={"good": 1}
        )
        body = Air(covered_s=60.0, points={f"p{n}": gauge})
        history.see_records([Draft(Stream.AIR, "d", 0, SLOT_NS, body)])
    size, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    report.add(f"a day of {COURSES} points", size / 1024, 48 * 1024, "KiB", "the daemon")


def test_memory(tmp_path: Path, report: Report) -> None:
    broker = Mosquitto(tmp_path / "broker", "allow_anonymous true\n").start()
    gateway = GatewayProcess(tmp_path, broker, LOOPS, period_s=4)
    env = {**environment(), **TRIM}
    try:
        with LoopStreet(tmp_path) as street:
            gateway.start()
            wait_until((tmp_path / "run" / "control.sock").exists)
            street.drive(every_s=1.2)
            page = WebPage(tmp_path, tmp_path / "run", site=gateway.config, env=env)
            with page:  # compiles its modules and makes its certificate
                page.browser().get("/api/session")
            with page:
                time.sleep(2)
                idle = page.rss_mib()
                before = _cpu_s(gateway)
                time.sleep(LOOK_S)
                alone = _cpu_s(gateway) - before
                browser = page.browser()
                browser.log_in()
                for path in ("/", "/static/shell.js", "/static/lanes.js", "/words/en/shell.json"):
                    browser.get(path, accept_encoding="gzip")
                looking = threading.Thread(target=_look, args=(browser,))
                before = _cpu_s(gateway)
                looking.start()
                time.sleep(LOOK_S)
                looked, busy = _cpu_s(gateway) - before, page.rss_mib()
                looking.join()
    finally:
        gateway.close()
        broker.kill()
    report.add("memory (RSS) of the page, nobody looks", idle, GOAL_MIB, "MiB", "goal")
    report.add("memory (RSS) of the page, looked at", busy, GOAL_MIB, "MiB", "goal")
    what = "CPU of the daemon while somebody looks at the lanes"
    report.add(what, looked / LOOK_S * 100, alone / LOOK_S * 100, "%", "nobody looks")


def _cpu_s(gateway: GatewayProcess) -> float:
    """All of its threads."""
    tasks = Path(f"/proc/{gateway.pid}/task").glob("*/schedstat")
    return sum(int(each.read_text().split()[0]) for each in tasks) / 1e9


def _look(browser: Browser) -> None:
    end = time.monotonic() + LOOK_S
    with browser.stream("/api/events?parts=box,lanes,issues,link,queue") as found:
        while time.monotonic() < end:
            assert found.readline()
