"""One device's sweeps, as they are published: corrected, with new points, and raw ones beside."""

from collections.abc import Collection, Sequence
from dataclasses import replace
from math import isfinite

from edge.core.point import Point
from edge.core.quality import GOOD, Grade, Quality, Reason, bad, uncertain
from edge.core.reading import Sweep
from edge.process.calibration.correction import (
    FOG,
    RAW,
    Correction,
    GasCell,
    Input,
    growth,
    polynomial,
)
from edge.process.calibration.inputs import Inputs

Told = tuple[float | None, Quality]
UNCALIBRATED = uncertain(Reason.CALIBRATION)


class Calibrator:
    """Corrects what one device measured. Its `points` are those that are published.

    A correction whose input is not known leaves the measured value, uncertain (calibration); so is
    every value of one that has expired. Raises ValueError for points that the device has not.
    """

    def __init__(
        self, measured: Sequence[Point], corrections: Sequence[Correction], cells: Sequence[GasCell]
    ) -> None:
        places = {point.key: place for place, point in enumerate(measured)}
        electrodes = (key for cell in cells for key in (cell.working, cell.auxiliary))
        for key in (*(each.point for each in corrections), *electrodes):
            if key not in places:
                raise ValueError(f"there is no point {key} to correct")
        self._measured = tuple(measured)
        self._corrections = [(places[c.point], c) for c in corrections]
        self._raw = [places[c.point] for c in corrections if c.keep_raw]
        # those that need no other gas come first, so that the others can have theirs
        ordered = sorted(cells, key=lambda cell: cell.no2 is not None)
        self._cells = [(places[c.working], places[c.auxiliary], c) for c in ordered]
        self.points = (
            *measured,
            *(replace(measured[place], key=measured[place].key + RAW) for place in self._raw),
            *(cell.published for cell in ordered),
        )
        if len({point.key for point in self.points}) < len(self.points):
            raise ValueError("two points have the same key")

    def apply(self, sweep: Sweep, inputs: Inputs, expired: Collection[str]) -> Sweep:
        """A sweep of the measured points as one of the published ones. `expired` are keys."""
        values, qualities = list(sweep.values), list(sweep.qualities)
        for place in self._raw:
            values.append(sweep.values[place])
            qualities.append(sweep.qualities[place])
        for place, correction in self._corrections:
            values[place], qualities[place] = self._corrected(
                place, correction, sweep, inputs, correction.point in expired
            )
        gases: dict[Input, float] = {}  # what the cells before this one have found
        for working, auxiliary, cell in self._cells:
            no2 = None
            if cell.no2 is not None:
                no2 = gases.get(cell.no2)
                no2 = inputs.at(cell.no2, sweep.mono_ns) if no2 is None else no2
            value, quality = self._gas(working, auxiliary, cell, sweep, inputs, no2)
            if cell.point in expired and quality is GOOD:
                quality = UNCALIBRATED
            if value is not None and quality is GOOD:
                gases[Input(sweep.source, cell.point)] = float(value)
            values.append(value)
            qualities.append(quality)
        return Sweep(sweep.source, sweep.mono_ns, tuple(values), tuple(qualities))

    def _corrected(
        self, place: int, correction: Correction, sweep: Sweep, inputs: Inputs, expired: bool
    ) -> Told:
        value, quality = sweep.values[place], sweep.qualities[place]
        if value is None:
            return None, quality
        if isinstance(value, bool | str):
            return None, bad(Reason.RANGE)
        if correction.humidity is not None:
            humidity = inputs.at(correction.humidity, sweep.mono_ns)
            if humidity is None:
                return value, _worse(quality, UNCALIBRATED)
            value = value / growth(correction.kappa, humidity)
            if humidity > 100 * FOG:
                quality = _worse(quality, uncertain(Reason.ESTIMATED))
        value = polynomial(correction.polynomial, value)
        point = self._measured[place]
        if not isfinite(value) or not point.low <= value <= point.high:
            return None, bad(Reason.RANGE)
        return value, _worse(quality, UNCALIBRATED) if expired else quality

    def _gas(
        self,
        working: int,
        auxiliary: int,
        cell: GasCell,
        sweep: Sweep,
        inputs: Inputs,
        no2: float | None,
    ) -> Told:
        volts: list[float] = []
        quality = GOOD
        for place in (working, auxiliary):
            value, told = sweep.values[place], sweep.qualities[place]
            if isinstance(value, bool | str) or value is None:
                return None, told if told.grade is Grade.BAD else bad(Reason.FAULT)
            volts.append(value)
            quality = _worse(quality, told)
        temperature = inputs.at(cell.temperature, sweep.mono_ns)
        if temperature is None or (cell.no2 is not None and no2 is None):
            return None, bad(Reason.CALIBRATION)  # without it the number would mean nothing
        ppb = cell.ppb(volts[0], volts[1], temperature, no2)
        if not isfinite(ppb) or not cell.published.low <= ppb <= cell.published.high:
            return None, bad(Reason.RANGE)
        return ppb, quality


def _worse(one: Quality, other: Quality) -> Quality:
    """The first reason to doubt is kept."""
    return other if one.grade is Grade.GOOD else one
