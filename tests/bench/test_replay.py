"""A day of a street through `kerbstone replay`, all models loaded: what it needs."""

import math
import os
import random
import resource
import subprocess
import sys
import time
from pathlib import Path
from typing import Final

import pytest

from edge.recordings.edgefile import open_edges, read_edge_rows
from tests.bench.report import Report

pytestmark = [pytest.mark.bench, pytest.mark.timeout(600)]

PLACES, LANES, DAY_S = 7, 3, 86_400
PEAKS: Final = ((8.0, 1.5, 500), (17.3, 2.0, 550), (13.0, 5.0, 250))  # hour, width, vehicles/h
NIGHT_PER_H, HEADWAY_S, ON_S = 60, 1.2, (0.25, 0.6)
LIMIT_S = 20
SITE: Final = """
[site]
id = "street"
gateway = "gw-1"
[store]
dir = "{folder}/store"
run_dir = "{folder}/run"
[uplink]
url = "mqtt://127.0.0.1:1883"
[bus.gpio0]
kind = "gpio"
chip = "/dev/gpiochip0"
"""
LANE: Final = '[lane.{name}]\nbus = "gpio0"\nlead = "{name}"\napproach = "place_{place}"\n'


def vehicles_per_s(at_s: float) -> float:
    hour = at_s / 3600
    peaks = sum(more * math.exp(-(((hour - peak) / width) ** 2)) for peak, width, more in PEAKS)
    return (NIGHT_PER_H + peaks) / 3600


def write_day(folder: Path) -> tuple[Path, Path, int]:
    """A site of 21 loops and a day of its edges: files, and how many edges."""
    rng, rows, site = random.Random(1), list[tuple[int, str, int]](), SITE.format(folder=folder)
    for place in range(PLACES):
        for lane in range(LANES):
            name, at_s = f"lane_{place}_{lane}", 0.0
            site += LANE.format(name=name, place=place)
            rows.append((0, name, 0))
            while (at_s := at_s + max(HEADWAY_S, rng.expovariate(vehicles_per_s(at_s)))) < DAY_S:
                off_s = min(at_s + rng.uniform(*ON_S), DAY_S - 0.001)
                rows += [(round(at_s * 1000), name, 1), (round(off_s * 1000), name, 0)]
    rows.sort()
    config, edges = folder / "site.toml", folder / "day.csv"
    config.write_text(site)
    edges.write_text("t_ms,line,level\n" + "".join(f"{t},{n},{on}\n" for t, n, on in rows))
    return config, edges, len(rows)


def children_s() -> float:
    """CPU time of processes that this one has started and that have ended."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def test_a_day_of_21_loops(tmp_path: Path, report: Report) -> None:
    pytest.importorskip("onnxruntime")
    config, edges, count = write_day(tmp_path)
    begin_s = time.perf_counter()
    with open_edges(edges) as file:
        read = sum(1 for row in read_edge_rows(file) if not row.error)
    read_s = time.perf_counter() - begin_s
    assert read == count
    begin_s, before_s = time.perf_counter(), children_s()
    subprocess.run(
        [sys.executable, "-m", "edge.cli.main", "replay", "--config", str(config),
         "--edges", str(edges), "--quiet"],
        check=True,
    )  # fmt: skip
    ours_s, cpu_s = time.perf_counter() - begin_s, children_s() - before_s
    how = f"{PLACES * LANES} loops, {count:,} edges, all models; load {os.getloadavg()[0]:.1f}"
    report.add("replay of a day", ours_s, LIMIT_S, "s", "limit", how)
    report.add("replay of a day, CPU", cpu_s, LIMIT_S, "s", "limit", how)
    report.add("replay of a day", ours_s, read_s, "s", "reading the file", how)
