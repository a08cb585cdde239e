"""While something is waited for, the card or a broker: alarms go, and nothing is forgotten."""

import asyncio
from dataclasses import replace
from pathlib import Path
from typing import Any

from edge.core import Draft, Stamp, Stream
from edge.uplink.publisher import COMPANY_BOOTS
from tests.kit.clock import NTP, WALL_0
from tests.kit.rawbroker import PUBACK, raw_broker
from tests.kit.uplink import box
from tests.kit.waiting import until
from tests.uplink.publishing import SMALL, Uplink


async def test_an_alarm_does_not_wait_while_the_boots_of_a_backlog_are_read() -> None:
    """The clock is set: all that was known of other boots is asked for again, but not now."""
    uplink = Uplink()
    asked: list[int] = []

    async def marks(boot: int) -> list[Stamp]:
        asked.append(boot)
        return [Stamp(0, WALL_0, NTP)]

    uplink.rows.marks = marks  # type: ignore[method-assign]
    uplink.store(Stream.HEALTH, *[SMALL] * 150)
    uplink.rows.rows = [
        replace(row, record=replace(row.record, boot=10 + row.row)) for row in uplink.rows.rows
    ]
    await uplink.turn()
    assert len(asked) <= 2 * COMPANY_BOOTS
    uplink.answer(3)
    uplink.publisher._timestamper.see(Stamp(uplink.clock.mono_ns, WALL_0 + 7200 * 10**9, NTP))
    asked.clear()
    (alarm,) = uplink.offer(Stream.EVENT, SMALL)
    client: Any = uplink.link._client
    sent = client.publish

    def publish(*message: Any) -> Any:
        done = sent(*message)
        assert uplink.out[-1] != alarm or asked == [1], "its own boot and no other"
        return done

    client.publish = publish
    assert (await uplink.turn())[0] == alarm
    await uplink.finish()


async def with_many_in_flight() -> Uplink:
    """Its window has grown, and one late answer makes it smaller than what is on the way."""
    uplink = Uplink()
    uplink.offer(Stream.HEALTH, *[SMALL] * 400)
    await uplink.finish()
    uplink.offer(Stream.HEALTH, *[SMALL] * 60)
    await uplink.turn()
    return uplink


async def test_while_the_card_writes_the_window_may_shrink() -> None:
    uplink = await with_many_in_flight()

    async def late(boot: int) -> list[Stamp]:
        uplink.answer(after_s=8.0)
        return [Stamp(0, WALL_0, NTP)]

    uplink.rows.marks = late  # type: ignore[method-assign]
    uplink.publisher._timestamper.see(Stamp(uplink.clock.mono_ns, WALL_0 + 7200 * 10**9, NTP))
    names = uplink.offer(Stream.HEALTH, *[SMALL] * 100)
    await uplink.turn()
    assert uplink.written_ahead == 1, "there is no room left at all"
    (alarm,) = uplink.offer(Stream.EVENT, SMALL)
    await uplink.finish()
    assert uplink.out.index(alarm) == uplink.out.index(names[0]) + 1


async def test_while_a_dead_letter_is_written_the_window_may_shrink() -> None:
    uplink = await with_many_in_flight()
    rows = uplink.rows.add(Stream.HEALTH, *[SMALL] * 100)
    bad = replace(rows[2], record=replace(rows[2].record, body={"text": float("nan")}))
    uplink.delivery.send_queue.offer([*rows[:2], bad, *rows[3:]], uplink.clock.mono_ns)
    went: list[str] = []

    async def dead_letter(row: int, why: str) -> None:
        went.extend(uplink.out[-2:])
        uplink.answer(after_s=8.0)
        uplink.rows.confirm([row])

    uplink.rows.dead_letter = dead_letter  # type: ignore[method-assign]
    await uplink.turn()
    assert went == [str(row.row) for row in rows[:2]], "they do not wait for the card"
    assert (uplink.written_ahead, uplink.table.counts.dead_letters) == (0, 1)
    await uplink.finish()


async def test_a_row_that_cannot_be_written_makes_no_room_for_two() -> None:
    uplink = Uplink(window=3)
    rows = uplink.rows.add(Stream.HEALTH, *[SMALL] * 6)
    bad = replace(rows[1], record=replace(rows[1].record, body={"text": float("nan")}))
    uplink.delivery.send_queue.offer([rows[0], bad, *rows[2:]], uplink.clock.mono_ns)

    async def dead_letter(row: int, why: str) -> None:
        uplink.rows.confirm([row])

    uplink.rows.dead_letter = dead_letter  # type: ignore[method-assign]
    await uplink.publisher.fill(uplink.link)
    assert (uplink.out, uplink.written_ahead) == (["1", "3", "4"], 0)
    await uplink.finish()


async def test_what_is_written_goes_before_the_card_is_waited_for() -> None:
    uplink = Uplink()
    kept: list[int] = []

    async def keep(states: object) -> None:
        kept.append(len(uplink.out))

    uplink.rows.keep = keep  # type: ignore[method-assign]
    rows = uplink.rows.add(Stream.HEALTH, *[SMALL] * 4)
    other = [replace(row, record=replace(row.record, boot=9)) for row in rows[2:]]
    uplink.delivery.send_queue.offer([*rows[:2], *other], uplink.clock.mono_ns)
    assert await uplink.turn() == ["1", "2", "3", "4"]
    assert kept == [0, 2]


async def test_a_connection_that_ends_while_the_card_writes_is_given_nothing() -> None:
    uplink = Uplink()

    async def cut(boot: int) -> list[Stamp]:
        uplink.link._up = False
        return [Stamp(0, WALL_0, NTP)]

    uplink.rows.marks = cut  # type: ignore[method-assign]
    uplink.offer(Stream.HEALTH, *[SMALL] * 9)
    await uplink.publisher.fill(uplink.link)
    assert (uplink.out, uplink.rows.written, uplink.table.counts.sent) == ([], [], 0)
    del uplink.rows.marks
    uplink.link._up = True
    uplink.delivery.connected(uplink.clock.mono_ns)
    await uplink.finish()
    assert uplink.table.counts.sent_redelivered == 0


async def test_a_description_that_no_broker_takes_does_not_hold_the_backlog_back(
    tmp_path: Path,
) -> None:
    """The whole sender, over a socket; without a packet nobody answers, and nobody wakes it."""
    async with raw_broker() as broker, box(tmp_path, broker.url) as gateway:
        broker.connack_properties = b"\x27" + (30_000).to_bytes(4, "big")  # Maximum Packet Size
        late: list[bytes] = []
        holds = True
        reply = broker._reply

        def answer(kind: int, body: bytes) -> bytes:
            made = reply(kind, body)
            if not holds or made[:1] != bytes((PUBACK,)) or len(body) < 8000:
                return made
            late.append(made)
            return b""

        broker._reply = answer  # type: ignore[method-assign]
        body = {"text": "x" * 9000}  # each is more than the window, and goes alone
        await gateway.writer.commit([Draft(Stream.HEALTH, "box", n, n, body) for n in range(9)])
        gateway.connect()
        await until(lambda: broker.records("health"))
        presence = gateway.sender._presence
        presence._meta = lambda: {"text": "x" * 40_000}
        gateway.sender.publish_meta()
        await until(lambda: presence.passed_over)
        holds = False
        began = asyncio.get_running_loop().time()
        await broker.send(late.pop())
        await until(lambda: len(broker.records("health")) > 1)
        assert asyncio.get_running_loop().time() - began < gateway.sender._turn_s / 2
        await until(lambda: gateway.sender.counts.confirmed == 9)
