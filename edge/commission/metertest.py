"""What only a meter is asked: which way it counts, each phase as the others, and W or kW.

A meter that is mounted backwards agrees with itself: sign and registers both turn. So whether power
may flow out is asked of the technician (`direction`); a cabinet without a word takes power in.
"""

from collections.abc import Iterator, Mapping
from typing import Final

from edge.commission.verdict import StepFinding, finding
from edge.core.point import SIGNED_QUANTITIES, Point
from edge.process.gaugewindow import GaugeFigure
from edge.process.plausibility.relations import PHASES, QUIET_W

LOAD_W: Final = 20.0  # from here on a sign is no noise
PHASE_SHARE: Final = 0.05  # of all power; a capacitor makes a little of the other sign
PRODUCT_VA: Final = 40.0
ANGLES: Final = ("voltage_angle_l2", "voltage_angle_l3")
ANGLE_BY: Final = 40.0
FACTORS: Final = (1000.0, 100.0, 10.0)
SMALL_FACTOR: Final = 10.0
CROSSED_VA: Final = 20.0  # of each phase
CROSSED_SUM: Final = 0.25
ALL_MOVED: Final = (-0.65, -0.35)
POWER_FACTORS: Final = (0.25, 1.15)


def judge_meter(
    device: str, points: Mapping[str, Point], figures: Mapping[str, GaugeFigure], direction: str
) -> Iterator[StepFinding]:
    """Nothing for a device that measures no power."""
    yield from _rotation(device, figures)
    power = points.get("power")
    if power is None or "power" not in figures or "voltage_l1" not in points:
        return
    total = figures["power"].mean
    if direction != "either" and (crossed := _crossed(device, figures)) is not None:
        yield crossed  # signs and sums say nothing then
        return
    unit = [*_unit(device, figures)]
    yield from unit
    if unit or power.quantity not in SIGNED_QUANTITIES:
        return
    each = {key: figures[key].mean for phase in PHASES if (key := "power" + phase) in figures}
    size = max(abs(total), *(abs(watts) for watts in each.values()), 0.0)
    if size < LOAD_W:
        if direction != "either":
            yield finding("no_load", device=device, value=total, least=LOAD_W)
        return
    if direction == "either":
        return
    way = 1 if direction == "import" else -1
    loaded = {k: v for k, v in each.items() if abs(v) > max(QUIET_W, PHASE_SHARE * size)}
    against = [key for key, watts in loaded.items() if watts * way < 0]
    if loaded and len(against) < len(loaded):
        # not all of them: by the largest one that is turned round the sum may have any sign
        for key in against:
            yield finding("phase_backwards", phase=key, device=device, value=each[key])
    elif total * way < 0:
        yield finding(
            "feeds_out" if direction == "import" else "takes_in", device=device, value=abs(total)
        )


def _rotation(device: str, figures: Mapping[str, GaugeFigure]) -> Iterator[StepFinding]:
    """Of a meter that tells angles between voltages (OBIS 81.7.1 and 81.7.2): L2 lies 120 degrees
    from L1, L3 240, where the field turns right."""
    known = [figures[key].mean % 360 for key in ANGLES if key in figures]
    if len(known) == 2 and all(
        abs(angle - left) < ANGLE_BY for angle, left in zip(known, (240, 120), strict=True)
    ):
        yield finding("rotation_left", device=device, l2=known[0], l3=known[1])


def _unit(device: str, figures: Mapping[str, GaugeFigure]) -> Iterator[StepFinding]:
    """Power against voltage times current, of all phases together."""
    pairs = [("voltage" + phase, "current" + phase) for phase in PHASES]
    known = [(figures[u].mean, figures[i].mean) for u, i in pairs if u in figures and i in figures]
    product = sum(abs(volts * amps) for volts, amps in known)
    power = abs(figures["power"].mean)
    if product < PRODUCT_VA or not power:
        return
    low, high = POWER_FACTORS
    if low <= power / product <= high:
        return
    for factor in FACTORS:
        for by in (factor, 1 / factor):
            if by == SMALL_FACTOR:
                continue  # an idle transformer has such a power factor
            if low <= power * by / product <= high:
                yield finding(
                    "power_unit", device=device, power=power, product=product, factor=1 / by
                )
                return


def _crossed(device: str, figures: Mapping[str, GaugeFigure]) -> StepFinding | None:
    """Currents that are measured with the voltage of another phase, by the power factors.

    Of two that are exchanged the angles are 120 degrees off, each its way: with that of the third
    phase the three add up to nothing. One that is turned round, or two, make them add up to one.
    Where all have moved on by a phase, all are near to -0.5; a meter that is turned round as a
    whole has a better one.
    """
    factors = []
    for phase in PHASES:
        known = [figures.get(key + phase) for key in ("voltage", "current", "power")]
        if any(one is None or one.low < 0 < one.high for one in known):
            return None
        volts, amps, watts = (one.mean for one in known if one is not None)
        if volts * abs(amps) < CROSSED_VA:
            return None
        factors.append(watts / (volts * abs(amps)))
    low, _, high = sorted(factors)
    if low < -1.1 or high > 1.1:
        return None  # a unit is wrong
    two = low < -0.4 and high > 0.4 and high - low > 1.2 and abs(sum(factors)) < CROSSED_SUM
    worst, best = ALL_MOVED
    if not two and not (worst <= low and high <= best):
        return None
    return finding(
        "phases_crossed", device=device, l1=factors[0], l2=factors[1], l3=factors[2],
    )  # fmt: skip
