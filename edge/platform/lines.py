"""One readable line for a message: for people at a terminal."""

from collections.abc import Mapping
from typing import Any

from edge.uplink.wire import Message


def line(message: Message) -> str:
    """Time, gateway, stream, source and what it says in a few words."""
    data, place = message.data, message.topic
    if message.kind in ("status", "meta"):
        return f"{place.gw} {message.kind} {data.get('state', '')}".rstrip()
    if message.kind == "answer":
        result = "done" if data.get("ok") is True else f"refused: {data.get('error', '')}"
        return f"{place.gw} answers {place.source}: {result}"
    marks = "".join(f" {word}" for word in ("late", "again") if data.get(word))
    name = f"{place.gw} {data['stream']}/{data['seq']} {place.source}".rstrip()
    last = " (last)" if message.kind == "last" else ""
    return f"{data['to']} {name}{last}: {_words(data['stream'], data)}{marks}"


def told(data: Mapping[str, Any]) -> str:
    """What an event says; its kind and state stand before a text that does not name the kind."""
    kind, text = str(data.get("event", "")), str(data.get("text", ""))
    # who says it ("the model congestion 1.0.0") does not count as saying it
    if kind.replace("_", " ") in text.replace(str(data.get("by")), "").lower():
        return text
    head = f"{kind} {data.get('state') or ''}".rstrip()
    return f"{head}: {text}" if text else head


def _words(stream: str, data: Mapping[str, Any]) -> str:
    match data:
        case {"event": str()}:
            return told(data)
        case {"volume": volume, "occupancy": occupancy}:
            share = "-" if not isinstance(occupancy, (int, float)) else f"{occupancy:.1%}"
            speed = data.get("speed")
            mean = speed.get("mean") if isinstance(speed, dict) else None
            return f"{volume} vehicles, occupied {share}" + (f", {mean} km/h" if mean else "")
        case {"points": dict(points)} if stream in ("air", "energy"):
            return ", ".join(_point(name, point) for name, point in list(points.items())[:6])
        case {"n": int(count), "sweeps": list()}:
            return f"{count} sweeps"
    return ", ".join(f"{key}={value}" for key, value in list(data.items())[-3:])


def _point(name: str, point: Any) -> str:
    if not isinstance(point, dict):
        return name
    for kind in ("mean", "delta"):
        if point.get(kind) is not None:
            return f"{name} {point[kind]}"
    return f"{name} -"
