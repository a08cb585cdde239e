"""gpiozero devices over the pin factory, on a simulated chip in this process and over a socket."""

import asyncio
import errno
import gc
import os
import time
import tomllib
from collections.abc import Callable, Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

import gpiod
import pytest
from gpiozero import (
    GPIOPinInUse,
    PinInvalidBounce,
    PinInvalidEdges,
    PinInvalidFunction,
    PinInvalidPin,
    PinInvalidPull,
    PinPWMUnsupported,
    PinSetInput,
)
from gpiozero.exc import PinFixedPull, PinInvalidState
from gpiozero.pins.mock import MockFactory

from drivers.buses.gpio import GpioChip, GpiodFactory, open_chip
from drivers.buses.gpio.remote_chip import RemoteChip
from drivers.sim.gpio import SimChip

gpiozero: Any = import_module("gpiozero")  # it has no types
LED, PWMLED, Button = gpiozero.LED, gpiozero.PWMLED, gpiozero.Button
DigitalInputDevice, OutputDevice = gpiozero.DigitalInputDevice, gpiozero.OutputDevice

NAMES = ["LOOP0", "LOOP1", "", "DOOR", "TWICE", "TWICE", "GPIO2", "3"]


def eventually(check: Callable[[], Any], timeout_s: float = 60.0) -> None:
    end = time.monotonic() + timeout_s
    while not check() and time.monotonic() < end:
        time.sleep(0.002)
    assert check()


@pytest.fixture(params=["here", "socket"])
def wires(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[tuple[SimChip, GpioChip]]:
    """A simulated chip and the client's side of it."""
    path = tmp_path / "gpio.sock" if request.param == "socket" else None
    with SimChip(NAMES, path) as sim:
        chip = RemoteChip(sim.connect) if path is None else open_chip(f"sim:{path}")
        yield sim, chip
        chip.close()


@pytest.mark.parametrize("name", [1, "1", "GPIO1", "LOOP1"])
def test_a_line_answers_to_its_offset_and_its_names(
    wires: tuple[SimChip, GpioChip], name: int | str
) -> None:
    sim, chip = wires
    with GpiodFactory(chip) as factory:
        device = DigitalInputDevice(name, pull_up=None, active_state=True, pin_factory=factory)
        assert device.value == 0
        sim.drive(1, True, 1_000)
        assert device.wait_for_active(20)
        sim.drive(1, False, 2_000)
        assert device.wait_for_inactive(20)
        device.close()
        eventually(lambda: sim.consumer(1) == "")


def test_a_name_in_the_device_tree_goes_before_a_number_and_an_unclear_one_is_refused(
    wires: tuple[SimChip, GpioChip],
) -> None:
    _, chip = wires
    with GpiodFactory(chip) as factory:
        assert factory.pin("GPIO2").line == 6  # so is line 6 called; line 2 is 2
        assert factory.pin(2).line == 2
        assert factory.pin("3").line == 3  # though line 7 is called 3
        assert factory.pin("GPIO3") is factory.pin("DOOR")
        for name, text in (("TWICE", "0 to 7"), ("GPIO99", "0 to 7"), ("LOOP", "LOOP0|LOOP1")):
            with pytest.raises(PinInvalidPin, match=text):
                factory.pin(name)


def test_one_request_is_made_with_all_settings(wires: tuple[SimChip, GpioChip]) -> None:
    sim, chip = wires
    with GpiodFactory(chip, consumer="box") as factory:
        device = Button("DOOR", pull_up=True, bounce_time=0.02, pin_factory=factory)
        held = sim.lines[3].holder
        assert held is not None
        assert (held.settings.bias, held.settings.edges) == ("up", "both")
        assert held.settings.debounce_ns == 20_000_000
        assert sim.consumer(3) == "box"
        assert not device.is_pressed  # nothing drives the line: the pull-up holds it
        sim.drive(3, False, 0)
        sim.settle(20_000_000)
        assert device.wait_for_press(3)
        device.close()


def test_gpiozero_is_told_the_stamp_of_the_wire(wires: tuple[SimChip, GpioChip]) -> None:
    sim, chip = wires
    seen: list[tuple[int, int]] = []

    class Timed(gpiozero.DigitalInputDevice):  # type: ignore[misc]
        def _pin_changed(self, ticks: int, state: int) -> None:
            seen.append((ticks, state))
            super()._pin_changed(ticks, state)

    with GpiodFactory(chip) as factory:
        device = Timed(0, pull_up=None, active_state=True, pin_factory=factory)
        for i in range(4):
            sim.drive(0, i % 2 == 0, 1_000 + i)
        eventually(lambda: len(seen) == 4)
        assert seen == [(1_000, 1), (1_001, 0), (1_002, 1), (1_003, 0)]
        assert factory.ticks_diff(3_000_000_000, 1_500_000_000) == 1.5
        device.close()


async def test_with_a_loop_the_callbacks_come_in_its_thread(
    wires: tuple[SimChip, GpioChip],
) -> None:
    sim, chip = wires
    loop = asyncio.get_running_loop()
    active = asyncio.Event()
    factory = GpiodFactory(chip, add_reader=loop.add_reader, remove_reader=loop.remove_reader)
    device = DigitalInputDevice(2, pull_up=False, pin_factory=factory)
    device.when_activated = active.set  # asyncio.Event would not wake from another thread
    sim.drive(2, True, 5)
    await asyncio.wait_for(active.wait(), 60)
    factory.close()
    eventually(lambda: sim.consumer(2) == "")


def test_an_led_shines_on_the_wire(wires: tuple[SimChip, GpioChip]) -> None:
    sim, chip = wires
    with GpiodFactory(chip) as factory:
        led = LED("DOOR", pin_factory=factory)
        assert sim.level("DOOR") is False
        led.on()
        assert sim.level("DOOR") is True
        led.toggle()
        assert sim.level("DOOR") is False
        led.close()
        relay = OutputDevice(0, active_high=False, initial_value=False, pin_factory=factory)
        assert sim.level(0) is True  # off from the first moment on, and off is high here
        relay.on()
        assert (sim.level(0), relay.value) == (False, 1)
        relay.close()
        sim.drive(1, True, 0)
        kept = OutputDevice(1, initial_value=None, pin_factory=factory)
        assert (sim.level(1), kept.value) == (True, 1)
        kept.close()


def test_a_pin_turns_from_input_to_output_and_back(wires: tuple[SimChip, GpioChip]) -> None:
    sim, chip = wires
    with GpiodFactory(chip) as factory:
        pin = factory.pin(1)
        sim.drive(1, True, 0)
        assert pin.state == 1
        pin.function = "output"
        assert sim.level(1) is True
        pin.state = 0
        assert sim.level(1) is False
        pin.output_with_state(1)
        assert sim.level(1) is True
        pin.function = "input"
        sim.drive(1, False, 1)
        assert pin.state == 0


def test_what_a_line_cannot_do_is_an_error_of_gpiozero(wires: tuple[SimChip, GpioChip]) -> None:
    sim, chip = wires
    with GpiodFactory(chip) as factory:
        pin = factory.pin(0)
        for name, value, error in (
            ("function", "alt0", PinInvalidFunction),
            ("pull", "sideways", PinInvalidPull),
            ("bounce", -1, PinInvalidBounce),
            ("edges", "some", PinInvalidEdges),
            ("state", 1, PinSetInput),
            ("frequency", 100, PinPWMUnsupported),
        ):
            with pytest.raises(error):
                setattr(pin, name, value)
        with pytest.raises(PinInvalidPull):
            pin.input_with_pull("sideways")
        pin.output_with_state(0)
        with pytest.raises(PinInvalidState, match="PWM"):
            pin.state = 0.5
        with pytest.raises(PinFixedPull):
            pin.pull = "up"
        pin.close()
        with pytest.raises(PinPWMUnsupported):
            PWMLED(0, pin_factory=factory)
        gc.collect()
        eventually(lambda: sim.consumer(0) == "")


def test_one_line_has_one_owner(wires: tuple[SimChip, GpioChip]) -> None:
    sim, chip = wires
    with GpiodFactory(chip) as factory:
        device = Button(3, pin_factory=factory)
        with pytest.raises(GPIOPinInUse):
            LED("DOOR", pin_factory=factory)
        device.close()
        other = chip.request_lines({3: gpiod.LineSettings()}, "other", 16)
        for _ in range(2):  # the half-built device leaves nothing behind that hides the error
            with pytest.raises(OSError, match="busy") as caught:
                Button(3, pin_factory=factory)
            assert caught.value.errno == errno.EBUSY
        assert chip.get_line_info(3).consumer == "other"
        other.release()
        Button(3, pin_factory=factory).close()
        eventually(lambda: sim.consumer(3) == "")


def test_a_dropped_device_is_collected(wires: tuple[SimChip, GpioChip]) -> None:
    sim, chip = wires
    with GpiodFactory(chip) as factory:
        device = DigitalInputDevice(0, pin_factory=factory)
        assert sim.consumer(0)
        del device
        gc.collect()
        eventually(lambda: not sim.consumer(0))


def test_without_a_callback_edges_are_not_asked_for(wires: tuple[SimChip, GpioChip]) -> None:
    sim, chip = wires
    with GpiodFactory(chip) as factory:
        pin = factory.pin(0)
        calls: list[tuple[int, int]] = []

        def first(ticks: int, state: int) -> None:
            calls.append((ticks, state))

        def second(ticks: int, state: int) -> None:
            calls.append((-ticks, state))

        pin.when_changed = first
        sim.drive(0, True, 1)
        eventually(lambda: calls == [(1, 1)])
        pin.when_changed = second
        sim.drive(0, False, 2)
        eventually(lambda: calls == [(1, 1), (-2, 0)])
        pin.when_changed = None
        held = sim.lines[0].holder
        assert held is not None
        assert held.settings.edges == "none"
        sim.drive(0, True, 3)
        pin.when_changed = first  # the open request is watched again
        sim.drive(0, False, 4)
        eventually(lambda: calls[2:] == [(4, 0)])


def test_a_chip_that_goes_away_ends_quietly_and_says_so_when_used(tmp_path: Path) -> None:
    sim = SimChip(NAMES, tmp_path / "gpio.sock")
    sim.start()
    with GpiodFactory(f"sim:{tmp_path}/gpio.sock") as factory:
        device = DigitalInputDevice(0, pin_factory=factory)
        sim.close()
        with pytest.raises(OSError, match="gone") as caught:
            _ = device.value
        assert caught.value.errno == errno.ENODEV
        device.close()


def test_a_pin_may_be_closed_while_its_edges_are_read(
    wires: tuple[SimChip, GpioChip], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The thread that reads finds the chip gone just as another one gives the line back."""
    _, chip = wires
    with GpiodFactory(chip) as factory:
        pin = factory.pin(0)
        pin.when_changed = lambda ticks, state: None
        request = pin._request

        def gone(most: int) -> None:
            monkeypatch.undo()
            pin.close()
            raise OSError(errno.ENODEV, "the chip is gone")

        monkeypatch.setattr(request, "read_edge_events", gone)
        pin._edges_wait()
        assert not pin.taken


@pytest.mark.parametrize("make", [GpiodFactory, MockFactory])
def test_the_same_device_code_runs_on_mock_pins(
    make: type, wires: tuple[SimChip, GpioChip]
) -> None:
    sim, chip = wires
    with make(chip) if make is GpiodFactory else make() as factory:
        device = DigitalInputDevice(5, pull_up=None, active_state=True, pin_factory=factory)
        if isinstance(factory, GpiodFactory):
            sim.drive(5, True, time.monotonic_ns())
        else:
            factory.pin(5).drive_high()
        assert device.wait_for_active(20)
        assert 0 <= device.active_time < 3
        device.close()


def test_without_arguments_the_chip_comes_from_the_environment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with SimChip(NAMES, tmp_path / "gpio.sock"):
        monkeypatch.setenv("KERBSTONE_GPIOCHIP", f"sim:{tmp_path}/gpio.sock")
        with GpiodFactory() as factory:
            assert factory.board_info.headers["lines"].rows == len(NAMES)
    monkeypatch.delenv("KERBSTONE_GPIOCHIP")
    if not os.path.exists("/dev/gpiochip0"):  # noqa: PTH110  a device, not a file of the test's
        with pytest.raises(FileNotFoundError):
            GpiodFactory()


def test_the_entry_point_names_the_factory() -> None:
    text = (Path(__file__).parents[3] / "pyproject.toml").read_text(encoding="utf-8")
    group = tomllib.loads(text)["project"]["entry-points"]["gpiozero_pin_factories"]
    module, _, name = group["kerbstone"].partition(":")
    assert (module, name) == (GpiodFactory.__module__, GpiodFactory.__name__)
