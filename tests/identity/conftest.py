"""A city and a box that has its claim; where a test needs others it makes its own."""

from pathlib import Path

import pytest

from tests.identity.box import Box
from tests.identity.city import City


@pytest.fixture(scope="module")
def keys() -> City:
    return City()


@pytest.fixture
def city(keys: City) -> City:
    return City(keys.authority, keys.operator)


@pytest.fixture
def box(tmp_path: Path, city: City) -> Box:
    made = Box(tmp_path, city)
    made.insert(city.claim())
    return made
