"""A run in words: what was driven, what was measured, what broke and what was heard, in order.

A failed expectation shows the part of it that lies around its moment; the page of a run has the
parts that are few.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence, Set
from itertools import groupby
from math import isfinite
from typing import Any, Final, NamedTuple

from edge.core.printable import printable
from edge.rig.judgedrun import EVENT, OTHER_STREAMS, JudgedRun, Row, event_title, seconds
from edge.rig.outcome import WORDS, Outcome
from edge.rig.runlog import Driven, Heard, Seen
from edge.rig.scenario import Scenario

EVIDENCE_LIMIT: Final = 20  # of one fault
LINES_LIMIT: Final = 40  # of a timeline around a moment
BEFORE: Final = 30  # of these, so many before the moment
IN_ROW: Final = 3  # more vehicles of one lane that follow each other are one line
TEXT_LIMIT: Final = 160  # characters of a line
DAYS_S: Final = 10 * 86_400.0  # a moment beyond is no moment of a run
FIGURES: Final = ("volume", "occupancy", "speed", "health", "mean", "delta", "last", "p50")
"""Of a record or of one of its points, what is shown."""


class TimelineRow(NamedTuple):
    """One line. `rows`: of `RunLog.heard`."""

    t_s: float
    who: str
    what: str
    rows: tuple[int, ...] = ()


def is_moment(value: float | None) -> bool:
    """A box that is not ours may say any number."""
    return value is not None and isfinite(value) and abs(value) < DAYS_S


def timeline(scenario: Scenario, run: JudgedRun, outcomes: Sequence[Outcome]) -> list[TimelineRow]:
    """All of it, by the moments at which the rig did, saw or heard it."""
    found = [
        *_driven(run.log.driven),
        *_measured(scenario),
        *fault_moments(run),
        *_heard(run, _named(scenario)),
        *_states(run.log.seen),
        *outcome_moments(outcomes),
    ]
    return in_order(found)


def in_order(found: Iterable[TimelineRow]) -> list[TimelineRow]:
    """Without what has no moment."""
    there = [one for one in found if is_moment(one.t_s)]
    return sorted(there, key=lambda one: (one.t_s, one.rows))


def around(lines: Sequence[TimelineRow], t_s: float) -> Sequence[TimelineRow]:
    """What was next to a moment, mostly before it."""
    first_later = sum(one.t_s <= t_s for one in lines)
    end = min(len(lines), max(first_later + LINES_LIMIT - BEFORE, LINES_LIMIT))
    return lines[max(0, end - LINES_LIMIT) : end]


def timeline_text(lines: Sequence[TimelineRow], marked: Iterable[int] = ()) -> Iterator[str]:
    """For a terminal; rows of `marked` begin with >."""
    rows = set(marked)
    for one in lines:
        sign = " " if rows.isdisjoint(one.rows) else ">"
        yield f"{sign} {one.t_s:10.3f} s  {one.who:<9} {printable(one.what, TEXT_LIMIT)}"


def fault_moments(run: JudgedRun) -> Iterator[TimelineRow]:
    """When each began and healed, and what showed it."""
    for span in run.log.faults:
        yield TimelineRow(span.began_s, "fault", f"{span.name} began")
        for each in span.evidence[:EVIDENCE_LIMIT]:
            yield TimelineRow(each.t_s, "evidence", f"{span.name}: {each.text}")
        if span.ended_s is not None:
            yield TimelineRow(span.ended_s, "fault", f"{span.name} healed")


def event_moments(run: JudgedRun) -> Iterator[TimelineRow]:
    """When something happened, as the box says it."""
    for row in run.events:
        yield TimelineRow(row.moment_s, "said", event_title(row), (row.number,))


def outcome_moments(outcomes: Iterable[Outcome]) -> Iterator[TimelineRow]:
    """Where each expectation has its moment."""
    for each in outcomes:
        if each.moment_s is not None:
            yield TimelineRow(each.moment_s, WORDS[each.verdict], each.name)


def _driven(vehicles: Sequence[Driven]) -> Iterator[TimelineRow]:
    """Several that follow each other over one lane are told in one line."""
    ordered = sorted(vehicles, key=lambda each: each.on_s)
    for lane, group in groupby(ordered, key=lambda each: each.lane):
        some = list(group)
        if len(some) > IN_ROW:
            last = seconds(some[-1].on_s)
            text = f"{lane}: {len(some)} vehicles, the last one at {last}"
            yield TimelineRow(some[0].on_s, "drove", text)
            continue
        for one in some:
            yield TimelineRow(
                one.on_s, "drove", f"{lane}: {one.speed_kmh:g} km/h, {one.length_m:.3g} m long, "
                f"off the loops at {one.off_s:.3f} s",
            )  # fmt: skip


def _measured(scenario: Scenario) -> Iterator[TimelineRow]:
    for one in scenario.values:
        name = f"{one.device}.{one.point}"
        if one.series is not None:
            yield TimelineRow(0.0, "measures", f"{name} as in {one.series}")
        if one.constant is not None:
            yield TimelineRow(0.0, "measures", f"{name} = {one.constant:g}")
        for at_s, value in one.curve or ():
            yield TimelineRow(at_s, "measures", f"{name} = {value:g}")


def _named(scenario: Scenario) -> set[tuple[str, str]]:
    """Points that the scenario is about: of others only the quality is shown."""
    found = {(one.device, one.point) for one in scenario.values}
    return found | {(one.source, one.key) for one in scenario.expects}


def _heard(run: JudgedRun, named: Set[tuple[str, str]]) -> Iterator[TimelineRow]:
    """When it came, and what it is about. Records of a source that say the same are one line."""
    last: dict[tuple[str, str], tuple[str, list[Row]]] = {}
    for number, heard in enumerate(run.log.heard):
        if heard.stream in OTHER_STREAMS:
            continue
        row = Row(number, heard)
        if heard.stream == EVENT:
            text = f"event: {event_title(row)}{_when([heard])}"
            yield TimelineRow(heard.t_s, "heard", text, (number,))
            continue
        said = ", ".join(_figures(heard, named)) or "nothing that the rig knows"
        place = heard.stream, heard.source
        if place in last and last[place][0] == said:
            last[place][1].append(row)
            continue
        if place in last:
            yield _told(*last[place])
        last[place] = said, [row]
    for found in last.values():
        yield _told(*found)


def _told(said: str, rows: Sequence[Row]) -> TimelineRow:
    first, final = rows[0].heard, rows[-1].heard
    name = " ".join(part for part in (first.stream, first.source) if part)
    many = f" in {len(rows)} records" if len(rows) > 1 else ""
    text = f"{name}{_when([row.heard for row in rows])}{many}: {said}"
    return TimelineRow(final.t_s, "heard", text, tuple(row.number for row in rows))


def _when(heard: Sequence[Heard]) -> str:
    """From the first to the last moment of which they tell."""
    begins = [one.from_s for one in heard if one.from_s is not None and is_moment(one.from_s)]
    ends = [one.to_s for one in heard if one.to_s is not None and is_moment(one.to_s)]
    if not begins or not ends:
        return ""
    from_s, to_s = min(begins), max(ends)
    return f" at {seconds(to_s)}" if from_s == to_s else f", {seconds(from_s)} to {seconds(to_s)}"


def _figures(heard: Heard, named: Set[tuple[str, str]]) -> Iterator[str]:
    body = heard.body
    if isinstance(text := body.get("text"), str):
        yield text
    for key in FIGURES:
        if body.get(key) is not None:
            yield f"{key} {_number(body[key])}"
    points = body.get("points")
    if not isinstance(points, Mapping):
        return
    asked = [key for key in points if (heard.source, key) in named]
    for key in asked:
        yield f"{key} {_number(points[key])}{_odd_quality(points[key])}"
    rest = [said for key, said in points.items() if key not in asked]
    if rest:
        odd = dict.fromkeys(filter(None, map(_odd_quality, rest)))
        yield f"{len(rest)} {'more ' if asked else ''}points{''.join(odd)}"


def _odd_quality(said: Any) -> str:
    """` (bad:silent/good)`, "" where all was good."""
    quality = said.get("quality") if isinstance(said, Mapping) else None
    words = "/".join(map(str, quality)) if isinstance(quality, Mapping) else ""
    return f" ({words})" if words not in ("", "good") else ""


def _number(value: Any) -> str:
    """Of a point or a distribution its first figure."""
    if isinstance(value, Mapping):
        value = next((value[key] for key in FIGURES if value.get(key) is not None), None)
    if value is None:
        return "-"
    return f"{value:.6g}" if isinstance(value, float) else str(value)


def _states(seen: Sequence[Seen]) -> Iterator[TimelineRow]:
    """What the box said of itself, where that has changed."""
    connected: bool | None = True
    issues: tuple[str, ...] = ()
    for each in seen:
        if each.connected is not None and each.connected is not connected:
            connected = each.connected
            state = "connected" if connected else f"not connected, {each.queue or 0} records wait"
            yield TimelineRow(each.t_s, "status", state)
        silent = each.connected is None and each.queue is None
        if not silent and each.issues != issues:
            issues = each.issues
            text = f"open issues: {', '.join(issues)}" if issues else "no open issue"
            yield TimelineRow(each.t_s, "status", text)
