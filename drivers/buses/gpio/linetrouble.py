"""What is wrong with a line, in a sentence with a remedy."""

import errno
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

from gpiozero import GPIOPinInUse, GPIOZeroError, PinInvalidPin

from drivers.buses.gpio.chip import SIMULATED
from edge.core import LineSpec, Reason

State = Literal["open", "chatter", "busy", "missing", "denied", "failed"]

NO_CHIP: Final = (errno.ENOENT, errno.ECONNREFUSED)  # refused: a socket whose simulator has ended
# libgpiod says ENODEV for another kind of device, ENOTTY for what is no device at all
NOT_A_CHIP: Final = (errno.ENODEV, errno.ENOTTY, errno.ENOTDIR)
DENIED: Final = (errno.EACCES, errno.EPERM)


@dataclass(frozen=True, slots=True)
class LineTrouble:
    """Why a line is not open."""

    state: State
    reason: Reason
    text: str


def no_chip(chip: str, error: OSError) -> LineTrouble:
    """Why a chip could not be opened."""
    if error.errno in DENIED:
        return LineTrouble(
            "denied",
            Reason.FAULT,
            f"no permission to open {chip}: add the user to the group gpio "
            "(usermod -aG gpio USER) and start the service again",
        )
    if error.errno in NO_CHIP and chip.startswith(SIMULATED):
        return LineTrouble("missing", Reason.SILENT, f"no simulator serves {chip}: start it first")
    if error.errno in NO_CHIP:
        present = ", ".join(sorted(str(path) for path in Path("/dev").glob("gpiochip*"))) or "none"
        return LineTrouble("missing", Reason.SILENT, f"there is no chip {chip}; present: {present}")
    if error.errno in NOT_A_CHIP:
        return LineTrouble(
            "missing", Reason.SILENT, f"{chip} is no GPIO chip: gpiodetect lists those there are"
        )
    return LineTrouble(
        "failed", Reason.SILENT, f"{chip} cannot be opened: {error.strerror or error}"
    )


def no_line(chip: str, spec: LineSpec, error: OSError | GPIOZeroError, holder: str) -> LineTrouble:
    """Why a line could not be requested, or stopped to answer. `holder` is who has it."""
    match error:
        case PinInvalidPin():
            return LineTrouble("missing", Reason.SILENT, f"line {spec.line}: {error}")
        case GPIOPinInUse():
            return LineTrouble("busy", Reason.BUSY, f"line {spec.line}: {error}")
        case OSError(errno=errno.EBUSY):
            return LineTrouble(
                "busy",
                Reason.BUSY,
                f"line {spec.line} of {chip} is held by {holder or 'someone unnamed'}: stop that "
                "program, or use another line (gpioinfo shows who holds which)",
            )
        case OSError(errno=errno.EINVAL):
            return LineTrouble(
                "failed",
                Reason.FAULT,
                f"line {spec.line} of {chip} cannot be set to bias {spec.bias} and debounce "
                f"{spec.debounce_s} s: try without, and with a resistor of your own",
            )
        case OSError(errno=errno.ENODEV):
            return LineTrouble(
                "missing", Reason.SILENT, f"the chip {chip} of line {spec.line} is gone: unplugged?"
            )
        case OSError():
            text = error.strerror or str(error)
            return LineTrouble("failed", Reason.SILENT, f"line {spec.line} of {chip}: {text}")
        case _:
            return LineTrouble("failed", Reason.FAULT, f"line {spec.line} of {chip}: {error}")
