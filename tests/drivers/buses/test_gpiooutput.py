"""A driven line: on gpiozero's mock pins, and on the wire of a simulated chip."""

from pathlib import Path

import pytest
from gpiozero.pins.mock import MockFactory

from drivers.buses.gpiooutput import GpioOutput
from drivers.sim.gpio import SimChip


@pytest.fixture
def mock() -> MockFactory:
    return MockFactory()  # type: ignore[no-untyped-call]  # gpiozero has no types


@pytest.mark.parametrize("inverted", [False, True])
def test_on_and_off_reach_the_pin(mock: MockFactory, inverted: bool) -> None:
    lamp = GpioOutput(mock, 17, inverted=inverted)
    pin = mock.pin(17)  # type: ignore[no-untyped-call]
    assert pin.state == inverted, "dark from the first moment on"
    lamp.set(True)
    assert pin.state != inverted
    lamp.set(False)
    assert pin.state == inverted
    lamp.close()
    assert pin.function == "input"


def test_a_supply_is_never_cut_by_being_opened(mock: MockFactory) -> None:
    pin = mock.pin(17)  # type: ignore[no-untyped-call]
    supply = GpioOutput(mock, 17, on=True, inverted=True)
    assert [change.state for change in pin.states if change.state] == []
    supply.set(False)
    assert pin.state
    supply.close()


def test_a_line_by_its_name_on_the_wire(tmp_path: Path) -> None:
    with SimChip(("LAMP", "DOOR"), tmp_path / "gpio.sock") as sim:
        lamp = GpioOutput(f"sim:{tmp_path}/gpio.sock", "LAMP")
        lamp.set(True)
        assert sim.level("LAMP") is True
        lamp.set(False)
        assert sim.level("LAMP") is False
        lamp.close()


def test_a_line_that_is_not_there_is_an_oserror_that_names_it(tmp_path: Path) -> None:
    with (
        SimChip(("LAMP",), tmp_path / "gpio.sock"),
        pytest.raises(OSError, match="no line NOPE"),
    ):
        GpioOutput(f"sim:{tmp_path}/gpio.sock", "NOPE")
    with pytest.raises(OSError):
        GpioOutput(str(tmp_path / "none"), "LAMP")
