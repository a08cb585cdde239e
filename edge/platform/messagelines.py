"""One readable line for a message: for people at a terminal. Of a lane's or a bay's record a few
words, whatever it holds.
"""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Final

from edge.core import Quantity
from edge.core.displayname import DISPLAY_NAME_LIMIT, with_name
from edge.core.printable import quote_name
from edge.wire import DecodedMessage

PLAIN_KINDS: Final = ("start", "gap", "board")  # their text always comes with a head of its own

POINTS_SHOWN: Final = 12
GATEWAYS_LIMIT: Final = 10_000  # whose units and names are known
NAMES_LIMIT: Final = 1000  # of one gateway
NOTHING: Final[Mapping[str, str]] = {}
PULSE_UNITS: Final[Mapping[str, str]] = {
    "energy_import": Quantity.ENERGY.unit, "power": Quantity.POWER.unit,
}  # fmt: skip
PLAIN_UNIT: Final = re.compile(r"[A-Za-z0-9_%./*^-]{1,16}")
MOST: Final = 1 << 63  # what is larger is no number of ours
NUMBER_LIMIT: Final = 1e12  # what is larger is no number of ours


class Descriptions:
    """What the descriptions of gateways (`meta`) have told: units of points, and display names."""

    def __init__(self) -> None:
        # gateway -> device -> point -> unit, and gateway -> source or approach -> name
        self._units: dict[str, Mapping[str, Mapping[str, str]]] = {}
        self._names: dict[str, Mapping[str, str]] = {}

    def take(self, message: DecodedMessage) -> None:
        """Look at a message: only a description tells something."""
        data, gw = message.data, message.topic.gw
        devices = data.get("devices")
        if message.kind != "meta" or not isinstance(devices, Mapping):
            return
        if gw in self._units or len(self._units) < GATEWAYS_LIMIT:
            self._units[gw] = {
                str(name): _units_of(_value_of(one, "points")) for name, one in devices.items()
            }
            self._names[gw] = _names_of(data)

    def units(self, message: DecodedMessage) -> Mapping[str, str]:
        """Of the device that a record is of; empty where nobody told. A description has no points
        of pulse meters: they are the same everywhere."""
        place = message.topic
        told = self._units.get(place.gw)
        if told is None:
            return NOTHING
        pulses = PULSE_UNITS if message.data.get("stream") == "energy" else NOTHING
        return told.get(place.source, pulses)

    def names(self, message: DecodedMessage) -> Mapping[str, str]:
        """Of all sources of the gateway that has sent it; empty where nobody told."""
        return self._names.get(message.topic.gw, NOTHING)


def _units_of(points: Any) -> dict[str, str]:
    """A point without a unit (UCUM: `1`) has none to show."""
    rows = points.items() if isinstance(points, Mapping) else ()
    units = ((str(name), _value_of(point, "unit")) for name, point in rows)
    return {name: unit for name, unit in units if isinstance(unit, str) and unit not in ("", "1")}


def _names_of(data: Mapping[str, Any]) -> dict[str, str]:
    """Of approaches, and of sources: these count where both have one id."""
    approaches, sources = data.get("approaches"), data.get("names")
    rows = [(n, _value_of(one, "name")) for n, one in _rows(approaches)] + [*_rows(sources)]
    found = {str(id_): name for id_, name in rows[:NAMES_LIMIT] if isinstance(name, str)}
    return {id_: name[: 2 * DISPLAY_NAME_LIMIT] for id_, name in found.items()}


def _rows(found: Any) -> list[tuple[Any, Any]]:
    return [*found.items()] if isinstance(found, Mapping) else []


def message_line(
    message: DecodedMessage,
    units: Mapping[str, str] = NOTHING,
    names: Mapping[str, str] = NOTHING,
) -> str:
    """Time, gateway, stream, source and what it says in a few words; `units` of its points, and
    `names` of sources."""
    data, place = message.data, message.topic
    if message.kind == "meta":
        return f"{quote_name(place.gw)} meta {_site_text(data)}".rstrip()
    if message.kind == "status":
        return f"{quote_name(place.gw)} status {data.get('state', '')}".rstrip()
    if message.kind == "answer":
        result = "done" if data.get("ok") is True else f"refused: {data.get('error', '')}"
        return f"{quote_name(place.gw)} answers {place.source}: {result}"
    marks = "".join(f" {word}" for word in ("backfilled", "redelivered") if data.get(word))
    name = f"{place.gw} {data['stream']}/{data['seq']} {with_name(place.source, names)}".rstrip()
    last = " (last)" if message.kind == "last" else ""
    text = _stream_text(data["stream"], data, units)
    return f"{quote_name(data['to'])} {name}{last}: {text}{marks}"


def _site_text(data: Mapping[str, Any]) -> str:
    """The site of a description, where it tells more than its id."""
    site = data.get("site")
    if not isinstance(site, str):
        return ""
    shown = with_name(quote_name(site), {quote_name(site): data.get("site_name")})
    return shown if shown != quote_name(site) else ""


def event_text(data: Mapping[str, Any]) -> str:
    """What an event says; its kind and state stand before a text that does not name the kind."""
    kind, text = str(data.get("event", "")), str(data.get("text", ""))
    if kind in PLAIN_KINDS:
        head = _event_head(kind, data)
        return f"{head}: {text}" if text else head
    reason = data.get("reason")
    if kind == "congestion" and reason and isinstance(reason, str) and reason not in text:
        text = f"{text} Seen: {reason}." if text else f"Seen: {reason}."
    # who says it ("the model congestion 1.0.0") does not count as saying it
    if kind.replace("_", " ") in text.replace(str(data.get("by")), "").lower():
        return text
    head = f"{kind} {data.get('state') or ''}".rstrip()
    return f"{head}: {text}" if text else head


def _event_head(kind: str, data: Mapping[str, Any]) -> str:
    """`start (power)`, `gap of 24 ms`, `board undervoltage on`."""
    match kind, data:
        case "start", {"reason": str(reason)}:
            return f"start ({reason})"
        case "gap", {"gap": [int(first), int(last)], "boot": boot, "boot_before": before} if (
            boot == before and 0 <= last - first < MOST
        ):
            return f"gap of {_span((last - first) / 1e6)}"
        case "board", {"condition": str(condition)}:
            return f"{condition.replace('_', ' ')} {data.get('state') or ''}".rstrip()
    return kind


def _stream_text(stream: str, data: Mapping[str, Any], units: Mapping[str, str] = NOTHING) -> str:
    match data:
        case {"event": str()}:
            return event_text(data)
        case {"volume": _, "occupancy": _}:
            return lane_line(data)
        case {"bay": _, "occupied": _}:
            return bay_line(data)
        case {"points": dict(points)} if stream in ("air", "energy"):
            shown = [_point(name, points[name], units) for name in list(points)[:POINTS_SHOWN]]
            left = len(points) - len(shown)
            return ", ".join([*shown, *([f"and {left} more"] if left else [])])
        case {"n": int(count), "sweeps": list()}:
            return f"{count} sweeps"
        case {"stream_of": str(), "count": int()}:
            return _manifest(data)
    if stream == "health":
        return _health(data)
    return ", ".join(f"{key}={value}" for key, value in list(data.items())[-3:])


def _manifest(data: Mapping[str, Any]) -> str:
    """`manifest of air: 45 records, 1 to 45, signed`."""
    count, stream = data["count"], data["stream_of"]
    signed = ", signed" if data.get("sig") else ""
    former = data.get("former")
    if count == 0 and isinstance(former, dict):
        last = former.get("last")
        if not last:
            return f"first manifest of this start; how the previous one ended is not known{signed}"
        names = ", ".join(f"{k} {v}" for k, v in last.items()) if isinstance(last, dict) else "-"
        return f"first manifest of this start; the previous one ended with {names}{signed}"
    steps = data.get("seqs")
    holes = isinstance(steps, Sequence) and len(steps) > 1
    span = f", {data.get('first')} to {data.get('last')}" + (" with holes" if holes else "")
    records = "1 record" if count == 1 else f"{count} records"
    return f"manifest of {stream}: {records}{span}{signed}"


def _health(data: Mapping[str, Any]) -> str:
    """The few numbers of it that a person looks for first; what nobody measured is left out."""
    alarms = data.get("alarms")
    parts = []
    if isinstance(alarms, list):
        parts.append(f"alarms: {', '.join(map(str, alarms))}" if alarms else "no alarm")
    for key, form in HEALTH_TEXTS.items():
        value = data.get(key)
        if isinstance(value, (int, float)) and abs(value) < MOST:
            parts.append(form(float(value)))
    return ", ".join(parts) or "no values"


def _span(seconds: float) -> str:
    if seconds < 1:
        return f"{seconds * 1000:.0f} ms"
    for limit, size, unit in ((120, 1, "s"), (7200, 60, "min"), (172_800, 3600, "h")):
        if seconds < limit:
            return f"{seconds / size:.0f} {unit}"
    return f"{seconds / 86_400:.0f} days"


HEALTH_TEXTS: Final[Mapping[str, Callable[[float], str]]] = {
    "uptime_s": lambda value: f"up {_span(value)}",
    "queue_rows": lambda value: f"{value:.0f} records wait",
    "dropped": lambda value: f"{value:.0f} lost",
    "cpu_temperature": lambda value: f"{value:.0f} degrees",
    "flash_written_mb_day": lambda value: f"{value:.0f} MB a day written",
}


def _point(name: str, point: Any, units: Mapping[str, str]) -> str:
    """A mean, or of a register where it stands and by how much it grew; and why it is not good."""
    if not isinstance(point, dict):
        return name
    unit = f" {_unit_text(units[name])}" if name in units else ""
    if point.get("mean") is not None:
        doubt = _reason(point, "uncertain") if point.get("grade") == "uncertain" else ""
        return f"{name} {point['mean']}{unit}{doubt}"
    if point.get("delta") is None:
        return f"{name} -{_reason(point, 'bad')}"
    doubt = "" if _value_of(point.get("quality"), "good") else _reason(point, "uncertain")
    if point.get("last") is None:
        return f"{name} +{point['delta']}{unit}{doubt}"
    return f"{name} {point['last']}{unit} (+{point['delta']}){doubt}"


def _reason(point: Mapping[str, Any], grade: str) -> str:
    """` uncertain:calibration`; empty where none of this grade is told."""
    words = (str(word) for word, _ in _rows(point.get("quality")))
    return next((f" {quote_name(word)}" for word in words if word.startswith(f"{grade}:")), "")


def _unit_text(unit: str) -> str:
    return unit if PLAIN_UNIT.fullmatch(unit) else quote_name(unit)


def lane_line(data: Mapping[str, Any]) -> str:
    """`5 vehicles, occupied 12.5%, about 32 km/h, a queue for 5 s`."""
    return ", ".join(_lane(data))


def bay_line(data: Mapping[str, Any]) -> str:
    """`occupied for 8 min, 100.0% of the time, 1 arrival, 1 overstay`."""
    return ", ".join(_bay(data))


def _lane(data: Mapping[str, Any]) -> Iterator[str]:
    count = shown_number(data.get("volume"))
    by = {"trail": " by the trail loop", "both": " by both loops"}.get(
        str(data.get("counted_by")), ""
    )
    yield "vehicles not known" if count is None else _count_text(count, "vehicle") + by
    share = shown_number(data.get("occupancy"))
    yield "occupied -" if share is None else f"occupied {share:.1%}"
    mean, alone = (
        shown_number(_value_of(data.get("speed"), "mean")),
        shown_number(_value_of(data.get("speed_single"), "kmh")),
    )
    n, estimated = (shown_number(_value_of(data.get("speed"), key)) for key in ("n", "estimated"))
    if mean and 2 * (estimated or 0) > (n or 0):
        yield f"about {mean:.0f} km/h"
    elif mean:
        yield f"{mean:g} km/h"
    elif alone:
        yield f"about {alone:.0f} km/h"
    if stopped := shown_number(data.get("stopped")):
        yield f"{stopped:.0f} stopped"
    if queue_us := shown_number(data.get("queue_us")):
        yield f"a queue for {queue_us / 1e6:.0f} s"
    if failures := shown_number(_value_of(data.get("signal"), "split_failures")):
        yield _count_text(failures, "split failure")
    later = shown_number(data.get("p_congested_15"))
    if later is not None and later >= 0.5:
        yield f"congested in 15 min: {later:.2f}"
    loops = data.get("loops")
    for part, doubt in loops.items() if isinstance(loops, dict) else ():
        yield f"{part} loop doubted" + (
            f" ({fault})" if (fault := _value_of(doubt, "fault")) else ""
        )
    if data.get("health") not in (None, "ok"):
        yield str(data["health"])


def _bay(data: Mapping[str, Any]) -> Iterator[str]:
    occupied, since_s = data.get("occupied"), shown_number(data.get("since_s"))
    if occupied is None:
        yield "not known whether it is free"
    elif not occupied:
        yield "free"
    else:
        yield "occupied" if since_s is None else f"occupied for {_minutes(since_s)}"
    share = shown_number(data.get("occupancy"))
    if share is not None:
        yield f"{share:.1%} of the time"
    for key in ("arrival", "departure", "overstay"):
        if count := shown_number(data.get(f"{key}s")):
            yield _count_text(count, key)
    if data.get("health") not in (None, "ok"):
        yield str(data["health"])


def shown_number(value: Any) -> float | None:
    """`value` when it is a number that can be shown."""
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return None
    return float(value) if abs(value) < NUMBER_LIMIT else None  # NaN is not, either


def _value_of(value: Any, key: str) -> Any:
    return value.get(key) if isinstance(value, Mapping) else None


def _count_text(count: float, what: str) -> str:
    return f"{count:g} {what}" + ("" if count == 1 else "s")


def _minutes(seconds: float) -> str:
    return f"{seconds:.0f} s" if seconds < 120 else f"{seconds / 60:.0f} min"
