"""A log with an end, in virtual time."""

import logging
import threading
from collections.abc import Iterator

import pytest

from edge.health.countergrowth import DAY_NS, HOUR_NS
from edge.health.loglimit import KINDS_LIMIT, LogLimit
from tests.kit.clock import VirtualClock

MINUTE_NS = 60_000_000_000


class Lines(logging.Handler):
    """Keeps what is written."""

    def __init__(self) -> None:
        super().__init__()
        self.lines: list[str] = []
        self.setFormatter(logging.Formatter("%(levelname)s %(name)s: %(message)s"))

    def emit(self, record: logging.LogRecord) -> None:
        self.lines.append(self.format(record))


class LimitedLog:
    """A logger, its handler, its limit, and a clock that stands."""

    def __init__(self, budget: int) -> None:
        self.clock = VirtualClock(5 * HOUR_NS)
        self.handler = Lines()
        self.limit = LogLimit(self.handler, self.clock, budget)
        self.limit.install()
        self.log = logging.Logger("kerbstone.bus")
        self.log.addHandler(self.handler)

    @property
    def lines(self) -> list[str]:
        return self.handler.lines

    @property
    def size(self) -> int:
        return sum(len(line) + 1 for line in self.lines)


@pytest.fixture
def bench() -> Iterator[LimitedLog]:
    made = LimitedLog(4 << 20)
    yield made
    made.limit.remove()
    assert made.handler.filters == []


def test_ten_of_a_kind_pass_then_one_a_minute(bench: LimitedLog) -> None:
    for number in range(100):
        bench.log.warning("meter %d is silent", number)
    assert len(bench.lines) == 10
    for _ in range(30):
        bench.clock.mono_ns += MINUTE_NS
        bench.log.warning("meter %d is silent", 1)
        bench.log.warning("meter %d is silent", 2)
    assert len(bench.lines) == 40
    bench.log.warning("another kind")
    assert bench.lines[-1] == "WARNING kerbstone.bus: another kind"


def test_what_is_left_out_is_told_once_an_hour(bench: LimitedLog) -> None:
    for _ in range(50):
        bench.log.warning("meter %d is silent", 1)
    bench.log.warning("once")
    bench.clock.mono_ns += HOUR_NS
    bench.limit.tick()
    reported = [line for line in bench.lines if "left out" in line]
    assert reported == [
        "WARNING kerbstone.log: 40 lines were left out of the log since the last such line: "
        "40 of kerbstone.bus: 'meter %d is silent'"
    ]
    bench.clock.mono_ns += HOUR_NS
    bench.log.warning("once")
    assert len([line for line in bench.lines if "left out" in line]) == 1
    assert bench.limit.counts().suppressed == 40


def test_a_day_of_any_flood_costs_its_budget_and_no_more() -> None:
    bench = LimitedLog(20_000)
    for step in range(5000):
        bench.clock.mono_ns += DAY_NS // 5001
        bench.log.error("kind %d of many " % (step % 400) + "x" * 50)  # noqa: UP031
        bench.log.critical("the end is near, says somebody again and again")
    assert 20_000 <= bench.size <= 40_000
    counts = bench.limit.counts()
    assert counts.bytes == pytest.approx(bench.size, rel=0.02)
    assert counts.flood == "kerbstone.bus: the end is near, says somebody again and again"
    bench.clock.mono_ns += DAY_NS // 100
    bench.log.error("a new day")
    assert bench.lines[-1].endswith("a new day")
    assert bench.limit.counts().flood is None
    for _ in range(10):
        bench.log.error("x" * 3000)
    flood = bench.limit.counts().flood
    assert flood is not None
    assert flood.startswith("kerbstone.bus: xxx")  # the loudest of this day


def test_the_loudest_is_the_loudest_of_today() -> None:
    bench = LimitedLog(2_000)
    for day in ("monday", "tuesday"):
        for number in range(10 if day == "monday" else 8):
            bench.log.info(day + " %d " + "x" * 300, number)
        flood = bench.limit.counts().flood
        assert flood is not None
        assert flood.startswith(f"kerbstone.bus: {day}")
        bench.clock.mono_ns += DAY_NS


def test_first_lines_and_critical_ones_pass_a_budget_that_is_used_up() -> None:
    bench = LimitedLog(2_000)
    for number in range(10):
        bench.log.info("%d " + "x" * 300, number)
    assert bench.limit.counts().flood is not None
    before = len(bench.lines)
    bench.log.info("%d " + "x" * 300, 11)
    assert len(bench.lines) == before
    bench.log.info("something new")
    bench.log.critical("%d " + "x" * 300, 12)
    assert len(bench.lines) == before + 2


def test_the_number_of_kinds_that_are_kept_has_an_end(bench: LimitedLog) -> None:
    for _ in range(20):
        bench.log.warning("the oldest")
    for number in range(3 * KINDS_LIMIT):
        bench.log.warning(f"made up {number}")  # a template each, against all advice
    assert len(bench.limit._kinds) == KINDS_LIMIT
    assert len(bench.limit._cost) <= KINDS_LIMIT + 1
    bench.clock.mono_ns += HOUR_NS
    bench.limit.tick()
    assert "10 lines were left out" in bench.lines[-1]


def test_a_line_that_cannot_be_said_is_no_exception_of_the_filter(bench: LimitedLog) -> None:
    record = logging.LogRecord("k", logging.ERROR, "", 0, "%d", ("no number",), None)
    assert bench.limit.filter(record)

    class Odd:
        def __str__(self) -> str:
            raise RuntimeError

    assert bench.limit.filter(logging.LogRecord("k", logging.ERROR, "", 0, Odd(), (), None))


def test_a_template_cannot_break_the_hourly_line(bench: LimitedLog) -> None:
    for _ in range(20):
        bench.log.warning("two\nlines\x1b[31m")
    bench.clock.mono_ns += HOUR_NS
    bench.limit.tick()
    assert "\n" not in bench.lines[-1]
    assert "\x1b" not in bench.lines[-1]


def test_threads_may_log_at_the_same_time(bench: LimitedLog) -> None:
    def much() -> None:
        for _ in range(200):
            bench.log.warning("from a thread")

    threads = [threading.Thread(target=much) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    counts = bench.limit.counts()
    assert (counts.lines, counts.suppressed) == (10, 790)
    assert len(bench.lines) == 10
