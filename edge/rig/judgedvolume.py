"""Did the box count what drove over a lane: against a number, or against what the rig drove.

Between two records of one source no vehicle gets lost or is counted twice: so windows that follow
each other are one stretch. Only at the ends of a stretch, and of a single window, may a vehicle
that is on the loops at that moment count on either side.
"""

from collections.abc import Iterator, Sequence
from math import inf
from typing import Final, NamedTuple

from msgspec.structs import replace

from edge.rig.judgedevents import GAP
from edge.rig.judgedrecords import no_record
from edge.rig.judgedrun import JudgedRun, JudgedSpan, LaneDriven, Row, is_about, seconds
from edge.rig.outcome import ROWS_LIMIT, Judgement, not_evaluated
from edge.rig.runlog import Driven, count_of
from edge.rig.scenario import Expect

EDGE_S: Final = 0.5
"""Between a wire and the box's time stamp lie the debounce of a contact and, on a machine that has
much to do, a wait: a vehicle so near to an end counts on either side."""
JOIN_S: Final = 0.05  # windows closer than this follow each other


class VolumeSpan(NamedTuple):
    """Time that records tell of without a hole, and what they counted in it."""

    from_s: float
    to_s: float
    counted: int
    rows: tuple[Row, ...]


def judge_volume(expect: Expect, frame: JudgedSpan, run: JudgedRun) -> Judgement:
    """The sum over all records of the time."""
    rows = [row for row in run.records(expect.source, frame) if "volume" in row.heard.body]
    if not rows:
        return no_record(expect, frame)
    unknown = [row for row in rows if _count(row) is None]
    if unknown:
        text = f"{expect.source} has no count in {len(unknown)} of {len(rows)} records: first in "
        text += f"the one that ended at {seconds(unknown[0].moment_s)} (health "
        text += f"{unknown[0].heard.body.get('health', 'not told')})."
        return _failed(text, unknown[0].moment_s, unknown)
    for row in rows:
        if row.heard.t_s < row.moment_s - EDGE_S - run.error_s(row):
            text = f"The record of {expect.source} up to {seconds(row.moment_s)} came at "
            text += f"{seconds(row.heard.t_s)}: before its time was over nobody can count for it."
            return _failed(text, row.moment_s, [row])
    return _against_driven(expect, frame, run, rows) if expect.true else _against(expect, rows)


def _against(expect: Expect, rows: Sequence[Row]) -> Judgement:
    counted = sum(_count(row) or 0 for row in rows)
    wanted = expect.equals or 0.0
    tolerance = f" ± {expect.tolerance:g}" if expect.tolerance else ""
    text = f"Wanted {wanted:g}{tolerance} vehicles on {expect.source}. "
    text += f"Seen: {counted} in {len(rows)} records."
    if abs(counted - wanted) <= expect.tolerance:
        return Judgement(verdict="pass", text=text, moment_s=rows[-1].moment_s, rows=_numbers(rows))
    return Judgement(
        verdict="fail",
        text=text,
        moment_s=rows[-1].moment_s,
        rows=_numbers(rows),
        final=counted > wanted + expect.tolerance,
    )


def _against_driven(
    expect: Expect, frame: JudgedSpan, run: JudgedRun, rows: Sequence[Row]
) -> Judgement:
    if any(row.heard.from_s is None or row.heard.to_s is None for row in rows):
        text = f"Records of {expect.source} do not say which time they are about."
        return not_evaluated(text, rows[0].moment_s)
    driven = run.driven(expect.source)
    margin = EDGE_S + max(map(run.error_s, rows))
    for row in rows:  # the first window that is wrong is the moment to look at
        (alone,) = stretches([row])
        if wrong := _difference(alone, driven, margin, expect.tolerance):
            text = f"{wrong} on {expect.source} in the record from {seconds(alone.from_s)} to "
            return _failed(f"{text}{seconds(alone.to_s)}.", alone.to_s, [row])
    found = list(stretches(rows))
    for whole in found:
        if _difference(whole, driven, margin, expect.tolerance):
            stretch, wrong = _first_wrong(whole, driven, margin, expect.tolerance)
            text = f"{wrong} on {expect.source} in {len(stretch.rows)} records from "
            text += f"{seconds(stretch.from_s)} to {seconds(stretch.to_s)}: each of them may be "
            text += "right, their sum is not."
            return _failed(text, stretch.to_s, stretch.rows)
    untold = _untold(frame, found, driven, margin)
    gaps = [
        _gap_times(row)
        for row in run.events
        if row.heard.body.get("event") == GAP and is_about(row, expect.source)
    ]
    lost = [v for v in untold if not any(a - margin <= v.off_s and v.on_s <= b for a, b in gaps)]
    if lost:
        text = f"{len(lost)} vehicles drove over {expect.source}, the first at "
        text += f"{seconds(lost[0].on_s)}, of which no record tells, and no gap was declared."
        return replace(_failed(text, lost[0].on_s, rows), final=False)  # it may come yet
    counted = sum(each.counted for each in found)
    text = f"{counted} vehicles were counted on {expect.source} in {len(rows)} records, "
    text += f"as the rig drove them{_within(expect.tolerance)}."
    if untold:
        text += f" {len(untold)} more drove in gaps that the box declared."
    if not driven.vehicles:
        text = f"The rig drove no vehicle over {expect.source}, and none was counted."
    return Judgement(verdict="pass", text=text, moment_s=rows[-1].moment_s, rows=_numbers(rows))


def stretches(rows: Sequence[Row]) -> Iterator[VolumeSpan]:
    """Of records in the order of their windows."""
    open_: list[Row] = []
    for row in rows:
        if open_ and (row.heard.from_s or 0.0) - open_[-1].moment_s > JOIN_S:
            yield _stretch(open_)
            open_ = []
        open_.append(row)
    if open_:
        yield _stretch(open_)


def counts_right(driven: Sequence[Driven], from_s: float, to_s: float, margin: float) -> range:
    """So many vehicles may be counted in this time: at each end, one may be on either side."""
    inside = sum(from_s + margin <= v.on_s and v.off_s <= to_s - margin for v in driven)
    doubtful = sum(
        any(v.on_s - margin < end < v.off_s + margin for v in driven) for end in (from_s, to_s)
    )
    sure = sum(from_s <= v.on_s < to_s for v in driven)
    low = max(inside, sure - doubtful)
    return range(low, max(low, sure + doubtful) + 1)


def _stretch(rows: Sequence[Row]) -> VolumeSpan:
    counted = sum(_count(row) or 0 for row in rows)
    return VolumeSpan(rows[0].heard.from_s or 0.0, rows[-1].moment_s, counted, tuple(rows))


def _difference(stretch: VolumeSpan, driven: LaneDriven, margin: float, tolerance: float) -> str:
    """What is wrong with a count; "" where it is right."""
    near = driven.between(stretch.from_s - margin, stretch.to_s + margin)
    right = counts_right(near, stretch.from_s, stretch.to_s, margin)
    if right[0] - tolerance <= stretch.counted <= right[-1] + tolerance:
        return ""
    wanted = str(right[0]) if len(right) == 1 else f"{right[0]} to {right[-1]}"
    return f"Wanted {wanted} vehicles{_within(tolerance)}. Seen: {stretch.counted}"


def _first_wrong(
    whole: VolumeSpan, driven: LaneDriven, margin: float, tolerance: float
) -> tuple[VolumeSpan, str]:
    """Of a stretch that is wrong the shortest beginning that is, and what is wrong with it: the
    moment to look at is its end."""
    parts = (_stretch(whole.rows[:count]) for count in range(1, len(whole.rows) + 1))
    wrong = ((part, _difference(part, driven, margin, tolerance)) for part in parts)
    return next(each for each in wrong if each[1])


def _untold(
    frame: JudgedSpan, found: Sequence[VolumeSpan], driven: LaneDriven, margin: float
) -> list[Driven]:
    """Vehicles of the time that are in no record; before the first and after the last only where
    the expectation is about the whole run."""
    begin = frame.from_s if frame.from_s <= 0.0 else found[0].from_s
    end = inf if frame.until_s == inf else found[-1].to_s
    return [
        each
        for each in driven.vehicles
        if begin <= each.on_s
        and each.off_s <= end
        and not any(s.from_s - margin < each.off_s and each.on_s < s.to_s + margin for s in found)
    ]


def _gap_times(row: Row) -> tuple[float, float]:
    """From when to when nothing was observed; -inf: from before a boot, by a clock that is gone."""
    body = row.heard.body
    match body.get("gap"):
        case [int(start), int(end)] if body.get("boot_before") == body.get("boot"):
            return row.moment_s - (end - start) / 1e6, row.moment_s
    return -inf, row.moment_s


def _count(row: Row) -> int | None:
    """None: it tells no number, or one that no count can be."""
    count = count_of(row.heard.body["volume"])
    return None if count is None or count < 0 else count


def _within(tolerance: float) -> str:
    return f" (± {tolerance:g})" if tolerance else ""


def _failed(text: str, moment_s: float, rows: Sequence[Row]) -> Judgement:
    return Judgement(verdict="fail", text=text, moment_s=moment_s, rows=_numbers(rows), final=True)


def _numbers(rows: Sequence[Row]) -> tuple[int, ...]:
    return tuple(row.number for row in rows[:ROWS_LIMIT])
