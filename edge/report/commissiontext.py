"""`kerbstone commission` as text: the steps, a result, a drive that runs."""

from collections.abc import Iterator, Mapping
from typing import Any, Final

from edge.core.humanize import count_text
from edge.core.printable import printable

MARKS: Final[Mapping[str, str]] = {
    "passed": "passed  ", "failed": "FAILED  ", "doubtful": "doubtful", "unproven": "unproven",
}  # fmt: skip
INDENT: Final = "         "
HINTS: Final[Mapping[str, str]] = {
    "device": "kerbstone commission test {id}",
    "contact": "kerbstone commission test {id}",
    "pulses": "kerbstone commission test {id}",
    "bay": "kerbstone commission test {id}",
    "signal": "kerbstone commission test {id}",
    "record": "kerbstone commission test record",
}


def commission_page(state: Mapping[str, Any]) -> Iterator[str]:
    """Where it stands, then each step with what was found."""
    yield headline(state)
    for row in state["steps"]:
        yield from step_lines(row)
    yield from found_lines(state["found"])


def headline(state: Mapping[str, Any]) -> str:
    """One line: who is at it, or who has signed."""
    counts = ", ".join(f"{count} {word}" for word, count in state["counts"].items() if count)
    if state["open"]:
        return f"commissioning by {printable(state['by'], 64)}: {counts}"
    return f"{acceptance_line(state['acceptance'])}: {counts}"


def acceptance_line(told: Mapping[str, Any]) -> str:
    """Of `acceptance` in a status: commissioned or not, by whom, and what is stale."""
    state = told.get("state")
    if state in ("none", "open", None):
        return "not commissioned" if state != "open" else "commissioning is under way"
    words = "commissioned"
    if state == "reservations":
        words = "commissioned with reservations"
    when = f" on {str(told['at'])[:10]}" if told.get("at") else ""
    line = f"{words} by {printable(str(told.get('by')), 64)}{when} (sheet {told.get('number')})"
    stale = [str(each) for each in told.get("stale") or ()]
    if stale:
        line += f"; changed since: {', '.join(stale[:4])}"
        line += f" and {len(stale) - 4} more" if len(stale) > 4 else ""
    return line


def step_lines(row: Mapping[str, Any]) -> Iterator[str]:
    """A step: its verdict, then its sentences and what to do."""
    name = f" ({printable(row['name'], 64)})" if row["name"] else ""
    mark = MARKS.get(row["verdict"], row["verdict"])
    stale = ""
    if row["stale"]:
        what = (
            "the device, or the box, was exchanged"
            if row["stale"] == "device"
            else "the site file changed"
        )
        stale = f"  STALE: {what} since; do it again"
    yield f"{mark} {row['id']}{name}{stale}"
    for one in row["findings"]:
        yield f"{INDENT}{one['text']}"
        if one["remedy"]:
            yield f"{INDENT}-> {one['remedy']}"
    if not row["done"] and row["kind"] in HINTS:
        yield f"{INDENT}-> {HINTS[row['kind']].format(id=row['id'])}"


def passage_lines(drive: Mapping[str, Any]) -> Iterator[str]:
    """The passages of a drive, numbered for the choice."""
    passages = drive["passages"]
    if not passages:
        yield "no vehicle was seen on any lane"
    for number, one in enumerate(passages, 1):
        loops = " -> ".join(one["loops"])
        speed = "" if one["speed_kmh"] is None else f", {one['speed_kmh']:g} km/h"
        length = "" if one["length_m"] is None else f", {one['length_m']:g} m"
        mine = "  <- the drive" if one["mine"] else ""
        yield f"{number:>3}  {one['age_s']:>5g} s ago  {loops}{speed}{length}{mine}"


def found_lines(found: list[Mapping[str, Any]]) -> Iterator[str]:
    """Devices that answered and belong to nobody, and those that have a name by now."""
    left = [one for one in found if not one["matched"] and one["state"] != "dismissed"]
    if left:
        yield f"{count_text(len(left), 'device')} answered and stand in no site file:"
    for one in left:
        name = f" named {one['name']}" if one["name"] else ""
        yield f"  {one['id']}  {one['driver']}: {one['what']} at {one['place']}{name}"
