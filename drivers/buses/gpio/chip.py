"""What we use of a GPIO chip, and how one is opened: the kernel's, or a simulated one."""

from datetime import timedelta
from typing import Any, Final, Protocol

import gpiod
from gpiod.line import Value

from drivers.buses.gpio.remote_chip import RemoteChip

EVENT_BUFFER: Final = 1024  # edges kept while we are busy; the most the kernel gives for one line
SIMULATED: Final = "sim:"  # what comes before the path of a simulator's socket


class LineRequest(Protocol):
    """A line that is ours until `release`. `fd` is readable when an edge waits."""

    @property
    def fd(self) -> int: ...
    def get_value(self, line: int, /) -> Value: ...
    def set_value(self, line: int, value: Value, /) -> None: ...
    def reconfigure_lines(self, config: Any, /) -> None: ...
    def wait_edge_events(self, timeout: timedelta | float | None = None) -> bool: ...
    def read_edge_events(self, max_events: int | None = None) -> list[gpiod.EdgeEvent]: ...
    def release(self) -> None: ...


class GpioChip(Protocol):
    """A bank of lines. `gpiod.Chip` is one, `RemoteChip` another."""

    def get_info(self) -> gpiod.ChipInfo: ...
    def get_line_info(self, line: int, /) -> gpiod.LineInfo: ...
    def request_lines(self, config: Any, consumer: str, event_buffer_size: int) -> LineRequest: ...
    def close(self) -> None: ...


def open_chip(where: str | GpioChip) -> GpioChip:
    """The chip at /dev/gpiochipN, or at `sim:/path/of/a.sock`; a chip object is taken as it is.

    Raises OSError: ENOENT when there is none, EACCES when we may not, ENOTTY when it is no chip.
    """
    if not isinstance(where, str):
        return where
    if where.startswith(SIMULATED):
        return RemoteChip.at(where.removeprefix(SIMULATED))
    return gpiod.Chip(where)
