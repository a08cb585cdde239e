"""Checks of the street: approaches and what lies after them, signals, classes, bays."""

from collections.abc import Iterator
from typing import Final

from edge.config.build import SiteDraft
from edge.config.model import Approach
from edge.config.problem import show_value, suggest
from edge.config.valuerules import model_rules

CONTACT_DRIVER: Final = "contact"  # the driver of a signal's contacts


def check_street(draft: SiteDraft) -> None:
    """All checks of this module."""
    approaches = {draft.get("lane", name, "approach") for name in draft.names("lane")} - {None}
    for name in draft.names("approach"):
        _approach(draft, name, approaches)
    _rings(draft)
    _phases(draft, approaches)
    for name in draft.names("lane"):
        _classes(draft, name)
        _role(draft, name)
        _stopped(draft, name)
    for name in draft.names("bay"):
        _stay(draft, name)


def _approach(draft: SiteDraft, name: str, approaches: set[str]) -> None:
    if name not in approaches:
        draft.report(
            ("approach", name),
            f"no lane belongs to approach {show_value(name)}; {_hint(name, approaches)}",
        )
    after = draft.get("approach", name, "downstream")
    written = draft.data["approach"][name]
    for key, other in (("downstream", "distance_m"), ("distance_m", "downstream")):
        if key in written and other not in written:
            what = model_rules(Approach)[other].what
            draft.report(("approach", name, other), f"is missing; {what} belongs here")
    if after == name:
        draft.report(
            ("approach", name, "downstream"),
            "is the approach itself; name the next approach, or leave this out",
        )
    elif after is not None and after not in approaches:
        draft.report(
            ("approach", name, "downstream"),
            f"no lane belongs to approach {show_value(after)}; {_hint(after, approaches)}",
        )


def _hint(name: str, approaches: set[str]) -> str:
    return suggest(name, approaches) if approaches else f'write approach = "{name}" in its lanes'


def _rings(draft: SiteDraft) -> None:
    """Following the traffic never comes back: a queue in a ring would be its own cause."""
    after = {name: draft.get("approach", name, "downstream") for name in draft.names("approach")}
    reported: set[str] = set()
    for name in after:
        way = [name]
        while (then := after.get(way[-1])) is not None and then not in way:
            way.append(then)
        # a ring is reported once, where its first approach stands in the file
        if then == name and then != after[then] and not reported & set(way):
            reported |= set(way)
            ring = " -> ".join([*way, name])
            draft.report(("approach", name, "downstream"), f"makes a circle: {ring}; leave one out")


def _role(draft: SiteDraft, lane: str) -> None:
    role, kind = draft.get("lane", lane, "role"), draft.get("lane", lane, "kind")
    if role is not None and kind is not None and (role == "bicycle") != (kind == "bicycle"):
        problem = (
            'is for bicycles, and the loops are not: write kind = "bicycle", or another role'
            if role == "bicycle"
            else f"is {role}, and the loops are for bicycles: leave it out"
        )
        draft.report(("lane", lane, "role"), problem)


def _phases(draft: SiteDraft, approaches: set[str]) -> None:
    seen: dict[tuple[str, str], str] = {}
    colours: dict[str, set[str]] = {}
    for name, phase in _declared(draft):
        path = ("device", name, "phase")
        driver = draft.driver(name)
        if driver is not None and driver.name != CONTACT_DRIVER:
            draft.report(
                path, f'{driver.name} is no contact; a phase needs driver = "{CONTACT_DRIVER}"'
            )
        if draft.get("device", name, "event") and "event" in draft.data["device"][name]:
            problem = "a contact with a phase sends no events; leave this out"
            draft.report(("device", name, "event"), problem)
        approach, colour = (phase.get(key) for key in ("approach", "colour"))
        if approach is None or colour is None:
            continue
        if approach not in approaches:
            problem = (
                f"no lane belongs to approach {show_value(approach)}; {_hint(approach, approaches)}"
            )
            draft.report((*path, "approach"), problem)
        other = seen.setdefault((approach, colour), name)
        if other != name:
            problem = (
                f"device.{other} tells {colour} of {approach} already;"
                " use one contact for each colour"
            )
            draft.report((*path, "colour"), problem)
        colours.setdefault(approach, set()).add(colour)
    for (approach, _), name in seen.items():
        if colours[approach] == {"amber"}:
            problem = (
                f"amber alone does not show when {approach} is green;"
                " add a contact for green or red"
            )
            draft.report(("device", name, "phase", "colour"), problem)


def _declared(draft: SiteDraft) -> Iterator[tuple[str, dict[str, str | None]]]:
    for name in draft.names("device"):
        if isinstance(draft.data["device"][name].get("phase"), dict):
            keys = ("approach", "colour")
            yield name, {key: draft.get("device", name, "phase", key) for key in keys}


def _classes(draft: SiteDraft, lane: str) -> None:
    path = ("lane", lane, "classes")
    classes = draft.get(*path)
    if not classes or None in classes:
        return
    names: set[str] = set()
    below = 0.0
    for index, each in enumerate(classes):
        last = index == len(classes) - 1
        if each.name in names:
            draft.report((*path, index, "name"), f"{show_value(each.name)} is listed twice")
        names.add(each.name)
        if each.to_m is None and not last:
            draft.report((*path, index, "to_m"), "is missing; only the last class may leave it out")
        elif each.to_m is not None and last:
            problem = "the last class takes all longer vehicles; leave to_m out, or add a class"
            draft.report((*path, index, "to_m"), problem)
        elif each.to_m is not None and each.to_m <= below:
            problem = f"{each.to_m:g} m is not above the {below:g} m of the class before"
            draft.report((*path, index, "to_m"), problem)
        below = each.to_m or below


def _stopped(draft: SiteDraft, lane: str) -> None:
    stopped, most = (draft.get("lane", lane, key) for key in ("stopped_s", "max_presence_s"))
    if stopped is not None and most is not None and stopped > most:
        draft.report(
            ("lane", lane, "stopped_s"),
            f"a vehicle has stopped after {stopped:g} s, and a loop is stuck after {most:g} s; "
            "stopped_s must not be more than max_presence_s",
        )


def _stay(draft: SiteDraft, bay: str) -> None:
    longest, least = (draft.get("bay", bay, key) for key in ("max_stay_min", "min_stay_s"))
    if longest and least is not None and longest * 60 <= least:
        draft.report(
            ("bay", bay, "max_stay_min"),
            f"{longest:g} min are not more than the {least:g} s that make a stay (min_stay_s)",
        )
