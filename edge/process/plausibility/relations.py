"""What must hold between gauges that are read together, whatever the load does.

All look at the means of a window, so that a load that steps between two blocks of one reading is
worth little. Tolerances are a tenth, or a twentieth where a sum is linear: meters of class 1 and 2
(EN 62053-21) and sampling are well inside; below comes what the display cannot tell, a hundredth of
a percent of the range, and `QUIET_W`, at which meters suppress what they read. Where physics knows
an upper bound only, nothing else is asked: distortion makes S larger than P and Q, and a power
factor may be that of the fundamental.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from math import hypot
from typing import Final

from edge.core.point import Point
from edge.process.gaugewindow import GaugeFigure
from edge.wire.contract.terms import Contradiction

PHASES: Final = ("_l1", "_l2", "_l3")
TENTH: Final = 1.1
SUM_TOLERANCE: Final = 0.05
TORN_READING_SHARE: Final = (
    1 / 3
)  # of the readings of a window: cut by a load that steps between two blocks
QUIET_W: Final = 10.0
LOW_CURRENT_A: Final = 0.05  # a meter of class 1 starts at 0.4 % of its rated current
RANGE: Final = 1e-3
OF_ONE_PHASE: Final = (0.5, 1.01)  # what a meter of one phase can tell, of its U x I
ANY_SIZE: Final = 5e6  # a range as wide as this tells nothing of the meter
STEADY_SHARE: Final = 0.1  # a power factor that moves by more is no mean of anything
LOADED_VA: Final = 100.0  # below it power factors are noise
SIZES: Final = 1.25  # two optics that see the same air differ by more than any meter
HEAT_W: Final = 1163.0  # a cubic metre of water an hour that loses one kelvin
HEAT_PART: Final = 0.25  # glycol, and meters that tell power and flow of different moments
LEAST_K: Final = 3.0  # below it a heat meter need not count (EN 1434)
COLD_K: Final = 1.0  # by as much a pair of sensors may be wrong, or rounded

Judgement = bool | None  # True: they contradict each other; None: nothing can be said


@dataclass(frozen=True, slots=True)
class Relation:
    """Points that are looked at together. `judge` is asked with a figure for each of them.

    What one fault does `where`, as in a phase, is sent once, however many relations it hurts.
    """

    fault: Contradiction
    where: str
    keys: tuple[str, ...]
    judge: Callable[[Sequence[GaugeFigure]], Judgement]
    look: str  # what a person should look at
    hold_s: float = 180.0  # so long, and for so many windows, it must be so before it is sent
    windows: int = 3
    marks: bool = True

    @property
    def name(self) -> str:
        """The fault and its place."""
        return f"{self.fault} {self.where}"


def point_relations(points: Sequence[Point]) -> list[Relation]:
    """All that hold between these points."""
    known = {point.key: point for point in points}
    found = [*_electric(known), *_sizes(known)]
    heat = ("power", "volume_flow", "temperature_difference")
    if all(key in known for key in heat):
        look = (
            "check the litres per pulse, and whether temperature sensors are swapped or pulled out"
        )
        found.append(Relation("heat", "heat", heat, _heat, look))
    ends = ("temperature_difference", "temperature_flow", "temperature_return")
    if all(key in known for key in ends):
        look = "look at the two temperature sensors"
        found.append(Relation("heat", "heat", ends, _difference, look))
    return found


def _electric(known: dict[str, Point]) -> list[Relation]:
    found: list[Relation] = []
    phases = [phase for phase in PHASES if "voltage" + phase in known]
    sums = ("power", *("power" + phase for phase in PHASES))
    if all(key in known for key in sums):
        found.append(
            Relation(
                "phase_sum", "power", sums, _sum(_floor(known["power"])),
                "a phase or its transformer belongs to another meter, or two devices have one"
                " address",
            )
        )  # fmt: skip
    for phase in phases:
        found += _of_phase(known, phase, "" if _is_single_phase(known) else phase)
    found += _triangle(known, "")
    swapped = [stem + phase for phase in PHASES for stem in ("voltage", "current", "power")]
    if all(key in known for key in swapped):
        found.append(
            Relation(
                "phases_swapped", "phases", tuple(swapped), _swapped,
                "the current of one phase is measured with the voltage of another: "
"check which current transformer belongs to which phase",
                hold_s=900.0,
            )
        )  # fmt: skip
    return found


def _is_single_phase(known: dict[str, Point]) -> bool:
    """Is it a meter of one phase, which tells its power without a phase?

    A site may have chosen a few points of a meter of three: its power is larger than U x I.
    """
    each = [known.get(key) for key in ("voltage_l1", "current_l1", "power")]
    if "voltage_l2" in known or "power_l1" in known or None in each:
        return False
    volts, amps, power = (point.high for point in each if point is not None)
    low, high = OF_ONE_PHASE
    return low * volts * amps <= power <= high * volts * amps


def _of_phase(known: dict[str, Point], phase: str, suffix: str) -> list[Relation]:
    volts, amps = "voltage" + phase, "current" + phase
    found = [
        Relation(
            "apparent_power", "power" + suffix, (key, volts, amps), _carried(_floor(known[key])),
            "check the ratio of the current transformers, which of them belongs to "
"which phase, and whether two devices have one address",
        )
        for key in ("power" + suffix, "apparent_power" + suffix)
        if key in known and volts in known and amps in known
    ]  # fmt: skip
    return found + (_triangle(known, suffix) if suffix else [])


def _triangle(known: dict[str, Point], phase: str) -> list[Relation]:
    p, q, s, f = (
        stem + phase for stem in ("power", "reactive_power", "apparent_power", "power_factor")
    )
    found = []
    look = "look at the order of the phases, and whether two devices have one address"
    if p in known and s in known:
        floor = _floor(known[p])
        if q in known:
            found.append(Relation("apparent_power", p, (s, p, q), _pythagoras(floor), look))
        # that of three phases is defined in many ways: of sums, of vectors, a mean
        if f in known and (phase or _is_single_phase(known)):
            found.append(Relation("power_factor", p, (f, p, s), _factor, look))
    return found


def _sizes(known: dict[str, Point]) -> list[Relation]:
    """What is up to a size is part of what is up to a larger one; from a size on, the reverse."""
    found = []
    for stem, rises in (("pm", True), ("nc", True), ("n", False)):
        sized = sorted(
            (float(rest.replace("_", ".")), key)
            for key in known
            if key.startswith(stem) and (rest := key[len(stem) :]).replace("_", "").isdigit()
        )
        keys = [key for _, key in (sized if rises else reversed(sized))]
        look = "look at the sensor: its optics are dirty or broken"
        found += [
            Relation("size_order", stem, pair, _part_of, look, hold_s=3600.0, windows=6)
            for pair in pairwise(keys)
        ]
    return found


def _floor(power: Point) -> float:
    """The power (W) below which a meter reports nothing."""
    wide = power.high >= ANY_SIZE
    return QUIET_W if wide else max(QUIET_W, power.high * RANGE)


def _spread(figure: GaugeFigure) -> float:
    return figure.high - figure.low


def _beyond(over: float, *spreads: float) -> Judgement:
    """Is it over the tolerance; None where a load that steps can have made it so."""
    if over <= 0:
        return False
    return True if over > TORN_READING_SHARE * max(spreads) else None


def _sum(floor: float) -> Callable[[Sequence[GaugeFigure]], Judgement]:
    def judge(figures: Sequence[GaugeFigure]) -> Judgement:
        whole, *parts = figures
        if not any(part.low or part.high for part in parts):
            return None  # without a neutral a meter has no power of a phase
        off = abs(whole.mean - sum(part.mean for part in parts))
        size = sum(abs(part.mean) for part in parts)
        slack = (
            SUM_TOLERANCE * max(size, abs(whole.mean)) + sum(each.grain for each in figures) + floor
        )
        return _beyond(off - slack, *map(_spread, figures))

    return judge


def _carried(floor: float) -> Callable[[Sequence[GaugeFigure]], Judgement]:
    def judge(figures: Sequence[GaugeFigure]) -> Judgement:
        power, volts, amps = figures
        if amps.low < 0 < amps.high:
            return None  # it flowed both ways: the mean of its current says nothing
        if not volts.high:
            return None  # power needs one: it is not told, as without a neutral
        slack = volts.mean * max(amps.grain, LOW_CURRENT_A) + power.grain + floor
        over = abs(power.mean) - TENTH * volts.mean * abs(amps.mean) - slack
        return _beyond(over, _spread(power), volts.mean * _spread(amps))

    return judge


def _pythagoras(floor: float) -> Callable[[Sequence[GaugeFigure]], Judgement]:
    def judge(figures: Sequence[GaugeFigure]) -> Judgement:
        apparent, power, reactive = figures
        if apparent.low < 0:
            return None  # it is given a sign: its mean may be of both
        slack = sum(each.grain for each in figures) + floor
        over = hypot(power.mean, reactive.mean) - TENTH * apparent.mean - slack
        return _beyond(over, *map(_spread, figures))

    return judge


def _factor(figures: Sequence[GaugeFigure]) -> Judgement:
    factor, power, apparent = figures
    if min(abs(apparent.low), abs(apparent.high)) < LOADED_VA or power.low < 0 < power.high:
        return None
    if _spread(factor) > STEADY_SHARE or _spread(apparent) > TORN_READING_SHARE * abs(
        apparent.mean
    ):
        return None
    return abs(factor.mean) < abs(power.mean / apparent.mean) - STEADY_SHARE - factor.grain


def _swapped(figures: Sequence[GaugeFigure]) -> Judgement:
    """Each of two phases has the other one's voltage: their angles are 120 degrees off, each its
    way, and so their power factors and that of the third add up to nothing."""
    factors = []
    for at in (0, 3, 6):
        volts, amps, power = figures[at : at + 3]
        apparent = volts.mean * abs(amps.mean)
        if apparent < LOADED_VA or power.low < 0 < power.high or amps.low < 0 < amps.high:
            return None
        factors.append(power.mean / apparent)
    low, middle, high = sorted(factors)
    return high > 0.7 and middle < -0.1 and low > -1.0 and abs(low + middle + high) < 0.2


def _part_of(figures: Sequence[GaugeFigure]) -> Judgement:
    part, whole = figures
    return part.mean > SIZES * whole.mean + part.grain + whole.grain


def _heat(figures: Sequence[GaugeFigure]) -> Judgement:
    power, flow, kelvin = figures
    expected = HEAT_W * abs(flow.mean * kelvin.mean)
    # the mean of a product is that of its means, and at most this much more or less
    together = (flow.high - flow.low) * (kelvin.high - kelvin.low) / 4
    slack = HEAT_W * (abs(flow.mean) * COLD_K + flow.grain * abs(kelvin.mean) + together)
    off = abs(abs(power.mean) - expected)
    if abs(kelvin.mean) < LEAST_K and abs(power.mean) < expected:
        return None
    return off > HEAT_PART * max(expected, abs(power.mean)) + slack + power.grain + QUIET_W


def _difference(figures: Sequence[GaugeFigure]) -> Judgement:
    kelvin, flow, back = figures
    off = abs(abs(flow.mean - back.mean) - abs(kelvin.mean))
    return off > 2 * COLD_K
