"""An enrolment server for each test."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.provision.enrolment import World


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    made = World(tmp_path)
    made.start()
    yield made
    made.close()
