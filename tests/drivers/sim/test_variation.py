"""What simulated devices measure while time goes by: within their ranges, and fitting together."""

import pytest

import drivers
from drivers.sim.typical import typical
from drivers.sim.variation import Variation
from edge.core import Polled
from edge.core.driver import REQUIRED

POLLED = [name for name in drivers.names() if drivers.spec(name).wiring != "gpio"]


def device(name: str) -> Polled:
    spec = drivers.spec(name)
    needed = {key: 1 for key, option in spec.options.items() if option.default is REQUIRED}
    built = drivers.build(name, None, needed)
    assert isinstance(built, Polled)
    return built


@pytest.mark.parametrize("name", POLLED)
def test_every_driver_s_values_stay_within_its_ranges_for_a_day(name: str) -> None:
    points = {point.key: point for point in device(name).points}
    moving = Variation(points.values(), typical(points.values()))
    for t_s in range(0, 86_400, 97):
        for key, value in moving.values(t_s).items():
            assert points[key].low <= value <= points[key].high, (key, value)


def test_a_register_grows_as_the_power_says() -> None:
    points = device("sml").points
    moving = Variation(points, {"power": 1000.0, "energy_import": 5.0})
    step_s, joules, t_s = 1.0, 0.0, 0.0
    while t_s < 3600:
        joules += step_s * moving.values(t_s + step_s / 2)["power"]
        t_s += step_s
    assert moving.values(3600.0)["energy_import"] - 5.0 == pytest.approx(joules / 3.6e6, rel=1e-4)


def test_a_meter_that_is_mounted_backwards_gives_what_it_takes() -> None:
    points = device("sml").points
    turned = Variation(points, {"power": 1000.0, "energy_import": 5.0}, backwards=True)
    assert turned.values(0.0)["power"] == -1000.0
    assert turned.values(0.0)["energy_export"] == 5.0
    assert turned.values(3600.0)["energy_export"] > 5.9


def test_a_moment_gives_the_same_values_again() -> None:
    points = device("sen55").points
    moving = Variation(points, typical(points))
    assert moving.values(77.7) == moving.values(77.7)
    assert moving.values(77.7) != moving.values(177.7)
