"""How well a serial line is used: eight meters of 20 floats, none, one and seven of them silent."""

import os
from itertools import pairwise
from pathlib import Path
from statistics import median

import pytest

from tests.bench.dead import HOUR_S, hour, split
from tests.bench.meter_bus import UNITS
from tests.bench.report import Report
from tests.bench.rtu import TIMEOUT_S, VALUES, LineTiming, LineUse, line, ours, script

pytestmark = pytest.mark.bench

RUNS = 5
TURNS = 24  # of a run: each meter three times
WARM_TURNS = 10
SILENT_S = 20.0


def load() -> str:
    return f"load {os.getloadavg()[0]:.1f}"


@pytest.mark.parametrize("baud", [9600, 19_200])
def test_use_of_the_line(tmp_path: Path, report: Report, baud: int) -> None:
    wire = LineTiming(baud)
    with line(tmp_path, wire) as one:
        used = ours(wire, one.port, (RUNS * TURNS + WARM_TURNS) * wire.turn_s * 1.05)
    with line(tmp_path, wire) as one:
        peer = script(wire, one.port, 2 * TURNS * wire.turn_s)
    share = median(used.shares(wire, RUNS, TURNS))
    peer_share = median(peer.shares(wire, 1, TURNS))
    what = f"RTU {baud} 8N1, 8 x 40 registers: use of wire time"
    how = f"median of {RUNS} runs of {TURNS} requests; none before 3.5 characters; {load()}"
    limit = "ceiling: t3.5 and 5 ms turnaround"
    ceiling = wire.ceiling
    report.add(what, ceiling * share, ceiling, "%", limit, how)
    report.add(what, ceiling * share, ceiling * peer_share, "%", "pymodbus serial", how)
    what = f"RTU {baud}: CPU of 1,000 values"
    costs = used.cpu_per_1000_values_ms, peer.cpu_per_1000_values_ms
    how = f"poller to sweep, {len(used.answers) * VALUES:,} values; {load()}"
    report.add(what, *costs, "ms", "pymodbus serial, words only", how)


@pytest.mark.parametrize("silent", [1, 7])
def test_use_of_the_line_with_silent_meters(tmp_path: Path, report: Report, silent: int) -> None:
    wire = LineTiming(9600)
    # the first time-outs, and 2 s later the second ones; both are over before it is measured
    first_s = 2 * silent * (TIMEOUT_S + 0.02) + 2.5
    dead = tuple(UNITS)[-silent:]
    with line(tmp_path, wire, dead) as one:
        used = ours(wire, one.port, first_s + SILENT_S, dead)
    what = f"RTU 9600, {silent} of 8 silent: answers of the others"
    turns = _turns(used)
    limit = "ceiling: all that the line can carry"
    how = f"{SILENT_S:.0f} s after two time-outs of each; {load()}"
    report.add(what, len(turns) / SILENT_S, 1 / wire.turn_s, "/s", limit, how)
    # that window may have no retry in it, or more than its share
    costs, turn_s = split(used.silences_s, TIMEOUT_S), median(turns)
    long = hour(UNITS, dead, TIMEOUT_S, turn_s, costs)
    how = (
        f"{long.retries} retries an hour by the poller's schedule, {1000 * costs[True]:.0f} ms or"
        f" {1000 * costs[False]:.0f} ms as measured: {100 * long.lost_s / HOUR_S:.2f} % of the time"
    )
    report.add(f"{what}, long run", long.answers / HOUR_S, 1 / wire.turn_s, "/s", limit, how)


def _turns(used: LineUse) -> list[float]:
    """What each answer in the last SILENT_S took (s)."""
    begin_ns = used.answers[-1] - int(SILENT_S * 1e9)
    return [(at - before) / 1e9 for before, at in pairwise(used.answers) if at > begin_ns]
