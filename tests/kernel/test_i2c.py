"""The I2C bus through i2c-dev: simulated chips behind an adapter of the real kernel, and faults."""

from typing import Any

import pytest

from tests.kernel.machine import GuestMachine

pytestmark = pytest.mark.kernel

SILENT = ["EREMOTEIO", "ENXIO"]  # adapters say the one or the other of what nobody acknowledges


@pytest.fixture(scope="module")
def seen(machine: GuestMachine) -> dict[str, Any]:
    """What guest/air.py saw, scene by scene."""
    found: dict[str, Any] = machine.python("air")
    return found


@pytest.mark.parametrize(("chip", "identity"), [("sen55", "SIMULATED"), ("sht4x", "186395966")])
def test_a_sensor_reads_what_it_holds(seen: dict[str, Any], chip: str, identity: str) -> None:
    reported = seen["sensors"][chip]
    assert reported["values"] == {
        key: pytest.approx(value, abs=0.01) for key, value in reported["held"].items()
    }
    assert reported["identity"] == identity
    assert reported["failures"] == []


def test_the_kernels_own_driver_reads_the_same_from_the_simulated_chip(
    seen: dict[str, Any],
) -> None:
    ours = seen["sensors"]["sht4x"]["values"]
    assert seen["hwmon"] == {key: pytest.approx(value, abs=0.01) for key, value in ours.items()}


def test_a_write_and_a_read_without_a_wait_are_one_transfer(seen: dict[str, Any]) -> None:
    # messages per transfer: a write, after the wait a read; then both with a repeated start
    assert seen["messages"] == [1, 1, 2]


@pytest.mark.parametrize("code", SILENT)
def test_a_chip_without_supply_does_not_answer(seen: dict[str, Any], code: str) -> None:
    reported = seen["faults"][code]
    assert reported["reason"] == "silent"
    assert "no device answers at 0x69" in reported["text"]


def test_an_address_with_nobody_does_not_answer(seen: dict[str, Any]) -> None:
    assert "no device answers at 0x33" in seen["sensors"]["nobody"]["text"]


def test_a_hung_bus_costs_a_quarter_of_a_second_and_works_again_afterwards(
    seen: dict[str, Any],
) -> None:
    reported = seen["faults"]
    assert reported["stuck"]["reason"] == "silent"
    assert "is stuck" in reported["stuck"]["text"]
    assert reported["timeout_ms"] == pytest.approx(250, abs=10)  # the adapter's own is a second
    assert reported["after"] == reported["fine"]


def test_a_lost_arbitration_is_tried_again_by_the_kernel(seen: dict[str, Any]) -> None:
    reported = seen["faults"]
    assert reported["once_lost"]["text"] == "it worked"
    assert reported["asked_again"] == 3  # a write, the same again, a read
    assert reported["lost"]["reason"] == "busy"
    assert "another master" in reported["lost"]["text"]


def test_a_bus_whose_far_end_is_gone_is_silent(seen: dict[str, Any]) -> None:
    assert seen["faults"]["gone"]["reason"] == "silent"


@pytest.mark.parametrize(
    ("path", "sentence"),
    [
        ("smbus", "this adapter knows SMBus calls only"),  # i2c-stub
        ("absent", "is not there"),
        ("terminal", "is no I2C bus"),
    ],
)
def test_what_is_no_such_bus_is_said(seen: dict[str, Any], path: str, sentence: str) -> None:
    assert sentence in seen["paths"][path]["text"]
