"""The counter of breakups: what falls into parts is joined, and what follows is not."""

import numpy as np
import pytest

from models import breakups
from models.congestion.scenarios.simstreet import SAMPLE, load_streets


def test_parts_are_joined_and_vehicles_are_not() -> None:
    cars = [(at, at + 0.5) for at in range(4, 44, 4)]
    truck = [(60.0, 60.6), (60.72, 61.4)]
    assert breakups.count(np.array([*cars, *truck]), 2.0, 0.1) == (12, 11)
    assert breakups.count(np.array(truck), 6.0, 0.1) == (2, 2)


def test_sound_streets_lose_hardly_a_vehicle(capsys: pytest.CaptureFixture[str]) -> None:
    sound, parts = breakups.street_lines(load_streets(SAMPLE)[:1])
    joined, of = (int(word) for word in sound.split(": ")[1].split(" of "))
    assert joined <= of / 1000
    assert int(parts.split(", ")[1].split("%")[0]) < 75
    with pytest.raises(SystemExit):
        breakups.main([])
    assert "--streets or --logs" in capsys.readouterr().err
