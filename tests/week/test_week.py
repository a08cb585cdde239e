"""A day without network in virtual time, with a seventh of the default outbox; less with less.

`make bench` has the whole week on a disk. In memory here: what is measured is room, not time.
"""

from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from edge.config.model import Store
from edge.outbox.outbox import Outbox
from edge.process.merge import merge_bodies
from tests.kit.virtualgateway import Commit, S, lived
from tests.week.offline import Again, Fed, account

DAY = 1440  # minutes
WEEK = 7
DEFAULT = Store().limit_mb << 20
SMALL = 3 << 20  # holds some three hours whole
SHORT = 420  # minutes, for the small one
FORETOLD = 100  # minutes: then it is asked how long its room lasts


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    memory = Path("/dev/shm")
    if not memory.is_dir():
        yield tmp_path
        return
    with TemporaryDirectory(prefix="kerbstone-week-", dir=memory) as made:
        yield Path(made)


@pytest.fixture(scope="module")
def hour() -> list[Commit]:
    return lived(15)  # a quarter, four times an hour


def opened(folder: Path, limit_bytes: int) -> Outbox:
    outbox = Outbox.open(
        folder, limit_bytes=limit_bytes, boot_id="b", merge=merge_bodies, ballast_bytes=0
    )
    outbox.begin()
    return outbox


@pytest.mark.parametrize("parts", [4, pytest.param(1, marks=pytest.mark.scene)])
def test_a_day_without_network_fits_whole_in_a_seventh_of_the_default_outbox(
    folder: Path, hour: list[Commit], parts: int
) -> None:
    """A quarter of a day in a quarter of it; the whole day is a scene."""
    limit_bytes, minutes = DEFAULT // WEEK // parts, DAY // parts
    outbox, fed = opened(folder, limit_bytes), Fed()
    for commit in Again(hour):
        fed.take(outbox, commit)
        if fed.minutes == minutes:
            break
    counts = outbox.counts()
    assert counts.rows == sum(fed.drafts.values())
    assert (counts.dropped, counts.downsampled) == (0, 0)
    assert counts.size < limit_bytes
    found = account(outbox, commit.at_ns + S)
    found.check(fed)
    assert (found.merged, found.lost) == (0, {})
    outbox.close()


@pytest.mark.long
def test_in_less_room_minutes_become_quarters_and_nothing_is_silent(
    folder: Path, hour: list[Commit]
) -> None:
    outbox, fed = opened(folder, SMALL), Fed()
    full_at = foretold = 0.0
    for commit in Again(hour):
        fed.take(outbox, commit)
        if fed.minutes == FORETOLD and not foretold:
            foretold = fed.minutes + (outbox.counts().forecast_s or 0) / 60
        if not full_at and commit.closes and outbox.counts().downsampled:
            full_at = fed.minutes
        if fed.minutes == SHORT:
            break
    counts, found = outbox.counts(), account(outbox, commit.at_ns + S)
    found.check(fed)
    assert found.merged
    assert found.lost.keys() <= {"health"}  # what goes before minutes are merged
    assert counts.rows + counts.downsampled + counts.dropped == sum(fed.drafts.values())
    assert counts.size < SMALL
    assert full_at == pytest.approx(foretold, rel=0.1)
    outbox.close()
