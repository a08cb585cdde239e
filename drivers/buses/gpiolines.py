"""Single GPIO lines that a rig drives and reads: outputs of three kinds, inputs with a bias.

    with DrivenLine("/dev/gpiochip0", "GPIO5", "open_drain") as line:
        line.set(True)

Source: include/uapi/linux/gpio.h, GPIO_V2_LINE_FLAG_OPEN_DRAIN and its neighbours. An open drain
pulls low or lets go; where the chip has none the kernel makes the line an input to let go.
"""

from collections.abc import Mapping
from typing import Final, Literal, Self

import gpiod
from gpiod.line import Bias, Direction, Drive, Value
from gpiozero import GPIOZeroError

from drivers.buses.gpio.chip import LineRequest
from drivers.buses.gpio.factory import GpiodFactory

OutputDrive = Literal["push_pull", "open_drain", "open_source"]
DRIVES: Final[Mapping[OutputDrive, Drive]] = {
    "push_pull": Drive.PUSH_PULL,
    "open_drain": Drive.OPEN_DRAIN,
    "open_source": Drive.OPEN_SOURCE,
}
InputBias = Literal["up", "down", "none"]
BIASES: Final[Mapping[InputBias, Bias]] = {
    "up": Bias.PULL_UP,
    "down": Bias.PULL_DOWN,
    "none": Bias.DISABLED,
}
CONSUMER: Final = "kerbstone-bench"
NO_EVENTS: Final = 1


class _Line:
    """A line that is ours until `close`. Raises OSError: EBUSY when another program has it."""

    def __init__(self, chip: str, line: str, settings: gpiod.LineSettings) -> None:
        self._factory = GpiodFactory(chip, consumer=CONSUMER)
        try:
            self._number = self._factory.pin(line).line
            self._request: LineRequest | None = self._factory.chip.request_lines(
                {self._number: settings}, CONSUMER, NO_EVENTS
            )
        except (GPIOZeroError, OSError) as error:
            self._factory.close()
            raise error if isinstance(error, OSError) else OSError(str(error)) from error

    @property
    def request(self) -> LineRequest:
        """Raises OSError once it is closed."""
        if self._request is None:
            raise OSError("the line is closed")
        return self._request

    def close(self) -> None:
        """Give it back. What level it then has is the board's matter. Always safe."""
        request, self._request = self._request, None
        if request is not None:
            request.release()
            self._factory.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class DrivenLine(_Line):
    """An output. Opening it drives it at once, to off. `inverted`: on is the low level; an open
    drain is on when it pulls, whatever its level."""

    def __init__(
        self, chip: str, line: str, drive: OutputDrive = "push_pull", *, inverted: bool = False
    ) -> None:
        self._low_is_on = inverted is not (drive == "open_drain")
        settings = gpiod.LineSettings(
            direction=Direction.OUTPUT, drive=DRIVES[drive], output_value=self._value(False)
        )
        super().__init__(chip, line, settings)

    def set(self, on: bool) -> None:
        self.request.set_value(self._number, self._value(on))

    def _value(self, on: bool) -> Value:
        return Value.ACTIVE if on is not self._low_is_on else Value.INACTIVE


class ReadLine(_Line):
    """An input."""

    def __init__(self, chip: str, line: str, bias: InputBias = "up") -> None:
        settings = gpiod.LineSettings(direction=Direction.INPUT, bias=BIASES[bias])
        super().__init__(chip, line, settings)

    def is_high(self) -> bool:
        return self.request.get_value(self._number) is Value.ACTIVE
