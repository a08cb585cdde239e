"""Events that processing itself finds: a sensor that cannot be right, a register that jumped."""

from typing import Any

from edge.core.record import Draft, Stream

FAULT_TEXTS = {
    "stuck_on": ("has been occupied for longer than anything stands there", "moves again"),
    "chatter": ("reports more vehicles than can pass", "reports a possible number again"),
    "no_activity": ("has not seen anything for too long", "sees vehicles again"),
}


def event(source: str, at_ns: int, body: dict[str, Any]) -> Draft:
    """An event is a record whose window is one moment."""
    return Draft(Stream.EVENT, source, at_ns, at_ns, body)


def sensor_fault(
    source: str, at_ns: int, fault: str, on: bool, part: str = "", since_s: float | None = None
) -> Draft:
    """A sensor is not to be believed from now on, or is again. `part` says which loop.

    `since_s`: when it goes on, for how long it may have been so.
    """
    what = FAULT_TEXTS[fault][0 if on else 1]
    body: dict[str, Any] = {
        "event": "sensor_fault",
        "state": "on" if on else "off",
        "by": f"rule {fault}",
        "fault": fault,
    }
    if part:
        body["part"] = part
    if on and since_s is not None:
        body["since_s"] = since_s
    body["text"] = f"{source}: the {part + ' loop' if part else 'sensor'} {what}."
    return event(source, at_ns, body)


def meter(
    source: str, at_ns: int, point: str, unit: str, before: float, after: float, kind: str
) -> Draft:
    """A register went back, or forward further than it can. `before` and `after` are its values."""
    told = "began again" if kind == "reset" else "belongs to another meter or was set"
    return event(
        source,
        at_ns,
        {
            "event": "meter",
            "by": "rule register",
            "kind": kind,
            "point": point,
            "unit": unit,
            "before": before,
            "after": after,
            "text": f"{source}: the register {point} {told}: {before:g} {unit}, "
            f"then {after:g} {unit}. The step is not counted.",
        },
    )
