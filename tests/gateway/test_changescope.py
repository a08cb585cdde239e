"""What a change interrupts: nothing, the uplink, single buses, or the daemon."""

from pathlib import Path

import pytest

from edge.gateway.changescope import (
    ChangeScope,
    change_scope,
    touched_devices,
    touched_lines,
    touched_uplink,
)
from tests.config.test_sitechanges import SITE, site

YARD = '[device.yard]\ndriver = "sht4x"\nbus = "hut"\naddress = 0x45\n'
CALIBRATED = """\
[calibration.a]
device = "hut_air"
point = "temperature"
offset = 0.5
by = "lab"
on = 2026-01-02
"""


def scope_of(folder: Path, before: str, after: str, text: str = SITE) -> ChangeScope:
    assert before in text
    return change_scope(site(folder, text), site(folder, text.replace(before, after)))


@pytest.mark.parametrize(
    ("before", "after", "restarts"),
    [
        ("# nothing", "# nothing else", []),
        ('"Kai"', '"Quai"', []),
        ('"Hütte"', '"Haus"', []),
        ('name = "Kai"', 'name = "Kai"\nlatitude = 53.5\nlongitude = 9.9', []),
        ("a.example:1883", "a.example:1884", ["uplink"]),
        ("[bus.hut]", "keepalive_s = 60\n[bus.hut]", ["uplink"]),
        ("0x44", "0x45", ["bus hut"]),
        ("unit = 1", "unit = 2", ["bus meters"]),
        ("192.0.2.9", "192.0.2.10", ["bus meters"]),
        ("[bus.loops]", f"{YARD}[bus.loops]", ["bus hut"]),
        ("[bus.loops]", f"{CALIBRATED}[bus.loops]", ["bus hut"]),
        ("[bus.loops]", '[bus.more]\nkind = "i2c"\npath = "/dev/i2c-9"\n'
         + YARD.replace('"hut"', '"more"') + "[bus.loops]", ["bus more"]),
        ("spacing_m = 4.0", "spacing_m = 4.1", ["daemon"]),
        ("GPIO17", "GPIO22", ["daemon"]),
        ('gateway = "gw-1"', 'gateway = "gw-2"', ["daemon"]),
        ('confirm = "broker"', 'confirm = "platform"', ["daemon"]),
        ('name = "Kai"', 'name = "Kai"\nperiod_s = 30', ["daemon"]),
        ('kind = "gpio"', 'kind = "gpio"\nchip = "/dev/gpiochip1"', ["daemon"]),
    ],
)  # fmt: skip
def test_each_kind_of_change_starts_no_more_than_it_has_to(
    tmp_path: Path, before: str, after: str, restarts: list[str]
) -> None:
    assert scope_of(tmp_path, before, after, f"{SITE}# nothing\n").restarts == restarts


def test_words_are_told_apart_from_nothing(tmp_path: Path) -> None:
    assert scope_of(tmp_path, '"Kai"', '"Quai"').words
    assert not scope_of(tmp_path, "[site]", "# a remark\n[site]").words


def test_two_kinds_at_once_are_both(tmp_path: Path) -> None:
    text = SITE.replace("a.example", "b.example").replace("0x44", "0x45")
    found = change_scope(site(tmp_path), site(tmp_path, text))
    assert found.restarts == ["uplink", "bus hut"]
    assert "without a break" in found.text


def test_a_failure_is_blamed_on_what_the_change_has_touched(tmp_path: Path) -> None:
    before = site(tmp_path, SITE + YARD)
    after = site(tmp_path, (SITE + YARD).replace("0x45", "0x46"))
    assert touched_devices(before, after) == {"hut_air", "yard"}, "neighbours, too"
    assert not touched_uplink(before, after)
    assert touched_lines(before, after) == {"hut"}
    moved = site(tmp_path, (SITE + YARD).replace("a.example", "b.example"))
    assert touched_devices(before, moved) == set()
    assert touched_uplink(before, moved)
