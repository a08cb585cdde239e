"""One watched line: from the kernel's events to edges, with loss and storms accounted for."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import gpiod
from gpiod.line import Value
from gpiozero import GPIOPinInUse

from drivers.buses.gpio.chip import EVENT_BUFFER, LineRequest
from drivers.buses.gpio.factory import GpiodFactory
from drivers.buses.gpio.linetrouble import State
from drivers.buses.gpio.pin import GpiodPin
from edge.core import Edge, LineSpec, Reason

PULL: Final = {"none": "floating", "up": "up", "down": "down"}
COUNTER: Final = 0xFFFF_FFFF  # the kernel counts in 32 bits; at 100 edges/s that is 16 months
RISING: Final = gpiod.EdgeEvent.Type.RISING_EDGE


@dataclass(frozen=True, slots=True)
class LineLimits:
    """What a line may do, and how long we stay away when it does not behave."""

    storm_per_s: float = 2_000.0  # edges; beyond, for `storm_s`, the line is closed
    storm_s: float = 1.0
    pause_s: float = 2.0  # before the first retry; doubled with each
    pause_cap_s: float = 300.0
    calm_s: float = 60.0  # open for so long: the next trouble is a first one again


@dataclass(frozen=True, slots=True)
class LineState:
    """How a line fares from `mono_ns` on; `text` is a sentence with a remedy.

    `reason` is None exactly when the line is open. Until it is open again nothing is known of it;
    then an edge with seqno 0 tells the level found.
    """

    line: str
    state: State
    text: str
    mono_ns: int
    reason: Reason | None = None


class StormDetector:
    """Notices more edges than a contact can make. Times are those of the edges."""

    def __init__(self, limits: LineLimits) -> None:
        self._limits = limits
        self._from_ns: int | None = None
        self._count = 0

    def rages(self, count: int, first_ns: int, last_ns: int) -> bool:
        """`count` more edges, between these times: is it a storm?"""
        if self._from_ns is None:
            self._from_ns = first_ns
        self._count += count
        seconds = (last_ns - self._from_ns) / 1e9
        if seconds < self._limits.storm_s:
            return False
        raging = self._count > self._limits.storm_per_s * seconds
        self._from_ns, self._count = last_ns, 0
        return raging


class WatchedLine:
    """One line while it is open. Raises OSError and gpiozero's pin errors from `open`."""

    def __init__(self, spec: LineSpec, limits: LineLimits) -> None:
        self.spec = spec
        self._limits = limits
        self._pin: GpiodPin | None = None
        self._request: LineRequest | None = None
        self._seqno = 0
        self._storm = StormDetector(limits)
        self.raging = False

    @property
    def fd(self) -> int:
        """Readable when an edge waits. The line must be open."""
        assert self._request is not None
        return self._request.fd

    @property
    def fd_or_none(self) -> int | None:
        """For another thread than the one that opens and closes: None unless it is open."""
        request = self._request
        try:
            return None if request is None else request.fd
        except (OSError, ValueError, gpiod.RequestReleasedError):  # closed just now
            return None

    @property
    def is_open(self) -> bool:
        return self._request is not None

    def open(self, factory: GpiodFactory, clock_ns: Callable[[], int]) -> list[Edge]:
        """Request the line. Gives the level found as an edge 0, and what came since."""
        pin = factory.pin(self.spec.line)
        if pin.taken:
            raise GPIOPinInUse(f"another device of this configuration uses {pin!r} too")
        pin.input_with_pull(PULL[self.spec.bias])
        pin.bounce = self.spec.debounce_s or None
        pin.edges = "both"
        try:
            request = pin.watch()
            self._pin, self._request = pin, request
            self._seqno, self._storm, self.raging = 0, StormDetector(self._limits), False
            return self._first(request, pin.line, clock_ns)
        except OSError:
            self.close()
            pin.close()
            raise

    def _first(self, request: LineRequest, line: int, clock_ns: Callable[[], int]) -> list[Edge]:
        # The kernel watches already. If nothing came until after the level was read, the level
        # held all the time; else it was the contrary of what the first edge made of it.
        now_ns = clock_ns()
        high = request.get_value(line) is Value.ACTIVE
        edges = self.take()
        if edges:
            high, now_ns = not edges[0].high, min(now_ns, edges[0].mono_ns)
        return [Edge(self.spec.line, high, now_ns, 0), *edges]

    def take(self) -> list[Edge]:
        """What waits, in the kernel's order; nothing if nothing waits. Raises OSError."""
        request = self._request
        if request is None or not request.wait_edge_events(0):  # a read would block
            return []
        name, seqno, rising = self.spec.line, self._seqno, RISING
        edges = []
        for event in request.read_edge_events(EVENT_BUFFER):
            step = (event.line_seqno - seqno) & COUNTER
            seqno += step
            edges.append(
                Edge(name, event.event_type is rising, event.timestamp_ns, seqno, step - 1)
            )
        if edges:
            count = seqno - self._seqno
            self.raging = self._storm.rages(count, edges[0].mono_ns, edges[-1].mono_ns)
            self._seqno = seqno
        return edges

    def close(self) -> None:
        """Give the line back. Always safe."""
        if self._pin is not None:
            self._pin.close()
        self._pin = self._request = None
