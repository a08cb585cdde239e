"""A loop is stuck on where others move; where all stand it is a queue."""

import math

import pytest

from edge.infer.loops.loopfeatures import FEATURES
from edge.infer.loops.presence import is_held


def row(**seen: float) -> list[float]:
    """Times and counts are told as they are; a row has log1p of them."""
    out = [0.0] * len(FEATURES)
    for name, value in seen.items():
        plain = name in ("paired", "against_along_fast")
        out[FEATURES.index(name)] = value if plain else math.log1p(value)
    return out


@pytest.mark.parametrize(
    ("seen", "held"),
    [
        ({"on": 600.0, "on_others": 590.0}, False),  # all stand
        ({"on": 600.0, "on_others": 20.0}, True),
        ({"on": 600.0}, True),  # nobody is around: nobody shows that it stands
        ({"on": 600.0, "on_others": 590.0, "on_beside": 60.0}, True),
        ({"on": 600.0, "on_others": 590.0, "against_along_fast": -3.0}, True),
        ({"on": 600.0, "on_others": 20.0, "paired": 1.0}, False),  # its pair has seen nobody either
        ({"on": 600.0, "on_others": 590.0, "paired": 1.0, "on_mate": 5.0}, True),
        ({"on": 600.0, "paired": 1.0, "against_along_fast": -3.0}, True),  # both are stuck
        ({"on": 1900.0, "on_others": 20.0, "paired": 1.0}, True),  # both, in thin traffic
        ({"on": 1900.0, "on_others": 1800.0, "paired": 1.0}, False),
    ],
)
def test_it_is_held_where_others_move(seen: dict[str, float], held: bool) -> None:
    assert is_held(row(**seen)) == held
