"""What mosquitto has acknowledged is still there after kill -9; the daemon's uplink through it."""

import asyncio
import contextlib
import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.deploy.pki_city import UP, City, running
from tests.uplink.bench import box, drafts
from tests.uplink.caller import Caller
from tests.uplink.waiting import until

TYPE = "application/json"
OWN = UP.format("gw-0001")
SAVED_S = 1.5  # `autosave_interval` is a second
FILTER = "kerbstone/v1/+/+/up/#"


@pytest.fixture
def city(tmp_path: Path) -> Iterator[City]:
    with running(tmp_path / "city") as city:
        yield city


async def test_what_was_confirmed_waits_through_kill_9(city: City) -> None:
    """For a subscriber that has a session, and is away. Killed a second after the last PUBACK.

    Killed at once, the last few were missing in one run of twenty: mosquitto may answer before its
    file is written. What docs/brokers.md says of receipts is for that.
    """
    async with city.platforms.client(city.platform, "store", fresh=False) as away:
        await away.subscribe(FILTER, qos=1)
    caller = Caller()
    link = await caller.open(city.gateways.broker(city.gateway("gw-0001"), "any"))
    for sent in range(50):
        await until(lambda: bool(link.room))
        assert link.publish(sent, OWN, b"%d" % sent, TYPE) is None
    await until(lambda: len(caller.answers) == 50)
    await asyncio.sleep(SAVED_S)
    city.stop()
    assert {answer for _, answer in caller.answers} == {0}
    await link.close()
    city.start()
    kept = set()
    with contextlib.suppress(TimeoutError):
        async with (
            asyncio.timeout(10),
            city.platforms.client(city.platform, "store", fresh=False) as back,
        ):
            async for message in back.messages:
                kept.add(int(message.payload))
                if len(kept) == 50:
                    break
    assert kept == set(range(50))


async def test_the_uplink_delivers_a_record_to_the_platform(city: City, tmp_path: Path) -> None:
    place = city.gateways.broker(city.gateway("gw-0001"), "gw-0001")
    async with (
        city.platforms.client(city.platform, "store") as platform,
        box(tmp_path, place) as gateway,
    ):
        await platform.subscribe(FILTER, qos=1)
        gateway.connect()
        await gateway.commit(drafts(0, 3))
        found: list[int] = []
        async for message in platform.messages:
            if "/up/air/" in str(message.topic):
                found.append(json.loads(message.payload)["seq"])
            if len(found) == 3:
                break
        assert sorted(found) == [1, 2, 3]
        await until(lambda: not gateway.alarms)
