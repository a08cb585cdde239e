from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.kit.memory import in_memory
from tests.kit.setback import SetBackGateway
from tests.store.faulty import FaultyDisk, FaultyPlace


@pytest.fixture
def tmp_path(tmp_path: Path) -> Iterator[Path]:
    """In memory: these tests are about order, not about speed."""
    with in_memory(tmp_path) as folder:
        yield folder


@pytest.fixture
def faulty(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Disks that fail when they are told to."""
    monkeypatch.setattr("edge.store.outboxfolder.DiskOutbox", FaultyDisk)
    monkeypatch.setattr("edge.store.outbox.OutboxFolder", FaultyPlace)
    FaultyDisk.heal()
    yield
    FaultyDisk.heal()


@pytest.fixture
def box(tmp_path: Path) -> Iterator[SetBackGateway]:
    """It has run before, and runs again."""
    one = SetBackGateway(tmp_path)
    try:
        assert one.start() == "known"
        one.stop()  # so that the database is one without its log, too
        assert one.start() == "known"
        yield one
    finally:
        one.let_go()
