"""Sums of lanes in PostgreSQL are those that plain Python makes of all records, in whatever order
they come, however often, with merged records, faults that doubt the past, and clocks set late."""

import threading
from collections import defaultdict
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any

import psycopg
import pytest

from edge.core import Record, Stream, TimeQuality
from edge.platform.openstore import open_store
from edge.platform.receivedrecord import ReceivedRecord
from edge.wire.contract.body import body_map
from edge.wire.contract.event import SensorFault
from tests.kit.bodies import lane
from tests.kit.clock import NTP
from tests.kit.postgres import PostgresServer
from tests.kit.records import E1, E2, NOON, S, entry, record

LANES = ("north_1", "south_1")
MINUTES = 150
Sums = dict[str, Any]


@dataclass
class Window:
    """A record of a lane. `covers`: numbers for which it stands, None: its own alone."""

    made: Record
    covers: list[int] | None
    dated: bool  # some sending of it knows the time

    @property
    def start(self) -> datetime:
        return at(self.made.from_ns)


@dataclass
class Fault:
    """An event that doubts a span of its lane."""

    made: Record
    lane: str
    since: datetime
    until: datetime
    part: str | None


def at(mono_ns: int) -> datetime:
    return datetime.fromtimestamp((NOON + mono_ns) // S, UTC)


def body(random: Random, name: str, minutes: int) -> dict[str, Any]:
    """Now and then without a count, an occupancy, or speeds."""
    found = dict(body_map(lane(name, covered_s=60.0 * minutes)))
    found["volume"] = random.choice([None, *range(40)])
    found["on_us"] = random.choice([None, random.randrange(60_000_000 * minutes)])
    if random.random() < 0.5:
        n = random.randrange(1, 30)
        found["speed"] = {
            "unit": "km/h", "width": 5.0, "bins": 40, "first": 0, "counts": [n], "n": n,
            "step": 0.1, "sum": random.randrange(20_000), "mean": 1.0, "harmonic": 1.0,
            "isum": random.randrange(10**11), "p15": 1.0, "p50": 1.0, "p85": 1.0,
        }  # fmt: skip
    elif random.random() < 0.3:
        isum = random.randrange(10**11)
        found["speed_single"] = {"kmh": 1.0, "n": 3, "isum": isum, "effective_cm": 400}
    if random.random() < 0.3:
        found["counted_by"] = random.choice(["trail", "both"])
    if random.random() < 0.3:
        found["void_s"] = 17.5
    if random.random() < 0.3:
        found |= {"queue_us": random.randrange(1, 60_000_000), "stopped": random.randrange(1, 9)}
    return found


def street(random: Random) -> tuple[list[Window], list[Fault]]:
    """Two epochs of two lanes, whose numbers alternate."""
    windows, faults = [], []
    for boot, epoch in enumerate((E1, E2)):
        begin = boot * MINUTES
        for place, name in enumerate(LANES):
            minute = 0
            while minute < MINUTES:
                long = min(random.choice([1] * 9 + [15]), MINUTES - minute)
                numbers = [2 * each + place + 1 for each in range(minute, minute + long)]
                span = (begin + minute) * 60, (begin + minute + long) * 60
                found = body(random, name, long)
                if long > 1:
                    found["covers"] = [[numbers[0], numbers[-1], 2]]
                    for number in numbers[:-1]:  # contradicts itself: some come as well
                        if random.random() < 0.2:
                            one = record(
                                number, stream=Stream.TRAFFIC, source=name, epoch=epoch,
                                boot=boot, at=span, body=body(random, name, 1),
                            )  # fmt: skip
                            windows.append(Window(one, None, dated=True))
                made = record(
                    numbers[-1], stream=Stream.TRAFFIC, source=name, epoch=epoch, boot=boot,
                    at=span, body=found,
                )  # fmt: skip
                dated = random.random() < 0.95
                windows.append(Window(made, numbers if long > 1 else None, dated))
                minute += long
        for number in range(1, random.randrange(2, 5)):
            until_s, since_s = (begin + random.randrange(MINUTES)) * 60, random.randrange(1, 7200)
            name, part = random.choice(LANES), random.choice(["lead", "trail", None])
            event = body_map(SensorFault(state="on", fault="chatter", text="x", since_s=since_s))
            made = record(
                number, stream=Stream.EVENT, source=name, epoch=epoch, boot=boot,
                at=(until_s, until_s), body={**event, **({"part": part} if part else {})},
            )  # fmt: skip
            until = at(until_s * S)
            faults.append(Fault(made, name, until - timedelta(seconds=since_s), until, part))
    return windows, faults


def sendings(random: Random, windows: list[Window], faults: list[Fault]) -> list[ReceivedRecord]:
    """In any order, some twice; those that know the time only later say `none` before."""
    found = []
    for each in windows:
        known = [NTP] * random.choice([1, 1, 2]) if each.dated else []
        unknown = [TimeQuality.NONE] * random.choice([0, 0, 1]) if each.dated else [
            TimeQuality.NONE
        ]  # fmt: skip
        found += [entry(each.made, tq) for tq in (*known, *unknown)]
    found += [entry(each.made) for each in faults]
    random.shuffle(found)
    return found


def expected(windows: list[Window], faults: list[Fault]) -> dict[tuple[str, datetime], Sums]:
    covered = {
        (each.made.key.epoch, number) for each in windows for number in each.covers or []
    }  # fmt: skip
    sums: dict[tuple[str, datetime], Sums] = defaultdict(lambda: defaultdict(int))
    for each in windows:
        made = each.made
        if not each.dated or (each.covers is None and (made.key.epoch, made.key.seq) in covered):
            continue
        said: Any = made.body
        doubts = [
            fault for fault in faults
            if fault.lane == made.source
            and fault.until > each.start and fault.since < at(made.to_ns)
        ]  # fmt: skip
        counter = said.get("counted_by", "lead")
        counts = not any(fault.part in (None, counter) or counter == "both" for fault in doubts)
        hour = sums[made.source, each.start.replace(minute=0, second=0)]
        watched = round(said["covered_s"] * 1000) - round(said.get("void_s", 0) * 1000)
        hour["windows"] += 1
        hour["covered_ms"] += round(said["covered_s"] * 1000)
        if counts and said["volume"] is not None:
            hour["volume"] += said["volume"]
            hour["counted_ms"] += watched
        if counts and said["on_us"] is not None:
            hour["occupied_ms"] += round(said["on_us"] / 1000)
            hour["watched_ms"] += watched
        if counts:
            hour["queue_ms"] += round(said.get("queue_us", 0) / 1000)
            hour["stopped"] += said.get("stopped", 0)
        if not doubts and said["speed"] is not None:
            hour["pair_speed_n"] += said["speed"]["n"]
            hour["speed_sum"] += said["speed"]["sum"] * 100
        if not doubts and (some := said["speed"] or said.get("speed_single")):
            hour["speed_n"] += some["n"]
            hour["pace_sum"] += some["isum"]
    return sums


COLUMNS = (
    "windows", "covered_ms", "counted_ms", "volume", "watched_ms", "occupied_ms", "pair_speed_n",
    "speed_sum", "speed_n", "pace_sum", "queue_ms", "stopped",
)  # fmt: skip
HOURS = b"""
SELECT lane, hour, windows, covered_s * 1000, counted_s * 1000, coalesce(volume, 0), watched_ms,
    occupied_ms, pair_speed_n, speed_sum, speed_n, pace_sum, queue_s * 1000, stopped
FROM city.lane_hour"""


@pytest.mark.parametrize("seed", range(6))
def test_sums_are_those_of_all_records_in_whatever_order_they_come(
    postgres: PostgresServer, seed: int
) -> None:
    random = Random(seed)
    windows, faults = street(random)
    url = postgres.database()
    store = open_store(url, write=True)
    left = sendings(random, windows, faults)
    with psycopg.connect(url, options="-c timezone=UTC") as db:
        while left:
            size = random.choice([1, 5, 60])
            done = store.commit(left[:size], [])
            assert {each.verdict for each in done} <= {"stored", "repeat"}
            assert not any(each.unfit for each in done)
            left = left[size:]
        found = {
            (name, hour): dict(zip(COLUMNS, map(round, values), strict=True))
            for name, hour, *values in db.execute(HOURS)
        }
        (days,) = db.execute("SELECT sum(volume) FROM city.lane_day").fetchone() or (0,)
    store.close()
    wanted = expected(windows, faults)
    assert found == {
        place: {name: sums[name] for name in COLUMNS} for place, sums in wanted.items()
    }
    assert days == sum(sums["volume"] for sums in wanted.values())


def test_writers_at_once_wait_for_each_other_and_never_in_a_circle(
    postgres: PostgresServer,
) -> None:
    """Each has all records in an order of its own, as after deaths of sinks that had them."""
    random, url, begin = Random(7), postgres.database(), threading.Barrier(4)
    windows, faults = street(random)
    wanted = expected(windows, faults)

    def write(seed: int) -> None:
        mine, store = Random(seed), open_store(url, write=True)
        left = sendings(mine, windows, faults)
        begin.wait()
        while left:
            size = mine.randrange(1, 40)
            store.commit(left[:size], [])
            left = left[size:]
        store.close()

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(write, range(4)))
    with psycopg.connect(url, options="-c timezone=UTC") as db:
        found = {(name, hour): values for name, hour, *values in db.execute(HOURS)}
    assert {place: [round(value) for value in values] for place, values in found.items()} == {
        place: [sums[name] for name in COLUMNS] for place, sums in wanted.items()
    }
