"""S0 pulse output of an energy meter (also gas or water) on a GPIO line.

The output is a passive opto-coupler that conducts for at least 30 ms per pulse, with at least 30 ms
between pulses. Wired to ground with a pull-up, the line is low during a pulse. A pulse counts when
it begins. Contacts and long leads bounce, so the kernel debounces the line, for less than the
shortest pulse: a shorter disturbance does not count. This delays each pulse by the same time, so
the time between pulses, and with it the power, stays right.

Source: EN 62053-31:1998 (ton >= 30 ms, toff >= 30 ms, transition < 5 ms; class A 27 V/27 mA,
class B 15 V/15 mA).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Final, Literal

from edge.core import Bias, ConfigError, LineSpec

SHORTEST_PULSE_S: Final = 0.030


@dataclass(frozen=True, slots=True)
class S0:
    """One meter on one line. `imp_per_kwh` stands on the meter's plate.

    `debounce_s` is below 0.03; 0 for a clean line. Raises ConfigError for values outside.
    """

    line: Annotated[str, "the GPIO line that it is wired to"]
    imp_per_kwh: Annotated[
        int,
        (1, 1_000_000),
        "pulses for one kWh, as on the plate of the meter",
    ] = 1000
    active: Annotated[Literal["low", "high"], "level of the line during a pulse"] = "low"
    bias: Annotated[
        Bias,
        "the pull-up or pull-down resistor of the GPIO chip; a contact to ground needs `up`",
    ] = "up"
    debounce_s: Annotated[
        float,
        (0.0, 0.029),
        "how long the level must be stable before a change counts, in seconds; 0 for a line "
        "without bounce",
    ] = 0.01

    def __post_init__(self) -> None:
        if not 0 <= self.debounce_s < SHORTEST_PULSE_S:
            raise ConfigError(
                f"debounce_s = {self.debounce_s} would swallow pulses: S0 pulses may be as short "
                "as 0.03 s, so it is 0 to 0.029"
            )
        if self.imp_per_kwh < 1:
            raise ConfigError("imp_per_kwh is at least 1: look at the meter's plate")

    @property
    def lines(self) -> Sequence[LineSpec]:
        return (LineSpec(self.line, self.bias, self.debounce_s),)


DRIVER: Final = S0
