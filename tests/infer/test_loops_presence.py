"""A loop is stuck on where others move; where all stand it is a queue."""

import math

import pytest

from edge.infer.loops.loopfeatures import FEATURES
from edge.infer.loops.presence import is_held


def row(**seen: float) -> list[float]:
    """Times and counts are told as they are; a row has log1p of them."""
    out = [0.0] * len(FEATURES)
    for name, value in seen.items():
        plain = name in ("paired", "across_fast", "beside")
        out[FEATURES.index(name)] = value if plain else math.log1p(value)
    return out


@pytest.mark.parametrize(
    ("seen", "held"),
    [
        ({"on": 600.0, "on_others": 590.0, "beside": 1.0}, False),  # all stand
        ({"on": 600.0, "beside": 1.0, "on_beside": 3.0}, False),  # one may have broken down
        ({"on": 600.0, "beside": 1.0, "on_beside": 12.0}, True),  # and they would go round it
        ({"on": 50.0, "beside": 1.0, "on_beside": 12.0}, False),
        ({"on": 600.0, "on_others": 590.0, "beside": 1.0, "on_beside": 60.0}, True),
        ({"on": 600.0, "on_others": 590.0, "beside": 1.0, "across_fast": -3.0}, False),
        ({"on": 600.0, "beside": 1.0, "across_fast": -3.0}, True),  # vehicles are missing
        ({"on": 600.0}, False),  # nobody is around
        ({"on": 950.0}, True),
        ({"on": 950.0, "beside": 1.0}, False),
        ({"on": 1900.0, "beside": 1.0}, True),
        ({"on": 120.0, "on_others": 110.0, "paired": 1.0, "on_mate": 5.0}, True),
        ({"on": 500.0, "paired": 1.0, "across_fast": -3.0}, False),  # one may stand on both
        ({"on": 700.0, "paired": 1.0, "across_fast": -3.0}, True),  # both are stuck
        ({"on": 700.0, "paired": 1.0}, False),
        ({"on": 1900.0, "on_others": 20.0, "paired": 1.0}, True),  # both, in thin traffic
        ({"on": 1900.0, "on_others": 1800.0, "paired": 1.0}, False),
    ],
)
def test_it_is_held_where_others_move(seen: dict[str, float], held: bool) -> None:
    assert is_held(row(**seen)) == held
