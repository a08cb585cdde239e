"""Frames of a bus are kept while somebody asks for them, and no longer."""

import pytest

from edge.control.protocol import VerbError
from edge.core.frametap import ASKED_NS, BYTES, FRAMES, JOINED_NS, RECORDED, FrameTap
from edge.gateway.framewatch import WATCHED, FrameWatch


class Buses:
    """Two with frames, and lines."""

    def __init__(self) -> None:
        self.taps: dict[str, FrameTap] = {}

    def names(self) -> tuple[str, ...]:
        return ("meters", "air", "loops", "b1", "b2", "b3", "b4")

    def watch_frames(self, bus: str, tap: FrameTap) -> bool:
        if bus not in self.names():
            raise KeyError(bus)
        if bus != "loops":
            self.taps[bus] = tap
        return bus != "loops"


async def test_the_first_question_begins_and_the_next_has_frames_the_newest_first() -> None:
    buses, now = Buses(), [1_000]
    watch = FrameWatch(buses, lambda: now[0])
    assert (await watch.answer({"bus": "meters"}))["frames"] == []
    buses.taps["meters"].add("out", b"\x01\x04", 2_000)
    buses.taps["meters"].add("in", b"\x01\x04\x02", 3_000)
    now[0] = 1_000_003_000
    first, second = (await watch.answer({"bus": "meters"}))["frames"]
    assert (first["way"], first["hex"], first["age_s"]) == ("in", "01 04 02", 1.0)
    assert second["way"] == "out"


def test_pieces_of_an_answer_are_one_frame() -> None:
    tap = FrameTap(0)
    tap.add("in", b"ab", 10)
    tap.add("in", b"cd", 20)
    tap.add("in", b"ef", 20 + JOINED_NS)
    assert [each.data for each in tap.frames()] == [b"abcd", b"ef"]


def test_nobody_asks_and_the_bus_forgets_its_tap() -> None:
    tap = FrameTap(0)
    assert tap.add("out", b"a", ASKED_NS)
    assert not tap.add("out", b"a", ASKED_NS + 1)
    tap.asked(ASKED_NS + 2)
    assert tap.add("out", b"a", ASKED_NS + 3)


def test_a_flood_is_bounded() -> None:
    tap = FrameTap(0)
    for n in range(10 * FRAMES):
        tap.add("out", b"x" * 5000, n)
    frames = tap.frames()
    assert len(frames) == FRAMES
    assert {len(each.data) for each in frames} == {BYTES}
    assert frames[0].size == 5000


async def test_a_bus_of_lines_has_no_frames_and_a_strange_name_is_refused() -> None:
    watch = FrameWatch(Buses(), lambda: 0)
    assert not (await watch.answer({"bus": "loops"}))["has_frames"]
    with pytest.raises(VerbError, match="no bus is called"):
        await watch.answer({"bus": "nobody"})


async def test_only_a_few_buses_are_watched_at_one_time() -> None:
    watch = FrameWatch(Buses(), lambda: 0)
    for bus in ("meters", "air", "b1", "b2", "b3", "b4"):
        await watch.answer({"bus": bus})
    assert len(watch._taps) == WATCHED


def test_for_the_recorder_all_buses_are_watched_whether_somebody_asks_or_not() -> None:
    buses, now = Buses(), [0]
    watch = FrameWatch(buses, lambda: now[0], recorded=True)
    assert not any(watch.take_recorded().values())
    assert set(buses.taps) == {*buses.names()} - {"loops"}
    now[0] = 10 * ASKED_NS
    for n in range(3 * FRAMES):
        assert buses.taps["meters"].add("out", b"ab", now[0] + n)
    assert len(watch.take_recorded()["meters"]) == 3 * FRAMES
    assert watch.take_recorded()["meters"] == []


def test_a_bus_with_another_thread_is_watched_again() -> None:
    buses = Buses()
    watch = FrameWatch(buses, lambda: 0, recorded=True)
    watch.take_recorded()
    tap = buses.taps.pop("meters")
    watch.take_recorded()
    assert buses.taps["meters"] is tap


async def test_who_looks_sees_what_the_recorder_watches() -> None:
    buses = Buses()
    watch = FrameWatch(buses, lambda: 0, recorded=True)
    watch.take_recorded()
    buses.taps["meters"].add("out", b"ab", 1)
    assert len((await watch.answer({"bus": "meters"}))["frames"]) == 1
    assert len(watch.take_recorded()["meters"]) == 1


def test_what_the_recorder_does_not_take_is_bounded() -> None:
    tap = FrameTap(0, recorded=True)
    for n in range(10 * RECORDED):
        tap.add("out", b"x" * 5000, n)
    assert [each.at_ns for each in tap.take_recorded()] == list(range(9 * RECORDED, 10 * RECORDED))
