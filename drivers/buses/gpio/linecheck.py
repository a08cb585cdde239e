"""What is wrong with a GPIO chip or its lines before anybody listens. It requests no line."""

import errno
from collections.abc import Hashable, Sequence

from gpiozero import PinInvalidPin

from drivers.buses.finding import Finding, fault, note
from drivers.buses.gpio.chip import GpioChip
from drivers.buses.gpio.factory import GpiodFactory
from drivers.buses.gpio.linetrouble import no_chip, no_line
from edge.core import LineSpec


def check_lines(chip: str | GpioChip, lines: Sequence[LineSpec], ours: str = "") -> list[Finding]:
    """A finding for what keeps each of `lines` from being opened; a note where nothing does.

    A consumer whose name begins with `ours` is this program itself.
    """
    name = chip if isinstance(chip, str) else chip.get_info().name
    try:
        factory = GpiodFactory(chip)
    except OSError as error:
        return [fault(no_chip(name, error).text)]
    taken: dict[Hashable, str] = {}
    try:
        return [_of_line(factory, name, spec, ours, taken) for spec in lines]
    finally:
        factory.close()


def _of_line(
    factory: GpiodFactory, chip: str, spec: LineSpec, ours: str, taken: dict[Hashable, str]
) -> Finding:
    try:
        number = factory.pin(spec.line).line
        info = factory.chip.get_line_info(number)
    except (PinInvalidPin, OSError) as error:
        return fault(no_line(chip, spec, error, "").text)
    if number in taken:
        text = f"{spec.line} is the same line of {chip} as {taken[number]}"
        return fault(text, "give one of the two devices another line")
    taken[number] = spec.line
    if info.used and not (ours and info.consumer.startswith(ours)):
        busy = OSError(errno.EBUSY, "busy")
        return fault(no_line(chip, spec, busy, info.consumer).text)
    return note(f"line {spec.line} of {chip} is there and {'ours' if info.used else 'free'}")
