"""`kerbstone scan` on the real kernel's I2C bus and UART."""

from typing import Any

import pytest

from tests.kernel.machine import GuestMachine

pytestmark = pytest.mark.kernel


@pytest.fixture(scope="module")
def seen(machine: GuestMachine) -> dict[str, Any]:
    """What it printed, as JSON."""
    found: dict[str, Any] = machine.python("search")
    return found


def test_scan_tells_the_chips_on_the_bus_by_what_they_say(seen: dict[str, Any]) -> None:
    chips = seen["places"][0]["devices"]
    assert {(chip["driver"], chip["serial"]) for chip in chips} == {
        ("sen55", "SIMULATED"),
        ("sht4x", "186395966"),
    }


def test_scan_finds_the_meter_and_its_framing(seen: dict[str, Any]) -> None:
    (meter,) = seen["places"][1]["devices"]
    assert "sdm630" in (meter["driver"], *meter["also"])
    assert (meter["line"], meter["options"]) == ("9600 8E1", {"unit": 1})


def test_scan_searched_everything_and_prints_what_can_be_pasted(seen: dict[str, Any]) -> None:
    assert seen["whole"] is True
    assert seen["exit"] == 0
    for line in ('driver = "sen55"', 'path = "/dev/i2c-', 'port = "/dev/ttyS1"', 'parity = "E"'):
        assert line in seen["toml"]
