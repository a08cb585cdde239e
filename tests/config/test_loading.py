"""A file that is right gives a site; one that is not gives all that is wrong, with its lines."""

import os
from pathlib import Path

import pytest

import drivers
from edge.config import GpioBus, ModbusRtuBus, Problems, load_site
from tests.config.conftest import CATALOGUE, RIGHT, Read, Wrong


def test_fifteen_lines_are_a_site(read: Read) -> None:
    site = read(RIGHT)
    assert len(RIGHT.splitlines()) <= 15
    assert (site.place.id, site.place.gateway) == ("stadtmitte", "gw-0001")
    assert site.period_ns == 60_000_000_000
    assert site.buses == {"loops": GpioBus()}
    assert site.lanes["north_1"].trail is None
    assert (site.uplink.endpoint.port, site.uplink.endpoint.tls) == (1883, False)
    assert site.uplink.protocol == "5"
    assert not site.streams.raw


def test_devices_keep_the_options_that_were_written(read: Read) -> None:
    site = read(
        RIGHT
        + """
[bus.meters]
kind = "modbus-rtu"
port = "/dev/ttyS0"
baud = 2400
parity = "E"
[device.main_meter]
driver = "sdm630"
bus = "meters"
unit = 7
every_s = 5
[device.heat]
driver = "s0"
bus = "loops"
line = "GPIO5"
[lane.north_2]
approach = "north"
bus = "loops"
lead = "GPIO22"
trail = "GPIO23"
spacing_m = 4
"""
    )
    meter = site.devices["main_meter"]
    assert meter.options == {"unit": 7}
    assert isinstance(meter.every_s, float)
    assert meter.every_s == 5.0
    assert site.devices["heat"].options == {"line": "GPIO5"}
    assert isinstance(site.buses["meters"], ModbusRtuBus)
    assert list(site.devices_on("loops")) == ["heat"]
    assert list(site.lanes_on("loops")) == ["north_1", "north_2"]
    assert site.approaches == {"north": ["north_1", "north_2"]}
    assert site.lanes["north_2"].spacing_m == 4.0


def test_everything_is_said_at_once_with_its_line(wrong: Wrong) -> None:
    text = """\
sight = 1
[site]
id = "Stadt Mitte"
gateway = 7
zone = "Europe/Berln"
period_s = 7
[uplink]
url = "mqtt://broker:99999"
confrm = "platform"
encoding = "msgpak"
keepalive_s = "30"
window = 0
cert = "/nowhere/cert.pem"
[streams]
raw = true
[bus.air]
kind = "i2cc"
[device.meter]
driver = "sdm360"
bus = "metres"
unit = 300
[device.meter_2]
driver = "sdm630"
bus = "air"
unit = 300
[lane.north_1]
approach = "north"
bus = "air"
lead = "GPIO17"
trail = "17"
loop_m = nan
period_s = 1
"""
    assert wrong(text) == [
        "1: sight: unknown key; did you mean site?",
        '3: site.id: "Stadt Mitte" is not 1 to 64 of a-z, 0-9, _ and -',
        "4: site.gateway: 7 does not fit; 1 to 64 of a-z, 0-9, _ and - belongs here",
        '5: site.zone: there is no time zone "Europe/Berln"; did you mean Europe/Berlin?',
        "6: site.period_s: 7 s do not divide an hour; 6 and 8 would",
        "7: uplink.key: is missing; the certificate and its key go together",
        "8: uplink.url: host or port cannot be read; a port is from 1 to 65535",
        "9: uplink.confrm: unknown key; did you mean confirm?",
        '10: uplink.encoding: "msgpak" is not one of "msgpack", "json"; did you mean msgpack?',
        '11: uplink.keepalive_s: "30" does not fit; a whole number from 5 to 3600 belongs here',
        "12: uplink.window: 0 is not between 1 and 2000",
        "15: streams.raw: needs passages = true under [privacy], since raw readings are not "
        "summarised; "
        "or write raw = false",
        '17: bus.air.kind: "i2cc" is not one of "gpio", "i2c", "serial", "modbus-rtu", '
        '"modbus-tcp"; did you mean i2c?',
        '19: device.meter.driver: no driver is called "sdm360"; did you mean sdm630?',
        '20: device.meter.bus: no bus is called "metres"; choose from air',
        "25: device.meter_2.unit: 300 is not between 1 and 247",
        "26: lane.north_1.spacing_m: is missing; two loops need the metres from the front edge "
        "of one to the other's",
        "30: lane.north_1.trail: 17 is already the line of lead; trail is for the second loop",
        "31: lane.north_1.loop_m: nan is not between 0.2 and 20.0",
        "32: lane.north_1.period_s: unknown key here; it belongs to [site]",
    ]


def test_the_text_of_the_error_names_the_file(tmp_path: Path) -> None:
    path = tmp_path / "kerb.toml"
    path.write_text(RIGHT + "mode = 'pulses'\n")
    with pytest.raises(Problems) as caught:
        load_site(path, CATALOGUE)
    assert str(caught.value) == (
        f'{path}:16: lane.north_1.mode: "pulses" is not one of "presence", "pulse"; '
        "did you mean pulse?"
    )


def test_an_empty_file_is_told_what_it_needs(wrong: Wrong) -> None:
    assert wrong("") == [
        "0: site: is missing; a table [site] with id and gateway belongs here",
        "0: uplink: is missing; a table [uplink] with url belongs here",
    ]


@pytest.mark.parametrize(
    ("text", "line", "message"),
    [
        ("[site\nid = 1\n", 1, "this is not TOML: Expected ']'"),
        ("a = 1\nb = \n", 2, "this is not TOML: the value is missing"),
        ("a = 1\na = 2\n", 2, "this is not TOML: this key stands in the file twice"),
        ('a = 1\nb = """x\n', 2, "this is not TOML: "),
        ("a = " + "[" * 900, 1, "lists or tables are nested deeper than 8 (column 13)"),
        ("a = 1" + "[\n" * 2000, 9, "this is not TOML: "),
        ("a = 1\nb = '" + "x" * 1000 + "'\n", 2, "more than 1000 characters"),
    ],
)
def test_what_is_no_toml_is_told_with_its_line(
    wrong: Wrong, text: str, line: int, message: str
) -> None:
    (problem,) = wrong(text)
    assert problem.startswith(f"{line}: file: ")
    assert message in problem


@pytest.mark.parametrize("version", ["2", "'1'", "true", "1.0", "99999999999999999999999999"])
def test_another_version_is_refused_and_not_judged(wrong: Wrong, version: str) -> None:
    (problem,) = wrong(f"version = {version}\n[unknown]\n")
    assert problem.startswith("1: version: this Kerbstone reads files of version 1, and this")


def test_this_version_may_be_written(read: Read) -> None:
    assert read("version = 1\n" + RIGHT).place.id == "stadtmitte"


def test_a_mark_and_carriage_returns_of_other_editors_do_no_harm(read: Read) -> None:
    site = read("\ufeff" + RIGHT.replace("\n", "\r\n"))
    assert site.lines[("lane", "north_1", "lead")] == 15


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"[site]\nid = '\xff'\n", "site.toml:2: file: this line is not UTF-8 text"),
        (b"#" * 90 + b"\n" + b"# x\n" * 40_000, "site.toml: file: has more than 128 kB"),
    ],
)
def test_bytes_that_are_no_configuration(tmp_path: Path, data: bytes, message: str) -> None:
    path = tmp_path / "site.toml"
    path.write_bytes(data)
    with pytest.raises(Problems) as caught:
        load_site(path, CATALOGUE)
    assert message in str(caught.value)


def test_what_is_no_file_does_not_stop_us(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    for path, message in (
        (tmp_path / "pipe", "is not a file"),
        (tmp_path, "cannot be read: Is a directory"),
        (tmp_path / "none.toml", "cannot be read: No such file"),
    ):
        with pytest.raises(Problems, match=message):
            load_site(path, CATALOGUE)


def test_a_hostile_file_is_answered_in_bounded_text(wrong: Wrong) -> None:
    text = "".join(f'"k{i}\\u001b[2J" = 1\n' for i in range(500))
    problems = wrong(text)
    assert len(problems) == 502
    assert all("\x1b" not in problem for problem in problems)
    shown = str(Problems([]))
    assert shown == ""


@pytest.mark.parametrize(
    "lines",
    [
        '[device.hall]\ndriver = "dlms"\nbus = "air"\npassword = 4711',
        '[device.hall]\ndriver = "dlms"\nbus = "air"\npassword = rain4711',
        '[uplink]\nurl = "me:rain4711@broker"',
        '[uplink]\nurl = "mqtt://me:ra/in4711@broker"',
        '[uplink]\nurl = "mqtt://x"\nfallback = ["mqtts://me:rain@4711@broker"]',
        '[uplink]\nurl = "mqtt://x"\nproxy = "http://me:rain4711@proxy:3128"',
        '[uplink]\nurl = "mqtt://x"\nproxy = "http://me:r a<i>n\'4711@proxy:3128"',
    ],
)
def test_no_password_is_repeated_in_what_is_wrong_with_it(tmp_path: Path, lines: str) -> None:
    """It goes to the log, onto the card, to the operator's server and to the city."""
    (tmp_path / "site.toml").write_text(lines)
    with pytest.raises(Problems) as caught:
        load_site(tmp_path / "site.toml", drivers.catalogue())
    assert "4711" not in str(caught.value)
