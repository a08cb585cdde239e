"""One rule, one test: the smallest change of a right file that breaks it, and what is said."""

from pathlib import Path

import pytest

from edge.config import SerialBus
from edge.config.model.link import Link
from edge.config.valuerules import WrongValueError, model_rules
from edge.core.driver import SerialLine
from tests.config.conftest import RIGHT, Read, Wrong

BUSES = """
[bus.air]
kind = "i2c"
[bus.meters]
kind = "modbus-rtu"
port = "/dev/ttyS0"
[bus.dust]
kind = "serial"
port = "/dev/ttyS1"
"""


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ('gateway = "gw-0001"', 'gateway = "gw/1"', '3: site.gateway: "gw/1" is not'),
        ('gateway = "gw-0001"', 'gateway = ""', '3: site.gateway: "" is not'),
        ('gateway = "gw-0001"', f'gateway = "{"x" * 65}"', "3: site.gateway: "),
        ("[site]", "[site]\nperiod_s = 901", "2: site.period_s: 901 is not between 1 and 900"),
        ("[site]", "[site]\nperiod_s = 61", "61 s do not divide an hour; 60 and 72 would"),
        ("[site]", "[site]\nperiod_s = true", "true does not fit; a whole number from 1 to 900"),
        ("[site]", "[site]\nperiod_s = 60.0", "60.0 does not fit; a whole number"),
        ("[site]", "[site]\nzone = '../etc/passwd'", "is not a time zone such as"),
        ("mqtt://localhost", "localhost", 'has no scheme; write "mqtts://localhost"'),
        ("mqtt://localhost", "tcp://localhost", '"tcp://" is not known; "mqtt://" or "mqtts://"'),
        ("mqtt://localhost", "mqtt://u:p@localhost", "use username and password_file"),
        ("mqtt://localhost", "mqtt://localhost/x", "nothing may come after the port"),
        ("mqtt://localhost", "mqtt://:1883", "the name or address of the broker is missing"),
        ("mqtt://localhost", "mqtt://localhost:0", "0 is no port"),
        ("mqtt://localhost", "mqtt://a b", "is missing or cannot be right"),
        ('confirm = "broker"', 'confirm = "platfrom"', "did you mean platform?"),
        ("[uplink]", "[uplink]\nfallback = ['b']", "uplink.fallback: b: "),
        ("[uplink]", "[uplink]\nfallback = ['mqtts://b']", "is encrypted, url is not"),
        ("[uplink]", "[uplink]\nprotocol = 5", '5 does not fit; one of "5", "3.1.1" belongs here'),
        ("[uplink]", "[uplink]\nprefix = 'a/+/b'", '"a/+/b" is not words with / between them'),
        ("[uplink]", "[uplink]\nprefix = '/a'", '"/a" is not words'),
        ("[uplink]", "[uplink]\nca = '/ca.pem'", "uplink.ca: needs a url that begins with mqtts"),
        ("[uplink]", "[uplink]\npassword_file = '/p'", "uplink.username: is missing; a password"),
        ("[uplink]", "[uplink]\npassword = 'x'", "uplink.password: unknown key; did you mean"),
        ("[uplink]", '[uplink]\nusername = "\\u0007"', "a character that cannot be printed"),
        ("[uplink]", f'[uplink]\nusername = "{"x" * 600}"', "600 characters, more than 512"),
        ("[site]", "[store]\nrun_dir = '/var/lib/kerbstone/'\n[site]", "is the same as dir"),
        ("[site]", "[store]\ndir = 'data'\n[site]", '"data" is not a path that begins with /'),
        ("[site]", "[store]\nlimit_mb = 1\n[site]", "1 is not between 8 and 65536"),
        ("[site]", "streams = 1\n[site]", "1: streams: 1 does not fit; a table belongs here"),
        ("[bus.loops]", "[bus.'Loop 1']", '9: bus.Loop 1: as a name, "Loop 1" is not'),
        ("[bus.loops]", "[device]\nx = 1\n[bus.loops]", "1 does not fit; a table [device.NAME]"),
        ('bus = "loops"', 'bus = "loop"', 'no bus is called "loop"; did you mean loops?'),
        ('kind = "gpio"', "", "9: bus.loops.kind: is missing; one of"),
        *(
            (
                "[bus.loops]",
                f"[bus.m]\nkind = 'modbus-rtu'\nport = '/dev/x'\nlink_delay_s = {given}\n"
                "[bus.loops]",
                f"link_delay_s: {message}",
            )
            for given, message in (
                ("0.05", "0.05 is not between 0.1 and 60.0"),
                ("61", "61 is not between 0.1 and 60.0"),
                ("'5'", '"5" does not fit'),
            )
        ),
        ('kind = "gpio"', 'kind = "gpio"\nchip = "0"', "is not a path that begins with /, or sim:"),
        ('lead = "GPIO17"', "lead = 17", '17 does not fit; a GPIO line: "GPIO17"'),
        ('lead = "GPIO17"', "", "lane.north_1.lead: is missing"),
        (
            'lead = "GPIO17"',
            'lead = "GPIO17"\nspacing_m = 4.0',
            "lane.north_1.trail: is missing; spacing_m is for a second loop",
        ),
        (
            'lead = "GPIO17"',
            'lead = "GPIO17"\ntrail = "GPIO18"\nspacing_m = 1.5\nloop_m = 1.0',
            "lane.north_1.spacing_m: 1.5 m are too short for a speed; 1.83 m are enough",
        ),
        (
            'lead = "GPIO17"',
            'lead = "GPIO17"\ntrail = "GPIO18"\nspacing_m = 1.5\nkind = "bicycle"',
            "lane.north_1.loop_m: is missing; loops for bicycles have no usual length",
        ),
        ('lead = "GPIO17"', 'lead = "GPIO17"\nrole = "exit"', "lane.north_1.role"),
        (
            'lead = "GPIO17"',
            'lead = "GPIO17"\nrole = "bicycle"',
            "lane.north_1.role: is for bicycles, and the loops are not: write kind",
        ),
        (
            'lead = "GPIO17"',
            'lead = "GPIO17"\nkind = "bicycle"\nrole = "bus"',
            "lane.north_1.role: is bus, and the loops are for bicycles: leave it out",
        ),
    ],
)
def test_one_thing_is_wrong(wrong: Wrong, old: str, new: str, message: str) -> None:
    assert RIGHT.count(old) == 1
    problems = wrong(RIGHT.replace(old, new))
    assert len([p for p in problems if message in p]) == 1, problems


@pytest.mark.parametrize(
    ("device", "message"),
    [
        (
            "driver = 'sen55'\nbus = 'meters'",
            "sen55 needs a bus of kind i2c, and meters is modbus-",
        ),
        (
            "driver = 'sdm120'\nbus = 'dust'\nunit = 1",
            "modbus-rtu or modbus-tcp, and dust is serial",
        ),
        ("driver = 'sdm120'\nbus = 'meters'", "device.x.unit: is missing; a whole number from 1"),
        ("driver = 'sdm120'\nbus = 'meters'\nunit = 0", "0 is not between 1 and 247"),
        ("driver = 'sht3x'\nbus = 'air'\naddress = 0x50", "0x50 is not between 0x44 and 0x45"),
        ("driver = 'sen55'\nbus = 'air'\nevery_s = 0", "0 is not between 0.001 and 3600.0"),
        ("driver = 'sen55'\nbus = 'air'\nadress = 1", "device.x.adress: unknown key; choose from"),
        ("bus = 'air'", "device.x.driver: is missing; text in quotes belongs here"),
        ("driver = 'sen54'\nbus = 'air'", 'no driver is called "sen54"; did you mean sen55?'),
        ("driver = ['sen55']\nbus = 'air'", "a list does not fit; text in quotes belongs here"),
        (
            "driver = 's0'\nbus = 'loops'\nline = 'GPIO17'",
            "GPIO17 on loops is used by device.x.line already",
        ),
        (
            "driver = 's0'\nbus = 'loops'\nline = '17'",
            "GPIO17 on loops is used by device.x.line already",
        ),
        ("driver = 's0'\nbus = 'loops'\nline = 'A'\nevery_s = 1", "s0 is not polled; leave"),
        ("driver = 's0'\nbus = 'loops'\nline = 'A'\nactive = 'hi'", "did you mean high?"),
        ("driver = 's0'\nbus = 'loops'\nline = 'A'\ndebounce_s = 0.03", "between 0.0 and 0.029"),
        (
            "driver = 'sen55'\nbus = 'air'\nreversed = true",
            "14: device.x.reversed: sen55 reports no direction: it has neither a sign nor a "
            "register"
            " for each way; leave this out",
        ),
        (
            "driver = 's0'\nbus = 'loops'\nline = 'A'\nreversed = true",
            "device.x.reversed: s0 reports no direction",
        ),
        (
            "driver = 'sdm120'\nbus = 'meters'\nunit = 1\nreversed = 'l1'",
            'device.x.reversed: "l1" does not fit; true or false belongs here',
        ),
        (
            "driver = 'sdm120'\nbus = 'meters'\nunit = 1\nreversed = true\n"
            "points = ['energy_import']",
            '"energy_import" is not one of "voltage_l1", "power", "energy_export"',
        ),
        (
            "driver = 'loop'\nbus = 'loops'\nline = 'A'",
            "a loop belongs to a lane; write [lane.NAME]",
        ),
    ],
)
def test_a_device_is_wrong(wrong: Wrong, device: str, message: str) -> None:
    problems = wrong(f"{BUSES}\n[device.x]\n{device}\n{RIGHT}")
    assert len(problems) == 1, problems
    assert message in problems[0]


@pytest.mark.parametrize(
    ("devices", "message"),
    [
        ("a = {driver='sen55', bus='air'}\nb = {driver='sps30', bus='air'}", "has address 0x69"),
        ("a = {driver='sht3x', bus='air'}\nb = {driver='sht3x', bus='air'}", "has address 0x44"),
        (
            "a = {driver='sdm120', bus='meters', unit=3}\n"
            "b = {driver='sdm630', bus='meters', unit=3}",
            "device.b.unit: device.a has unit 3 on meters already",
        ),
        (
            "a = {driver='pms5003', bus='dust'}\nb = {driver='pms5003', bus='dust'}",
            "device.a is on dust already; pms5003 has no address",
        ),
        (
            "a = {driver='mbus', bus='dust'}\nb = {driver='pms5003', bus='dust'}",
            "device.a is on dust already; pms5003 has no address",
        ),
        (
            "a = {driver='mbus', bus='dust', address=3}\n"
            "b = {driver='mbus', bus='dust', address=3}",
            "device.b.address: device.a has address 0x03 on dust already",
        ),
        (
            "a = {driver='mbus', bus='dust'}\nb = {driver='canoga', bus='dust'}",
            "canoga leaves the factory with 9600 8N1, and mbus with 2400 8E1; set both alike",
        ),
        (
            "a = {driver='s0', bus='loops', line='4'}\n"
            "b = {driver='s0', bus='loops', line='GPIO4'}",
            "device.b.line: GPIO4 on loops is used by device.a.line already",
        ),
        ("north_1 = {driver='sen55', bus='air'}", "lane.north_1: a device has this name already"),
    ],
)
def test_two_cannot_be_at_one_place(wrong: Wrong, devices: str, message: str) -> None:
    (problem,) = wrong(f"{BUSES}\n[device]\n{devices}\n{RIGHT}")
    assert message in problem


def test_a_serial_port_is_set_as_its_device_leaves_the_factory(read: Read) -> None:
    lines = {
        "": SerialLine(2400, 8, "E", 1),
        "baud = 9600": SerialLine(9600, 8, "E", 1),
        "bits = 7\nparity = 'O'\nstop = 2": SerialLine(2400, 7, "O", 2),
    }
    for said, line in lines.items():
        bus = f"[bus.heat]\nkind = 'serial'\nport = '/dev/ttyAMA0'\n{said}\n"
        devices = "".join(
            f"[device.{name}]\ndriver = 'mbus'\nbus = 'heat'\naddress = {place}\n"
            for place, name in enumerate("abc")
        )
        found = read(f"{RIGHT}{bus}{devices}").buses["heat"]
        assert isinstance(found, SerialBus)
        assert found.line() == line
        assert (found.baud, found.bits) == (line.baud, line.bits)


@pytest.mark.parametrize(
    ("points", "message"),
    [
        ("['voltage_l2']", "did you mean voltage_l1?"),
        ("[]", "a list of 1 to 128 belongs here"),
        ("['power', 'power']", "is listed twice"),
        ("'power'", "a list of texts in quotes belongs here"),
        ("[1]", "1 does not fit; one of"),
    ],
)
def test_points_are_those_of_the_driver(wrong: Wrong, points: str, message: str) -> None:
    device = f"a = {{driver='sdm120', bus='meters', unit=3, points={points}}}"
    (problem,) = wrong(f"{BUSES}\n[device]\n{device}\n{RIGHT}")
    assert "device.a.points: " in problem
    assert message in problem


def test_some_points_are_enough(read: Read) -> None:
    device = "a = {driver='sdm120', bus='meters', unit=3, points=['power', 'voltage_l1']}"
    assert read(f"{BUSES}\n[device]\n{device}\n{RIGHT}").devices["a"].points == (
        "power",
        "voltage_l1",
    )


def test_different_places_are_fine(read: Read) -> None:
    site = read(
        f"""{BUSES}
[bus.air2]
kind = "i2c"
path = "/dev/i2c-2"
[device]
a = {{driver='sen55', bus='air'}}
b = {{driver='sen55', bus='air2'}}
c = {{driver='sht3x', bus='air'}}
d = {{driver='sht3x', bus='air', address=0x45}}
e = {{driver='sdm120', bus='meters', unit=1}}
f = {{driver='sdm120', bus='meters', unit=2}}
{RIGHT}"""
    )
    assert len(site.devices) == 6


@pytest.mark.parametrize(
    "buses",
    [
        "a = {kind='i2c'}\nb = {kind='i2c'}",
        "a = {kind='serial', port='/dev/ttyS0'}\nb = {kind='modbus-rtu', port='/dev/ttyS0'}",
        "a = {kind='modbus-tcp', host='10.0.0.1'}\nb = {kind='modbus-tcp', host='10.0.0.1'}",
    ],
)
def test_one_wire_is_one_bus(wrong: Wrong, buses: str) -> None:
    text = RIGHT.replace("[bus.loops]", f"[bus]\n{buses}\n[bus.loops]")
    (problem,) = wrong(text)
    assert "is that of bus.a already" in problem


def test_two_ports_of_one_host_are_two_buses(read: Read) -> None:
    buses = "a = {kind='modbus-tcp', host='h'}\nb = {kind='modbus-tcp', host='h', port=503}"
    assert len(read(RIGHT.replace("[bus.loops]", f"[bus]\n{buses}\n[bus.loops]")).buses) == 3


def test_raw_and_passages_go_together(wrong: Wrong, read: Read) -> None:
    raw = RIGHT + "[streams]\nraw = true\n"
    assert wrong(raw)[0].startswith("17: streams.raw: needs passages = true under [privacy]")
    assert wrong(raw + "[privacy]\npassages = false\n")
    assert read(raw + "[privacy]\npassages = true\n").streams.raw


def test_a_secret_that_others_can_read_is_refused(wrong: Wrong, read: Read, tmp_path: Path) -> None:
    secret = tmp_path / "password"
    secret.write_text("hush\n")
    text = RIGHT.replace("[uplink]", f'[uplink]\nusername = "u"\npassword_file = "{secret}"')
    secret.chmod(0o644)
    (problem,) = wrong(text)
    assert "may be read by everybody here; chmod 640 it" in problem
    secret.chmod(0o640)
    assert read(text).uplink.password_file == str(secret)


def test_each_of_a_list_follows_the_rule_of_one() -> None:
    rule = model_rules(Link)["page_interfaces"]
    assert rule.check(["eth0", "wlan1"]) == ("eth0", "wlan1")
    for wrong in (["lo"], ["eth0", "a b"], ["../x"], "eth0", [1], []):
        with pytest.raises(WrongValueError):
            rule.check(wrong)
