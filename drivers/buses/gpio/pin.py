"""One GPIO line as a gpiozero pin. It is requested from the kernel once, when it is first needed.

gpiozero sets function, pull, bounce, edges and callback one after the other; the request waits
until the last of them, so that the kernel sees one set of settings and the line never blips.
"""

from collections.abc import Callable
from datetime import timedelta
from types import MethodType
from typing import Final, Protocol
from weakref import WeakMethod, ref

import gpiod
from gpiod.line import Bias, Clock, Direction, Edge, Value
from gpiozero import (
    PinFixedPull,
    PinInvalidBounce,
    PinInvalidEdges,
    PinInvalidFunction,
    PinInvalidPull,
    PinInvalidState,
    PinSetInput,
)
from gpiozero.pins import Pin, PinInfo

from drivers.buses.gpio.chip import EVENT_BUFFER, GpioChip, LineRequest

PULL: Final = {"floating": Bias.DISABLED, "up": Bias.PULL_UP, "down": Bias.PULL_DOWN}
EDGES: Final = {
    "none": Edge.NONE,
    "rising": Edge.RISING,
    "falling": Edge.FALLING,
    "both": Edge.BOTH,
}

Changed = Callable[[int, int], None]  # ticks (CLOCK_MONOTONIC, ns), level


class Owner(Protocol):
    """What a pin asks of its factory."""

    chip: GpioChip
    consumer: str

    def add_reader(self, fd: int, callback: Callable[[], None], /) -> object: ...
    def remove_reader(self, fd: int, /) -> object: ...


class GpiodPin(Pin):
    """One line of a chip. Raises OSError from the first use: EBUSY when another has the line."""

    def __init__(self, factory: Owner, info: PinInfo, line: int) -> None:
        super().__init__()
        self._factory, self._info, self.line = factory, info, line
        self._request: LineRequest | None = None
        self._level: Value | None  # what an output is to show; None: what it shows already
        self._forget()

    def __repr__(self) -> str:
        return str(self._info.name)

    def close(self) -> None:
        """Give the line back. The pin may be used again, from default settings on."""
        request, watched = self._request, self._when_changed is not None
        self._request = None
        self._forget()
        if request is not None:
            if watched:
                # before the release: afterwards the descriptor may be someone else's
                self._factory.remove_reader(request.fd)
            request.release()

    @property
    def taken(self) -> bool:
        """Whether the line is requested already, by a device or a reader of this process."""
        return self._request is not None

    def watch(self) -> LineRequest:
        """Request the line with edge detection, for a reader that takes its edges in batches.

        The caller reads the descriptor by itself; `when_changed` is then not to be used.
        """
        self._watched = True
        return self._open()

    def output_with_state(self, state: float) -> None:
        """Become an output with a level from the start: no blip."""
        self._level = _level(state)
        self._function = "output"
        if self._request is None:
            self._open()
        else:
            self._reconfigure()

    def input_with_pull(self, pull: str) -> None:
        """Become an input with its bias from the start."""
        if pull not in PULL:
            raise PinInvalidPull(f"pull is one of {', '.join(PULL)}, not {pull!r}")
        self._function, self._pull = "input", pull
        self._reconfigure()

    # the kernel's side

    def _forget(self) -> None:
        self._function, self._pull, self._edges = "input", "floating", "both"
        self._bounce: float | None = None
        self._level = None
        self._watched = False
        self._when_changed: Callable[[], Changed | None] | None = None

    def _settings(self) -> gpiod.LineSettings:
        if self._function == "output":
            return gpiod.LineSettings(
                direction=Direction.OUTPUT, output_value=self._level or Value.INACTIVE
            )
        detect = self._watched or self._when_changed is not None
        return gpiod.LineSettings(
            direction=Direction.INPUT,
            bias=PULL[self._pull],
            edge_detection=EDGES[self._edges] if detect else Edge.NONE,
            debounce_period=timedelta(seconds=self._bounce or 0),
            event_clock=Clock.MONOTONIC,
        )

    def _open(self) -> LineRequest:
        if self._request is not None:
            return self._request
        found = self._function == "output" and self._level is None
        settings = gpiod.LineSettings() if found else self._settings()
        request = self._factory.chip.request_lines(
            {self.line: settings}, self._factory.consumer, EVENT_BUFFER
        )
        self._request = request
        if found:
            self._level = request.get_value(self.line)
            self._reconfigure()
        return request

    def _reconfigure(self) -> None:
        if self._request is not None:
            self._request.reconfigure_lines({self.line: self._settings()})

    def _edges_wait(self) -> None:
        """Called when the request's descriptor is readable and gpiozero watches the line."""
        request = self._request  # another thread may close the pin meanwhile
        if request is None:
            return
        try:
            events = request.read_edge_events(EVENT_BUFFER)
        except OSError:
            # the chip is gone: nothing will come any more; the next use of the pin says so
            if self._request is request:
                self._factory.remove_reader(request.fd)
            return
        for event in events:
            callback = self._get_when_changed()
            if callback is None:  # a callback before it has closed the pin
                return
            callback(event.timestamp_ns, int(event.event_type is event.Type.RISING_EDGE))

    # gpiozero's side: the pairs that its Pin names as its interface

    def _get_info(self) -> PinInfo:
        return self._info

    def _get_function(self) -> str:
        return self._function

    def _set_function(self, value: str) -> None:
        if value not in ("input", "output"):
            raise PinInvalidFunction(f"{self!r} can be input or output, not {value!r}")
        if value == self._function:
            return
        self._function = value
        if self._request is not None:
            self._level = self._request.get_value(self.line)  # an output starts with what it was
            self._reconfigure()

    def _get_state(self) -> int:
        return int(self._open().get_value(self.line) is Value.ACTIVE)

    def _set_state(self, value: float) -> None:
        if self._function != "output":
            raise PinSetInput(f"{self!r} is an input; its level comes from the wire")
        self._level = _level(value)
        self._open().set_value(self.line, self._level)

    def _get_pull(self) -> str:
        return self._pull

    def _set_pull(self, value: str) -> None:
        if self._function != "input":
            raise PinFixedPull(f"{self!r} is an output; only inputs are pulled")
        if value not in PULL:
            raise PinInvalidPull(f"pull is one of {', '.join(PULL)}, not {value!r}")
        self._pull = value
        self._reconfigure()

    def _get_bounce(self) -> float | None:
        return self._bounce

    def _set_bounce(self, value: float | None) -> None:
        if value is not None and value < 0:
            raise PinInvalidBounce(f"bounce is None or seconds, not {value!r}")
        self._bounce = value
        self._reconfigure()

    def _get_edges(self) -> str:
        return self._edges

    def _set_edges(self, value: str) -> None:
        if value not in EDGES:
            raise PinInvalidEdges(f"edges is one of {', '.join(EDGES)}, not {value!r}")
        self._edges = value
        self._reconfigure()

    def _get_when_changed(self) -> Changed | None:
        return None if self._when_changed is None else self._when_changed()

    def _set_when_changed(self, value: Changed | None) -> None:
        before = self._when_changed
        # weak: a device that is dropped without close() must be collected, gpiozero relies on it
        self._when_changed = None if value is None else _weak(value)
        if (before is None) == (value is None):
            return
        if value is None:
            if self._request is not None:
                self._factory.remove_reader(self._request.fd)
            self._reconfigure()
            return
        try:
            if self._request is None:
                self._open()
            else:
                self._reconfigure()
        except OSError:
            # gpiozero closes the half-built device: there must be nothing to unwatch, or a second
            # error would hide this one
            self._when_changed = None
            raise
        assert self._request is not None
        self._factory.add_reader(self._request.fd, self._edges_wait)


def _weak(callback: Changed) -> Callable[[], Changed | None]:
    return WeakMethod(callback) if isinstance(callback, MethodType) else ref(callback)


def _level(state: float) -> Value:
    if state not in (0, 1):
        raise PinInvalidState(f"a line is high or low; {state!r} would need PWM")
    return Value.ACTIVE if state else Value.INACTIVE
