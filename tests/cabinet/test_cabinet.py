"""A played cabinet, read by the gateway's own drivers; its faults look as those of real devices."""

import asyncio
import contextlib
import os
import select
import struct
import tty
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import drivers
from drivers.sim.meter_line import checksum
from edge.cabinet.cabinet import Cabinet, placed_site
from edge.cabinet.deskcontrol import cabinet_verbs
from edge.cabinet.deskplaces import DeskPlace, desk_places
from edge.cabinet.faulttargets import FaultTarget, shown_name
from edge.cabinet.playedlines import StreetWish
from edge.config import Site, load_site
from edge.core import BusError, ConfigError
from edge.diagnose import standalone
from tests.kit.waiting import wait_until

HEAD = (
    '[site]\nid = "s"\ngateway = "g"\n[uplink]\nurl = "mqtt://h"\n'
    '[store]\ndir = "{0}/store"\nrun_dir = "{0}/run"\n'
)
AIR = '[bus.air]\nkind = "i2c"\n'
METERS = '[bus.meters]\nkind = "modbus-rtu"\nport = "/dev/ttyUSB0"\n'
SHARED = """
[device.first]
driver = "sht4x"
bus = "air"
address = 0x44
[device.second]
driver = "sht4x"
bus = "air"
address = 0x45
[device.gas]
driver = "ads1115"
bus = "air"
[device.one]
driver = "sdm120"
bus = "meters"
unit = 1
[device.seven]
driver = "sdm630"
bus = "meters"
unit = 7
[device.sun]
driver = "sunspec"
bus = "far"
unit = 3
[bus.far]
kind = "modbus-tcp"
host = "192.0.2.9"
[bus.heat]
kind = "serial"
port = "/dev/ttyUSB4"
[device.heat_1]
driver = "mbus"
bus = "heat"
address = 1
[device.heat_2]
driver = "mbus"
bus = "heat"
address = 2
[bus.dl]
kind = "serial"
port = "/dev/ttyUSB5"
[device.dl_1]
driver = "dlt645"
bus = "dl"
address = "000000000011"
[device.dl_2]
driver = "dlt645"
bus = "dl"
address = "000000000022"
"""
STREET = """
[bus.loops]
kind = "gpio"
[lane.a]
approach = "north"
bus = "loops"
lead = "GPIO17"
trail = "27"
spacing_m = 4.0
[lane.b]
approach = "north"
bus = "loops"
lead = "kerb"
[bay.shop]
kind = "loading"
bus = "loops"
line = "GPIO5"
[device.heat]
driver = "s0"
bus = "loops"
line = "GPIO6"
[device.green]
driver = "contact"
bus = "loops"
line = "GPIO13"
phase = { approach = "north", colour = "green" }
"""


def placed(folder: Path, text: str) -> Site:
    """A site as at a desk."""
    file = folder / "site.toml"
    file.write_text(HEAD.format(folder) + text, encoding="utf-8")
    (folder / "run").mkdir(exist_ok=True)
    site = load_site(file, drivers.catalogue())
    return placed_site(site, desk_places(site, folder, {}))


def values(site: Site, device: str) -> dict[str, float]:
    """What a device says now, as the command reads it."""
    found = standalone.read_once(site, device)["readings"]
    return {row["point"]: row["value"] for row in found if row["value"] is not None}


@pytest.fixture
def shared(tmp_path: Path) -> Iterator[tuple[Site, Cabinet]]:
    site = placed(tmp_path, AIR + METERS + SHARED)
    with Cabinet(site) as cabinet:
        yield site, cabinet


@pytest.mark.parametrize(
    "name",
    ["first", "second", "gas", "one", "seven", "sun", "heat_1", "heat_2", "dl_1", "dl_2"],
)
def test_each_device_on_a_shared_wire_is_read(name: str, shared: tuple[Site, Cabinet]) -> None:
    assert len(values(shared[0], name)) >= 2


def test_devices_on_a_shared_wire_are_told_apart(shared: tuple[Site, Cabinet]) -> None:
    site, cabinet = shared
    cabinet.misbehave("second", "temperature=+11")
    cabinet.misbehave("seven", "voltage_l1=-30.5")
    cool, warm = (values(site, name)["temperature"] for name in ("first", "second"))
    assert warm - cool == pytest.approx(11.0, abs=0.7)
    assert values(site, "seven")["voltage_l1"] == pytest.approx(230.4 - 30.5)
    assert values(site, "one")["voltage_l1"] == pytest.approx(230.4)


ALONE = [name for name in drivers.names() if drivers.spec(name).wiring == "serial"]


@pytest.mark.parametrize("name", ALONE)
def test_each_serial_driver_is_read_on_a_port_of_its_own(name: str, tmp_path: Path) -> None:
    text = '[bus.line]\nkind = "serial"\nport = "/dev/ttyUSB9"\n'
    site = placed(tmp_path, text + f'[device.it]\ndriver = "{name}"\nbus = "line"\n')
    with Cabinet(site):
        assert values(site, "it")


def test_a_site_that_has_chosen_values_of_heat_has_a_heat_meter(tmp_path: Path) -> None:
    text = '[bus.line]\nkind = "serial"\nport = "/dev/ttyUSB9"\n'
    text += '[device.it]\ndriver = "mbus"\nbus = "line"\npoints = ["energy", "temperature_flow"]\n'
    site = placed(tmp_path, text)
    with Cabinet(site) as cabinet:
        assert values(site, "it").keys() == {"energy", "temperature_flow"}
        assert cabinet.devices["it"].sim.medium == 4
        assert "energy_import" not in cabinet.devices["it"].sim.values


def test_a_meter_that_is_mounted_backwards_is_so_on_the_wire(tmp_path: Path) -> None:
    text = METERS + '[device.it]\ndriver = "sdm630"\nbus = "meters"\nunit = 1\nreversed = true\n'
    site = placed(tmp_path, text)
    with Cabinet(site) as cabinet:
        assert values(site, "it")["power"] > 100
        assert cabinet.devices["it"].sim.held()["power"] < -100


WRONG: list[tuple[str, str, str]] = [
    ("one", "silent", "no answer"),
    ("meters", "silent", "no answer"),
    ("meters", "unplugged", "No such file|not there|cannot|no such"),
    ("first", "silent", "acknowledge|answer"),
    ("air", "stuck", "stuck"),
    ("air", "unplugged", "No such|not there|no such"),
    ("far", "unplugged", "refused|reached"),
    ("heat", "unplugged", "No such file|not there|no such"),
]


@pytest.mark.parametrize(("target", "fault", "says"), WRONG)
def test_a_fault_looks_as_that_of_a_device_and_ends(
    target: str, fault: str, says: str, shared: tuple[Site, Cabinet]
) -> None:
    site, cabinet = shared
    device = {"meters": "one", "air": "first", "far": "sun", "heat": "heat_1"}.get(target, target)
    cabinet.misbehave(target, fault)
    with pytest.raises(BusError, match=f"(?i){says}"):
        values(site, device)
    assert [shown_name(cabinet.targets, one) for one in cabinet.targets if one.state()] == [target]
    cabinet.misbehave(target, "none")
    assert values(site, device)


def test_a_refusal_gives_no_values(shared: tuple[Site, Cabinet]) -> None:
    shared[1].misbehave("one", "exception")
    assert values(shared[0], "one") == {}


def test_one_silent_device_does_not_silence_its_neighbours(shared: tuple[Site, Cabinet]) -> None:
    site, cabinet = shared
    for silent, speaks in (("one", "seven"), ("first", "second"), ("heat_1", "heat_2")):
        cabinet.misbehave(silent, "silent")
        assert values(site, speaks)


@pytest.mark.parametrize(
    ("target", "fault", "says"),
    [
        ("frist", "silent", "did you mean first?"),
        ("q", "silent", "nothing here is called 'q'; choose from first, second"),
        ("first", "slow", "choose from silent, crc"),
        ("first", "temperature=+x", r"with its sign, such as temperature=\+5"),
        ("first", "temperature=5", r"with its sign, such as temperature=\+5"),
        ("first", "co2=+5", "measures no 'co2'; choose from temperature, humidity"),
        ("heat_1", "power=+1e30", "with its sign"),
        ("dl_1", "voltage_l1=+99999", "cannot be sent"),
        ("air", "noise", "choose from silent, stuck, unplugged, none"),
        ("all", "silent", "write `sim fault all none`"),
    ],
)
def test_a_wrong_wish_says_what_would_be_right(
    target: str, fault: str, says: str, shared: tuple[Site, Cabinet]
) -> None:
    with pytest.raises(ValueError, match=says.replace("first?", r"first\?")):
        shared[1].misbehave(target, fault)
    assert not any(one.state() for one in shared[1].targets)


def test_who_ends_a_fault_is_told_what_had_one(shared: tuple[Site, Cabinet]) -> None:
    ask = cabinet_verbs(shared[1])["fault"]

    def names(target: str, fault: str) -> list[str]:
        answer: Any = asyncio.run(ask({"target": target, "fault": fault}))  # type: ignore[arg-type]
        assert answer["target"] == target
        return list(answer["names"])

    assert names("first", "none") == []
    assert names("first", "silent") == names("first", "none") == ["first"]
    assert names("all", "none") == []


def test_a_name_that_two_things_have_is_written_with_its_table(tmp_path: Path) -> None:
    site = placed(tmp_path, AIR + '[device.air]\ndriver = "sht4x"\nbus = "air"\n')
    cabinet = Cabinet(site)
    assert [shown_name(cabinet.targets, one) for one in cabinet.targets] == [
        "device.air", "bus.air"
    ]  # fmt: skip
    with pytest.raises(ValueError, match=r"write device\.air or bus\.air"):
        cabinet.misbehave("air", "silent")
    (found,) = cabinet.misbehave("air", "crc")
    assert found.table == "device"
    assert {one.table for one in cabinet.misbehave("air", "none")} == {"device", "bus"}


def test_every_target_takes_every_fault_that_it_names_and_ends_it(tmp_path: Path) -> None:
    site = placed(tmp_path, AIR + METERS + SHARED + STREET)
    with Cabinet(site) as cabinet:
        for one in list(cabinet.targets):
            for fault in one.faults:
                cabinet.misbehave(one.full, fault)
                eventually_shows(one, fault)
            cabinet.misbehave(one.full, "none")
            eventually_shows(one, "")


def eventually_shows(one: FaultTarget, fault: str) -> None:
    """A contact's fault begins in the thread of its timeline."""
    wait_until(lambda: one.state() == fault, f"{one.full} shows {fault!r}: {one.state()!r}")


def test_a_device_is_understood_at_its_own_speed_alone(tmp_path: Path) -> None:
    """As on a wire: a scan finds the right one, and a wrong one in the site file finds nobody."""
    text = METERS + '[device.it]\ndriver = "sdm120"\nbus = "meters"\nunit = 1\n'
    text = text.replace('"/dev/ttyUSB0"', '"/dev/ttyUSB0"\nbaud = 2400')
    text += '[bus.grid]\nkind = "serial"\nport = "/dev/ttyUSB1"\nbaud = 4800\n'
    text += '[device.grid]\ndriver = "sml"\nbus = "grid"\n'
    text += '[bus.dl]\nkind = "serial"\nport = "/dev/ttyUSB2"\n'
    text += '[device.dl]\ndriver = "dlt645"\nbus = "dl"\n'
    site = placed(tmp_path, text)
    with Cabinet(site):
        for name in ("it", "grid", "dl"):
            assert values(site, name)
        wrong = {"meters": {"baud": 9600}, "grid": {"baud": 9600}, "dl": {"baud": 9600}}
        other = placed_site(site, {bus: DeskPlace(keys) for bus, keys in wrong.items()})
        with pytest.raises(BusError):
            values(other, "it")
        for name in ("grid", "dl"):
            with contextlib.suppress(BusError):
                assert values(other, name) == {}
        assert values(site, "it")


def test_a_bus_is_played_on_a_real_port_that_is_named(tmp_path: Path) -> None:
    """Two ends of a cable, here a pair of pseudo-terminals."""
    ours, theirs = os.openpty()
    tty.setraw(ours)
    text = METERS + '[device.it]\ndriver = "sdm120"\nbus = "meters"\nunit = 9\n'
    site = placed(tmp_path, text)
    with Cabinet(site, ports={"meters": os.ttyname(theirs)}) as cabinet:
        question = bytes((9, 4, 0, 0, 0, 2))
        os.write(ours, question + checksum(question))
        answer = b""
        while len(answer) < 9:
            answer += os.read(ours, 9 - len(answer))
        assert answer[:3] == bytes((9, 4, 4))
        assert struct.unpack(">f", answer[3:7])[0] == pytest.approx(230.4)
        assert not Path(tmp_path, "meters.tty").exists()
        cabinet.misbehave("meters", "silent")
        os.write(ours, question + checksum(question))
        assert not select.select([ours], [], [], 0.3)[0]
    os.close(ours)
    os.close(theirs)


# --- lanes and contacts ------------------------------------------------------------------------


def played(site: Site, seconds: int, seed: int = 1) -> tuple[Cabinet, list[tuple[Any, ...]]]:
    """Minutes of a street in a moment: what was driven, with its exact time."""
    clock = [0]
    cabinet = Cabinet(site, street=StreetWish(seed=seed), clock_ns=lambda: clock[0])
    driven: list[tuple[Any, ...]] = []
    for lines in cabinet.lines.values():
        drive = lines.chip.drive

        def noted(line: Any, level: Any, mono_ns: int, drive: Any = drive) -> None:
            driven.append((line, level, mono_ns))
            drive(line, level, mono_ns)

        lines.chip.drive = noted  # type: ignore[method-assign]
        lines.chip.path = None
        lines.start()
    cabinet.timeline.run_until(seconds * 1_000_000_000)
    for lines in cabinet.lines.values():
        lines.stop()
    return cabinet, driven


def test_a_seed_plays_the_same_street_again(tmp_path: Path) -> None:
    site = placed(tmp_path, STREET)
    _, first = played(site, 900)
    _, again = played(site, 900)
    _, other = played(site, 900, seed=2)
    assert first == again
    assert first != other
    assert len(first) > 400


def test_each_line_of_a_street_moves_and_none_that_is_nobodys(tmp_path: Path) -> None:
    site = placed(tmp_path, STREET)
    _, driven = played(site, 900)
    count = {line: sum(row[0] == line for row in driven) for line, _, _ in driven}
    assert set(count) == {"GPIO17", "GPIO27", "kerb", "GPIO5", "GPIO6", "GPIO13"}
    assert all(number > 2 for number in count.values()), count


def test_an_hour_needs_no_more_memory_than_a_minute(tmp_path: Path) -> None:
    site = placed(tmp_path, STREET)
    cabinet, _ = played(site, 3600)
    assert cabinet.timeline.waiting() < 40


def test_a_number_that_the_chip_has_not_is_refused_with_its_key(tmp_path: Path) -> None:
    site = placed(tmp_path, STREET.replace("GPIO17", "GPIO99"))
    with pytest.raises(ConfigError, match=r"lane\.a\.lead: GPIO99: the simulated chip has"):
        Cabinet(site)
