"""The table of faults has what can be simulated, no more, no less, and says why a layer cannot."""

from pathlib import Path

import pytest

import drivers
from drivers.meters.register_map import list_maps
from drivers.sim import lanetraffic
from drivers.sim.drivencontact import DrivenContact
from drivers.sim.loopcard import LoopCard
from drivers.sim.simdevice import list_faults
from edge.cabinet.cabinet import Cabinet, placed_site
from edge.cabinet.deskplaces import desk_places
from edge.cabinet.faulttargets import STREET_FAULTS, find_targets
from edge.cabinet.playedbus import PlayedI2c, PlayedPort, PlayedTcp
from edge.config import load_site
from edge.rig.devicefaults import DEVICE_FAULTS
from edge.rig.faultcatalogue import (
    FAULT_KINDS,
    SYSTEM,
    FaultKind,
    able_layers,
    cabinet_words,
    find_kind,
    kinds_of,
)
from edge.rig.scenario import LAYERS, Fault
from edge.rig.scenariosite import ScenarioSite

EXAMPLE = Path(__file__).parents[2] / "deploy" / "cabinet.example.toml"
OWN_TRAFFIC = {"congestion", "empty"}
"""What `kerbstone sim` calls a fault of an approach: in a scenario it is a table [[traffic]]."""


def test_every_fault_of_a_simulated_device_is_told_in_words() -> None:
    found = {
        fault
        for name, spec in drivers.catalogue().items()
        for fault in list_faults(name, spec.wiring, name in list_maps())
    }
    assert found == set(DEVICE_FAULTS)


def test_every_fault_of_the_wires_is_in_the_table() -> None:
    assert set(kinds_of("loop")) == set(LoopCard.FAULTS)
    assert set(kinds_of("contact")) == set(DrivenContact.FAULTS)
    assert set(kinds_of("pair")) == set(lanetraffic.FAULTS)
    assert set(kinds_of("approach")) == set(STREET_FAULTS) - OWN_TRAFFIC
    assert set(kinds_of("i2c_bus")) == set(PlayedI2c.FAULTS)
    assert set(kinds_of("bus")) == {*PlayedPort.FAULTS, *PlayedTcp.FAULTS}


def test_what_a_scenario_may_break_a_played_cabinet_can_show(tmp_path: Path) -> None:
    site = load_site(EXAMPLE, drivers.catalogue())
    cabinet = Cabinet(placed_site(site, desk_places(site, tmp_path, {})))
    named = ScenarioSite(site)
    seen = 0
    for target in cabinet.targets:
        for kind in set(target.faults) - OWN_TRAFFIC:
            found = [one for one in named.targets(target.full) if one.row(kind) is not None]
            assert len(found) == 1, (target.full, kind)
            fault = Fault(name="x", target=target.full, kind=kind)
            assert find_targets(cabinet.targets, *cabinet_words(fault)) == [target]
            seen += 1
    assert seen > 80


def test_an_offset_is_one_for_the_cabinet(tmp_path: Path) -> None:
    site = load_site(EXAMPLE, drivers.catalogue())
    with Cabinet(placed_site(site, desk_places(site, tmp_path, {}))) as cabinet:
        for amount in (60.0, -0.25, 1e-6, -1e6):
            fault = Fault(name="x", target="main_meter.voltage_l1", kind="offset", amount=amount)
            assert cabinet_words(fault)[0] == "main_meter"
            if abs(amount) < 1e6:  # a register has its own end
                cabinet.misbehave(*cabinet_words(fault))
                assert cabinet.devices["main_meter"].offsets["voltage_l1"] == amount


@pytest.mark.parametrize("row", FAULT_KINDS, ids=lambda row: f"{row.target}.{row.name}")
def test_a_row_is_whole(row: FaultKind) -> None:
    assert find_kind(row.target, row.name) is row  # no other has its name
    assert row.text
    assert row.seen
    assert not any(text.endswith(".") for text in (row.text, row.seen, *row.cannot.values()))
    assert set(row.cannot) <= set(LAYERS)
    assert all(row.cannot.values())
    if row.measure is not None:
        assert row.measure.low < row.measure.high
        default = row.measure.default
        assert default is None or row.measure.low <= default <= row.measure.high


def test_what_all_faults_can_do_is_what_each_can() -> None:
    jump, fsync = find_kind("clock", "jump"), find_kind("disk", "slow_fsync")
    assert jump is not None
    assert fsync is not None
    assert able_layers([]) == LAYERS
    assert able_layers([jump]) == ("sim", "pty", "qemu")
    assert able_layers([jump, fsync]) == ("qemu",)


def test_no_part_of_the_system_is_without_a_fault() -> None:
    assert all(kinds_of(target) for target in SYSTEM)
