"""A bus whose thread hangs: it is left behind and tried anew once; its neighbours notice nothing.

Real threads and real time, with short limits: each test waits for a limit of one second.
"""

import asyncio
import math
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import cast

import pytest

import drivers
from drivers.sim.gpio import SimChip
from edge.acquire.clock import SystemClock
from edge.config import GpioBus, I2cBus, ModbusRtuBus, ModbusTcpBus, SerialBus
from edge.core import LineSpec, Polled, Reason, Stream
from edge.gateway import busworkers as module
from edge.gateway.busworker import FORGET_TRIAL_NS, HungError, RestartTrials, hang_timeout_s
from edge.gateway.busworkers import BusWorkers
from edge.gateway.wiring import PolledDevice, Wiring
from edge.health.progress import Progress
from tests.gateway.hung_bus import (
    EVERY_S,
    BusReadings,
    Probe,
    ProbedSite,
    StickyBus,
    small_site,
)
from tests.kit.waiting import until

LIMIT_S = 1.0


@pytest.fixture(autouse=True)
def often(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "LOOK_NS", 50_000_000)


@asynccontextmanager
async def running(
    wiring: Wiring, again: Callable[[], Wiring], heard: BusReadings, release: Callable[[], None]
) -> AsyncIterator[BusWorkers]:
    """Time in which the main loop stood for a quarter of a second is nobody's silence."""
    progress = Progress(late_s=0.25)
    found = BusWorkers(wiring, SystemClock(), heard, progress, floor_s=LIMIT_S, again=again)
    found.start()
    try:
        yield found
    finally:
        release()
        await found.stop()


@pytest.fixture
def site() -> Iterator[ProbedSite]:
    made = ProbedSite("a", "b", "c", "d")
    yield made
    made.free()


async def test_a_hung_bus_is_replaced_once_and_the_neighbours_go_on(site: ProbedSite) -> None:
    heard = BusReadings()
    async with running(site.wiring(), site.wiring, heard, site.free) as buses:
        await until(lambda: len(heard.values) == 4)
        first = site.wires["a"][0]
        first.stick()
        await until(first.entered.is_set)
        before = heard.numbers("of_b")
        await until(lambda: 1.0 in heard.numbers("of_a"))  # of the second driver
        assert first.abandoned
        assert [(d, r) for d, r, _ in heard.faults] == [("of_a", Reason.SILENT), ("of_a", None)]
        assert "has not returned" in heard.faults[0][2]
        assert [kind for kind, _ in heard.alarms] == ["bus"]
        assert "bus a: its thread hung" in heard.alarms[0][1]
        # the neighbours: the same drivers, no fault, and no poll left out while `a` hung
        assert set(heard.numbers("of_b")) == {0.0}
        assert len(heard.numbers("of_b")) > len(before) + LIMIT_S / EVERY_S / 4
        assert buses.hang_count == 1
        assert buses.error() is None
        probe = site.probes["a"][-1]
        assert probe.restored is not None
        assert probe.restored[0] == b"0"
        assert buses.pollers["a"].devices["of_a"].reads > 0


async def test_what_a_hung_thread_brings_when_it_comes_back_reaches_nobody(
    site: ProbedSite,
) -> None:
    heard = BusReadings()
    async with running(site.wiring(), site.wiring, heard, site.free) as buses:
        await until(lambda: heard.numbers("of_a"))
        first, thread = site.wires["a"][0], buses.workers["a"].thread
        first.stick()
        await until(lambda: 1.0 in heard.numbers("of_a"))
        seen = len(heard.faults)
        first.free.set()
        await until(lambda: not thread.alive)
        assert first.closed
        count = len(heard.numbers("of_a"))
        await until(lambda: len(heard.numbers("of_a")) > count + 3)
        after = heard.numbers("of_a")[heard.numbers("of_a").index(1.0) :]
        assert set(after) == {1.0}, "a value of the thread that was left behind"
        assert len(heard.faults) == seen
        assert buses.error() is None


async def test_a_bus_that_rests_for_a_change_is_not_said_to_hang_and_may_be_removed(
    site: ProbedSite,
) -> None:
    """The card takes its time for the commit between the two: nobody looks for the bus in a site
    file that does not have it any more, and none starts a thread of its own for it."""
    heard, wiring = BusReadings(), site.wiring()
    async with running(wiring, site.wiring, heard, site.free) as buses:
        await until(lambda: len(heard.values) == 4)
        await buses.rest(["a", "b"])
        del wiring.site.buses["a"], wiring.polled["a"]
        await asyncio.sleep(2 * LIMIT_S)
        assert buses.error() is None
        assert buses.hang_count == 0
        buses.follow(["a", "b"])
        count = len(heard.numbers("of_b"))
        await until(lambda: len(heard.numbers("of_b")) > count)
        assert [*buses.pollers] == ["b", "c", "d"]
        await asyncio.sleep(0.2)
        assert buses.error() is None


async def change(buses: BusWorkers, wiring: Wiring, site: ProbedSite, *names: str) -> None:
    """As a change of the configuration while the daemon runs: a new bus object, new drivers."""
    await buses.rest(names)
    made = site.wiring()
    for name in names:
        wiring.buses[name], wiring.polled[name] = made.buses[name], made.polled[name]
    buses.follow(names)


async def test_a_thread_that_hangs_when_its_bus_is_changed_is_left_behind_and_counts(
    site: ProbedSite,
) -> None:
    heard, wiring = BusReadings(), site.wiring()
    async with running(wiring, site.wiring, heard, site.free) as buses:
        await until(lambda: len(heard.values) == 4)
        site.wires["a"][0].stick()
        await until(site.wires["a"][0].entered.is_set)
        await change(buses, wiring, site, "a", "b")
        assert (buses.hang_count, site.wires["a"][0].abandoned) == (1, True)
        (alarm,) = heard.alarms
        assert "bus a: its thread, which had to end for a change" in alarm[1]
        await until(lambda: 1.0 in heard.numbers("of_a"))
        assert [(d, r) for d, r, _ in heard.faults] == [("of_a", Reason.SILENT), ("of_a", None)]
        assert buses.error() is None
        site.wires["a"][1].stick()
        await until(site.wires["a"][1].entered.is_set)
        await change(buses, wiring, site, "a")
        assert isinstance(buses.error(), HungError), "the second one on this bus"


async def test_two_buses_that_hang_and_are_taken_out_count_for_the_third(site: ProbedSite) -> None:
    heard, wiring = BusReadings(), site.wiring()
    async with running(wiring, site.wiring, heard, site.free) as buses:
        await until(lambda: len(heard.values) == 4)
        for name in "ab":
            site.wires[name][0].stick()
            await until(site.wires[name][0].entered.is_set)
        await buses.rest(["a", "b"])
        for name in "ab":
            del wiring.polled[name]
        buses.follow(["a", "b"])
        assert (buses.hang_count, buses.error()) == (2, None)
        site.wires["c"][0].stick()
        await until(lambda: buses.error() is not None)
        assert "and so do a and b" in str(buses.error())


async def test_a_thread_that_only_ends_late_may_be_changed_again(site: ProbedSite) -> None:
    heard, wiring = BusReadings(), site.wiring()
    async with running(wiring, site.wiring, heard, site.free) as buses:
        await until(lambda: len(heard.values) == 4)
        for number in range(3):
            wire, thread = site.wires["a"][number], buses.workers["a"].thread
            wire.stick()
            await until(wire.entered.is_set)
            await change(buses, wiring, site, "a")
            wire.free.set()
            await until(lambda thread=thread: not thread.alive)  # type: ignore[misc]
            await until(lambda n=number: n + 1.0 in heard.numbers("of_a"))  # type: ignore[misc]
        assert (buses.hang_count, buses.error()) == (3, None)


async def test_a_bus_that_hangs_again_ends_the_process(site: ProbedSite) -> None:
    heard = BusReadings()
    async with running(site.wiring(), site.wiring, heard, site.free) as buses:
        await until(lambda: len(heard.values) == 4)
        site.sticky.add("a")
        site.wires["a"][0].stick()
        await until(lambda: buses.error() is not None)
        error = buses.error()
        assert isinstance(error, HungError)
        assert "bus a hangs in a system call again" in str(error)
        assert site.built == 2, "it is tried once"
        assert {device for device, _, _ in heard.faults} == {"of_a"}
        assert [kind for kind, _ in heard.alarms] == ["bus", "bus"]


async def test_a_third_bus_that_hangs_after_two_without_success_ends_it_at_once(
    site: ProbedSite,
) -> None:
    heard = BusReadings()
    async with running(site.wiring(), site.wiring, heard, site.free) as buses:
        await until(lambda: len(heard.values) == 4)
        for name in "abc":
            site.sticky.add(name)
            site.wires[name][0].stick()
        await until(lambda: buses.error() is not None)
        assert isinstance(buses.error(), HungError)
        assert buses.hang_count == 2
        assert set(heard.numbers("of_d")) == {0.0}


async def test_who_asks_a_bus_that_hangs_is_told_so(site: ProbedSite) -> None:
    heard = BusReadings()
    async with running(site.wiring(), site.wiring, heard, site.free) as buses:
        await until(lambda: heard.numbers("of_a"))
        site.wires["a"][0].stick()
        await until(site.wires["a"][0].entered.is_set)
        sweep = await asyncio.wait_for(buses.read("of_a"), 60)
        assert sweep.values == (None,)
        await until(lambda: 1.0 in heard.numbers("of_a"))
        assert (await asyncio.wait_for(buses.read("of_a"), 60)).values == (1.0,)
        with pytest.raises(KeyError):
            await buses.read("of_nobody")


async def test_a_gpio_bus_that_hangs_is_replaced_and_its_lines_are_said_to_be_closed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    heard, site = BusReadings(), ProbedSite("a")
    chip = SimChip(("lead",), tmp_path / "gpio.sock")
    chip.start()

    def wiring() -> Wiring:
        found = site.wiring()
        return Wiring(
            small_site({"a": I2cBus(), "loops": GpioBus()}),
            {**found.buses, "loops": f"sim:{tmp_path / 'gpio.sock'}"},
            found.polled,
            {"loops": [LineSpec("lead")]},
        )

    try:
        async with running(wiring(), wiring, heard, site.free) as buses:
            await until(lambda: heard.contacts)
            jam, held = StickyBus(), buses.workers["loops"]
            jam.stick()
            monkeypatch.setattr(held, "_beat", jam.ask)  # its thread calls this all the time
            await until(lambda: buses.workers["loops"] is not held)
            await until(lambda: [e.seqno for e in heard.contacts].count(0) == 2)
            assert heard.lines == [("lead", None), ("lead", Reason.SILENT), ("lead", None)]
            jam.free.set()
            await until(lambda: not held.thread.alive)
            assert buses.error() is None
    finally:
        chip.close()


def test_a_good_day_forgives_a_trial_unless_its_thread_still_hangs() -> None:
    trials = RestartTrials()
    assert trials.request_restart("a", 0) == ""
    trials.mark_worked("a")
    assert "again" in trials.request_restart("a", FORGET_TRIAL_NS - 1)
    assert "again" in trials.request_restart("a", FORGET_TRIAL_NS, left=True)
    assert trials.request_restart("a", FORGET_TRIAL_NS) == ""
    assert "again" in trials.request_restart("a", FORGET_TRIAL_NS + 1)


def test_two_buses_may_hang_together_and_a_third_may_not_unless_they_work_again() -> None:
    trials = RestartTrials()
    assert [trials.request_restart(bus, 0) for bus in "ab"] == ["", ""]
    assert "and so do a and b" in trials.request_restart("c", 1)
    trials.mark_worked("b")
    assert trials.request_restart("c", 1) == ""


@pytest.mark.parametrize(
    ("bus_s", "device_s", "limit_s"), [(0.5, 0.0, 90.0), (10.0, 0.0, 200.0), (0.0, 30.0, 600.0)]
)
def test_the_limit_is_that_of_the_longest_reading(
    bus_s: float, device_s: float, limit_s: float
) -> None:
    devices = [PolledDevice("of_a", PatientProbe(device_s), EVERY_S, Stream.AIR)]
    for bus in (ModbusTcpBus(host="a", timeout_s=bus_s), ModbusRtuBus(port="/a", timeout_s=bus_s)):
        assert math.isclose(hang_timeout_s(bus, devices), limit_s)
    quick = [PolledDevice("of_a", Probe(StickyBus(), 0), EVERY_S, Stream.AIR)]
    assert hang_timeout_s(I2cBus(), quick) == hang_timeout_s(GpioBus(), ()) == 90.0


@pytest.mark.parametrize(("points", "backwards"), [((), False), (("energy_import",), True)])
def test_a_device_waits_as_long_when_some_of_its_points_are_chosen(
    points: tuple[str, ...], backwards: bool
) -> None:
    meter = drivers.build("mbus", None, {"timeout_s": 30.0}, points, backwards=backwards)
    device = PolledDevice("meter", cast("Polled", meter), EVERY_S, Stream.ENERGY)
    assert hang_timeout_s(SerialBus(port="/a"), [device]) == 600.0


class PatientProbe(Probe):
    """One that is configured with how long it waits for an answer."""

    def __init__(self, timeout_s: float) -> None:
        super().__init__(StickyBus(), 0)
        self.timeout_s = timeout_s
