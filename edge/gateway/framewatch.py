"""The last frames on a bus, for a person who looks: the answer to the control verb `frames`.

Nothing is kept while nobody asks: the first answer is empty, and those after it fill. A bus costs
at most some 20 kB meanwhile.
"""

import time
from collections.abc import Callable, Mapping
from typing import Any, Final, Protocol

from edge.control.protocol import VerbError
from edge.core.frametap import FrameTap, TappedFrame

WATCHED: Final = 4  # buses at one time; the one asked for longest ago is given up


class TappedBuses(Protocol):
    """The threads of the buses."""

    def watch_frames(self, bus: str, tap: FrameTap) -> bool: ...


class FrameWatch:
    """Belongs to the main loop. The time is the one in which the buses stamp frames."""

    def __init__(self, buses: TappedBuses, now_ns: Callable[[], int] = time.monotonic_ns) -> None:
        self._buses, self._now_ns = buses, now_ns
        self._taps: dict[str, FrameTap] = {}

    async def answer(self, request: Mapping[str, Any]) -> Mapping[str, Any]:
        """`bus` -> `frames`, the newest first: age_s, way, hex, size, note. `has_frames` False: the
        bus has none. Raises VerbError for a bus that is nobody's.
        """
        bus, now_ns = str(request.get("bus")), self._now_ns()
        tap = self._taps.pop(bus, None) or FrameTap(now_ns)
        tap.asked(now_ns)
        try:
            watched = self._buses.watch_frames(bus, tap)
        except KeyError:
            raise VerbError(f"no bus is called {bus!r:.80}") from None
        if watched:
            self._taps[bus] = tap
        while len(self._taps) > WATCHED:
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
