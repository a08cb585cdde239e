"""What other points are corrected with: the recent past of humidity, temperature, NO2.

Values are looked up by their time, so that the result does not depend on the order in which buses
are heard; what is older than MAX_AGE is not known any more. Measured values are kept, and corrected
by their own calibrations as they are looked up: so does a state of another configuration no harm.
"""

from bisect import bisect_right
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from edge.core.point import Point
from edge.core.quality import Grade
from edge.core.reading import Sweep
from edge.process.calibration.correction import Correction, InputPoint, evaluate_polynomial

MAX_AGE_NS: Final = 300_000_000_000
STEP_NS: Final = 450_000_000  # closer together than this, only the first is kept
LIMIT: Final = 4096  # values of one input; at two a second half an hour


@dataclass(slots=True)
class PointHistory:
    """What one point has measured, and how that is corrected."""

    point: Point
    curve: tuple[float, ...] | None = None
    times: list[int] = field(default_factory=list)
    values: list[float] = field(default_factory=list)

    def corrected(self, measured: float) -> float | None:
        """As it is published; None for what is not."""
        if self.curve is None:
            return measured
        value = evaluate_polynomial(self.curve, measured)
        return value if self.point.low <= value <= self.point.high else None

    def place(self, at_ns: int) -> int:
        """Where the last value at this moment stands; -1 when there is none."""
        return bisect_right(self.times, at_ns) - 1


class CalibrationInputs:
    """Good values of the points that are asked for, of the open window and the last before it.

    Raises ValueError for a point that nobody measures, and for one that is corrected for humidity
    itself: that would go round in circles.
    """

    def __init__(
        self,
        wanted: Iterable[InputPoint],
        points: Mapping[str, Sequence[Point]],
        corrections: Mapping[str, Sequence[Correction]] | None = None,
    ) -> None:
        self._past: dict[InputPoint, PointHistory] = {}
        self._places: dict[str, list[tuple[int, InputPoint]]] = {}
        self.expired: Mapping[str, Collection[str]] = {}  # device -> points out of date
        for one in sorted(set(wanted), key=lambda i: (i.device, i.point)):
            measured = points.get(one.device, ())
            keys = [point.key for point in measured]
            if one.point not in keys:
                raise ValueError(f"no device measures {one.device}.{one.point}")
            past = PointHistory(measured[keys.index(one.point)])
            for each in (corrections or {}).get(one.device, ()):
                if each.point == one.point and each.humidity is not None:
                    raise ValueError(f"{one.device}.{one.point} is corrected for humidity itself")
                if each.point == one.point:
                    past.curve = each.polynomial
            self._past[one] = past
            self._places.setdefault(one.device, []).append((keys.index(one.point), one))

    def take(self, sweep: Sweep) -> None:
        """Remember what is asked for."""
        for place, one in self._places.get(sweep.source, ()):
            value, quality = sweep.values[place], sweep.qualities[place]
            if quality.grade is Grade.GOOD and isinstance(value, int | float):
                self._add(one, sweep.mono_ns, float(value))

    def at(self, one: InputPoint, at_ns: int) -> float | None:
        """The last value at this moment, corrected, if it is young enough."""
        past = self._past.get(one)
        if past is None:  # another cell makes it, and has nothing now
            return None
        place = past.place(at_ns)
        if place < 0 or at_ns - past.times[place] > MAX_AGE_NS:
            return None
        return past.corrected(past.values[place])

    def outdated(self, one: InputPoint) -> bool:
        """Is its own calibration out of date?"""
        return one.point in self.expired.get(one.device, ())

    def forget(self, before_ns: int) -> None:
        """A window ended: of what was before, the last value is enough."""
        for past in self._past.values():
            place = past.place(before_ns)
            if place > 0:
                del past.times[:place], past.values[:place]

    def clear(self) -> None:
        """The clock began anew."""
        for past in self._past.values():
            past.times.clear()
            past.values.clear()

    def snapshot(self, at_ns: int) -> list[list[Any]]:
        """For a snapshot: the last values up to a window's end."""
        found = []
        for one, past in self._past.items():
            place = past.place(at_ns)
            if place >= 0:
                found.append([one.device, one.point, past.times[place], past.values[place]])
        return found

    def restore(self, state: Iterable[Sequence[Any]]) -> None:
        """Back from `snapshot`; what nobody asks for any more is left out."""
        for device, point, at_ns, value in state:
            if (one := InputPoint(str(device), str(point))) in self._past:
                self._add(one, int(at_ns), float(value))

    def _add(self, one: InputPoint, at_ns: int, value: float) -> None:
        past = self._past[one]
        if past.corrected(value) is None:
            return
        place = past.place(at_ns) + 1
        if place and at_ns - past.times[place - 1] < STEP_NS:
            return
        past.times.insert(place, at_ns)
        past.values.insert(place, value)
        if len(past.times) > LIMIT:
            del past.times[0], past.values[0]
