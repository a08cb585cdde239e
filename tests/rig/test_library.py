"""The scenarios that come with Kerbstone: each is right, has a name of its own, and passes."""

from collections import Counter
from functools import cache
from pathlib import Path
from typing import Any, Final
from xml.etree import ElementTree

import pytest

from edge.rig.faultcatalogue import FAULT_KINDS, able_layers
from edge.rig.judging import judge
from edge.rig.runner import run
from edge.rig.scenariofile import CheckedScenario, check_scenario
from edge.rig.scenariolibrary import LIBRARY, library_files
from edge.rig.scenariopicture import scenario_picture
from edge.rig.simlayer import SimLayer

NAMES: Final = [file.stem for file in library_files()]
LAYERED: Final = ("device", "chip")
"""Targets of which no single one has all faults that the table lists of them."""
LONGEST_S: Final = 1300.0  # of one that may be run on real wires, where time is real
LONGEST_SCENE_S: Final = 7200.0
EACH_TIME: Final = (
    "arterial_green_and_red", "killed_in_outage", "line_cut", "link_reset", "meter_silent",
    "smart_loop_card",
)  # fmt: skip
WITHOUT_ALL: Final = {"link_chunk_loss"}
"""Here what was sent is damaged on the way, and without TLS nobody can see it."""


@cache
def checked(name: str) -> CheckedScenario:
    return check_scenario(LIBRARY / f"{name}.toml")


def layers_of(name: str) -> tuple[str, ...]:
    one = checked(name)
    return one.scenario.about.layers or able_layers(one.kinds.values())


@pytest.mark.parametrize("name", NAMES)
def test_it_is_right_and_nothing_in_it_is_doubtful(name: str) -> None:
    remarks = [] if name in WITHOUT_ALL else [str(one) for one in checked(name).warnings]
    assert remarks == []
    about = checked(name).scenario.about
    assert len(about.text) > 60, "a sentence or two for who reads it as part of a contract"
    assert layers_of(name)


def test_there_are_many_and_each_has_a_name_of_its_own() -> None:
    assert len(NAMES) >= 40
    titles = Counter(checked(name).scenario.about.name for name in NAMES)
    assert [title for title, count in titles.items() if count > 1] == []


def test_each_site_file_is_used() -> None:
    used = {Path(checked(name).scenario.about.site).name for name in NAMES}
    assert used == {file.name for file in (LIBRARY / "sites").glob("*.toml")}


@pytest.mark.parametrize("name", NAMES)
def test_each_fault_is_asked_for_its_effect(name: str) -> None:
    scenario = checked(name).scenario
    shown = {one.fault for one in scenario.expects if one.what == "in_force"}
    assert shown == {one.name for one in scenario.faults}


def test_each_fault_that_a_layer_can_do_occurs() -> None:
    there = {
        (row.target, row.name)
        for name in NAMES
        for row in checked(name).kinds.values()
        if layers_of(name)
    }
    of_devices = {kind for target, kind in there if target in LAYERED}
    missing = [
        (row.target, row.name)
        for row in FAULT_KINDS
        if row.layers
        and (row.target, row.name) not in there
        and not (row.target in LAYERED and row.name in of_devices)
    ]
    assert missing == []


@pytest.mark.parametrize("name", NAMES)
def test_on_real_wires_it_takes_minutes(name: str) -> None:
    if "pty" in layers_of(name):
        assert checked(name).scenario.about.duration_s <= LONGEST_S


@pytest.mark.parametrize("name", NAMES)
def test_its_picture_shows_each_lane_and_fault_and_is_the_same_each_time(name: str) -> None:
    one = checked(name)
    text = scenario_picture(one.scenario, one.site.site)
    assert text == scenario_picture(one.scenario, one.site.site)
    words = " ".join(ElementTree.fromstring(text).itertext())
    lanes = {lane for table in one.scenario.traffic for lane in table.lanes}
    lanes |= {vehicle.lane for vehicle in one.scenario.vehicles}
    for wanted in (*lanes, *(fault.target for fault in one.scenario.faults)):
        assert wanted in words


def cases() -> list[Any]:
    """Those that virtual time can run: some each time, others as scenes, days in `make long`."""
    found = []
    for name in NAMES:
        if "sim" not in layers_of(name):
            continue
        marks: tuple[pytest.MarkDecorator, ...] = () if name in EACH_TIME else (pytest.mark.scene,)
        if checked(name).scenario.about.duration_s > LONGEST_SCENE_S:
            marks = (pytest.mark.long, pytest.mark.timeout(3600))
        found.append(pytest.param(name, marks=marks))
    return found


@pytest.mark.parametrize("name", cases())
def test_it_passes_in_virtual_time(name: str, tmp_path: Path) -> None:
    scenario = checked(name).scenario
    log = run(scenario, SimLayer(tmp_path / "box"))
    found = [f"{each.name}: {each.text}" for each in judge(scenario, log) if each.verdict != "pass"]
    assert found == []
