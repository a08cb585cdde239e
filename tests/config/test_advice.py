"""What works and may not be meant."""

from pathlib import Path

import pytest

from edge.config import site_warnings, uplink_password
from edge.core import ConfigError
from tests.config.conftest import RIGHT, Read


def remarks(read: Read, text: str) -> list[str]:
    return [f"{p.line}: {p.key}: {p.text}" for p in site_warnings(read(text))]


def test_a_site_with_nothing_odd_has_no_remarks(read: Read) -> None:
    assert remarks(read, RIGHT) == []


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ('confirm = "broker"\n', "", '5: uplink.confirm: is not set, so "broker" applies'),
        ("[uplink]", "[uplink]\nprotocol = '3.1.1'", "6: uplink.protocol: in MQTT 3.1.1 a refused"),
        ("[uplink]", "[uplink]\nencoding = 'json'", "6: uplink.encoding: json takes more bytes"),
        ("//localhost", "//broker", "6: uplink.url: everything is sent unencrypted; mqtts://"),
        ("mqtt://localhost", "mqtts://b'\nca = '/no/ca", "uplink.ca: /no/ca is not there"),
        ("[site]", "[models]\ndir = '/no'\n[site]", "models.dir: /no is not there"),
        (
            "[site]",
            "streams.raw = true\nprivacy.passages = true\n[site]",
            "1: streams.raw: every single reading is sent",
        ),
        (
            'kind = "gpio"',
            "kind = 'gpio'\nchip = 'sim:/run/x.sock'",
            "11: bus.loops.chip: this bus is simulated",
        ),
        (
            "[bus.loops]",
            "[bus.m]\nkind = 'modbus-rtu'\nport = '/dev/ttyUSB0'\n"
            "[device.d]\ndriver = 'sdm120'\nbus = 'm'\nunit = 1\n[bus.loops]",
            "11: bus.m.port: /dev/ttyUSB0 may be another adapter after a restart",
        ),
        (
            "[bus.loops]",
            "[bus.m]\nkind = 'modbus-rtu'\nport = '/dev/serial0'\n[device.d]\ndriver = 'sdm120'\n"
            "bus = 'm'\nunit = 1\nreversed = true\npositive = 'export'\n[bus.loops]",
            "16: device.d.reversed: with positive",
        ),
        ("[bus.loops]", "[bus.i]\nkind = 'i2c'\n[bus.loops]", "9: bus.i: no device is on this bus"),
        (
            'lead = "GPIO17"',
            "lead = 'A'\ntrail = 'B'\nspacing_m = 1.9",
            "17: lane.north_1.spacing_m: the loops would overlap: 1.9 m",
        ),
    ],
)
def test_one_remark(read: Read, old: str, new: str, message: str) -> None:
    assert RIGHT.count(old) == 1
    text = RIGHT.replace(f'"{old}"', f"'{new}'") if f'"{old}"' in RIGHT else RIGHT.replace(old, new)
    (remark,) = remarks(read, text)
    assert message in remark


def test_a_site_that_reads_nothing_is_told(read: Read) -> None:
    text = RIGHT[: RIGHT.index("[bus.loops]")]
    assert remarks(read, text) == [
        "0: file: nothing is read; add a table [device.NAME] or [lane.NAME]"
    ]


def test_a_password_in_the_clear_is_told(read: Read, tmp_path: Path) -> None:
    secret = tmp_path / "password"
    secret.write_text("hush\n")
    secret.chmod(0o600)
    text = RIGHT.replace(
        'url = "mqtt://localhost"',
        f'url = "mqtt://broker"\nusername = "u"\npassword_file = "{secret}"',
    )
    assert "unencrypted, the password too" in remarks(read, text)[0]


@pytest.mark.parametrize(
    ("content", "expected"),
    [(b"hush\n", "hush"), (b"h sh\r\n", "h sh"), (b"h\xc3\xbcsh", "hüsh")],
)
def test_the_password_is_the_line_in_its_file(
    read: Read, tmp_path: Path, content: bytes, expected: str
) -> None:
    site = read(with_password(tmp_path, content))
    assert uplink_password(site.uplink) == expected
    assert uplink_password(read(RIGHT).uplink) is None


@pytest.mark.parametrize(
    "content", [b"", b"\n", b"two\nlines\n", b"nul\0", b"\xff\n", b"x" * 2000, None]
)
def test_what_is_no_password_is_a_config_error(
    read: Read, tmp_path: Path, content: bytes | None
) -> None:
    site = read(with_password(tmp_path, content))
    with pytest.raises(ConfigError, match="password: "):
        uplink_password(site.uplink)


def with_password(folder: Path, content: bytes | None) -> str:
    secret = folder / "password"
    if content is not None:
        secret.write_bytes(content)
        secret.chmod(0o600)
    return RIGHT.replace("[uplink]", f'[uplink]\nusername = "u"\npassword_file = "{secret}"')
