from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.kit.memory import in_memory


@pytest.fixture
def tmp_path(tmp_path: Path) -> Iterator[Path]:
    """In memory: these tests are about order, not about speed."""
    with in_memory(tmp_path) as folder:
        yield folder
