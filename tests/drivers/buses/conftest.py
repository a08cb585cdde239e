from collections.abc import Iterator

import pytest

from tests.drivers.buses.far import Far


@pytest.fixture
def far() -> Iterator[Far]:
    end = Far()
    yield end
    end.close()
