"""`kerbstone sample DRIVER`: what it prints is in order, whole, and true."""

import json
import re
from pathlib import Path

import pytest

import drivers
from tests.kit.command import Command

INTRODUCTION = '[site]\nid = "s"\ngateway = "g"\n[uplink]\nurl = "mqtt://h"\n'


@pytest.mark.parametrize("name", drivers.names())
def test_what_it_prints_is_a_part_of_a_site_file(
    name: str, kerbstone: Command, tmp_path: Path
) -> None:
    said = kerbstone("sample", name)
    assert said.code == 0, said.err
    site = tmp_path / "site.toml"
    site.write_text(INTRODUCTION + said.out, encoding="utf-8")
    checked = kerbstone("check", site)
    assert checked.code == 0, checked.err


@pytest.mark.parametrize("name", [n for n in drivers.names() if n != "loop"])
def test_each_default_that_it_names_may_be_written(
    name: str, kerbstone: Command, tmp_path: Path
) -> None:
    """The comments of keys, uncommented: still in order, but for what asks for a second meter."""
    out = kerbstone("sample", name).out
    text = re.sub(r"^# (?=\w+ = )", "", out, flags=re.MULTILINE)
    site = tmp_path / "site.toml"
    site.write_text(INTRODUCTION + text, encoding="utf-8")
    checked = kerbstone("check", site)
    said = [line for line in checked.err.splitlines() if not line.startswith("warning")]
    assert checked.code == 0, said
    for key in drivers.spec(name).options:
        assert re.search(rf"^(?:# )?{key} = ", out, re.MULTILINE), key


def test_points_have_units_and_ranges(kerbstone: Command) -> None:
    said = kerbstone("sample", "sht4x")
    assert re.search(r"#   temperature +21.5 Cel +\(-40 to 125\)", said.out), said.out
    told = json.loads(kerbstone("sample", "sht4x", "--json").out)
    assert told["options"]["address"]["low"] == 0x44
    assert told["points"][0]["unit"] == "Cel"
    assert "address = 0x44" in told["toml"]


def test_without_a_driver_it_lists_them(kerbstone: Command) -> None:
    said = kerbstone("sample")
    assert said.code == 0
    assert {line.split()[0] for line in said.lines if line} == {"cabinet", *drivers.names()}


def test_a_whole_cabinet_is_in_order(kerbstone: Command, tmp_path: Path) -> None:
    site = tmp_path / "site.toml"
    site.write_text(kerbstone("sample", "cabinet").out, encoding="utf-8")
    checked = kerbstone("check", site)
    assert checked.code == 0, checked.err


def test_a_driver_that_is_not_there_is_wrong_use(kerbstone: Command) -> None:
    said = kerbstone("sample", "sht5x")
    assert said.code == 2
    assert "no driver is called 'sht5x'" in said.err
    assert kerbstone("sample", "sen55", "cabinet").code == 2


def test_drivers_that_share_a_wire_do_and_the_file_is_whole(
    kerbstone: Command, tmp_path: Path
) -> None:
    names = ("sen66", "sht4x", "mhz19", "dsmr", "sdm120", "sdm630", "s0", "loop", "loop", "contact")
    said = kerbstone("sample", "--site", *names)
    assert said.code == 0, said.err
    site = tmp_path / "site.toml"
    site.write_text(said.out, encoding="utf-8")
    checked = json.loads(kerbstone("check", site, "--json").out)
    assert checked["ok"], checked["errors"]
    assert len(checked["reads"]["buses"]) == 5
    assert set(checked["reads"]["lanes"]) == {"north_1", "north_2"}
    played = kerbstone("sim", site, "--faults")
    assert played.code == 0, played.err
