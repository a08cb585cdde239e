"""Did the box say that something happened: flags, events, declared gaps, issues, and nothing else.

A moment by the box's own clock is only known within a bound: one that may lie on both sides of a
limit is not evaluated.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from math import inf
from typing import Final

from edge.rig.judgedrun import (
    JudgedRun,
    JudgedSpan,
    Row,
    event_names,
    event_title,
    is_about,
    says_nothing,
    seconds,
    seen_issues,
)
from edge.rig.outcome import ROWS_LIMIT, Judgement, not_evaluated
from edge.rig.scenario import Expect
from edge.rig.vocabulary import kinds_called

GAP: Final = "gap"
LATE_S: Final = 5.0  # told so much later than it is dated: the sentence says so
NAMED: Final = 5  # of what nobody expected, in the sentence


@dataclass(frozen=True, slots=True)
class Sighting:
    """Something that an expectation may mean, between two moments. `row`: of `RunLog.heard`."""

    from_s: float
    to_s: float
    title: str
    row: int | None = None
    came_s: float | None = None

    @property
    def moment_s(self) -> float:
        return (self.from_s + self.to_s) / 2

    @property
    def rows(self) -> tuple[int, ...]:
        return () if self.row is None else (self.row,)


def means(expect: Expect, row: Row) -> bool:
    """Whether an event is of the kind and of the source that an expectation names."""
    body = row.heard.body
    if not is_about(row, expect.source):
        return False
    match expect.what:
        case "gap":
            return body.get("event") == GAP and expect.key in ("", *event_names(body))
        case "flag":
            return "state" in body and expect.key in event_names(body)
        case "event":
            return expect.key in event_names(body)
    return False


def judge_event(expect: Expect, frame: JudgedSpan, run: JudgedRun) -> Judgement:
    """`flag`, `event` and `gap`."""
    found = [
        Sighting(
            row.moment_s - error, row.moment_s + error, event_title(row), row.number, row.heard.t_s
        )
        for row in run.events
        if means(expect, row) and (expect.what != "flag" or row.heard.body.get("state") == "on")
        for error in (run.error_s(row),)
    ]
    if expect.what == "flag" and expect.absent and (up := _up_before(expect, run)) is not None:
        text = f"Wanted no flag {expect.key} of {expect.source}. It was up before the run began: "
        text += f"{event_title(up)} at {seconds(up.moment_s)}, and it never went off."
        return Judgement(verdict="fail", text=text, moment_s=0.0, rows=(up.number,), final=True)
    return _judge_sightings(expect, frame, found, lambda: run.silent(frame))


def _up_before(expect: Expect, run: JudgedRun) -> Row | None:
    """A flag that goes on before second 0, and is never taken back: it need not go on again."""
    rows = [row for row in run.events if means(expect, row) or _may_end(expect, row)]
    first = next((row for row in reversed(rows) if row.moment_s <= 0.0), None)
    ended = any(_may_end(expect, row) and row.moment_s > 0.0 for row in rows)
    return first if first and not ended and first.heard.body.get("state") == "on" else None


def judge_issue(expect: Expect, frame: JudgedSpan, run: JudgedRun) -> Judgement:
    """By what the rig saw of the box's status, once a second or so."""
    looks = [each for each in run.log.seen if frame.from_s <= each.t_s <= frame.until_s]
    if not looks or all(map(says_nothing, looks)):
        return not_evaluated(f"The box said nothing of its own state {frame.where()}.")
    found = [
        Sighting(each.t_s, each.t_s, f"issue {kind} {about}".rstrip())
        for each in run.log.seen
        for kind, about in seen_issues(each)
        if kind == expect.key and _covers(expect.source, about)
    ]
    if not expect.absent:  # it stays open for many looks: the first of them says when it came
        found = [each for each in found if each.from_s >= frame.looks_s][:1]
    return _judge_sightings(expect, frame, found, lambda: None)


def judge_nothing_else(
    expect: Expect, frame: JudgedSpan, run: JudgedRun, others: Sequence[tuple[Expect, JudgedSpan]]
) -> Judgement:
    """Each flag, event and gap after the start that no other expectation covers. A flag that is
    expected may go off again at any time."""
    found = []
    for row in run.events:
        if row.moment_s <= max(0.0, frame.from_s) or row.moment_s > frame.until_s:
            continue  # before the box was ready: the gap and the start that each run begins with
        if not any(_is_expected(other, where, row, run) for other, where in others):
            found.append(row)
    if not found:
        silence = run.silent(frame)
        text = f"Nothing that no expectation names happened {frame.where()}."
        return silence or Judgement(verdict="pass", text=text)
    told = [f"{event_title(row)} at {seconds(row.moment_s)}" for row in found[:NAMED]]
    more = f", and {len(found) - NAMED} more" if len(found) > NAMED else ""
    return Judgement(
        verdict="fail",
        text=f"No expectation names: {'; '.join(told)}{more}.",
        moment_s=found[0].moment_s,
        rows=tuple(row.number for row in found[:ROWS_LIMIT]),
        final=True,
    )


def _is_expected(expect: Expect, frame: JudgedSpan, row: Row, run: JudgedRun) -> bool:
    if expect.absent:
        return False
    if expect.what == "flag" and _may_end(expect, row):
        return True
    error = run.error_s(row)
    in_time = frame.from_s - error <= row.moment_s <= frame.until_s + error
    return in_time and means(expect, row)


def _may_end(expect: Expect, row: Row) -> bool:
    """Whether it is the end of such a flag, which need not say which of its kind it was: a device
    that answers again says no more than that."""
    body = row.heard.body
    if body.get("state") in (None, "on") or not is_about(row, expect.source):
        return False
    names = list(event_names(body))
    return expect.key in names or (len(names) == 1 and names[0] in kinds_called(expect.key))


def _covers(source: str, about: str) -> bool:
    """An issue may be about a part of a source (`north_1.trail`, `north_1 trail`), or name a bus as
    one (`bus meters`), for a device may be called so, too."""
    about = about.removeprefix("bus ")
    return not source or about == source or about.startswith((f"{source}.", f"{source} "))


def _judge_sightings(
    expect: Expect,
    frame: JudgedSpan,
    found: Iterable[Sighting],
    silent: Callable[[], Judgement | None],
) -> Judgement:
    wanted = f"{expect.what} {expect.key}".rstrip() + (
        f" of {expect.source}" if expect.source else ""
    )
    later = [each for each in found if each.to_s >= frame.looks_s]
    inside = [e for e in later if e.from_s >= frame.from_s and e.to_s <= frame.until_s]
    doubtful = [
        each for each in later
        if each not in inside and each.to_s >= frame.from_s and each.from_s <= frame.until_s
    ]  # fmt: skip
    if expect.absent:
        return _judge_absent(wanted, frame, inside, doubtful, silent)
    early = [each for each in later if each.to_s < frame.from_s and each.from_s >= frame.looks_s]
    if early:
        text = f"Too soon: {early[0].title} at {seconds(early[0].moment_s)}; wanted {frame.where()}"
        return _seen("fail", f"{text}.", early[0])
    if inside:
        since = f", {seconds(inside[0].moment_s - frame.base_s)} after the fault began"
        text = f"Seen: {inside[0].title} at {seconds(inside[0].moment_s)}"
        if (came_s := inside[0].came_s) is not None and came_s > inside[0].to_s + LATE_S:
            text += f", told at {seconds(came_s)}"
        return _seen("pass", f"{text}{since if expect.fault else ''}.", inside[0])
    if doubtful:
        return _seen("not_evaluated", _doubt(doubtful[0], frame), doubtful[0])
    late = next((each for each in later if each.from_s > frame.until_s), None)
    if late is not None:
        text = f"Too late: {late.title} at {seconds(late.moment_s)}; wanted {frame.where()}."
        return _seen("fail", text, late)
    return silent() or Judgement(
        verdict="fail",
        text=f"Wanted {wanted} {frame.where()}. It was not seen.",
        moment_s=frame.from_s if frame.until_s == inf else frame.until_s,
    )


def _judge_absent(
    wanted: str,
    frame: JudgedSpan,
    inside: Sequence[Sighting],
    doubtful: Sequence[Sighting],
    silent: Callable[[], Judgement | None],
) -> Judgement:
    if inside:
        text = f"Wanted no {wanted} {frame.where()}"
        text = f"{text}. Seen: {inside[0].title} at {seconds(inside[0].moment_s)}."
        return _seen("fail", text, inside[0])
    if doubtful:
        return _seen("not_evaluated", _doubt(doubtful[0], frame), doubtful[0])
    text = f"No {wanted} was seen {frame.where()}."
    return silent() or Judgement(verdict="pass", text=text)


def _seen(verdict: str, text: str, sighting: Sighting) -> Judgement:
    if verdict == "not_evaluated":
        return not_evaluated(text, sighting.moment_s)
    return Judgement(
        verdict="pass" if verdict == "pass" else "fail",
        text=text,
        moment_s=sighting.moment_s,
        rows=sighting.rows,
        final=True,
    )


def _doubt(sighting: Sighting, frame: JudgedSpan) -> str:
    return (
        f"{sighting.title} came between {seconds(sighting.from_s)} and {seconds(sighting.to_s)}: "
        f"the box's clock is not known better, so nobody knows whether that was {frame.where()}."
    )
