"""A real process whose clock is wrong, or is set meanwhile (libfaketime); the server's is right."""

import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from itertools import cycle
from pathlib import Path

import pytest

from edge.identity.statefolder import StateFolder
from tests.identity import traced_process
from tests.identity.card import wrong
from tests.identity.real_server import ApprovingServer, claim_of
from tests.kit.enrolment import DER, START
from tests.long import one_in

FAKETIME = next(iter(sorted(Path("/usr/lib").glob("*/faketime/libfaketimeMT.so.1"))), None)
SYNCHRONISED = 0
YEARS = {year: datetime(year, 1, 2, tzinfo=UTC) for year in (1970, 2040)}


@pytest.fixture
def town(tmp_path: Path) -> Iterator[ApprovingServer]:
    if FAKETIME is None:
        pytest.skip("libfaketime is not here: apt install libfaketime")
    if not Path(traced_process.STRACE).exists():
        pytest.skip("strace is not installed: apt-get install strace")
    made = ApprovingServer(tmp_path)
    made.start()
    yield made
    made.close()


class FakedWall:
    """A file that says how far beside the true time a process's clock stands."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.times: list[datetime] = []

    def set(self, when: datetime) -> None:
        new = self.path.with_suffix(".new")
        new.write_text(f"{(when - datetime.now(UTC)).total_seconds():+.0f}\n")
        new.rename(self.path)
        self.times.append(when)

    @property
    def env(self) -> dict[str, str]:
        return {
            "LD_PRELOAD": str(FAKETIME), "FAKETIME_TIMESTAMP_FILE": str(self.path),
            "FAKETIME_NO_CACHE": "1", "FAKETIME_DONT_FAKE_MONOTONIC": "1",
        }  # fmt: skip


def seen(wall: FakedWall) -> datetime:
    """What time a process believes that it is."""
    said = subprocess.run(
        [sys.executable, "-c", "import time; print(time.time())"],
        env=wall.env, capture_output=True, check=True, timeout=60,
    ).stdout  # fmt: skip
    return datetime.fromtimestamp(float(said), UTC)


def lives(town: ApprovingServer, root: Path, wall: FakedWall, first: datetime, clock: int) -> None:
    """It enrols, and renews when two thirds are over by the server's clock; not before."""

    def act(verb: str) -> str:
        wall.set(first)
        done = traced_process.awake(root, verb, env=wall.env, clock=clock)
        assert done.code == 0, done
        return done.said.rpartition(": ")[2].strip()

    code = claim_of(root).code
    assert act("run") == "enrolled"
    assert wrong(root, code) == []
    assert act("renew") == "fine"
    town.now = START + timedelta(days=61)
    assert act("renew") == "renewed"
    bundle = StateFolder(root / "state").current()
    assert bundle is not None
    assert bundle.certificate.not_valid_before_utc > START + timedelta(days=60)
    assert wrong(root, code, older=True) == []
    assert town.running is not None
    serial = bundle.certificate.serial_number
    row = town.running.store.certificate(serial)
    assert row is not None
    assert row.der == bundle.certificate.public_bytes(DER)


@one_in(2)
@pytest.mark.parametrize(("year", "clock"), [(1970, traced_process.UNKNOWN), (2040, SYNCHRONISED)])
def test_a_process_in_another_year_enrols_and_renews(
    tmp_path: Path, town: ApprovingServer, year: int, clock: int
) -> None:
    wall = FakedWall(tmp_path / "wall")
    wall.set(YEARS[year])
    assert seen(wall).year == year
    lives(town, town.card(tmp_path / "box", "gw-0001"), wall, YEARS[year], clock)


def test_a_process_whose_clock_jumps_at_each_answer_enrols_and_renews(
    tmp_path: Path, town: ApprovingServer
) -> None:
    wall = FakedWall(tmp_path / "wall")
    times = cycle([YEARS[2040], YEARS[1970], None])  # None: the right time
    town.heard = lambda text: wall.set(next(times) or town.now)
    lives(town, town.card(tmp_path / "box", "gw-0001"), wall, YEARS[1970], SYNCHRONISED)
    assert len(wall.times) >= 3 + 5, "the server has answered five times, and the clock jumped"
