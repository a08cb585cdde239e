"""A GPIO line that is driven: a status LED, or what switches the supply of a modem. By gpiozero."""

from gpiozero import GPIOZeroError
from gpiozero.output_devices import OutputDevice
from gpiozero.pins import Factory

from drivers.buses.gpio.chip import GpioChip
from drivers.buses.gpio.factory import GpiodFactory


class GpioOutput:
    """One line, as `chip` names it. `inverted`: on is the low level.

    Opening it drives it at once, to `on`, without a blip. Raises OSError.
    """

    def __init__(
        self,
        chip: str | GpioChip | Factory,
        line: str | int,
        *,
        on: bool = False,
        inverted: bool = False,
    ) -> None:
        self._own = not isinstance(chip, Factory)
        self._factory = chip if isinstance(chip, Factory) else GpiodFactory(chip)
        try:
            self._device = OutputDevice(  # type: ignore[no-untyped-call]  # gpiozero has no types
                line, active_high=not inverted, initial_value=on, pin_factory=self._factory
            )
        except (GPIOZeroError, OSError) as error:
            if self._own:
                self._factory.close()  # type: ignore[no-untyped-call]
            raise error if isinstance(error, OSError) else OSError(str(error)) from error

    def set(self, on: bool) -> None:
        self._device.value = on

    def close(self) -> None:
        """Give the line back. What level it then has is the board's matter."""
        self._device.close()  # type: ignore[no-untyped-call]
        if self._own:
            self._factory.close()  # type: ignore[no-untyped-call]
