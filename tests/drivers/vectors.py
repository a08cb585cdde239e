"""The vectors that were collected beside the project: read where they are, never copied."""

import json
from functools import cache
from pathlib import Path
from typing import Any

import pytest

FILE = Path(__file__).parents[2] / "../shared/facts/vectors.json"


@cache
def _known() -> list[dict[str, Any]]:
    known: list[dict[str, Any]] = json.loads(FILE.read_text(encoding="utf-8"))["vectors"]
    return known


def everything() -> list[dict[str, Any]]:
    """All of them; without the file the test is skipped."""
    if not FILE.exists():
        pytest.skip("the collected vectors are not here")
    return _known()


def vector(name: str) -> dict[str, Any]:
    """One vector; without the file the test is skipped."""
    return next(each for each in everything() if each["id"] == name)


def frame(name: str) -> bytes:
    """The bytes of one vector."""
    return bytes.fromhex(vector(name)["raw_hex"])
