"""An enrolment server for each test."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.kit.command import kerbstone as kerbstone
from tests.kit.enrolment import EnrolmentServer


@pytest.fixture
def world(tmp_path: Path) -> Iterator[EnrolmentServer]:
    made = EnrolmentServer(tmp_path)
    made.start()
    yield made
    made.close()
