"""A button from a GPIO line to ground, that counts when it is held for seconds. By gpiozero."""

from collections.abc import Callable

from gpiozero import GPIOZeroError
from gpiozero.input_devices import Button
from gpiozero.pins import Factory

from drivers.buses.gpio.chip import GpioChip
from drivers.buses.gpio.factory import GpiodFactory

BOUNCE_S = 0.02


class GpioButton:
    """One line, with the chip's pull-up. `held` is called in a thread of gpiozero's, once for each
    press that lasts `hold_s`. A line that is low from the start was not pressed. Raises OSError.
    """

    def __init__(
        self,
        chip: str | GpioChip | Factory,
        line: str | int,
        held: Callable[[], None],
        *,
        hold_s: float = 2.0,
    ) -> None:
        self._own = not isinstance(chip, Factory)
        self._factory = chip if isinstance(chip, Factory) else GpiodFactory(chip)
        try:
            self._device = Button(  # type: ignore[no-untyped-call]  # gpiozero has no types
                line, pull_up=True, bounce_time=BOUNCE_S, hold_time=hold_s,
                pin_factory=self._factory,
            )  # fmt: skip
        except (GPIOZeroError, OSError) as error:
            if self._own:
                self._factory.close()  # type: ignore[no-untyped-call]
            raise error if isinstance(error, OSError) else OSError(str(error)) from error
        self._device.when_held = held

    def close(self) -> None:
        self._device.close()  # type: ignore[no-untyped-call]
        if self._own:
            self._factory.close()  # type: ignore[no-untyped-call]
