"""Events that processing itself finds: a sensor that cannot be right, a register that jumped."""

from collections.abc import Mapping, Sequence
from typing import Final, Literal

from msgspec import UNSET

from edge.core.record import Draft, Stream
from edge.wire.contract.event import Event, Meter, SensorFault
from edge.wire.contract.terms import Contradiction, Fault, LoopPart

FAULT_TEXTS = {
    "stuck_on": ("has been occupied for longer than max_presence_s", "has become free again"),
    "chatter": (
        "counts more vehicles than a lane can carry",
        "counts a possible number of vehicles again",
    ),
    "no_activity": ("has not detected anything for {minutes:g} minutes", "detects vehicles again"),
}


def event_draft(source: str, at_ns: int, body: Event) -> Draft:
    """An event is a record whose window is one moment."""
    return Draft(Stream.EVENT, source, at_ns, at_ns, body)


def sensor_fault_event(
    source: str, at_ns: int, fault: Fault, on: bool, part: LoopPart | None = None, *, since_s: float
) -> Draft:
    """A sensor is not to be believed from now on, or is again. `part` says which loop.

    `since_s`: when it goes on, for how long it may have been so.
    """
    what = FAULT_TEXTS[fault][0 if on else 1].format(minutes=since_s / 60.0)
    body = SensorFault(
        state="on" if on else "off",
        by=f"rule {fault}",
        fault=fault,
        part=part or UNSET,
        text=f"{source}: the {part + ' loop' if part else 'sensor'} {what}.",
        since_s=since_s if on else UNSET,
    )
    return event_draft(source, at_ns, body)


BAY_CHATTER: Final = (
    "opens and closes more often than vehicles can come and go; look at the contact or loop card, "
    "its terminals and its cable"
)
PULSE_CHATTER: Final = (
    "opens for less than the 30 ms between two pulses (EN 62053-31), again and again; look at the "
    "pulse output, its terminals and its cable"
)


def chatter_event(source: str, at_ns: int, what: str, on: bool) -> Draft:
    """The contact of a bay or of a pulse output chatters from now on, or is steady again."""
    text = what if on else "opens and closes as it should again"
    body = SensorFault(
        state="on" if on else "off",
        by="rule chatter",
        fault="chatter",
        text=f"{source}: the contact {text}.",
    )
    return event_draft(source, at_ns, body)


CONTRADICTIONS: Final[Mapping[Contradiction, str]] = {
    "phase_sum": "the phases do not add up",
    "apparent_power": "there is more power than voltage and current can carry",
    "power_factor": "the power factor does not agree with the powers",
    "phases_swapped": "two phases export and the third imports, with angles off by 120 degrees",
    "direction": "power has one sign, but the register of the other sign grows",
    "backwards": "power is exported by day and by night",
    "two_devices": "two different registers answer under one name",
    "heat": "heat, flow and temperatures do not agree",
    "size_order": "there are more particles in a size range than in a wider range that contains it",
}
POINTS_SHOWN: Final = 9  # figures in a text


def contradiction_event(
    source: str,
    at_ns: int,
    fault: Contradiction,
    on: bool,
    points: Sequence[str],
    point_values: Mapping[str, float],
    look: str,
) -> Draft:
    """Points of one device contradict each other from now on, or agree again.

    `point_values`: what they read.
    """
    figures = ", ".join(
        f"{key} {value:.6g}" for key, value in list(point_values.items())[:POINTS_SHOWN]
    )
    what = f"{CONTRADICTIONS[fault]}{f' ({figures})' if figures else ''}; {look}"
    body = SensorFault(
        state="on" if on else "off",
        by="rule plausibility",
        fault=fault,
        points=list(points),
        text=f"{source}: {what if on else f'{points[0]} and its related values agree again'}.",
    )
    return event_draft(source, at_ns, body)


METER_TEXTS: Final[Mapping[str, tuple[str, str]]] = {
    "reset": ("started again", "The step is not counted."),
    "swap": ("belongs to another meter, or was set to another value", "The step is not counted."),
    "reversed": (
        "is now counted in the other direction, as configured",
        "It starts again, and the step is not counted.",
    ),
}


def meter_event(
    source: str,
    at_ns: int,
    point: str,
    unit: str,
    before: float,
    after: float,
    kind: Literal["reset", "swap", "reversed"],
) -> Draft:
    """A register went back, or forward further than it can. `before` and `after` are its values."""
    text, counted = METER_TEXTS[kind]
    body = Meter(
        by="rule register",
        kind=kind,
        point=point,
        unit=unit,
        before=before,
        after=after,
        text=f"{source}: the register {point} {text}: {before:g} {unit}, "
        f"then {after:g} {unit}. {counted}",
    )
    return event_draft(source, at_ns, body)
