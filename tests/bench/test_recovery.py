"""From the end of an outage to the first fresh record: each kind a few times, side by side."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from statistics import median
from typing import Final, NamedTuple

import pytest

from edge.config.model import Uplink
from tests.bench.recovering import OutageRig, box
from tests.bench.report import Report

pytestmark = pytest.mark.bench

FIRST_S: Final = 1.0  # the first reconnection comes after 0..1 s
LONGEST_S: Final = 30.0  # later ones after 0..min(30, 2^n) s
START_S: Final = 0.5  # budget: exec to the first value
HOLE_S: Final = 40.0
AWAY_S: Final = 20.0


class Outage(NamedTuple):
    name: str
    rounds: int
    one: Callable[[OutageRig], float]
    limit_s: float
    against: str
    platform: bool = False


OUTAGES: Final = (
    Outage("connection reset", 7, OutageRig.reset, FIRST_S, "longest first wait"),
    Outage("broker killed, away 1 s", 7, lambda b: b.broker_killed(1), 2.0, "second wait"),
    Outage(
        "broker killed, away 20 s", 3, lambda b: b.broker_killed(AWAY_S), LONGEST_S, "longest wait"
    ),
    Outage("daemon killed (-9), started", 7, OutageRig.killed, START_S, "budget of a start"),
    Outage(
        "platform away 20 s: first receipt", 3, lambda b: b.platform_away(AWAY_S), 1.0,
        "a second", platform=True,
    ),
)  # fmt: skip


def rounds(folder: Path, outage: Outage) -> list[float]:
    with box(folder, platform=outage.platform) as made:
        return [outage.one(made) for _ in range(outage.rounds)]


def holes(folder: Path) -> list[tuple[float, float]]:
    with box(folder) as made:
        return [made.hole(HOLE_S) for _ in range(2)]


def test_back_after_each_kind_of_outage(tmp_path: Path, report: Report) -> None:
    with ThreadPoolExecutor(len(OUTAGES) + 1) as pool:
        hole = pool.submit(holes, tmp_path / "hole")
        under_way = [
            pool.submit(rounds, tmp_path / str(number), outage)
            for number, outage in enumerate(OUTAGES)
        ]
        found = [each.result() for each in under_way]
        noticed, back = zip(*hole.result(), strict=True)
    for outage, times in zip(OUTAGES, found, strict=True):
        how = f"median of {len(times)}: {said(times)}"
        add(report, outage.name, times, outage.limit_s, outage.against, how)
    keepalive_s = Uplink(url="mqtt://localhost").keepalive_s
    add(report, "black hole 40 s: noticed", noticed, 1.5 * keepalive_s, "1.5 keep-alives",
        f"from its begin; {said(noticed)}")  # fmt: skip
    add(report, "  back after its end", back, LONGEST_S, "longest wait", said(back))


def add(
    report: Report, name: str, times: "list[float] | tuple[float, ...]", limit_s: float,
    against: str, how: str,
) -> None:  # fmt: skip
    report.add(name, median(times), limit_s, "s", against, how)


def said(times: "list[float] | tuple[float, ...]") -> str:
    return ", ".join(f"{each:.2f}" for each in sorted(times)) + " s"
