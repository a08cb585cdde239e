"""What other points are corrected with: the recent past of humidity, temperature, NO2.

Values are looked up by their time, so that the result does not depend on the order in which buses
are heard; what is older than MAX_AGE is not known any more.
"""

from bisect import bisect_right
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from edge.core.point import Point
from edge.core.quality import Grade
from edge.core.reading import Sweep
from edge.process.calibration.correction import Input

MAX_AGE_NS: Final = 300_000_000_000
STEP_NS: Final = 450_000_000  # closer together than this, only the first is kept
LIMIT: Final = 4096  # values of one input; at two a second half an hour


class Inputs:
    """Good values of the points that are asked for, of the open window and the last before it."""

    def __init__(self, wanted: Iterable[Input], points: Mapping[str, Sequence[Point]]) -> None:
        self._past: dict[Input, tuple[list[int], list[float]]] = {}
        self._places: dict[str, list[tuple[int, Input]]] = {}
        for one in sorted(set(wanted), key=lambda i: (i.device, i.point)):
            keys = [point.key for point in points.get(one.device, ())]
            if one.point not in keys:
                raise ValueError(f"no device measures {one.device}.{one.point}")
            self._past[one] = ([], [])
            self._places.setdefault(one.device, []).append((keys.index(one.point), one))

    def take(self, sweep: Sweep) -> None:
        """Remember what is asked for."""
        for place, one in self._places.get(sweep.source, ()):
            value, quality = sweep.values[place], sweep.qualities[place]
            if quality.grade is Grade.GOOD and isinstance(value, int | float):
                self._add(one, sweep.mono_ns, float(value))

    def at(self, one: Input, at_ns: int) -> float | None:
        """The last value at this moment, if it is young enough."""
        if one not in self._past:  # another cell makes it, and has nothing now
            return None
        times, values = self._past[one]
        place = bisect_right(times, at_ns) - 1
        if place < 0 or at_ns - times[place] > MAX_AGE_NS:
            return None
        return values[place]

    def forget(self, before_ns: int) -> None:
        """A window ended: of what was before, the last value is enough."""
        for times, values in self._past.values():
            place = bisect_right(times, before_ns) - 1
            if place > 0:
                del times[:place], values[:place]

    def clear(self) -> None:
        """The clock began anew."""
        for times, values in self._past.values():
            times.clear()
            values.clear()

    def state(self, at_ns: int) -> list[list[Any]]:
        """For a snapshot: the last values up to a window's end."""
        found = []
        for one, (times, values) in self._past.items():
            place = bisect_right(times, at_ns) - 1
            if place >= 0:
                found.append([one.device, one.point, times[place], values[place]])
        return found

    def load(self, state: Iterable[Sequence[Any]]) -> None:
        """Back from `state`; what nobody asks for any more is left out."""
        for device, point, at_ns, value in state:
            if (one := Input(str(device), str(point))) in self._past:
                self._add(one, int(at_ns), float(value))

    def _add(self, one: Input, at_ns: int, value: float) -> None:
        times, values = self._past[one]
        place = bisect_right(times, at_ns)
        if place and at_ns - times[place - 1] < STEP_NS:
            return
        times.insert(place, at_ns)
        values.insert(place, value)
        if len(times) > LIMIT:
            del times[0], values[0]
