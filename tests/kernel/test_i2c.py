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
    told = seen["sensors"][chip]
    assert told["values"] == {
        key: pytest.approx(value, abs=0.01) for key, value in told["held"].items()
    }
    assert told["identity"] == identity
    assert told["failures"] == []


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
    told = seen["faults"][code]
    assert told["reason"] == "silent"
    assert "no device answers at 0x69" in told["text"]


def test_an_address_with_nobody_does_not_answer(seen: dict[str, Any]) -> None:
    assert "no device answers at 0x33" in seen["sensors"]["nobody"]["text"]


def test_a_hung_bus_costs_a_quarter_of_a_second_and_works_again_afterwards(
    seen: dict[str, Any],
) -> None:
    told = seen["faults"]
    assert told["stuck"]["reason"] == "silent"
    assert "is stuck" in told["stuck"]["text"]
    assert told["timeout_ms"] == pytest.approx(250, abs=10)  # the adapter's own is a second
    assert told["after"] == told["fine"]


def test_a_lost_arbitration_is_tried_again_by_the_kernel(seen: dict[str, Any]) -> None:
    told = seen["faults"]
    assert told["once_lost"]["text"] == "it worked"
    assert told["asked_again"] == 3  # a write, the same again, a read
    assert told["lost"]["reason"] == "busy"
    assert "another master" in told["lost"]["text"]


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
