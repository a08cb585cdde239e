"""A model's state after a week of windows: what is not sound there is not seen in a short test."""

import math
import random

import pytest

from models import BUNDLES
from tests.long import size

STEPS = size(1_500, 10_000)  # minutes of a day, or of a week
SERIES = 4


def values(n: int, chance: random.Random) -> list[float]:
    """Noise; a day with noise; a wave, nearly pure; a voltage in steps of 0.1."""
    return [
        chance.gauss(0, 1),
        10 + 5 * math.sin(n / 1440 * 2 * math.pi) + chance.gauss(0, 0.3),
        10 + math.sin(n / 50) + chance.gauss(0, 0.01),
        230 + round(chance.gauss(0, 0.5), 1),
    ]


@pytest.mark.long
def test_the_forecaster_of_the_anomaly_model_stays_sound_for_a_week() -> None:
    """A forecast in units of the series' deviation needs weights of about 1, never of thousands."""
    pytest.importorskip("onnxruntime")
    from edge.infer.modelsession import ModelSession
    from models.anomaly.layout import WIDTHS

    names = list(WIDTHS)
    first = sum(WIDTHS[name] for name in names[: names.index("weights")])
    weights = slice(first, first + WIDTHS["weights"])
    session, chance = ModelSession(BUNDLES / "anomaly"), random.Random(3)
    state = session.started(values(0, chance))
    ones, zeros = session.column([1.0] * SERIES), session.column([0.0] * SERIES)
    for n in range(1, STEPS):
        x = session.column(values(n, chance))
        feed = {"x": x, "present": ones, "quantum": zeros, "hour": -ones, "state": state}
        *_, state = session.run(feed)
        if not n % 500:
            largest = abs(state[:, weights]).max()
            assert largest < 50, f"step {n}"
