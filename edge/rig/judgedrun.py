"""A run, prepared for questions: what was said of whom, and which time an expectation is about."""

from bisect import bisect_left, bisect_right
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from math import inf
from typing import Any, Final, NamedTuple

from edge.rig.outcome import Judgement, not_evaluated
from edge.rig.runlog import Driven, FaultSpan, Heard, RunLog, Seen
from edge.rig.scenario import Expect
from edge.rig.vocabulary import DETAILS

EVENT: Final = "event"
META: Final = "meta"
RECORD: Final = "record"
OTHER_STREAMS: Final = frozenset({"status", META, "answer", "last"})
"""What comes from a box and is no record: its numbers, if it has any, are those of others."""


class Row(NamedTuple):
    """A row of `RunLog.heard`, and which."""

    number: int
    heard: Heard

    @property
    def moment_s(self) -> float:
        """When what it says was over; when it came, if it does not say so."""
        return self.heard.t_s if self.heard.to_s is None else self.heard.to_s


@dataclass(frozen=True, slots=True)
class JudgedSpan:
    """The time that an expectation is about: up to `until_s` (inf: the end of the run).

    What was before `looks_s` is none of its business; what is between that and `from_s` comes too
    soon. `base_s`: from when delays count, a fault or the start.
    """

    base_s: float
    looks_s: float
    from_s: float
    until_s: float

    def ends_in(self, row: Row, error_s: float) -> bool:
        """Of a record of a window: only what ended after `from_s`, and up to `until_s`. Windows are
        longer than clocks are wrong, so an end is taken for the next moment that it can be."""
        return self.from_s + error_s < row.moment_s <= self.until_s + error_s

    def where(self) -> str:
        """For a sentence."""
        end = "the end" if self.until_s == inf else seconds(self.until_s)
        return f"between {seconds(self.from_s)} and {end}"


class LaneDriven:
    """What drove over one lane, in the order of time."""

    def __init__(self, vehicles: Iterable[Driven]) -> None:
        self.vehicles = sorted(vehicles, key=lambda each: each.on_s)
        self._on_s = [each.on_s for each in self.vehicles]
        self._longest_s = max((each.off_s - each.on_s for each in self.vehicles), default=0.0)

    def between(self, from_s: float, to_s: float) -> list[Driven]:
        """Those that were on the loops at some moment of it."""
        first = bisect_left(self._on_s, from_s - self._longest_s)
        last = bisect_right(self._on_s, to_s)
        return [each for each in self.vehicles[first:last] if each.off_s >= from_s]


class JudgedRun:
    """What is asked of one run. It is not changed while it is asked."""

    def __init__(self, log: RunLog) -> None:
        self.log = log
        self.spans: Mapping[str, FaultSpan] = {each.name: each for each in log.faults}

    @cached_property
    def unique(self) -> list[Row]:
        """Each record once, though it may have been sent again; in the order of arrival."""
        seen: set[tuple[str, str, int]] = set()
        found = []
        for row in self.arrived:
            key = row.heard.stream, row.heard.epoch, row.heard.seq
            if row.heard.seq and key in seen:
                continue
            seen.add(key)
            found.append(row)
        return found

    @cached_property
    def arrived(self) -> list[Row]:
        """Records and events as they came."""
        rows = (Row(number, heard) for number, heard in enumerate(self.log.heard))
        return [row for row in rows if row.heard.stream not in OTHER_STREAMS]

    @cached_property
    def events(self) -> list[Row]:
        """In the order in which they happened."""
        found = [row for row in self.unique if row.heard.stream == EVENT]
        return sorted(found, key=lambda row: row.moment_s)

    @cached_property
    def _records(self) -> Mapping[str, list[Row]]:
        found: dict[str, list[Row]] = defaultdict(list)
        for row in self.unique:
            if row.heard.stream != EVENT:
                found[row.heard.source].append(row)
        return {source: sorted(rows, key=lambda r: r.moment_s) for source, rows in found.items()}

    def records(self, source: str, frame: JudgedSpan) -> list[Row]:
        """Of one source, in the order of their windows."""
        rows = self._records.get(source, ())
        return [row for row in rows if frame.ends_in(row, self.error_s(row))]

    def driven(self, lane: str) -> LaneDriven:
        return self._driven.get(lane, LaneDriven(()))

    @cached_property
    def _driven(self) -> Mapping[str, LaneDriven]:
        found: dict[str, list[Driven]] = defaultdict(list)
        for each in self.log.driven:
            found[each.lane].append(each)
        return {lane: LaneDriven(vehicles) for lane, vehicles in found.items()}

    def error_s(self, row: Row) -> float:
        """How far off its moment may be. When something came, the rig itself has seen."""
        return max(row.heard.error_s, self.log.clock_bound_s) if row.heard.to_s is not None else 0.0

    def frame(self, expect: Expect) -> JudgedSpan:
        """Where a fault is named, that fault has begun."""
        base = self.spans[expect.fault].began_s if expect.fault else 0.0
        looks = base if expect.from_s is None else max(base, expect.from_s)
        end = inf if expect.within_s is None else base + expect.within_s
        if expect.until_s is not None:
            end = min(end, expect.until_s)
        return JudgedSpan(base, looks, max(looks, base + expect.after_s), end)

    def reached(self, frame: JudgedSpan) -> bool:
        """Whether the run has lasted for so long."""
        if frame.until_s == inf:
            return self.log.ending == "whole"
        return frame.until_s <= self.log.lasted_s

    def silent(self, frame: JudgedSpan) -> Judgement | None:
        """Why nothing can be said of what did not come: the box fell silent before. It may be
        silent for twice as long as it ever was before."""
        moments = [0.0, *sorted(each.t_s for each in self.log.heard)]
        rhythm = 2 * max((right - left for left, right in pairwise(moments)), default=0.0)
        if moments[-1] + rhythm >= min(frame.until_s, self.log.lasted_s):
            return None
        text = f"Nothing came from the box after {seconds(moments[-1])}: what it would have said "
        return not_evaluated(f"{text}{frame.where()} is not known.", moments[-1])

    def unit(self, row: Row, key: str) -> str | None:
        """Of a point, as the record itself or the box's description says it; None: nowhere."""
        said = point(row, key)
        if isinstance(said, Mapping) and isinstance(said.get("unit"), str):
            return str(said["unit"])
        for each in self._descriptions:
            found = _at(each.body, "devices", row.heard.source, "points", key, "unit")
            if isinstance(found, str):
                return found
        return None

    @cached_property
    def _descriptions(self) -> list[Heard]:
        return [each for each in self.log.heard if each.stream == META]


def point(row: Row, key: str) -> Any:
    """What a record says of a point: of a device among its points, of a lane a field. None: it has
    no such point, or no value at all."""
    points = row.heard.body.get("points")
    return (points if isinstance(points, Mapping) else row.heard.body).get(key)


def qualities(row: Row, key: str) -> Mapping[str, int]:
    """Of a point, or of the record as a whole: how often which word was its quality."""
    said = point(row, key) if key else None
    own = said.get("quality") if isinstance(said, Mapping) else None
    found = own if isinstance(own, Mapping) else row.heard.body.get("quality")
    return found if isinstance(found, Mapping) else {}


def event_names(body: Mapping[str, Any]) -> Iterator[str]:
    """What an event may be called by: its kind (`sensor_fault`), or which of its kind it is
    (`chatter`)."""
    for key in (EVENT, *DETAILS):
        word = body.get(key)
        # `reason` may be a sentence, and a subscriber says "record" as the kind of each message
        if isinstance(word, str) and word.isidentifier() and word != RECORD:
            yield word


def is_about(row: Row, source: str) -> bool:
    """Whether an event is about a source, a part of it (`north_1.trail`), or about all (`*`)."""
    body, own = row.heard.body, row.heard.source
    several = body.get("sources")
    if not source or own == source or body.get("approach") == source:
        return True
    if isinstance(several, list | tuple):
        return "*" in several or source in several
    part = body.get("part") or body.get("point")
    return isinstance(part, str) and source == f"{own}.{part}"


def seen_issues(seen: Seen) -> Iterator[tuple[str, str]]:
    """Kind, and what it is about."""
    for each in seen.issues:
        kind, _, about = each.partition(" ")
        yield kind, about


def says_nothing(seen: Seen) -> bool:
    """The box told nothing of itself then."""
    return seen.queue is None and seen.connected is None and not seen.issues


def event_title(row: Row, *, state: bool = True) -> str:
    """For a sentence: `sensor_fault chatter on of north_1`; without the `state` for all of it."""
    body = row.heard.body
    words = list(event_names(body)) or ["an event"]
    if state and isinstance(body.get("state"), str):
        words.append(body["state"])
    return f"{' '.join(words)} of {row.heard.source}"


def seconds(value: float) -> str:
    """`12.5 s`, and from an hour on `5025 s (1:23:45)`."""
    if abs(value) < 3600:
        return f"{value:.1f}".removesuffix(".0") + " s"
    whole = round(value)
    return f"{whole} s ({whole // 3600}:{whole // 60 % 60:02}:{whole % 60:02})"


def _at(body: Any, *path: str) -> Any:
    for key in path:
        body = body.get(key) if isinstance(body, Mapping) else None
    return body
