"""Are the figures of the records right: values with their units, qualities."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from edge.rig.judgedrun import JudgedRun, JudgedSpan, Row, point, qualities, seconds
from edge.rig.outcome import ROWS_LIMIT, Judgement, not_evaluated
from edge.rig.runlog import number_of
from edge.rig.scenario import Expect

GOOD: Final = "good"
BAD: Final = "bad:"
PASSED_S: Final = 2.0  # a vehicle that has left is told of soon, not at once


def no_record(expect: Expect, frame: JudgedSpan) -> Judgement:
    text = f"No record of {expect.source} ended {frame.where()}: there is nothing to judge."
    return not_evaluated(text)


def judge_value(expect: Expect, frame: JudgedSpan, run: JudgedRun) -> Judgement:
    """Every record of the time must have the value; with `absent`, none may."""
    rows = run.records(expect.source, frame)
    if not rows:
        return no_record(expect, frame)
    name = f"{expect.source}.{expect.key}"
    if all(point(row, expect.key) is None and not _has(row, expect.key) for row in rows):
        return not_evaluated(f"No record has {name}.", rows[0].moment_s)
    found = [(row, figure(point(row, expect.key), expect.field)) for row in rows]
    # where nothing drove, or has left, there is no speed, and nobody to blame
    found = [
        (row, value) for row, value in found
        if value is not None or not _is_empty(row) or _has_passed(row, run)
    ]  # fmt: skip
    if not found:
        return not_evaluated(f"No vehicle was measured {frame.where()}.", rows[0].moment_s)
    rows = [row for row, _ in found]
    wrong = [
        (row, value)
        for row, value in found
        if expect.absent == (value is not None and _fits(expect, value))
    ]
    wanted = _wanted(expect, name)
    if wrong:
        row, value = wrong[0]
        seen = "no value" if value is None else f"{value:.6g}"
        why = ", ".join(sorted(set(qualities(row, expect.key)) - {GOOD}))
        text = f"Wanted {wanted}. Seen: {seen}{f' ({why})' if value is None and why else ''} in "
        text += f"the record that ended at {seconds(row.moment_s)}"
        text += f"; {len(wrong)} of {len(rows)} records are wrong."
        return _of_records("fail", text, [each for each, _ in wrong])
    if expect.unit and not expect.absent:
        units = [(row, run.unit(row, expect.key)) for row in rows]
        unknown = next((row for row, unit in units if unit is None), None)
        if unknown is not None:
            text = f"The values of {name} are right; but no record and no description has the unit."
            return not_evaluated(text, unknown.moment_s)
        other = [(row, unit) for row, unit in units if unit != expect.unit]
        if other:
            text = f"Wanted {wanted}. Seen: the unit {other[0][1]}."
            return _of_records("fail", text, [each for each, _ in other])
    values = [value for _, value in found if value is not None]
    seen = f"{min(values):.6g} to {max(values):.6g}" if values else "no value"
    text = f"Wanted {wanted}. Seen: {seen} in {len(rows)} records."
    return _of_records("pass", text, rows)


def judge_quality(expect: Expect, frame: JudgedSpan, run: JudgedRun) -> Judgement:
    """Some record of the time must have the reason; with `absent`, none may."""
    rows = run.records(expect.source, frame)
    if not rows:
        return no_record(expect, frame)
    named = [row for row in rows if _has_reason(qualities(row, expect.key), expect.reason)]
    name = f"{expect.source}.{expect.key}".removesuffix(".")
    reason = expect.reason or "not good"
    if named:
        text = f"{name} was {reason} in {len(named)} of {len(rows)} records, first in the one that "
        text += f"ended at {seconds(named[0].moment_s)}."
        if expect.absent:
            return _of_records("fail", f"Wanted it never to be {reason}: {text}", named)
        return _of_records("pass", text, named, final=True)
    words = sorted({word for row in rows for word in qualities(row, expect.key)})
    if not words:
        return not_evaluated(f"The records of {expect.source} tell no quality of {name}.")
    text = f"{name} was never {reason} {frame.where()}: {', '.join(words)} in {len(rows)} records."
    if expect.absent:
        return _of_records("pass", text, rows)
    return Judgement(verdict="fail", text=text, moment_s=rows[-1].moment_s, rows=_numbers(rows))


def figure(said: Any, field: str) -> float | None:
    """Of a point: one of its figures, or the number itself. None: there is no number."""
    value = said.get(field) if isinstance(said, Mapping) else said
    return number_of(value)


def _has(row: Row, key: str) -> bool:
    """Whether the record has the point, be it without a value."""
    points = row.heard.body.get("points")
    return key in (points if isinstance(points, Mapping) else row.heard.body)


def _has_passed(row: Row, run: JudgedRun) -> bool:
    """Whether the record counts vehicles, and one of those that drove came and left within it."""
    if (number_of(row.heard.body.get("volume")) or 0.0) <= 0 or row.heard.from_s is None:
        return False
    begin, end = row.heard.from_s + PASSED_S, row.moment_s - PASSED_S
    near = run.driven(row.heard.source).between(begin, end)
    error = run.error_s(row)
    return any(begin + error < each.on_s and each.off_s < end - error for each in near)


def _is_empty(row: Row) -> bool:
    """The record of a lane without a value, and without a reason: there was nothing to measure."""
    bad = any(word.startswith(BAD) for word in qualities(row, ""))
    return "points" not in row.heard.body and not bad


def _fits(expect: Expect, value: float) -> bool:
    return expect.equals is None or abs(value - expect.equals) <= expect.tolerance


def _wanted(expect: Expect, name: str) -> str:
    number = "any value" if expect.equals is None else f"{expect.equals:g}"
    if expect.tolerance:
        number += f" ± {expect.tolerance:g}"
    unit = f" {expect.unit}" if expect.unit else ""
    return f"{'never ' if expect.absent else ''}{number}{unit} as {expect.field} of {name}"


def _has_reason(words: Mapping[str, int], reason: str) -> bool:
    if not reason:
        return any(word != GOOD for word in words)
    return any(reason in (word, word.partition(":")[2]) for word in words)


def _numbers(rows: Sequence[Row]) -> tuple[int, ...]:
    return tuple(row.number for row in rows[:ROWS_LIMIT])


def _of_records(verdict: str, text: str, rows: Sequence[Row], *, final: bool = False) -> Judgement:
    failed = verdict == "fail"
    return Judgement(
        verdict="fail" if failed else "pass",
        text=text,
        moment_s=rows[0].moment_s,
        rows=_numbers(rows),
        final=final or failed,
    )
