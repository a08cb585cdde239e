"""What only a meter is asked: which way it counts, each phase as the others, and W or kW.

A meter that is mounted backwards agrees with itself: sign and registers both turn. So whether power
may flow out is asked of the technician (`direction`); a cabinet without a word takes power in.
"""

from collections.abc import Iterator, Mapping
from typing import Final

from edge.commission.verdict import Finding, finding
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
POWER_FACTORS: Final = (0.25, 1.15)


def judge_meter(
    device: str, points: Mapping[str, Point], figures: Mapping[str, GaugeFigure], direction: str
) -> Iterator[Finding]:
    """Nothing for a device that measures no power."""
    yield from _rotation(device, figures)
    power = points.get("power")
    if power is None or "power" not in figures or "voltage_l1" not in points:
        return
    total = figures["power"].mean
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
    against = [
        key for key, watts in each.items()
        if abs(watts) > max(QUIET_W, PHASE_SHARE * size) and watts * total < 0
    ]  # fmt: skip
    if against and direction != "either":
        for key in against:
            yield finding("phase_backwards", phase=key, device=device, value=each[key])
    if direction == "import" and total < 0:
        yield finding("feeds_out", device=device, value=abs(total))
    elif direction == "export" and total > 0:
        yield finding("takes_in", device=device, value=total)


def _rotation(device: str, figures: Mapping[str, GaugeFigure]) -> Iterator[Finding]:
    """Of a meter that tells angles between voltages (OBIS 81.7.1 and 81.7.2): L2 lies 120 degrees
    from L1, L3 240, where the field turns right."""
    known = [figures[key].mean % 360 for key in ANGLES if key in figures]
    if len(known) == 2 and all(
        abs(angle - left) < ANGLE_BY for angle, left in zip(known, (240, 120), strict=True)
    ):
        yield finding("rotation_left", device=device, l2=known[0], l3=known[1])


def _unit(device: str, figures: Mapping[str, GaugeFigure]) -> Iterator[Finding]:
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
