"""A lane, and a contact, as somebody sees it who stands beside it: levels, edges, vehicles."""

from collections.abc import Iterator, Mapping
from typing import Any, Final

from edge.core.humanize import count_text, span_text
from edge.core.printable import printable
from edge.platform.messagelines import bay_line, lane_line
from edge.report.live.shownname import shown_name
from edge.report.live.valuetext import age_text
from edge.report.status.textform import as_mapping

LEVELS: Final[Mapping[str, tuple[str, str]]] = {  # kind: (on, off)
    "loop": ("OCCUPIED", "free"),
    "door": ("open", "closed"),
    "tamper": ("RAISED", "at rest"),
    "plug": ("in", "out"),
    "contact": ("closed", "open"),
    "pulses": ("on", "off"),
    "signal": ("on", "off"),
}


def lane_rows(lane: Mapping[str, Any], answer: Mapping[str, Any]) -> Iterator[str]:
    """Its head, its loops, its last window, its last vehicles."""
    name = shown_name(str(lane.get("name")), answer)
    yield f"{name}, lane of approach {printable(str(lane.get('approach')), 64)}"
    for loop in rows_of(lane, "loops"):
        yield f"  {loop_text(loop)}"
    yield from (f"  {text}" for text in window_texts(lane))
    vehicles = rows_of(lane, "vehicles")
    if vehicles:
        yield "  last vehicles:"
    yield from (f"    {vehicle_text(each)}" for each in vehicles)


def contact_rows(contact: Mapping[str, Any], answer: Mapping[str, Any]) -> Iterator[str]:
    """A line that is no loop: a door, a bay, pulses of a meter, a signal."""
    name, kind = shown_name(str(contact.get("name")), answer), str(contact.get("kind", ""))
    yield f"{name} ({kind}): {line_text(contact, kind)}"
    window = as_mapping(contact.get("window"))
    if "occupied" in window:
        yield f"  last window, ended {age_text(window.get('age_s'))}: {bay_line(window)}"


def loop_text(loop: Mapping[str, Any]) -> str:
    """`lead   OCCUPIED, 0.4 s ago; 1,204 edges in the last hour (line 17)`."""
    part = str(loop.get("name", "")).rpartition(".")[2]
    line = printable(str(loop.get("line", "")), 32)
    return f"{part:<6}{line_text(loop, 'loop')} (line {line})"


def line_text(line: Mapping[str, Any], kind: str) -> str:
    """Its level, its last edge, edges of an hour or, when it is younger, since then."""
    on, edges = line.get("on"), line.get("edges")
    if on is None:
        why = line.get("closed")
        return f"NOT WATCHED: {printable(str(why))}" if why else "not opened yet"
    word = level_text(kind, bool(on))
    if not edges:
        return f"{word}, no edge in {_watched(line)}"
    hour = f"{count_text(line.get('edges_hour'), 'edge')} in {_watched(line)}"
    lost = line.get("lost_edges")
    return f"{word}, last edge {age_text(line.get('edge_age_s'))}, {hour}" + (
        f", {count_text(lost, 'edge')} lost" if lost else ""
    )


def level_text(kind: str, on: bool) -> str:
    """What a line's level means: of a loop, a bay, or a contact of this kind."""
    words = LEVELS.get(kind, LEVELS["loop"] if kind.endswith("bay") else ("on", "off"))
    return words[not on]


def _watched(line: Mapping[str, Any]) -> str:
    watched_s = line.get("watched_age_s")
    if not isinstance(watched_s, (int, float)) or watched_s >= 3600:
        return "the last hour"
    return span_text(watched_s)


def window_texts(lane: Mapping[str, Any]) -> Iterator[str]:
    """What its last record says, and what came since."""
    window, since = as_mapping(lane.get("window")), as_mapping(lane.get("since_window"))
    if not window:
        return
    yield (
        f"last window ({span_text(window.get('length_s'))}, ended {age_text(window.get('age_s'))})"
        f": {lane_line(window)}"
    )
    if since:
        more = "at least " if since.get("more") else ""
        yield f"since then: {more}{count_text(since.get('vehicles'), 'vehicle')}"


def vehicle_text(vehicle: Mapping[str, Any]) -> str:
    """`3.2 s ago    48.2 km/h   4.5 m  short`."""
    age, on_s = age_text(vehicle.get("age_s")), vehicle.get("on_s")
    speed, length = vehicle.get("speed_kmh"), vehicle.get("length_m")
    if speed is not None:
        size = "" if length is None else f"{length:>7.1f} m  {vehicle.get('class', '')}"
        return f"{age:<12}{speed:>6.1f} km/h{size}".rstrip()
    there = "on the loop now" if on_s is None else f"{on_s:.2f} s on the loop"
    return f"{age:<12}{there}"


def rows_of(found: Mapping[str, Any], key: str) -> list[Mapping[str, Any]]:
    """A list of maps; of what is none, nothing."""
    rows = found.get(key)
    return [as_mapping(each) for each in rows] if isinstance(rows, list) else []
