"""The rows of a run's picture: outcomes, faults, lanes, values, flags, events, gaps, the queue.

Stimulus and response stand in one row where they belong together: what the rig drove over a lane
and what the box counted; what a device measured and what the box reported.
"""

from bisect import bisect_right
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise
from math import inf, isfinite
from typing import Final

from edge.rig.judgedevents import GAP
from edge.rig.judgedrecords import figure
from edge.rig.judgedrun import JudgedRun, JudgedSpan, Row, event_names, event_title, point, seconds
from edge.rig.judgedvolume import JOIN_S
from edge.rig.outcome import WORDS, Outcome
from edge.rig.picturerows import (
    HEIGHT,
    MARKS_LIMIT,
    PictureRow,
    Step,
    changes,
    columns,
    curve,
    path,
    scale,
    spread,
    steps,
    thin,
)
from edge.rig.runlog import FaultSpan
from edge.rig.runtimeline import DAYS_S, is_moment
from edge.rig.scenario import Scenario, Value

SHAPES_LIMIT: Final = 120_000  # windows in all rows, and vehicles: some MB of a page
ROWS_LIMIT: Final = 60  # of flags, and of events
SEEN_LIMIT: Final = 2000  # steps of the queue
ALL: Final = JudgedSpan(-inf, -inf, -inf, inf)


def picture(scenario: Scenario, run: JudgedRun, outcomes: Sequence[Outcome]) -> list[PictureRow]:
    """From top to bottom."""
    return [
        *_outcomes(outcomes),
        *_faults(scenario, run),
        *_lanes(run),
        *_values(scenario, run),
        *_flags(run),
        *_events(run),
        *_gaps(run),
        *_state(run),
    ]


def _outcomes(outcomes: Sequence[Outcome]) -> Iterator[PictureRow]:
    wrong = [each for each in outcomes if each.verdict != "pass" and is_moment(each.moment_s)]
    if not wrong:
        return
    words = "; ".join(
        f"{each.name}: {WORDS[each.verdict]} at {seconds(each.moment_s or 0.0)}" for each in wrong
    )
    row = PictureRow("Expectations", "not passed", words)
    for each in wrong:
        row.mark(each.moment_s or 0.0, each.verdict, f"{each.name}: {each.text}")
    yield row


def _faults(scenario: Scenario, run: JudgedRun) -> Iterator[PictureRow]:
    for fault in scenario.faults:
        span = run.spans.get(fault.name)
        label = f"{fault.name}: {fault.kind} of {fault.target}"
        if span is None:
            yield PictureRow("Faults", label, f"{fault.name} never began.", note="It never began.")
            continue
        row = PictureRow("Faults", label, _fault_words(span), note=_fault_words(span))
        end = run.log.lasted_s if span.ended_s is None else span.ended_s
        row.bar(span.began_s, end, "fault", f"{label}. {row.words}")
        row.marks([(each.t_s, each.text) for each in span.evidence], "evidence")
        if span.ended_s is not None:
            row.mark(span.ended_s, "healed", f"{fault.name} healed at {seconds(span.ended_s)}")
        yield row


def _fault_words(span: FaultSpan) -> str:
    end = "never healed" if span.ended_s is None else f"healed at {seconds(span.ended_s)}"
    began = f"It began at {seconds(span.began_s)} and {end}"
    return f"{began}. Things that went through: {span.through}; effects seen: {len(span.evidence)}."


def _lanes(run: JudgedRun) -> Iterator[PictureRow]:
    counts: dict[str, list[Row]] = defaultdict(list)
    for row in run.unique:
        if "volume" in row.heard.body and row.heard.from_s is not None:
            counts[row.heard.source].append(row)
    lanes = sorted({*counts, *(each.lane for each in run.log.driven)})
    budget = spread(lanes, SHAPES_LIMIT)
    for lane in lanes:
        yield _lane(lane, sorted(counts[lane], key=lambda r: r.moment_s), run, budget[lane])


def _lane(lane: str, rows: Sequence[Row], run: JudgedRun, budget: int) -> PictureRow:
    vehicles = run.driven(lane).vehicles
    on_s = [each.on_s for each in vehicles]
    said: list[Step] = []
    true: list[Step] = []
    wrong = []
    for row in rows:
        begin, end = row.heard.from_s or 0.0, row.moment_s
        if not (is_moment(begin) and is_moment(end)):
            continue
        volume = figure(row.heard.body["volume"], "")
        drove = bisect_right(on_s, end) - bisect_right(on_s, begin)
        said.append((begin, end, volume))
        true.append((begin, end, float(drove)))
        if volume is None or abs(volume - drove) > 1:  # one at an edge may be on either side
            counted = "no count" if volume is None else f"{volume:g} counted"
            wrong.append((end, f"{counted}, {drove} drove from {seconds(begin)} to {seconds(end)}"))
    told = sum(value or 0.0 for _, _, value in said)
    words = f"{lane}: {len(vehicles)} vehicles drove, {told:g} were counted in {len(said)} windows"
    words += f"; {len(wrong)} windows are off by more than one." if wrong else "."
    ends = scale([value for _, _, value in (*said, *true) if value is not None], zero=True)
    shown, joined = thin(said, budget // 2)
    drawn, _ = thin(true, budget // 2)
    note = f"0 to {ends[1]:g} vehicles a window."
    if joined > 1:
        note += f" One step is the mean of {joined} windows."
    row_ = PictureRow("Vehicles", lane, words, height=HEIGHT, note=note)
    row_.shapes += [path("true", columns(drawn, ends, HEIGHT - 8)),
                    path("said", steps(shown, ends, HEIGHT - 8))]  # fmt: skip
    if len(vehicles) <= budget:
        ticks = "".join(f"M{each.on_s:.2f} {HEIGHT - 6}v5" for each in vehicles)
        row_.shapes.append(path("vehicle", ticks))
    else:
        row_.note += f" Its {len(vehicles)} vehicles are not drawn one by one."
    for (_, begin, _), (end, _, _) in pairwise(said):
        if end - begin > JOIN_S:
            row_.bar(begin, end, "void", f"no record from {seconds(begin)} to {seconds(end)}")
    row_.marks(wrong, "wrong")
    return row_


def _values(scenario: Scenario, run: JudgedRun) -> Iterator[PictureRow]:
    named = {(each.device, each.point): each for each in scenario.values}
    keys = dict.fromkeys(named)
    for each in scenario.expects:
        if each.what in ("value", "quality") and each.key:
            keys[each.source, each.key] = None
    budget = spread((f"{a}.{b}" for a, b in keys), SHAPES_LIMIT)
    for source, key in keys:
        rows = run.records(source, ALL)
        yield _value(source, key, rows, named.get((source, key)), run, budget[f"{source}.{key}"])


def _value(
    source: str, key: str, rows: Sequence[Row], true: Value | None, run: JudgedRun, budget: int
) -> PictureRow:
    said: list[Step] = []
    for row in rows:
        begin, end = row.heard.from_s, row.moment_s
        if begin is None or not (is_moment(begin) and is_moment(end)):
            continue
        found = point(row, key)
        mean = figure(found, "mean")
        value = figure(found, "last") if mean is None else mean
        said.append((begin, end, value if value is not None and isfinite(value) else None))
    right = _true_values(true, run.log.lasted_s)
    numbers = [value for _, _, value in said if value is not None]
    ends = scale([*numbers, *(value for _, value in right)])
    shown, joined = thin(said, budget)
    without = sum(value is None for _, _, value in said)
    unit = next((run.unit(row, key) for row in rows), None)
    words = f"{source}.{key}: {len(said)} records"
    words += f", {without} of them without a value" if without else ""
    words += f"; {min(numbers):.6g} to {max(numbers):.6g} {unit or ''}".rstrip() if numbers else ""
    note = f"{ends[0]:.5g} to {ends[1]:.5g} {unit or ''}".rstrip() + "."
    if joined > 1:
        note += f" One step is the mean of {joined} records."
    if true is not None and true.series is not None:
        note += f" The true values are in {true.series}."
    row_ = PictureRow("Values", f"{source}.{key}", f"{words}.", height=HEIGHT, note=note)
    if right:
        row_.shapes.append(path("truth", curve(right, ends, HEIGHT)))
    row_.shapes.append(path("said", steps(shown, ends, HEIGHT)))
    for begin, end in _without_value(said)[:MARKS_LIMIT]:
        row_.bar(begin, end, "void", f"no value from {seconds(begin)} to {seconds(end)}")
    return row_


def _without_value(said: Sequence[Step]) -> list[tuple[float, float]]:
    """Windows without a value; those that follow each other are one."""
    found: list[tuple[float, float]] = []
    for begin, end, value in said:
        if value is None and found and begin - found[-1][1] < JOIN_S:
            found[-1] = found[-1][0], end
        elif value is None:
            found.append((begin, end))
    return found


def _true_values(true: Value | None, lasted_s: float) -> list[tuple[float, float]]:
    if true is None:
        return []
    if true.constant is not None:
        return [(0.0, true.constant), (lasted_s, true.constant)]
    if not true.curve:
        return []
    return [*true.curve, (max(lasted_s, true.curve[-1][0]), true.curve[-1][1])]


def _flags(run: JudgedRun) -> Iterator[PictureRow]:
    found: dict[str, list[Row]] = defaultdict(list)
    for row in run.events:
        if "state" in row.heard.body and is_moment(row.moment_s):
            titles = list(_ended(row, found)) or [event_title(row, state=False)]
            for title in titles:
                found[title].append(row)
    for title, rows in list(found.items())[:ROWS_LIMIT]:
        yield _flag(title, rows, run.log.lasted_s)
    yield from _left_out("Flags", len(found))


def _ended(row: Row, found: Mapping[str, Sequence[Row]]) -> Iterator[str]:
    """Flags that are up and that it ends, where it does not say which of its kind it was: a device
    that answers again says no more than that."""
    names = list(event_names(row.heard.body))
    if row.heard.body.get("state") != "off" or len(names) != 1:
        return
    for title, rows in found.items():
        last = rows[-1].heard
        is_up = last.source == row.heard.source and last.body.get("state") == "on"
        if is_up and next(event_names(last.body), "") == names[0]:
            yield title


def _flag(title: str, rows: Sequence[Row], lasted_s: float) -> PictureRow:
    spans: list[tuple[float, float]] = []
    since: float | None = None
    other = []
    for row in rows:
        state = row.heard.body["state"]
        if state == "on" and since is None:
            since = row.moment_s
        elif state == "off":
            spans.append((row.moment_s if since is None else since, row.moment_s))
            since = None
        elif state != "on":
            other.append((row.moment_s, str(state)))
    if since is not None:
        spans.append((since, max(since, lasted_s)))
    words = "; ".join(f"on from {seconds(a)} to {seconds(b)}" for a, b in spans[:MARKS_LIMIT])
    flag = PictureRow("Flags", title, f"{title}: {words or 'never on'}.")
    for begin, end in spans[:MARKS_LIMIT]:
        flag.bar(begin, end, "flag", f"{title}: on from {seconds(begin)} to {seconds(end)}")
    flag.marks(other, "event")
    return flag


def _events(run: JudgedRun) -> Iterator[PictureRow]:
    found: dict[str, list[tuple[float, str]]] = defaultdict(list)
    for row in run.events:
        body = row.heard.body
        if "state" not in body and body.get("event") != GAP and is_moment(row.moment_s):
            title = event_title(row)
            found[title].append((row.moment_s, f"{title} at {seconds(row.moment_s)}"))
    for title, marks in list(found.items())[:ROWS_LIMIT]:
        event = PictureRow("Events", title, "; ".join(text for _, text in marks[:MARKS_LIMIT]))
        event.marks(marks, "event")
        yield event
    yield from _left_out("Events", len(found))


def _left_out(group: str, count: int) -> Iterator[PictureRow]:
    if count > ROWS_LIMIT:
        text = f"{count - ROWS_LIMIT} more kinds are not drawn"
        yield PictureRow(group, text, f"{text}.")


def _gaps(run: JudgedRun) -> Iterator[PictureRow]:
    rows = [
        row
        for row in run.events
        if row.heard.body.get("event") == GAP and is_moment(row.moment_s) and row.moment_s > 0
    ]
    if not rows:
        return
    row_ = PictureRow("Gaps", "declared gaps", "")
    told = []
    for row in rows[:MARKS_LIMIT]:
        match row.heard.body.get("gap"):
            case [int(start), int(end)] if 0 <= end - start < DAYS_S * 1e6:
                begin = row.moment_s - (end - start) / 1e6
            case _:
                begin = row.moment_s
        told.append(f"{event_title(row)}, {seconds(begin)} to {seconds(row.moment_s)}")
        row_.bar(begin, row.moment_s, "gap", told[-1])
    row_.words = "; ".join(told)
    yield row_


def _state(run: JudgedRun) -> Iterator[PictureRow]:
    seen = run.log.seen
    waiting = [(each.t_s, float(each.queue)) for each in seen if each.queue is not None]
    if waiting:
        kept = changes(waiting, SEEN_LIMIT)
        last = max(run.log.lasted_s, waiting[-1][0])
        times = [*(at for at, _ in kept[1:]), last]
        found: list[Step] = [(at, end, v) for (at, v), end in zip(kept, times, strict=True)]
        ends = scale([value for _, value in kept], zero=True)
        words = f"At most {max(value for _, value in waiting):g} records waited in the box."
        row = PictureRow("The box", "records that wait", words, height=HEIGHT)
        row.note = f"0 to {ends[1]:g} records."
        row.shapes.append(path("said", steps(found, ends, HEIGHT)))
        yield row
    links = [(each.t_s, float(each.connected)) for each in seen if each.connected is not None]
    if links:
        yield _connection(changes(links, SEEN_LIMIT), run.log.lasted_s)


def _connection(found: Sequence[tuple[float, float]], lasted_s: float) -> PictureRow:
    times = [*(at for at, _ in found[1:]), max(lasted_s, found[-1][0])]
    spans = [(at, end) for (at, on), end in zip(found, times, strict=True) if not on]
    words = "; ".join(f"not connected from {seconds(a)} to {seconds(b)}" for a, b in spans)
    row = PictureRow("The box", "no connection", words or "It was always connected.")
    for begin, end in spans[:MARKS_LIMIT]:
        row.bar(begin, end, "cut", f"not connected from {seconds(begin)} to {seconds(end)}")
    return row
