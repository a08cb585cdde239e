"""A fleet on a real broker, and what a store has of it."""

import asyncio
import json
from collections import Counter
from pathlib import Path
from typing import Any

from edge.acquire.clock import SystemClock
from edge.fleet.boxrecords import gateway_names
from edge.fleet.fleet import Fleet, FleetPlan
from edge.fleet.gateway import BoxOptions
from edge.platform.openstore import open_store
from edge.uplink.broker import Broker
from tests.kit.broker import Mosquitto

Key = tuple[str, int, str, int]


def make_fleet(
    broker: Mosquitto, gateways: int = 8, *, receipt_s: float | None = 120.0, last: bool = False,
    **words: Any,
) -> Fleet:  # fmt: skip
    """A minute of it takes a tenth of a second, unless `words` say otherwise."""
    options = BoxOptions("test", "kerbstone/v1", receipt_s=receipt_s, last=last)
    now = SystemClock().now().wall_ns // 60_000_000_000
    plan: dict[str, Any] = {
        "names": list(gateway_names("gw-001", gateways)), "options": options, "lanes": 2,
        "seed": 4, "first_minute": now - 600, "minute_s": 0.1, "spread_s": 0.1, "jitter_s": 0.2,
        "drain_s": 60.0, **words,
    }  # fmt: skip
    place = Broker("127.0.0.1", broker.port, "")
    return Fleet(FleetPlan(**plan), lambda _gw: place, SystemClock())


async def run_fleet(fleet: Fleet) -> str:
    return await fleet.run(asyncio.Event())


def ledger_keys(path: Path, which: str) -> set[Key]:
    """All numbers of a ledger's file."""
    found: set[Key] = set()
    for line in path.read_text().splitlines():
        data = json.loads(line)
        for first, last in data[which]:
            found |= {
                (data["gw"], data["epoch"], data["stream"], n) for n in range(first, last + 1)
            }
    return found


def fleet_keys(fleet: Fleet, which: str) -> set[Key]:
    """The same of a fleet that has run."""
    found: set[Key] = set()
    for one in fleet.gateways:
        for stream, numbers in one.ledger.streams.items():
            for first, last in getattr(numbers, which).ranges():
                found |= {
                    (one.ledger.gw, one.ledger.epoch, stream, n) for n in range(first, last + 1)
                }
    return found


def store_keys(path: Path) -> Counter[Key]:
    """What a store has, and how often."""
    store = open_store(path, write=False)
    try:
        found = Counter[Key]()
        for gw, _ in store.gateways():
            found.update(each.key for each in store.records(gw))
            assert not list(store.conflicts(gw))
        return found
    finally:
        store.close()
