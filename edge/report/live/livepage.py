"""The page of `kerbstone live`, row by row for a width: link, queue, issues, lanes and devices.

A row is made of spans, text with a style's name. No style alone says anything: what is wrong has a
word, too, so that a page without colours is as good.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from textwrap import wrap
from typing import Any, Final, Literal

from edge.core.humanize import count_text, span_text
from edge.core.printable import columns_of, fill_columns, printable
from edge.platform.messagelines import bay_line, lane_line
from edge.report.live.answertext import issue_texts, link_text, queue_text
from edge.report.live.lanetext import level_text, rows_of, vehicle_text
from edge.report.live.livehistory import LiveHistory
from edge.report.live.shownname import shown_name, shown_place
from edge.report.live.valuetext import (
    MARKS,
    PLAIN_MARKS,
    sparkline,
    state_text,
    unit_text,
    value_text,
)
from edge.report.status.textform import as_mapping

StyleName = Literal["", "head", "bad", "doubt", "dim", "on"]
Row = tuple[tuple[str, StyleName], ...]

NAME, VALUE, UNIT, AGE, QUALITY = 25, 11, 6, 7, 16  # columns
LEAST_WIDTH: Final = 40
ISSUES_SHOWN: Final = 6
ISSUE_ROWS: Final = 2  # of one issue's sentences
VEHICLES_SHOWN: Final = 3
NOW_S: Final = 2.0  # a younger value is of now: its row need not be sent again
STRIP: Final = "·▄█?"  # of a loop: free, driven over, occupied, not known
PLAIN_STRIP: Final = ".+#?"


@dataclass(frozen=True, slots=True)
class Look:
    """How the page is drawn. `late_s`: so long ago came the answer that is shown."""

    width: int = 80
    plain: bool = False  # the terminal has no block letters
    late_s: float = 0.0


def live_rows(answer: Mapping[str, Any], history: LiveHistory, look: Look) -> list[Row]:
    """All of the page; no row is wider than `look.width`, or LEAST_WIDTH."""
    width = max(look.width, LEAST_WIDTH)
    rows = [*_box(answer, width, late=look.late_s > 0)]
    for part in (_lanes, _contacts, _devices):
        rows += part(answer, history, look, width)
    return [_fit(row, width) for row in rows]


def title_row(answer: Mapping[str, Any], why: str, look: Look) -> Row:
    """Which box this is, and what to know first. `why`: there is no answer now."""
    width = max(look.width, LEAST_WIDTH)
    place = shown_place(answer)
    if why:
        text = f"NO ANSWER for {span_text(int(look.late_s))}: {why}"
        return _fit(((f"{place}  ", "head"), (text, "bad")), width)
    link = as_mapping(answer.get("link"))
    linked = "connected" if link.get("connected") else "NOT CONNECTED"
    issues = len(rows_of(answer, "issues"))
    told = count_text(issues, "open issue")
    up = f"up {span_text(answer.get('uptime_s'))}"
    return _fit(
        (
            (f"{place}  ", "head"),
            (linked, "" if link.get("connected") else "bad"),
            (", ", ""),
            (told, "bad" if issues else ""),
            (f", {up}", ""),
        ),
        width,
    )


def _box(answer: Mapping[str, Any], width: int, *, late: bool) -> Iterator[Row]:
    link = as_mapping(answer.get("link"))
    then = ", as it was then" if late else ""
    linked: StyleName = "" if link.get("connected") else "bad"
    yield (("LINK   ", "head"), (f"{link_text(answer)}{then}", linked))
    yield (("QUEUE  ", "head"), (f"{queue_text(answer)}{then}", ""))
    texts = list(issue_texts(answer, ""))
    yield (("ISSUES ", "head"), (count_text(len(texts), "open issue"), "bad" if texts else ""))
    for text in texts[:ISSUES_SHOWN]:
        lines = wrap(text, width - 2, initial_indent="! ", subsequent_indent="  ")
        for number, line in enumerate(lines[:ISSUE_ROWS]):
            cut = number == ISSUE_ROWS - 1 and len(lines) > ISSUE_ROWS
            yield ((f"{line[: width - 5]}..." if cut else line, "doubt"),)
    if len(texts) > ISSUES_SHOWN:
        more = len(texts) - ISSUES_SHOWN
        yield ((f"  and {more} more: `kerbstone status` has all", "dim"),)


def _lanes(
    answer: Mapping[str, Any], history: LiveHistory, look: Look, width: int
) -> Iterator[Row]:
    lanes = rows_of(answer, "lanes")
    if lanes:
        yield ()
        yield ((f"{'LANES':<{NAME + 2}}{'now':<12}{'last edge':<12}{'edges/h':>8}", "head"),)
    for lane in lanes:
        name = str(lane.get("name"))
        if (shown := shown_name(name, answer)) != name:
            yield ((f"  {shown}", "dim"),)
        for loop in rows_of(lane, "loops"):
            yield _line_row(loop, "loop", answer, history, look, width)
        window, since = as_mapping(lane.get("window")), as_mapping(lane.get("since_window"))
        if window:
            yield from _window(window, lane_line(window), look, width)
        if since:
            more = "at least " if since.get("more") else ""
            text = f"{more}{count_text(since.get('vehicles'), 'vehicle')}"
            yield (("  since then: ", "dim"), (text, ""))
        for vehicle in rows_of(lane, "vehicles")[:VEHICLES_SHOWN]:
            aged = {**vehicle, "age_s": _age(vehicle.get("age_s"), look)}
            yield (("    ", ""), (printable(vehicle_text(aged)), ""))


def _window(window: Mapping[str, Any], text: str, look: Look, width: int) -> Iterator[Row]:
    """What the last record says, in as many rows as it takes."""
    head = f"  window {_ago(window.get('age_s'), look)}: "
    first, *others = wrap(printable(f"{head}{text}"), width, subsequent_indent="    ")
    yield ((head, "dim"), (first.removeprefix(head), ""))
    yield from (((row, ""),) for row in others)


def _contacts(
    answer: Mapping[str, Any], history: LiveHistory, look: Look, width: int
) -> Iterator[Row]:
    contacts = rows_of(answer, "contacts")
    if contacts:
        yield ()
        yield ((f"{'CONTACTS':<{NAME + 2}}{'now':<12}{'last edge':<12}{'edges/h':>8}", "head"),)
    for contact in contacts:
        yield _line_row(contact, str(contact.get("kind", "")), answer, history, look, width)
        window = as_mapping(contact.get("window"))
        if "occupied" in window:
            yield from _window(window, bay_line(window), look, width)


def _line_row(
    line: Mapping[str, Any],
    kind: str,
    answer: Mapping[str, Any],
    history: LiveHistory,
    look: Look,
    width: int,
) -> Row:
    """`north_1.lead   OCCUPIED    0.4 s ago    1,204  ····█···`."""
    name, on = str(line.get("name")), line.get("on")
    shown = f"  {_cut(shown_name(name, answer), NAME)}"
    if on is None:
        why = line.get("closed") or "not opened yet"
        return ((shown, ""), (f"NOT WATCHED: {printable(str(why))}", "bad"))
    marks = PLAIN_STRIP if look.plain else STRIP
    room = width - NAME - 2 - 12 - 12 - 8 - 2
    strip = "".join(marks[each] for each in list(history.looks.get(name, ()))[-max(0, room) :])
    hour = line.get("edges_hour")
    return (
        (shown, ""),
        (f"{level_text(kind, bool(on)):<12}", "on" if on else ""),
        (f"{_ago(line.get('edge_age_s'), look):<12}", ""),
        (f"{hour if isinstance(hour, int) else 0:>8,}", ""),
        (f"  {strip}" if room > 0 else "", "on"),
    )


def _devices(
    answer: Mapping[str, Any], history: LiveHistory, look: Look, width: int
) -> Iterator[Row]:
    for device in rows_of(answer, "devices"):
        yield ()
        yield from _device(device, answer, history, look, width)


def _device(
    device: Mapping[str, Any],
    answer: Mapping[str, Any],
    history: LiveHistory,
    look: Look,
    width: int,
) -> Iterator[Row]:
    name, state = str(device.get("name")), str(device.get("state"))
    head = shown_name(name, answer)
    where = printable(f" ({device.get('driver')} on {device.get('bus')})", 48)
    failed = state != "ok"
    yield (
        (head, "head"),
        (where, "dim"),
        (f"  {state_text(state)}" if failed else "  ok", "bad" if failed else ""),
        (f"  {printable(str(device.get('text')))}" if failed and device.get("text") else "", ""),
    )
    age = _ago(device.get("age_s"), look)
    room = width - 2 - NAME - VALUE - 1 - UNIT - 1 - AGE - QUALITY - 1
    marks = PLAIN_MARKS if look.plain else MARKS
    for reading in rows_of(device, "readings"):
        point, quality = str(reading.get("point")), str(reading.get("quality"))
        course = tuple(history.values.get((name, point), ()))
        yield (
            (f"  {_cut(point, NAME)}", ""),
            (f"{value_text(reading.get('value')):>{VALUE}} ", "head"),
            (f"{unit_text(reading.get('unit')):<{UNIT}} ", ""),
            (f"{age.removesuffix(' ago'):<{AGE}}", "bad" if failed else ""),
            (_cut(quality, QUALITY), "dim" if quality == "good" else "doubt"),
            (f" {sparkline(course, room, marks)}" if room > 0 else "", "on"),
        )
    for text in as_mapping(device.get("health")).values():
        yield ((f"  it reports: {printable(str(text))}", "doubt"),)


def _age(age_s: Any, look: Look) -> float | None:
    return age_s + look.late_s if isinstance(age_s, (int, float)) else None


def _ago(age_s: Any, look: Look) -> str:
    """What is of now stays so for a while: it is not sent again for a tenth of a second."""
    since_s = _age(age_s, look)
    if since_s is None:
        return "never"
    return "now" if since_s < NOW_S else f"{span_text(int(since_s))} ago"


def _cut(text: str, width: int) -> str:
    return fill_columns(printable(text), width)


def _fit(row: Iterable[tuple[str, StyleName]], width: int) -> Row:
    """Cut at the right; whatever a stranger has written is letters by now."""
    found: list[tuple[str, StyleName]] = []
    for text, style in row:
        if width <= 0:
            break
        if text:
            shown = printable(text)
            taken = len(shown) if shown.isascii() else sum(map(columns_of, shown))
            found.append((shown if taken <= width else fill_columns(shown, width, ""), style))
            width -= taken
    return tuple(found)


def plain_text(rows: Sequence[Row]) -> list[str]:
    """Without styles."""
    return ["".join(text for text, _ in row).rstrip() for row in rows]
