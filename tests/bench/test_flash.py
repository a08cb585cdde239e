"""Bytes written to the block device in a day at the nominal rate, in virtual and in real time."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Final, NamedTuple

import pytest

from edge.outbox.outbox import Outbox
from edge.process.merge import merge_bodies
from tests.bench.card import card
from tests.bench.nominal import MINUTES, NominalUse
from tests.bench.report import Report
from tests.kit.virtualgateway import Commit, lived
from tests.week.offline import Again, Fed, mark

pytestmark = pytest.mark.bench

DAY: Final = 1440  # minutes
BUDGET_MB: Final = 50.0
MODELS: Final = frozenset({"judge", "drivers"})


class Written(NamedTuple):
    """MB of a day."""

    own: float
    device: float
    bodies: float
    commits: int


def own_written() -> int:
    for line in Path("/proc/self/io").read_text("ascii").splitlines():
        if line.startswith("write_bytes:"):
            return int(line.split()[1])
    raise AssertionError("no write_bytes")


def day(folder: Path, hour: list[Commit], *, up: bool) -> Written:
    """All commits of a day. `up`: each row is confirmed, and leaves with the next commit."""
    with card(folder) as place:
        outbox = Outbox.open(
            place.folder / "store", limit_bytes=256 << 20, boot_id="b", merge=merge_bodies,
            ballast_bytes=0,
        )  # fmt: skip
        outbox.begin()
        own, device = own_written(), place.written()
        fed, rows = Fed(), list[int]()
        for commit in Again(hour):
            gone = rows if up else ()
            stored = outbox.commit(commit.drafts, commit.states, gone, mark(commit.at_ns))
            rows = [each.row for each in stored]
            fed.minutes += commit.closes
            if fed.minutes == DAY:
                break
        counts = outbox.counts()
        own, device = own_written() - own, place.written() - device
        outbox.close()
    return Written(own / 1e6, device / 1e6, counts.bytes_in / 1e6, counts.commits)


def without(hour: list[Commit], owners: frozenset[str]) -> list[Commit]:
    def kept(states: Mapping[str, tuple[int, bytes]]) -> Mapping[str, tuple[int, bytes]]:
        return {name: state for name, state in states.items() if name not in owners}

    return [replace(commit, states=kept(commit.states)) for commit in hour]


def test_bytes_to_the_card_in_a_day(
    tmp_path: Path, nominal: dict[str, NominalUse], report: Report
) -> None:
    hour = lived(60, models=True)
    runs = {
        "link up": day(tmp_path / "up", hour, up=True),
        "link down": day(tmp_path / "down", hour, up=False),
        "link up, no models' state": day(tmp_path / "plain", without(hour, MODELS), up=True),
    }
    for name, run in runs.items():
        how = f"virtual day, {run.commits} commits, bodies {run.bodies:.1f} MB; ext4, noatime"
        written = run.device or run.own
        report.add(f"flash, {name}", written, BUDGET_MB, "MB/day", "budget", how)
        report.add("  by the process, without ext4's journal", run.own, BUDGET_MB, "MB/day",
                   "budget")  # fmt: skip
    used = nominal["summaries"]
    # write_bytes of the daemon is left out: where the page cache holds large folios, the kernel
    # counts all of one for each page that is touched
    times = DAY / MINUTES / 1e6
    up, plain = runs["link up"], runs["link up, no models' state"]
    models = (up.device or up.own) - (plain.device or plain.own)
    report.add(
        "flash, the daemon itself", (used.device or used.own) * times + models, BUDGET_MB,
        "MB/day", "budget", f"{MINUTES} min real time x {DAY / MINUTES:.0f}, + {models:.1f} MB of "
        "models' state each hour, from the virtual day; ext4, noatime",
    )  # fmt: skip
