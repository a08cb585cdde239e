"""Every register has a bound of growth, also before its first change, and one of two is neither."""

import random
from typing import Any

import pytest

import drivers
from edge.core.edge import Contact
from edge.core.point import Point, PointKind, Quantity
from edge.core.quality import Reason
from edge.core.reading import Bad, Sample
from edge.core.record import Draft, Stream
from edge.process.engine import DeviceSetup, Engine
from edge.process.enginesetup import PulseSetup
from edge.process.growthbounds import full_scale_power_w, growth_per_hour
from tests.kit.asread import as_read
from tests.kit.engine import (
    MINUTE,
    S,
    body,
    engine,
    events,
    found,
    presences,
    setup,
    sweeps,
)
from tests.process.plausible import points_of

NAME = "meter"


def polled(driver: str) -> tuple[Point, ...]:
    if drivers.spec(driver).wiring == "gpio":
        return ()
    return points_of(driver)


KINDS = {  # quantity: how much of it cannot come within a minute
    Quantity.ENERGY: 30.0,
    Quantity.REACTIVE_ENERGY: 30.0,
    Quantity.APPARENT_ENERGY: 30.0,
    Quantity.VOLUME: 734.607,
    Quantity.COUNT: 1000.0,
    Quantity.DURATION: 200.0,
}


def device(quantity: Quantity, *more: Point, every_s: float = 1.0) -> DeviceSetup:
    register = Point("register", quantity, 0, 1e8, kind=PointKind.TOTAL)
    return DeviceSetup(NAME, Stream.ENERGY, (register, *more), every_s)


def feed(made: Engine, *rows: tuple[float, float]) -> None:
    made.sweeps(sweeps(NAME, ((at, (value,)) for at, value in rows)))


def register(drafts: list[Draft]) -> Any:
    return body(drafts, NAME)["points"]["register"]


@pytest.mark.parametrize("quantity", KINDS)
@pytest.mark.parametrize("changed", [True, False])
def test_what_cannot_have_come_is_not_counted(quantity: Quantity, changed: bool) -> None:
    """A value that came once changes nothing; one that stays is told as another register's, or
    begins anew, before the register has ever moved."""
    much, step = KINDS[quantity], Point("x", quantity).step
    moved = [(1.0, 1234.0 + step)] if changed else []
    at = 1234.0 + step * changed
    made = engine(device(quantity))
    feed(made, (0, 1234.0), *moved, (10, at + much), (11, at), (12, at))
    reported = register(made.close(13 * S))
    assert reported["delta"] == pytest.approx(step * changed)
    assert reported["quality"]["uncertain:range"] == 1
    feed(made, *((20.0 + n, at + much + 0.3) for n in range(3)))
    drafts = made.close(30 * S)
    assert register(drafts)["delta"] == 0
    if changed:
        assert [as_read(each)["kind"] for each in events(drafts)] == ["swap"]


@pytest.mark.parametrize(
    "driver", [n for n in drivers.names() if any(p.kind is PointKind.TOTAL for p in polled(n))]
)
def test_no_register_of_a_driver_grows_without_a_bound(driver: str) -> None:
    """What each of them cannot have grown in ten seconds is refused, and is told when it stays."""
    points = polled(driver)
    for place, point in enumerate(points):
        if point.kind is not PointKind.TOTAL:
            continue
        most = growth_per_hour(point, points)
        assert most is not None, point.key
        much = most / 3600 * 20 + 5 * point.step
        rows: list[tuple[float, tuple[Sample, ...]]] = []
        values = (100.0, 100 + point.step, 100 + point.step + much, 100 + 2 * point.step + much)
        for n, value in enumerate(values):
            row: list[Sample] = [Bad(Reason.ADDRESS)] * len(points)
            row[place] = value
            rows.append((n * 10.0 if n < 3 else 21.0, tuple(row)))
        made = engine(DeviceSetup(NAME, Stream.ENERGY, points, 10.0))
        made.sweeps(sweeps(NAME, rows))
        drafts = made.close(30 * S)
        reported = body(drafts, NAME)["points"][point.key]
        assert reported["quality"]["uncertain:range"] == 1, point.key
        assert reported["delta"] <= 3 * point.step, point.key
        assert [as_read(each)["kind"] for each in events(drafts)] == ["swap"], point.key


def test_a_range_for_meters_of_any_size_bounds_nothing() -> None:
    wide = Point("power", Quantity.POWER, -1e7, 1e7)
    narrow = Point("power", Quantity.POWER, -20_000, 20_000)
    energy = device(Quantity.ENERGY).points[0]
    assert (growth_per_hour(energy, (wide,)), growth_per_hour(energy, (narrow,))) == (1000.0, 20.0)
    assert growth_per_hour(energy, (wide,), full_scale_power_w((wide,))) == 10_000.0, (
        "the site has said so"
    )
    volume = device(Quantity.VOLUME).points[0]
    flow = Point("volume_flow", Quantity.VOLUME_FLOW, -3.0, 3.0)
    assert (growth_per_hour(volume, ()), growth_per_hour(volume, (flow,))) == (250.0, 3.0)


def test_a_coarse_register_may_count_once_before_it_has_ever_moved() -> None:
    """A megawatt hour at a time, told in kilowatt hours: seen five seconds before it counts."""
    for before, after in ((12_000.0, 13_000.0), (0.0, 1000.0), (125.0 * 40, 125.0 * 41)):
        made = engine(device(Quantity.ENERGY))
        feed(made, (0, before), (5, after), (6, after))
        drafts = made.close(7 * S)
        assert (register(drafts)["delta"], events(drafts)) == (after - before, [])


def test_a_register_that_is_refreshed_daily_brings_no_alarm() -> None:
    """What came before it was first seen is not counted; from then on everything is."""
    made = engine(device(Quantity.VOLUME))
    feed(made, (0, 1000.0), (5, 1012.345), (6, 1012.345))
    drafts = made.close(MINUTE)
    assert (register(drafts)["delta"], events(drafts)) == (0.0, [])
    feed(made, *((60.0 * n, 1012.345 if n < 1440 else 1030.5) for n in range(1, 1442)))
    drafts = made.close(1442 * MINUTE)
    assert (register(drafts)["delta"], events(drafts)) == (18.155, [])


@pytest.mark.parametrize("shuffled", [False, True])
def test_two_devices_with_one_address_count_nothing_wrong_and_are_told_once(
    shuffled: bool,
) -> None:
    """734.607 m3 lie between them, and each change was counted."""
    made, reported, counted, doubted = engine(device(Quantity.VOLUME, every_s=10)), [], 0.0, 0
    random.seed(12)
    for minute in range(180):
        rows = []
        for n in range(6):
            at = minute * 60 + n * 10
            other = random.random() < 0.5 if shuffled else bool(n % 2)
            rows.append((float(at), round(100 + at * 1e-4 + (734.607 if other else 0), 3)))
        feed(made, *rows)
        drafts = made.close((minute + 1) * MINUTE)
        reported += events(drafts)
        found = register(drafts)
        counted += found["delta"] or 0.0
        if minute > 10:
            doubted += found["quality"].get("good", 0)
    assert counted <= 1.081, "what one of them has grown in three hours, or less"
    assert doubted == 0
    faults = [as_read(each) for each in reported if as_read(each)["event"] == "sensor_fault"]
    assert [(one["fault"], one["state"]) for one in faults] == [("two_devices", "on")]
    assert "two devices with one address" in faults[0]["text"]
    swaps = [each for each in reported if as_read(each)["event"] == "meter"]
    assert len(swaps) <= (3 if shuffled else 0)


def test_two_devices_are_told_again_after_a_restart_and_their_end_too() -> None:
    setup_ = device(Quantity.VOLUME, every_s=10)
    made = engine(setup_)
    feed(made, *((10.0 * n, 100.0 + 734 * (n % 2)) for n in range(60)))
    assert [as_read(each)["state"] for each in events(made.close(600 * S))] == ["on"]
    again = Engine(setup(setup_))
    again.restore(made.snapshot())
    reported = []
    for minute in range(10, 400):
        feed(again, *((minute * 60.0 + 10 * n, 100.0 + minute * 1e-3) for n in range(6)))
        reported += events(again.close((minute + 1) * MINUTE))
    assert [(as_read(each)["fault"], as_read(each)["state"]) for each in reported] == [
        ("two_devices", "off")
    ]


def test_a_wild_value_near_the_register_is_no_second_one() -> None:
    """Ten kilowatts pass by a value that was not believed."""
    power = Point("power", Quantity.POWER, -50_000, 50_000)
    made, reported = engine(device(Quantity.ENERGY, power)), []
    for minute in range(180):
        rows = []
        for n in range(6):
            at = minute * 60 + n * 10
            kwh = 1002.0 if at == 60 else round(1000 + at * 10 / 3600, 3)
            rows.append((float(at), (10_000.0, kwh)))
        made.sweeps(sweeps(NAME, ((at, values[::-1]) for at, values in rows)))
        reported += events(made.close((minute + 1) * MINUTE))
    assert not reported


@pytest.mark.parametrize(("imp", "apart_s"), [(1, 1.0), (10, 0.1)])
def test_pulses_beyond_a_megawatt_are_a_line_that_chatters(imp: float, apart_s: float) -> None:
    made = engine(PulseSetup("heat", imp))
    edges = [(1.0 + n * apart_s, 1.03 + n * apart_s) for n in range(10)]
    made.contacts([*found("heat"), *presences("heat", *edges)])
    reported = body(made.close(MINUTE), "heat")["points"]
    assert reported["energy_import"]["quality"]["uncertain:range"] >= 6
    assert reported["energy_import"]["delta"] <= 4 / imp
    assert (reported["power"]["max"] or 0) <= 1e6


def test_lost_pulses_are_bounded_too() -> None:
    made = engine(PulseSetup("heat", 1))
    made.contacts([*found("heat"), *presences("heat", (1.0, 1.05))])
    made.contacts([Contact("heat", True, 11 * S, lost=2000)])
    reported = body(made.close(MINUTE), "heat")["points"]["energy_import"]
    assert reported["delta"] <= 4
    assert reported["quality"]["uncertain:range"] > 900
