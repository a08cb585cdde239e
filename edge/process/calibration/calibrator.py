"""One device's sweeps, as they are published: corrected, with new points, and raw ones beside."""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import replace
from math import isfinite

from edge.core.point import Point
from edge.core.quality import GOOD, Grade, Quality, Reason, bad, uncertain
from edge.core.reading import Sweep, Value
from edge.process.calibration.correction import (
    MAX_HUMIDITY,
    RAW,
    Correction,
    GasCell,
    InputPoint,
    evaluate_polynomial,
    humidity_growth,
)
from edge.process.calibration.inputs import CalibrationInputs

ValueAndQuality = tuple[float | None, Quality]
UNCALIBRATED = uncertain(Reason.CALIBRATION)


class Calibrator:
    """Corrects what one device measured. Its `points` are those that are published.

    A correction whose input is not known leaves the measured value, uncertain (calibration); so is
    every value of one that has expired, and what is made with it. A cell takes the voltages as they
    are corrected. Raises ValueError for points that the device has not.
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

    def apply(self, sweep: Sweep, inputs: CalibrationInputs, expired: Collection[str]) -> Sweep:
        """A sweep of the measured points as one of the published ones. `expired` are keys."""
        values, qualities = list(sweep.values), list(sweep.qualities)
        for place in self._raw:
            values.append(sweep.values[place])
            qualities.append(sweep.qualities[place])
        for place, correction in self._corrections:
            values[place], qualities[place] = self._corrected(
                place, correction, sweep, inputs, correction.point in expired
            )
        gases: dict[InputPoint, float] = {}  # what the cells before this one have found
        doubtful: set[InputPoint] = set()  # those of them that are out of date
        for working, auxiliary, cell in self._cells:
            volts = (values[working], qualities[working]), (values[auxiliary], qualities[auxiliary])
            no2 = None
            if cell.no2 is not None:
                no2 = gases.get(cell.no2)
                no2 = inputs.at(cell.no2, sweep.mono_ns) if no2 is None else no2
            value, quality = _gas(volts, cell, inputs, sweep.mono_ns, no2)
            if cell.point in expired or cell.no2 in doubtful:
                quality = _worse(quality, UNCALIBRATED)
            if value is not None and quality in (GOOD, UNCALIBRATED):
                gases[made := InputPoint(sweep.source, cell.point)] = value
                if quality is UNCALIBRATED:
                    doubtful.add(made)
            values.append(value)
            qualities.append(quality)
        return Sweep(sweep.source, sweep.mono_ns, tuple(values), tuple(qualities))

    def _corrected(
        self,
        place: int,
        correction: Correction,
        sweep: Sweep,
        inputs: CalibrationInputs,
        expired: bool,
    ) -> ValueAndQuality:
        value, quality = sweep.values[place], sweep.qualities[place]
        if value is None:
            return None, quality
        if isinstance(value, bool | str):
            return None, _unusable(quality)
        if correction.humidity is not None:
            humidity = inputs.at(correction.humidity, sweep.mono_ns)
            expired = expired or inputs.outdated(correction.humidity)
            if humidity is None:
                return value, _worse(quality, UNCALIBRATED)
            value = value / humidity_growth(correction.kappa, humidity)
            if humidity > 100 * MAX_HUMIDITY:
                quality = _worse(quality, uncertain(Reason.ESTIMATED))
        value = evaluate_polynomial(correction.polynomial, value)
        point = self._measured[place]
        if not isfinite(value) or not point.low <= value <= point.high:
            return None, _unusable(quality)
        return value, _worse(quality, UNCALIBRATED) if expired else quality


def _gas(
    volts: Iterable[tuple[Value | None, Quality]],
    cell: GasCell,
    inputs: CalibrationInputs,
    at_ns: int,
    no2: float | None,
) -> ValueAndQuality:
    """What a cell finds: of the working and the auxiliary electrode, in this order."""
    found: list[float] = []
    quality = GOOD
    for value, value_quality in volts:
        if isinstance(value, bool | str) or value is None:
            return None, value_quality if value_quality.grade is Grade.BAD else bad(Reason.FAULT)
        found.append(value)
        quality = _worse(quality, value_quality)
    temperature = inputs.at(cell.temperature, at_ns)
    if temperature is None or (cell.no2 is not None and no2 is None):
        return None, bad(Reason.CALIBRATION)  # without it the number would mean nothing
    working, auxiliary = found
    ppb = cell.ppb(working, auxiliary, temperature, no2)
    if not isfinite(ppb) or not cell.published.low <= ppb <= cell.published.high:
        return None, bad(Reason.RANGE)
    if any(inputs.outdated(one) for one in (cell.temperature, cell.no2) if one is not None):
        quality = _worse(quality, UNCALIBRATED)
    return ppb, quality


def _unusable(quality: Quality) -> Quality:
    """Out of range; but that it was another device's first value has to be known further on."""
    return bad(Reason.GAP if quality == uncertain(Reason.GAP) else Reason.RANGE)


def _worse(one: Quality, other: Quality) -> Quality:
    """The first reason to doubt is kept."""
    return other if one.grade is Grade.GOOD else one
