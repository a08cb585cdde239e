from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.kit.fixtures import tmp_path
from tests.kit.rolledback import RolledBackGateway
from tests.outbox.faulty import FaultyDisk, FaultyPlace

__all__ = ["tmp_path"]


@pytest.fixture
def faulty(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Disks that fail when they are told to."""
    monkeypatch.setattr("edge.outbox.outboxfolder.DiskOutbox", FaultyDisk)
    monkeypatch.setattr("edge.outbox.outbox.OutboxFolder", FaultyPlace)
    FaultyDisk.heal()
    yield
    FaultyDisk.heal()


@pytest.fixture
def box(tmp_path: Path) -> Iterator[RolledBackGateway]:
    """It has run before, and runs again."""
    one = RolledBackGateway(tmp_path)
    try:
        assert one.start() == "known"
        one.stop()  # so that the database is one without its log, too
        assert one.start() == "known"
        yield one
    finally:
        one.let_go()
