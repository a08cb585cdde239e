"""An answer of `live` as text: all of it for a person, what is new in it for a log or a pipe."""

from collections.abc import Iterator, Mapping
from typing import Any, Final

from edge.core.humanize import count_text, span_text
from edge.core.printable import printable
from edge.core.remedies import MILD_CONDITIONS
from edge.health.openissues import source_of_issue
from edge.report.live.lanetext import (
    contact_rows,
    lane_rows,
    line_text,
    rows_of,
    vehicle_text,
    window_texts,
)
from edge.report.live.shownname import shown_name
from edge.report.live.valuetext import age_text, reading_text, state_text
from edge.report.status.textform import as_mapping

KINDS: Final = ("devices", "lanes", "contacts")
AGES: Final = ("_age_s", "edges_hour")  # ends of keys whose change is no news


def answer_rows(answer: Mapping[str, Any]) -> Iterator[str]:
    """Every device, lane and contact in it, with a blank row between."""
    first = True
    for kind in KINDS:
        for one in rows_of(answer, kind):
            if not first and kind != "contacts":
                yield ""
            first = False
            yield from _item_rows(kind, one, answer)


def _item_rows(kind: str, one: Mapping[str, Any], answer: Mapping[str, Any]) -> Iterator[str]:
    if kind == "devices":
        yield from device_rows(one, answer)
    elif kind == "lanes":
        yield from lane_rows(one, answer)
    else:
        yield from contact_rows(one, answer)
    yield from attention_rows(answer, str(one.get("name")))


def attention_rows(answer: Mapping[str, Any], about: str) -> Iterator[str]:
    """What needs a person of a device, a lane or a contact."""
    return (f"  ATTENTION: {text}" for text in issue_texts(answer, about))


def device_rows(device: Mapping[str, Any], answer: Mapping[str, Any]) -> Iterator[str]:
    """Its head, and a row for each value."""
    yield device_head(device, answer)
    state, text = str(device.get("state")), device.get("text")
    if state != "ok" and text:
        yield f"  {printable(str(text))}"
    yield from (f"  {reading_text(each)}" for each in rows_of(device, "readings"))
    for word, told in as_mapping(device.get("health")).items():
        yield f"  {'' if word in MILD_CONDITIONS else 'it reports: '}{printable(str(told))}"


def device_head(device: Mapping[str, Any], answer: Mapping[str, Any]) -> str:
    """`hut_air (sen55 on air), read 0.4 s ago`."""
    name, age_s = shown_name(str(device.get("name")), answer), device.get("age_s")
    where = printable(f"{device.get('driver')} on {device.get('bus')}", 64)
    state = str(device.get("state"))
    if state == "ok":
        read = "no value yet" if age_s is None else f"read {age_text(age_s)}"
        return f"{name} ({where}), {read}"
    last = "no value since the start" if age_s is None else f"last value {age_text(age_s)}"
    return f"{name} ({where}): {state_text(state)}; {last}"


def issue_texts(answer: Mapping[str, Any], about: str) -> Iterator[str]:
    """The open issues of a lane or a device; of all with an empty `about`."""
    for issue in rows_of(answer, "issues"):
        if not about or issue_source(issue) == about:
            yield printable(f"{issue.get('cause', '')} {issue.get('remedy', '')}".strip())


def issue_source(issue: Mapping[str, Any]) -> str:
    """The device, lane or contact that it is about; empty: another thing."""
    return source_of_issue(str(issue.get("kind")), str(issue.get("about", "")))


def link_text(answer: Mapping[str, Any]) -> str:
    """`connected to mqtts://city:8883 for 3 h`."""
    link = as_mapping(answer.get("link"))
    if not link:
        return "no daemon: nothing is kept or sent"
    since = span_text(link.get("for_s"))
    if link.get("connected"):
        return f"connected to {printable(str(link.get('broker')), 60)} for {since}"
    why = f": {printable(str(link.get('failure')))}" if link.get("failure") else ""
    return f"NOT CONNECTED for {since}{why}"


def queue_text(answer: Mapping[str, Any]) -> str:
    """What waits for the city."""
    queue = as_mapping(answer.get("queue"))
    rows = queue.get("rows")
    if rows is None:
        return "not known"
    waiting = max(0, rows - (queue.get("confirmed") or 0))
    dropped = queue.get("dropped")
    lost = f", {count_text(dropped, 'record')} LOST" if dropped else ""
    oldest = f", the oldest for {span_text(queue.get('age_s'))}" if waiting else ""
    return f"{count_text(waiting, 'record')} waiting{oldest}{lost}"


class News:
    """What is new since the last answer."""

    def __init__(self) -> None:
        self._before: dict[tuple[str, str], Any] = {}

    def items(self, answer: Mapping[str, Any]) -> list[tuple[str, Mapping[str, Any]]]:
        """Kind (`device`, `lane`, `contact`) and what is told of it. That time has passed is no
        news.
        """
        found = []
        for kind in KINDS:
            for one in rows_of(answer, kind):
                key, now = (kind, str(one.get("name"))), _without_ages(one)
                if self._before.get(key) != now:
                    self._before[key] = now
                    found.append((kind.removesuffix("s"), one))
        return found


def news_rows(kind: str, one: Mapping[str, Any], answer: Mapping[str, Any]) -> Iterator[str]:
    """Each row says whose it is: rows of a pipe are sorted out by others."""
    name = shown_name(str(one.get("name")), answer)
    if kind == "device":
        state = str(one.get("state"))
        if state != "ok":
            yield f"{name}: {state_text(state)}: {printable(str(one.get('text')))}"
            return
        yield from (f"{name} {reading_text(each)}" for each in rows_of(one, "readings"))
    elif kind == "lane":
        for loop in rows_of(one, "loops"):
            yield f"{shown_name(str(loop.get('name')), answer)}: {line_text(loop, 'loop')}"
        yield from (f"{name}: {text}" for text in window_texts(one))
        yield from (
            f"{name}: vehicle {vehicle_text(each)}" for each in rows_of(one, "vehicles")[:1]
        )
    else:
        yield f"{name}: {line_text(one, str(one.get('kind', '')))}"


def _without_ages(found: Any) -> Any:
    if isinstance(found, Mapping):
        return {
            key: _without_ages(value)
            for key, value in found.items()
            if key != "age_s" and not str(key).endswith(AGES)
        }
    return [_without_ages(each) for each in found] if isinstance(found, list) else found
