"""The version that the program says is the one that is built."""

import tomllib
from pathlib import Path

from edge.core.release import VERSION


def test_the_version_is_that_of_the_project() -> None:
    file = Path(__file__).parents[2] / "pyproject.toml"
    assert tomllib.loads(file.read_text())["project"]["version"] == VERSION
