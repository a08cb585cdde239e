"""A city and a box that has its claim; where a test needs others it makes its own."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.identity.city import EnrolmentCity
from tests.identity.enrolling_box import EnrollingGateway


@pytest.fixture(autouse=True)
def umask() -> Iterator[None]:
    """The command sets one for its process, which is the next test's, too."""
    before = os.umask(0o022)
    os.umask(before)
    yield
    os.umask(before)


@pytest.fixture(scope="module")
def keys() -> EnrolmentCity:
    return EnrolmentCity()


@pytest.fixture
def city(keys: EnrolmentCity) -> EnrolmentCity:
    return EnrolmentCity(keys.authority, keys.operator)


@pytest.fixture
def box(tmp_path: Path, city: EnrolmentCity) -> EnrollingGateway:
    made = EnrollingGateway(tmp_path, city)
    made.insert(city.claim())
    return made


@pytest.fixture
def stick(tmp_path: Path) -> Path:
    made = tmp_path / "stick"
    made.mkdir()
    return made
