"""What a rig tells a played cabinet (values, signals, vehicles), and what it counts on wires."""

import contextlib
from pathlib import Path

import pytest

import drivers
from drivers.sim.contactplay import SignalCycle
from drivers.sim.timeline import Timeline
from drivers.sim.traffic import Flow
from edge.cabinet.cabinet import Cabinet, placed_site
from edge.cabinet.deskplaces import desk_places
from edge.cabinet.playedlines import StreetWish
from edge.config import Site, load_site
from edge.core import BusError
from edge.diagnose import standalone

S = 1_000_000_000
SITE = """
[site]
id = "s"
gateway = "g"
[uplink]
url = "mqtt://h"
[store]
dir = "{0}/store"
run_dir = "{0}/run"
[bus.air]
kind = "i2c"
[device.hut]
driver = "sht4x"
bus = "air"
[bus.meters]
kind = "modbus-rtu"
port = "/dev/ttyUSB0"
[device.meter]
driver = "sdm120"
bus = "meters"
unit = 1
[bus.grid]
kind = "serial"
port = "/dev/ttyUSB1"
[device.utility]
driver = "sml"
bus = "grid"
[bus.loops]
kind = "gpio"
[lane.a]
approach = "north"
bus = "loops"
lead = "GPIO17"
trail = "GPIO27"
spacing_m = 4.0
[device.green]
driver = "contact"
bus = "loops"
line = "GPIO13"
phase = {{ approach = "north", colour = "green" }}
"""


@pytest.fixture
def site(tmp_path: Path) -> Site:
    file = tmp_path / "site.toml"
    file.write_text(SITE.format(tmp_path), encoding="utf-8")
    (tmp_path / "run").mkdir()
    found = load_site(file, drivers.catalogue())
    return placed_site(found, desk_places(found, tmp_path, {}))


def values(site: Site, device: str) -> dict[str, float]:
    found = standalone.read_once(site, device)["readings"]
    return {row["point"]: row["value"] for row in found if row["value"] is not None}


def test_a_source_may_tell_some_points_only(site: Site) -> None:
    told = {"hut": lambda t_s: {"temperature": 3.0}, "meter": lambda t_s: {"voltage_l1": 241.0}}
    with Cabinet(site, sources=told):
        hut, meter = values(site, "hut"), values(site, "meter")
    assert hut["temperature"] == pytest.approx(3.0, abs=0.1)
    assert 40 < hut["humidity"] < 60  # typical
    assert meter["voltage_l1"] == pytest.approx(241.0, abs=0.1)
    assert meter["current_l1"] > 0


@pytest.mark.parametrize("fault", ["", "silent"])
def test_a_bus_counts_questions_whether_they_are_answered_or_not(site: Site, fault: str) -> None:
    with Cabinet(site) as cabinet:
        wires = {name: cabinet.buses[name] for name in ("air", "meters", "grid")}
        cabinet.misbehave("air", fault or "none")
        cabinet.misbehave("meters", fault or "none")
        before = {name: wire.carried() for name, wire in wires.items()}
        for device in ("hut", "meter", "utility"):
            with contextlib.suppress(BusError):
                values(site, device)
        for name, wire in wires.items():
            assert wire.carried() > before[name], name
        assert wires["air"].asked(cabinet.devices["hut"]) > 0
        assert (wires["meters"].asked(cabinet.devices["meter"]) > 0) is (fault == "")


def test_a_signal_follows_another_cycle_from_a_moment_on(site: Site) -> None:
    timeline_ns = [0]
    cabinet = Cabinet(site, street=StreetWish(Flow(0.0)), clock_ns=lambda: timeline_ns[0])
    signal = cabinet.lines["loops"].signals["north"]
    contact = cabinet.lines["loops"].contacts["green"]
    timeline: Timeline = cabinet.timeline
    signal.begin(0)
    timeline.run_until(10 * S)
    assert contact.wanted  # the usual cycle begins with green
    cycle = SignalCycle((("red", 5.0), ("green", 10.0), ("amber", 3.0)))
    signal.follow(cycle, 12 * S, 11 * S)
    assert signal.colour(12 * S) == ("red", 17 * S)
    shown: list[tuple[int, bool]] = []
    for second in range(11, 52):
        timeline.run_until(second * S)
        if not shown or shown[-1][1] is not contact.wanted:
            shown.append((second, contact.wanted))
    assert shown == [(11, False), (17, True), (27, False), (35, True), (45, False)]


def test_a_vehicle_whose_times_are_known_is_felt_at_them(site: Site) -> None:
    cabinet = Cabinet(site, street=StreetWish(Flow(0.0)), clock_ns=lambda: 0)
    played = cabinet.lines["loops"]
    felt: list[tuple[str, bool, int]] = []
    for name in ("a.lead", "a.trail"):
        card = played.loops[name]
        card.drive = lambda high, t_ns, name=name: felt.append((name, not high, t_ns))  # type: ignore[misc]
        card.begin(0)
    felt.clear()
    played.lanes["a"].cover((S, 2 * S), (3 * S, 5 * S), 4.0)
    cabinet.timeline.run_until(10 * S)
    assert felt == [
        ("a.lead", True, S),
        ("a.lead", False, 2 * S),
        ("a.trail", True, 3 * S),
        ("a.trail", False, 5 * S),
    ]
