"""A plain contact on a GPIO line: door, tamper switch, charger plug.

A contact changes seldom, and the exact moment matters little. So the kernel debounces the line: an
edge gets its time when the contact has been at rest for `debounce_ms`, and a shorter flicker is
ignored.

Source: Linux kernel documentation, GPIO character device userspace API v2 (line attribute for the
debounce period).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Final, Literal

from edge.core import Bias, ConfigError, LineSpec

LONGEST_MS: Final = 999


@dataclass(frozen=True, slots=True)
class PlainContact:
    """One contact on one line. `event` is what its changes are called.

    `active` is the level that means on: door open, cover off, plug in, contact closed. A contact to
    ground with `bias = "up"` is low while closed; a reed switch that a shut door keeps closed
    therefore wants `active = "high"`, and then a cut cable says "open", too. `debounce_ms` is 0 to
    999. Raises ConfigError for values outside.
    """

    line: Annotated[str, "the GPIO line that it is wired to"]
    active: Annotated[
        Literal["low", "high"],
        "level of the line that means on: door open, cover off, plug in, contact closed",
    ] = "low"
    bias: Annotated[
        Bias,
        "the pull-up or pull-down resistor of the GPIO chip; a contact to ground needs `up`",
    ] = "up"
    debounce_ms: Annotated[
        int,
        (0, LONGEST_MS),
        "how long the level must be stable before a change counts, in ms",
    ] = 50
    event: Annotated[
        Literal["door", "tamper", "plug", "contact"],
        "the name of its event",
    ] = "contact"

    def __post_init__(self) -> None:
        if not 0 <= self.debounce_ms <= LONGEST_MS:
            raise ConfigError(f"debounce_ms = {self.debounce_ms}: it is 0 to {LONGEST_MS}")

    @property
    def lines(self) -> Sequence[LineSpec]:
        return (LineSpec(self.line, self.bias, self.debounce_ms / 1000),)


DRIVER: Final = PlainContact
