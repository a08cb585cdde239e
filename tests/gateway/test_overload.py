"""More than a box can do: what is given up, in which order, and that all of it is accounted for."""

import asyncio
from dataclasses import dataclass, field

import msgspec
import pytest

from edge.acquire.backpressure import FREE_NS, LONGEST_NS, PILED_NS, rest_ns
from edge.acquire.poll import Poller, PollState
from edge.core import Point, Quantity, Sample, Stream, Sweep, all_good
from edge.gateway import rawdrafts
from edge.gateway.overload import OverloadMonitor, ShedCounts
from edge.gateway.rawdrafts import RawSweeps, make_raw_drafts
from edge.process.engine import Engine
from edge.process.enginesetup import DeviceSetup, EngineSetup
from edge.wire import raw_sweeps
from edge.wire.contract.boxevent import Overload as Declared
from tests.kit.asread import as_read
from tests.kit.clock import VirtualClock
from tests.kit.engine import MS, S

POINTS = (Point("power", Quantity.POWER),)
KEYS = [point.key for point in POINTS]
PERIOD_NS = 10 * S


@dataclass
class NumberingMeter:
    """Answers after 2 ms, with the number of its answer."""

    clock: VirtualClock
    points = POINTS
    answers: int = 0

    async def open(self) -> None: ...

    async def read(self) -> tuple[Sample, ...]:
        await self.clock.sleep_until(self.clock.mono_ns + 2 * MS)
        self.answers += 1
        return (float(self.answers),)

    async def close(self) -> None: ...


@dataclass
class CrowdedBus:
    """Fifty meters, each due fifty times a second, on one bus; a main loop that is told how long
    things wait for it."""

    waited_ns: int = 0
    piled_up: bool = False
    clock: VirtualClock = field(default_factory=VirtualClock)
    sweeps: list[Sweep] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.start_ns = self.clock.mono_ns
        self.meters = {f"m{n}": NumberingMeter(self.clock) for n in range(50)}
        self.poller = Poller(
            [PollState(name, meter, 20 * MS) for name, meter in self.meters.items()],
            self.clock,
            self.sweeps.append,
            lambda *_: None,
            rest_ns=lambda: rest_ns(self.waited_ns, self.piled_up),
        )

    async def run(self) -> None:
        task = asyncio.create_task(self.poller.run())
        await self.clock.run(10.0)
        task.cancel()
        await self.clock.run(0.2)
        await asyncio.gather(task, return_exceptions=True)

    @property
    def answers(self) -> int:
        return sum(meter.answers for meter in self.meters.values())

    def counted(self) -> tuple[int, int]:
        """Readings in the records of the window, and those that they say are missing."""
        setups = tuple(DeviceSetup(name, Stream.AIR, POINTS, 0.02) for name in self.meters)
        engine = Engine(EngineSetup(devices=setups, period_ns=PERIOD_NS))
        engine.start(self.start_ns)
        engine.sweeps(self.sweeps)
        reported = [
            as_read(d)["points"]["power"]["quality"] for d in engine.close(self.clock.mono_ns)
        ]
        return sum(q.get("good", 0) for q in reported), sum(q.get("bad:stale", 0) for q in reported)


async def test_a_bus_that_is_late_gives_way_and_each_question_that_is_left_out_is_told() -> None:
    free, busy, piled = CrowdedBus(), CrowdedBus(waited_ns=120 * MS), CrowdedBus(piled_up=True)
    for box in (free, busy, piled):
        await box.run()
    assert free.poller.rested_ns == 0
    assert free.answers == pytest.approx(5000, rel=0.01), "as fast as its wire goes"
    assert busy.answers == pytest.approx(10_000 / 102, rel=0.05)
    assert busy.poller.rested_ns == pytest.approx(98 * 100 * MS, rel=0.05)
    assert piled.answers == pytest.approx(10_000 / 252, rel=0.05)
    for box in (free, busy, piled):
        good, missing = box.counted()
        assert good == box.answers
        due = 50 * 510  # in 10.2 s
        assert due - 100 <= good + missing <= due + 50


async def test_a_bus_that_keeps_to_its_schedule_gives_nothing_up() -> None:
    box = CrowdedBus(waited_ns=LONGEST_NS, piled_up=True)
    for device in box.poller.devices.values():
        device.every_ns = S
    del box.poller.devices["m0"]
    only = Poller(
        [PollState("m0", box.meters["m0"], 20 * MS)],
        box.clock,
        box.sweeps.append,
        lambda *_: None,
        rest_ns=lambda: rest_ns(box.waited_ns, box.piled_up),
    )
    box.poller = only
    await box.run()
    assert box.answers == pytest.approx(500, abs=2)
    assert only.rested_ns == 0


def test_the_rest_is_what_the_main_loop_needs_within_bounds() -> None:
    assert rest_ns(0, False) == rest_ns(FREE_NS, False) == 0
    assert rest_ns(FREE_NS + MS, False) == MS
    assert rest_ns(3600 * S, False) == LONGEST_NS
    assert rest_ns(0, True) == PILED_NS
    assert rest_ns(3600 * S, True) == LONGEST_NS


def test_raw_rows_that_cannot_be_committed_are_counted_in_the_next_record(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(rawdrafts, "WAITING_VALUES", 300)
    monkeypatch.setattr(rawdrafts, "RAW_VALUES", 120)
    rows, seen, gone = RawSweeps(), [], 0
    for turn in range(5):
        made = [
            Sweep("m", turn * S + n * MS, (float(n),), all_good(1)) for n in range(40 * turn + 1)
        ]
        rows.add(made)
        raw, given_up = rows.take()
        drafts = make_raw_drafts({"m": KEYS}, raw, given_up)
        reported = [as_read(draft).get("given_up", 0) for draft in drafts]
        assert sum(reported) == given_up == reported[0]
        kept = [sweep for draft in drafts for sweep in raw_sweeps(as_read(draft))[1]]
        assert [s.mono_ns for s in kept] == [s.mono_ns for s in made[given_up:]], "the newest stay"
        assert len(kept) + given_up == len(made)
        seen += kept
        gone += given_up
    assert (len(seen), gone) == (1 + 41 + 81 + 100 + 100, 21 + 61)
    assert rows.given_up == gone
    assert rows.take() == ([], 0)
    assert rows.since_ns is None


def test_an_overload_is_told_at_once_and_then_seldom_and_the_sum_is_right() -> None:
    overload, reported, at_ns = OverloadMonitor(0), [], 0
    for second in range(3600):
        at_ns = second * S
        given = ShedCounts(min(second, 1800) * 800 * MS, min(second, 1800) * 3, second // 2000, 0)
        reported += overload.look(at_ns, given)
    assert [draft.to_ns // S for draft in reported] == [10, 910, 1810, 2000]
    assert sum(as_read(draft)["readings"] for draft in reported) == 5400
    assert sum(as_read(draft)["raw"] for draft in reported) == 1
    assert sum(as_read(draft)["rested_s"] for draft in reported) == pytest.approx(1440.0)
    assert [as_read(draft)["within_s"] for draft in reported] == [10.0, 900.0, 900.0, 10.0]
    assert "every_s" in as_read(reported[0])["text"]
    fields = {field.name for field in msgspec.structs.fields(Declared)}
    assert {"within_s", "rested_s", "readings", "raw", "edges"} <= fields


def test_a_start_that_loads_its_models_is_no_overload() -> None:
    overload = OverloadMonitor(0)
    assert [overload.look(at * S, ShedCounts(rested_ns=5 * S)) for at in (10, 20, 30)] == [
        [],
        [],
        [],
    ]
    assert overload.look(40 * S, ShedCounts(rested_ns=8 * S)) == []
    (reported,) = overload.look(50 * S, ShedCounts(rested_ns=11 * S))
    assert (as_read(reported)["rested_s"], as_read(reported)["within_s"]) == (6.0, 20.0)


def test_a_rest_now_and_then_is_no_news_and_a_lost_edge_is() -> None:
    overload = OverloadMonitor(0)
    for second in range(0, 1000, 10):
        assert overload.look(second * S, ShedCounts(rested_ns=second * 50 * MS)) == []
    (reported,) = overload.look(1000 * S, ShedCounts(rested_ns=50 * S, edges=1))
    assert as_read(reported)["edges"] == 1
    assert reported.from_ns == reported.to_ns == 1000 * S
    assert as_read(reported)["within_s"] == 10.0
