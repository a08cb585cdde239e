"""The last frames on a bus: for a person who looks (the control verb `frames`), and for the flight
recorder.

While the recorder is off nothing is kept while nobody asks: the first answer is empty, and those
after it fill. A bus costs at most some 20 kB meanwhile.
"""

import time
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final, Protocol

from edge.control.protocol import VerbError
from edge.core.frametap import FrameTap, TappedFrame

WATCHED: Final = 4  # buses at one time; the one asked for longest ago is given up


class TappedBuses(Protocol):
    """The threads of the buses."""

    def names(self) -> Iterable[str]: ...
    def watch_frames(self, bus: str, tap: FrameTap) -> bool: ...


class FrameWatch:
    """Belongs to the main loop. The time is the one in which the buses stamp frames. `recorded`:
    the flight recorder takes the frames of all buses."""

    def __init__(
        self,
        buses: TappedBuses,
        now_ns: Callable[[], int] = time.monotonic_ns,
        *,
        recorded: bool = False,
    ) -> None:
        self._buses, self._now_ns, self._is_recorded = buses, now_ns, recorded
        self._taps: dict[str, FrameTap] = {}

    def take_recorded(self) -> dict[str, list[TappedFrame]]:
        """What has gone over each bus since the last call; from the first call on."""
        if not self._is_recorded:
            return {}
        now_ns, here = self._now_ns(), list(self._buses.names())
        self._taps = {
            bus: tap
            for bus in here
            # again each time: a thread that hung has made room for another, with a bus of its own
            if self._buses.watch_frames(bus, tap := self._tap(bus, now_ns))
        }
        return {bus: tap.take_recorded() for bus, tap in self._taps.items()}

    def _tap(self, bus: str, now_ns: int) -> FrameTap:
        return self._taps.get(bus) or FrameTap(now_ns, recorded=self._is_recorded)

    async def answer(self, request: Mapping[str, Any]) -> Mapping[str, Any]:
        """`bus` -> `frames`, the newest first: age_s, way, hex, size, note. `has_frames` False: the
        bus has none. Raises VerbError for a bus that is nobody's.
        """
        bus, now_ns = str(request.get("bus")), self._now_ns()
        tap = self._tap(bus, now_ns)
        self._taps.pop(bus, None)
        tap.asked(now_ns)
        try:
            watched = self._buses.watch_frames(bus, tap)
        except KeyError:
            raise VerbError(f"no bus is called {bus!r:.80}") from None
        if watched:
            self._taps[bus] = tap
        while len(self._taps) > WATCHED and not self._is_recorded:
            self._taps.pop(next(iter(self._taps)))
        rows = [_row(each, now_ns) for each in reversed(tap.frames())]
        return {"bus": bus, "has_frames": watched, "frames": rows}


def _row(frame: TappedFrame, now_ns: int) -> dict[str, Any]:
    return {
        "age_s": round(max(0, now_ns - frame.at_ns) / 1e9, 3),
        "way": frame.way,
        "hex": frame.data.hex(" "),
        "size": frame.size,
        "note": frame.note,
    }
