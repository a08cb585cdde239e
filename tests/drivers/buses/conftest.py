from collections.abc import Iterator

import pytest

from tests.kit.serialport import FarEnd


@pytest.fixture
def far() -> Iterator[FarEnd]:
    end = FarEnd()
    yield end
    end.close()
