"""A day of each lane and point, slot by slot: what is not good has its word, and gaps stay gaps."""

import tracemalloc

import pytest

from edge.control.protocol import VerbError
from edge.core import Draft, Stream
from edge.gateway.dayhistory import (
    COURSE_BYTES,
    COURSES,
    SLOT_NS,
    SLOTS,
    DayHistory,
    HistoryVerb,
)
from edge.wire.contract.points import Air, Energy, Gauge, Total

MINUTE = 60_000_000_000
START = 5 * SLOT_NS


def gauge(mean: float | None, **quality: int) -> Gauge:
    words = {name.replace("__", ":"): n for name, n in quality.items()}
    return Gauge(mean=mean, n=1, min=mean, max=mean, sum=0, sq=0, origin=0, step=0.1, quality=words)


def air(end_ns: int, mean: float | None, **quality: int) -> Draft:
    body = Air(covered_s=60.0, points={"temperature": gauge(mean, **quality)})
    return Draft(Stream.AIR, "hut_air", end_ns - MINUTE, end_ns, body)


def values(history: DayHistory, now_ns: int, source: str = "hut_air") -> list[float | None]:
    (course,) = history.answer(source, now_ns)["courses"]
    found: list[float | None] = course["values"]
    return found


def test_a_slot_is_the_mean_of_its_windows() -> None:
    history = DayHistory(START)
    history.see_records([air(START + MINUTE, 20.0, good=10)])
    history.see_records([air(START + SLOT_NS - 1, 22.0, good=10)])
    history.see_records([air(START + SLOT_NS + MINUTE, 30.0, good=10)])
    assert values(history, START + SLOT_NS + MINUTE) == [21.0, 30.0]
    assert history.answer("hut_air", START + SLOT_NS)["courses"][0]["words"] == []


def test_what_was_not_watched_is_a_gap_without_a_word_and_what_was_bad_has_its_word() -> None:
    history = DayHistory(START)
    history.see_records([air(START, 20.0, good=10)])
    history.see_records([air(START + 3 * SLOT_NS, None, bad__silent=10)])
    history.see_records([air(START + 4 * SLOT_NS, 21.0, uncertain__warmup=10)])
    answer = history.answer("hut_air", START + 5 * SLOT_NS)
    (course,) = answer["courses"]
    assert course["values"] == [20.0, None, None, None, 21.0, None]
    assert course["words"] == [
        [1, 2, ""], [3, 1, "bad:silent"], [4, 1, "uncertain:warmup"], [5, 1, ""],
    ]  # fmt: skip
    assert answer["slot_s"] == 120.0
    assert answer["since_s"] == 600.0


def test_one_doubtful_window_of_a_slot_makes_it_doubtful() -> None:
    history = DayHistory(START)
    history.see_records([air(START, None, bad__crc=10)])
    history.see_records([air(START + MINUTE, 21.0, good=10)])
    (course,) = history.answer("hut_air", START + MINUTE)["courses"]
    assert course["values"] == [21.0]
    assert course["words"] == [[0, 1, "bad:crc"]]


def test_after_a_day_the_oldest_slot_goes_and_a_long_silence_empties_all() -> None:
    history = DayHistory(START)
    for n in range(SLOTS + 10):
        history.see_records([air(START + n * SLOT_NS, float(n), good=1)])
    now_ns = START + (SLOTS + 9) * SLOT_NS
    found = values(history, now_ns)
    assert (len(found), found[0], found[-1]) == (SLOTS, 10.0, SLOTS + 9.0)
    later_ns = now_ns + 2 * SLOTS * SLOT_NS
    history.see_records([air(later_ns, 1.0, good=1)])
    assert values(history, later_ns) == [None] * (SLOTS - 1) + [1.0]


def test_an_older_window_changes_nothing() -> None:
    history = DayHistory(START)
    history.see_records([air(START + 3 * SLOT_NS, 1.0, good=1)])
    history.see_records([air(START + SLOT_NS, 99.0, good=1)])
    assert values(history, START + 3 * SLOT_NS) == [None, None, None, 1.0]


def test_a_register_is_shown_as_its_growth_in_an_hour() -> None:
    history = DayHistory(START)
    total = Total(first=100.0, last=100.5, delta=0.5, step=0.001, quality={"good": 6})
    body = Energy(covered_s=60.0, points={"energy_import": total})
    history.see_records([Draft(Stream.ENERGY, "meter", START - MINUTE, START, body)])
    (course,) = history.answer("meter", START)["courses"]
    assert course["measure"] == "rate"
    assert course["values"] == [30.0]


def test_its_memory_is_bounded_whatever_comes() -> None:
    history = DayHistory(START)
    tracemalloc.start()
    for n in range(COURSES + 40):
        body = Air(covered_s=60.0, points={f"p{n}": gauge(1.0, good=1)})
        history.see_records([Draft(Stream.AIR, "d", START - MINUTE, START, body)])
    size, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert len(history.courses("d")) == COURSES
    assert history.left_out == 40
    assert size < COURSES * (COURSE_BYTES + 600)


async def test_the_verb_knows_what_has_a_history() -> None:
    verb = HistoryVerb(DayHistory(START), lambda: ["north_1"], lambda: START)
    assert (await verb.answer({"source": "north_1"}))["courses"] == []
    with pytest.raises(VerbError, match="nothing that has a history"):
        await verb.answer({"source": "x" * 200})
