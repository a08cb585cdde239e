"""Edges of many loops at once: what one costs on its way from the chip into the window."""

import os
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import pytest

from drivers.sim.gpio import SimChip
from edge.acquire.clock import boot_id
from edge.acquire.stage import find_segments
from edge.core import Contact
from tests.bench.report import Report
from tests.bench.rig import LONG_S, OWNER, clear_of_long_windows, write_site
from tests.kit.process import MeasuredProgram, bare_rss_mib, quiet_broker

pytestmark = pytest.mark.bench

LINES = 16
PER_S = 500  # edges of one line; above 2,000 it is closed for chatter
SECONDS = 5.0
BURST_PER_S = 5_000
BURST_S = 0.7  # beyond a second it is a storm
BURST_PAUSE_S = 1.5
BURSTS = 5
BEAT_S = 0.01  # edges wait so long in the chip, as in a busy kernel

LOOPS = '[bus.loops]\nkind = "gpio"\nchip = "sim:{path}"\n'
LANE = """
[lane.lane_{number}]
approach = "north"
bus = "loops"
lead = "loop{number}"
active = "high"
bias = "none"
"""


def names() -> list[str]:
    return [f"loop{number}" for number in range(LINES)]


@contextmanager
def chip(folder: Path) -> Iterator[SimChip]:
    folder.mkdir()
    with SimChip(names(), folder / "chip.sock") as made:
        yield made


def drive(one: SimChip, reader: MeasuredProgram) -> tuple[float, int]:
    """Seconds of CPU that the reader took, and how many edges there were."""
    requested = one.wait_requested(names(), 20)
    reader.alive()
    assert requested
    time.sleep(1.0)  # it has started
    before_s = reader.cpu_s()
    begin_ns = last_ns = time.monotonic_ns()
    step_ns = 1_000_000_000 // PER_S
    high, count = True, 0
    while last_ns - begin_ns < SECONDS * 1e9:
        time.sleep(BEAT_S)
        now_ns = time.monotonic_ns()
        while last_ns + step_ns <= now_ns:
            last_ns += step_ns
            for line in range(LINES):
                one.drive(line, high, last_ns)
            high, count = not high, count + LINES
    assert one.wait_read()
    time.sleep(0.3)
    return reader.cpu_s() - before_s, count


def bare(folder: Path) -> tuple[float, int]:
    with chip(folder) as one:
        arguments = ("tests.bench.edges", folder / "chip.sock", LINES)
        with MeasuredProgram(folder / "bare.log", *arguments) as reader:
            cpu_s, count = drive(one, reader)
            reader.send(signal.SIGTERM)
            assert reader.said()["edges"] == count
    return cpu_s, count


class OurEdges(NamedTuple):
    cpu_s: float
    edges: int
    lost: int
    rss_mib: float


def staged(run: Path) -> tuple[int, int]:
    """Edges that a daemon has in its stage, and those that it says it has lost."""
    segments = find_segments(run, boot_id(), owner=OWNER)
    read = [pair for segment in segments for pair in segment.read()]
    entries = [entry for entry, repeated in read if not repeated]
    contacts = [c for entry in entries if isinstance(entry, list) for c in entry]
    came = sum(isinstance(c, Contact) and not c.initial for c in contacts)
    return came, sum(c.lost for c in contacts if isinstance(c, Contact))


def ours(folder: Path) -> OurEdges:
    clear_of_long_windows(SECONDS + 10)
    with chip(folder) as one, quiet_broker(folder) as broker:
        lanes = [LANE.format(number=number) for number in range(LINES)]
        loops = LOOPS.format(path=folder / "chip.sock")
        site, run = write_site(folder, broker.port, loops, *lanes, period_s=LONG_S, models="true")
        with MeasuredProgram(folder / "ours.log", "edge.cli.main", "run", site) as daemon:
            cpu_s, count = drive(one, daemon)
            rss_mib = daemon.rss_mib()
    came, lost = staged(run)
    assert came + lost == count
    return OurEdges(cpu_s, count, lost, rss_mib)


def burst(one: SimChip, reader: MeasuredProgram) -> int:
    """So many edges on one line; between the bursts it is quiet, as a storming line never is."""
    assert one.wait_requested(["loop0"], 20)
    reader.alive()
    time.sleep(1.0)  # it has started
    step_ns, count = 1_000_000_000 // BURST_PER_S, 0
    for _ in range(BURSTS):
        last_ns = begin_ns = time.monotonic_ns()
        while last_ns - begin_ns < BURST_S * 1e9:
            time.sleep(BEAT_S)
            now_ns = time.monotonic_ns()
            while last_ns + step_ns <= now_ns:
                last_ns += step_ns
                one.drive("loop0", count % 2 == 0, last_ns)
                count += 1
        time.sleep(BURST_PAUSE_S)
    assert one.wait_read()
    time.sleep(0.3)
    return count


def test_a_burst_of_5_khz_through_the_queue(tmp_path: Path, report: Report) -> None:
    """Chip, kernel's buffer of 1,024, bus thread, crossing to the main loop, stage on disk."""
    clear_of_long_windows(BURSTS * (BURST_S + BURST_PAUSE_S) + 10)
    with chip(tmp_path / "wire") as one, quiet_broker(tmp_path) as broker:
        loops = LOOPS.format(path=tmp_path / "wire" / "chip.sock")
        lane = LANE.format(number=0)
        site, run = write_site(tmp_path, broker.port, loops, lane, period_s=LONG_S)
        with MeasuredProgram(tmp_path / "ours.log", "edge.cli.main", "run", site) as daemon:
            count = burst(one, daemon)
    came, lost = staged(run)
    assert (came, lost) == (count, 0)
    how = f"{BURSTS} bursts of {BURST_S} s on one line, {lost} lost; load {os.getloadavg()[0]:.1f}"
    report.add(f"edges of bursts of {BURST_PER_S:,}/s in the stage", came, count, "", "made", how)


def test_cpu_of_an_edge(tmp_path: Path, report: Report) -> None:
    run = ours(tmp_path / "ours")
    bare_s, bare_count = bare(tmp_path / "bare")
    how = f"{LINES} lines x {PER_S}/s, {run.edges:,} edges, {run.lost} of them lost and declared"
    us, bare_us = 1e6 * run.cpu_s / run.edges, 1e6 * bare_s / bare_count
    report.add("CPU of an edge, chip to window", us, bare_us, "us", "read and counted only", how)
    how = f"{LINES} lanes, all models"
    report.add(
        "memory (RSS), all models", run.rss_mib, bare_rss_mib(), "MiB", "python, asyncio", how
    )
