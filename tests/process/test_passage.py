"""Speed and length of one vehicle over two loops, against published and computed vectors."""

from typing import Any

import pytest

from edge.process.traffic.passage import SpeedTrap, measure_passage, measure_slow

TRAP = SpeedTrap(4000, 2000)
IRIS = SpeedTrap(4877, 1829)  # 16 ft apart, loops of 6 ft


def at(on1: float, off1: float, on2: float, off2: float, trap: SpeedTrap = TRAP) -> Any:
    return measure_passage(trap, *(round(each * 1e9) for each in (on1, off1, on2, off2)))


@pytest.mark.parametrize(
    ("edges", "kmh", "length_m"),
    [
        ((0, 0.195, 0.12, 0.315), 120.0, 4.5),  # trap-car-120
        ((0, 0.468, 0.288, 0.756), 50.0, 4.5),  # trap-car-50
        ((0, 0.3024, 0.288, 0.5904), 50.0, 2.2),  # trap-moto-50
        ((0, 0.8325, 0.18, 1.0125), 80.0, 16.5),  # trap-truck-80
    ],
)
def test_a_vehicle_at_constant_speed(
    edges: tuple[float, float, float, float], kmh: float, length_m: float
) -> None:
    found = at(*edges)
    assert (found.speed, found.length) == (round(kmh * 10), round(length_m * 100))
    assert found.pace == pytest.approx(3.6e9 / kmh, abs=1)


def slow(on1: float, off1: float, on2: float, off2: float) -> Any:
    return measure_slow(TRAP, *(round(each * 1e9) for each in (on1, off1, on2, off2)))


@pytest.mark.parametrize(
    ("edges", "kmh"),
    [
        ((0, 2.3, 1.1, 2.9), 16.9),  # it starts: 13 km/h by its front, 24 by its rear
        ((0, 4.75, 2.95, 7.7), 4.9),  # below the limit of what is steady
        ((0, 60, 3, 64), 4.1),  # it stood, with its front beyond the second loop's begin
        ((0, 65, 62, 66), 0.5),  # it stood before it
        ((0, 2.0, 2.4, 5.4), 5.0),  # a motorcycle: it has left the first loop by then
    ],
)
def test_a_vehicle_that_brakes_stands_or_starts_has_a_speed_and_no_length(
    edges: tuple[float, float, float, float], kmh: float
) -> None:
    assert at(*edges) is None
    found = slow(*edges)
    assert (found.speed, found.length) == (round(kmh * 10), None)
    assert found.pace == pytest.approx((edges[2] - edges[0] + edges[3] - edges[1]) / 8 * 1e9, abs=1)


@pytest.mark.parametrize(
    "edges",
    [
        (0.288, 0.756, 0, 0.468),  # the wrong way
        (0, 60, 3, 59),  # it left the second loop first
        (0, 0.5, 1.1, 1.6),  # it was between the loops for longer than on one: another vehicle
        (0, 0.468, 0.05, 0.9),  # its front at 288 km/h
        (0, 0.019, 0.018, 0.3),
    ],
)
def test_edges_in_another_order_are_no_slow_vehicle(
    edges: tuple[float, float, float, float],
) -> None:
    assert slow(*edges) is None


def test_leading_and_trailing_edges_are_averaged() -> None:
    # trap-accelerating: 36 km/h by the leading edges, 40 by the trailing ones: 4 m in 0.38 s.
    assert at(0, 0.6, 0.4, 0.96).speed == 379


def test_the_rules_of_iris() -> None:
    ok = at(1000, 1000.468, 1000.290, 1000.742, IRIS)  # speed-pair-ok: 39 mph
    assert round(ok.speed / 10 / 1.609344) == 39
    assert at(1000, 1000.6, 1000.290, 1000.742, IRIS) is None  # speed-pair-duration-mismatch
    near = SpeedTrap(1524, 1829)
    assert at(1000, 1000.468, 1000.290, 1000.742, near) is None  # speed-pair-spacing-too-small


@pytest.mark.parametrize(
    "edges",
    [
        (0.288, 0.756, 0, 0.468),  # trap-wrong-way: no forward passage
        (0, 0.468, 0.05, 0.518),  # 288 km/h
        (0, 4.75, 2.95, 7.7),  # just under 5 km/h
        (0, 0.019, 0.288, 0.307),  # too short to be a vehicle
        (0, 60, 3, 64),  # it stood: no constant speed, so no length
        (0, 0.3, 0.2, 0.2),  # off before on
    ],
)
def test_what_no_single_vehicle_can_have_done_is_no_passage(
    edges: tuple[float, float, float, float],
) -> None:
    assert at(*edges) is None
