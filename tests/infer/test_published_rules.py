"""The published rules, and that they say what the bundle says."""

import json
import random

import pytest

from edge.core import Draft, Stream
from edge.infer.cause import name_cause
from edge.infer.hysteresis import HysteresisFlag
from edge.infer.observation import POSITIONS, PositionObservation
from edge.infer.occupancy import THRESHOLDS, OccupancyRule
from edge.infer.robustz import RobustZRule
from edge.infer.seriesfeatures import series_samples
from edge.wire.contract.points import Air, Energy
from models import BUNDLES
from models.anomaly.layout import ODDITY
from models.congestion import congestionstate
from tests.kit.bodies import gauge, total


def test_the_rule_has_the_thresholds_that_were_tuned() -> None:
    manifest = json.loads((BUNDLES / "congestion" / "manifest.json").read_text())
    for position, tuned in manifest["positions"].items():
        rule = THRESHOLDS[position]
        assert (rule.aggregate, rule.tau_s) == (tuned["aggregate"], tuned["tau_s"])
        assert (rule.threshold, rule.slope) == pytest.approx((tuned["threshold"], tuned["slope"]))
        assert (rule.usual, rule.follow) == pytest.approx((tuned["usual"], tuned["follow"]))
        assert rule.beside == tuned["beside"]
    assert tuple(manifest["positions"]) == POSITIONS == congestionstate.POSITIONS


def test_a_jam_at_one_position_is_one_whatever_the_others_see() -> None:
    def seen(occupancy: float) -> PositionObservation:
        return PositionObservation(occupancy, occupancy, occupancy, 0.2, 0.5, 0.0, 0.5, None)

    rule = OccupancyRule()
    for _ in range(28):  # 14 minutes: mid-block loops before an incident, advance loops behind it
        p = rule.step({"advance": seen(0.0), "mid": seen(0.65)}, 30.0)
    assert p is not None
    assert p > 0.5


def test_a_flag_is_slower_to_go_than_to_come() -> None:
    flag = HysteresisFlag(on=0.5, off=0.35, quiet_s=60)
    turns = [flag.step(p, p, 20.0) for p in (0.49, 0.5, 0.4, 0.35, 0.2, 0.36, 0.3, 0.3, 0.3)]
    assert turns == [None, "on", None, None, None, None, None, None, "off"]


@pytest.mark.parametrize("start", [0.499, 0.501])
def test_machines_that_differ_by_two_thousandths_do_not_flutter(start: float) -> None:
    flag = HysteresisFlag(on=0.5, off=0.35)
    rng = random.Random(1)
    turns = [flag.step(p, p, 60.0) for p in (start + rng.uniform(-0.002, 0.002) for _ in range(99))]
    assert len([turn for turn in turns if turn]) <= 1


def test_the_robust_rule_never_looks_ahead() -> None:
    rng = random.Random(2)
    values = [rng.gauss(5, 1) if rng.random() > 0.1 else None for _ in range(300)]
    whole, part = RobustZRule(), RobustZRule()
    scores = [whole.step(v) for v in values]
    assert [part.step(v) for v in values[:200]] == scores[:200]


def test_growth_in_a_short_window_is_judged_as_if_it_were_a_whole_one() -> None:
    body = Energy(covered_s=15.0, points={"energy_import": total(0.1)})
    draft = Draft(Stream.ENERGY, "meter", 0, 15_000_000_000, body)
    assert series_samples([draft], 60.0)["meter", "energy_import"].value == pytest.approx(0.4)


def test_a_window_of_which_nothing_is_known_is_missing() -> None:
    body = Air(covered_s=0.0, points={"pm2_5": gauge(3.0)})
    air = Draft(Stream.AIR, "hut", 0, 60_000_000_000, body)
    assert series_samples([air], 60.0)["hut", "pm2_5"].value is None


@pytest.mark.parametrize(
    ("measured", "value", "samples", "word"),
    [
        ({"signed": 9.0, "high": 2.0}, 80.0, 0, "spike"),
        ({"signed": -9.0, "offset": -5.0, "low": 2.0}, 0.0, 0, "dropout"),
        ({"signed": -9.0, "offset": -5.0, "low": 2.0}, -200.0, 0, "dropout"),
        ({"stuck": 1.2, "offset": 0.5}, 10.3, 0, "stuck"),
        ({"stuck": 1.2, "offset": -4.0}, 0.0, 9, "dropout"),
        ({"signed": 1.0, "offset": 5.0, "drift": 1.1}, 20.0, 6, "shift"),
        ({"signed": 2.0, "drift": 1.3}, 12.0, 0, "drift"),
        ({"signed": 2.0, "zigzag": 1.3}, 12.0, 0, "noise"),
    ],
)
def test_causes_have_names(
    measured: dict[str, float], value: float, samples: int, word: str
) -> None:
    assert name_cause([measured.get(name, 0.0) for name in ODDITY], value, samples) == word
