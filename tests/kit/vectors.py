"""Published vectors out of `tests/vectors`: frames with their meaning, numbers with results.

An example:

    @pytest.mark.parametrize("each", vectors("sen55"), ids=lambda each: each["id"])
    def test_as_published(each: Vector) -> None: ...
"""

import tomllib
from functools import cache
from math import isnan
from pathlib import Path
from typing import Any, Final

FOLDER: Final = Path(__file__).parents[1] / "vectors"
Vector = dict[str, Any]


@cache
def vector_file(name: str) -> dict[str, Any]:
    """One file, as `air/sps30`; what is not a number there is None here."""
    found: dict[str, Any] = _without_nan(
        tomllib.loads((FOLDER / f"{name}.toml").read_text(encoding="utf-8"))
    )
    return found


@cache
def everything() -> tuple[Vector, ...]:
    """All vectors of all files; their folder is their group."""
    names = [path.relative_to(FOLDER).with_suffix("") for path in sorted(FOLDER.glob("*/*.toml"))]
    return tuple(
        _whole(each, name.parent.name, vector_file(name.as_posix()))
        for name in names
        for each in vector_file(name.as_posix()).get("vector", ())
    )


def vectors(*prefixes: str) -> list[Vector]:
    """Those whose names begin so. At least one, or the test would prove nothing."""
    found = [each for each in everything() if each["id"].startswith(prefixes)]
    assert found, prefixes
    return found


def vector(name: str) -> Vector:
    """One vector."""
    return next(each for each in everything() if each["id"] == name)


def frame(name: str) -> bytes:
    """The bytes of one vector."""
    return bytes.fromhex(vector(name)["raw_hex"])


def _whole(stated: Vector, group: str, file: dict[str, Any]) -> Vector:
    """With what the file says for all of its vectors, and the frame as hexadecimal digits only."""
    whole = {"group": group, "source": file.get("source"), **stated}
    if "raw_text" in stated:
        text: str = stated["raw_text"]
        whole["raw_hex"] = text.replace("\n", "\r\n").encode("ascii").hex()
    elif "raw_hex" in stated:
        whole["raw_hex"] = "".join(stated["raw_hex"].split())
    return whole


def _without_nan(stated: Any) -> Any:
    match stated:
        case dict():
            return {key: _without_nan(value) for key, value in stated.items()}
        case list():
            return [_without_nan(value) for value in stated]
        case float() if isnan(stated):
            return None
    return stated
