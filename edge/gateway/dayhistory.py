"""The last day of each lane and each point, for people who look on: the control verb `history`.

It is filled from the records of windows as they end, and lives in memory only: after a start of
the daemon it begins anew. A day has SLOTS slots of two minutes; what falls into one slot is its
mean. A course costs COURSE_BYTES, whatever happens, and there are at most COURSES of them.
"""

from array import array
from collections.abc import Callable, Container, Iterable, Mapping
from math import isfinite, nan
from typing import Any, Final, Literal

from msgspec import UNSET

from edge.control.protocol import VerbError
from edge.core import Draft
from edge.wire.contract.points import Air, Energy, Gauge, LoopCard, Total
from edge.wire.contract.traffic import Lane

SLOT_NS: Final = 120_000_000_000
SLOTS: Final = 720
COURSES: Final = 256
COURSE_BYTES: Final = SLOTS * (4 + 1)  # a value and a word
WORDS: Final = 64  # qualities that differ; the list of reasons is closed, and shorter
NOTHING, GOOD = 0, 1  # the first two words
HOUR_S: Final = 3600.0
Measure = Literal["mean", "rate"]  # a rate is per hour
Found = tuple[str, Measure, float | None, str]  # point, what it is, value, quality


class Course:
    """One point over the last day: a ring of slots."""

    def __init__(self, measure: Measure) -> None:
        self.measure = measure
        self._values = array("f", [nan]) * SLOTS
        self._words = bytearray(SLOTS)
        self._slot = -1  # the newest
        self._count = 0  # of values in it

    def put(self, slot: int, value: float | None, word: int) -> None:
        """A window that ended in `slot`. One that is older than the newest is left out."""
        if slot < self._slot:
            return
        place = slot % SLOTS
        if slot > self._slot:
            for passed in range(max(self._slot + 1, slot - SLOTS + 1), slot + 1):
                self._values[passed % SLOTS], self._words[passed % SLOTS] = nan, NOTHING
            self._slot, self._count = slot, 0
        if value is not None and isfinite(value):
            before = self._values[place] if self._count else 0.0
            self._count += 1
            self._values[place] = before + (value - before) / self._count
        if self._words[place] <= GOOD:  # a doubt in one of its windows is a doubt in the slot
            self._words[place] = word

    def since(self, slot: int) -> tuple[list[float | None], bytes]:
        """All slots from this one up to the newest: value or None, and word."""
        first = max(slot, self._slot - SLOTS + 1, 0)
        places = [n % SLOTS for n in range(first, self._slot + 1)]
        lead = first - slot
        values = [_short(self._values[place]) for place in places]
        return [None] * lead + values, bytes(lead) + bytes(self._words[p] for p in places)


class DayHistory:
    """Belongs to the main loop."""

    def __init__(self, start_ns: int) -> None:
        self._start_ns = start_ns
        self._courses: dict[tuple[str, str], Course] = {}
        self._words = ["", "good"]
        self.left_out = 0  # points for which there was no room

    def see_records(self, drafts: Iterable[Draft]) -> None:
        """What a window has come to."""
        for draft in drafts:
            body, slot = draft.body, draft.to_ns // SLOT_NS
            if isinstance(body, Lane):
                found = _of_lane(body, draft)
            elif isinstance(body, Air | Energy | LoopCard):
                found = _of_device(body, draft)
            else:
                continue
            for point, measure, value, word in found:
                course = self._course(draft.source, point, measure)
                if course is not None:
                    course.put(slot, value, self._number(word))

    def courses(self, source: str) -> list[str]:
        """The points of a source."""
        return [point for name, point in self._courses if name == source]

    def answer(self, source: str, now_ns: int) -> dict[str, Any]:
        """Of one lane or device. `since_s`: so long ago the first slot begins, each has `slot_s`;
        `courses`: point, measure ("rate" is per hour), values (null where none was good or
        uncertain), and words as [first slot, slots, word]: a stretch without a word was not
        watched, "good" has none.

        Raises VerbError for a source that is nobody's.
        """
        newest = now_ns // SLOT_NS
        first = max(newest - SLOTS + 1, self._start_ns // SLOT_NS)
        rows = []
        for (name, point), course in self._courses.items():
            if name == source:
                values, words = course.since(first)
                lack = newest + 1 - first - len(values)
                values, words = values + [None] * lack, words + bytes(lack)
                rows.append(
                    {
                        "point": point,
                        "measure": course.measure,
                        "values": values,
                        "words": self._stretches(words),
                    }
                )
        return {
            "source": source,
            "slot_s": SLOT_NS / 1e9,
            "since_s": round((now_ns - first * SLOT_NS) / 1e9, 1),
            "started_s": round((now_ns - self._start_ns) / 1e9, 1),
            "courses": rows,
        }

    def _course(self, source: str, point: str, measure: Measure) -> Course | None:
        course = self._courses.get((source, point))
        if course is None:
            if len(self._courses) >= COURSES:
                self.left_out += 1
                return None
            course = self._courses[source, point] = Course(measure)
        return course

    def _number(self, word: str) -> int:
        if word not in self._words:
            if len(self._words) >= WORDS:
                return NOTHING
            self._words.append(word)
        return self._words.index(word)

    def _stretches(self, words: bytes) -> list[list[Any]]:
        """[first slot, slots, word] of all that is not good; "" where nothing was watched."""
        found: list[list[Any]] = []
        for slot, number in enumerate(words):
            if number == GOOD:
                continue
            word = self._words[number]
            if found and found[-1][0] + found[-1][1] == slot and found[-1][2] == word:
                found[-1][1] += 1
            else:
                found.append([slot, 1, word])
        return found


class HistoryVerb:
    """What is answered to `history`."""

    def __init__(
        self, history: DayHistory, known: Callable[[], Container[str]], now_ns: Callable[[], int]
    ) -> None:
        """`known`: the sources that there are now."""
        self._history, self._known, self._now_ns = history, known, now_ns

    async def answer(self, request: Mapping[str, Any]) -> Mapping[str, Any]:
        """`source`: a lane or a device. Raises VerbError."""
        source = str(request.get("source"))
        if source not in self._known():
            raise VerbError(f"nothing that has a history is called {source!r:.80}")
        return self._history.answer(source, self._now_ns())


def _of_lane(body: Lane, draft: Draft) -> list[Found]:
    word = _word(body.quality)
    hours = body.covered_s / HOUR_S
    volume = None if body.volume is None or hours <= 0 else body.volume / hours
    speed = None if body.speed is None else body.speed.mean
    if speed is None and body.speed_single is not UNSET:
        speed = body.speed_single.kmh
    occupancy = None if body.occupancy is None else body.occupancy * 100
    return [
        ("volume", "rate", volume, word),
        ("speed", "mean", speed, word),
        ("occupancy", "mean", occupancy, word),
    ]


def _of_device(body: Air | Energy | LoopCard, draft: Draft) -> list[Found]:
    hours = (draft.to_ns - draft.from_ns) / 1e9 / HOUR_S
    found: list[Found] = []
    for point, one in body.points.items():
        if isinstance(one, Gauge):
            found.append((point, "mean", one.mean, _word(one.quality)))
        elif isinstance(one, Total):
            grown = None if one.delta is None or hours <= 0 else one.delta / hours
            found.append((point, "rate", grown, _word(one.quality)))
    return found


def _word(quality: Mapping[str, int]) -> str:
    """ "good" where more values were good than not; else the word that most others had."""
    others = {word: count for word, count in quality.items() if word != "good"}
    if not others or quality.get("good", 0) > sum(others.values()):
        return "good"
    return max(others, key=lambda word: others[word])


def _short(value: float) -> float | None:
    """Five digits are more than a picture shows."""
    return None if value != value else float(f"{value:.5g}")  # NaN
