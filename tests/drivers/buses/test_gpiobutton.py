"""A button that counts when it is held: on gpiozero's mock pins."""

import threading

import pytest
from gpiozero.pins.mock import MockFactory

from drivers.buses.gpiobutton import GpioButton


@pytest.fixture
def mock() -> MockFactory:
    return MockFactory()  # type: ignore[no-untyped-call]  # gpiozero has no types


def test_held_it_calls_once_and_a_short_press_does_not(mock: MockFactory) -> None:
    held = threading.Event()
    calls: list[int] = []

    def call() -> None:
        calls.append(1)
        held.set()

    button = GpioButton(mock, 17, call, hold_s=0.2)
    pin = mock.pin(17)  # type: ignore[no-untyped-call]
    assert pin.pull == "up"
    pin.drive_low()
    threading.Event().wait(0.05)
    pin.drive_high()
    assert not held.wait(0.4), "too short"
    pin.drive_low()
    assert held.wait(10)
    threading.Event().wait(0.5)
    pin.drive_high()
    assert calls == [1], "once for each press"
    button.close()


def test_a_line_that_is_not_there_is_an_oserror(tmp_path: object) -> None:
    with pytest.raises(OSError, match="No such file"):
        GpioButton(f"{tmp_path}/gpiochip9", "GPIO4", lambda: None)
