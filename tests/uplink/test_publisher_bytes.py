"""The limit of bytes in flight is real: MQTT is never given more than the window, but for one
message that is alone; and nothing waits for ever."""

import asyncio
from dataclasses import replace
from pathlib import Path
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from edge.core import Draft, Stream
from edge.outbox.rowformat import MAX_BODY
from edge.uplink.inflight import IDLE_S, START_BYTES, ConnectionLostError
from tests.kit.rawbroker import PUBACK, raw_broker
from tests.kit.uplink import box
from tests.kit.waiting import until
from tests.long import examples
from tests.uplink.publishing import HALF, SMALL, Uplink


async def test_of_eight_bodies_of_900_kilobytes_one_is_in_flight() -> None:
    uplink = Uplink()
    names = uplink.offer(Stream.HEALTH, *[MAX_BODY] * 8)
    assert await uplink.turn() == names[:1]
    assert await uplink.turn() == []
    assert uplink.written_ahead == 0, "it would be 900 kB of memory for nothing"
    uplink.answer()
    assert await uplink.turn() == names[1:2]
    await uplink.finish()
    assert uplink.out == names


async def test_a_large_one_waits_for_those_before_it_and_is_alone() -> None:
    uplink = Uplink()
    small = uplink.offer(Stream.HEALTH, SMALL, SMALL)
    (large,) = uplink.offer(Stream.HEALTH, MAX_BODY)
    later = uplink.offer(Stream.HEALTH, SMALL)
    assert await uplink.turn() == small
    assert (uplink.written_ahead, uplink.link.room) == (1, 0)
    uplink.answer()
    assert await uplink.turn() == [], "two are not alone"
    uplink.answer()
    assert uplink.out[2:] == [large], "it does not wait for the sender's turn"
    assert await uplink.turn() == []
    uplink.answer()
    assert await uplink.turn() == later


async def test_small_ones_that_keep_coming_do_not_pass_a_large_one() -> None:
    uplink = Uplink()
    (large,) = uplink.offer(Stream.HEALTH, SMALL, MAX_BODY)[1:]
    for _ in range(3):
        uplink.offer(Stream.EVENT, SMALL)
        await uplink.turn()
        uplink.answer(after_s=1.4)
    assert large in uplink.out, "those before it have their answers, and then it goes"


async def test_a_large_one_of_the_backlog_goes_though_live_ones_keep_coming() -> None:
    uplink = Uplink()
    uplink.offer(Stream.HEALTH, SMALL)
    await uplink.turn()
    (large,) = uplink.store(Stream.HEALTH, MAX_BODY)
    for _ in range(20):
        uplink.offer(Stream.HEALTH, SMALL)
        await uplink.turn()
        uplink.answer(after_s=1.4)
        if large in uplink.out:
            return
    raise AssertionError("it starves")


async def test_alarms_go_before_live_ones_and_these_before_the_backlog() -> None:
    uplink = Uplink()
    stored = uplink.store(Stream.MANIFEST, SMALL, MAX_BODY, SMALL)
    live = uplink.offer(Stream.HEALTH, MAX_BODY, SMALL)
    alarms = uplink.offer(Stream.EVENT, SMALL, SMALL)
    await uplink.finish()
    assert uplink.out == [*alarms, *live, *stored]


async def test_the_backlog_leaves_a_quarter_of_the_bytes_to_an_alarm() -> None:
    uplink = Uplink()
    stored = uplink.store(Stream.HEALTH, *[START_BYTES // 5 - 300] * 20)
    went = await uplink.turn()
    assert went == stored[:4], (
        "with their headers each has a fifth: then less than a quarter is left"
    )
    alarm = uplink.offer(Stream.EVENT, START_BYTES // 8)
    assert await uplink.turn() == alarm, "and it needs no answer first"


async def test_a_backlog_of_large_ones_leaves_retained_messages_their_turn() -> None:
    uplink = Uplink(meta=100)
    uplink.link._inflight._window._most_bytes = START_BYTES  # it does not grow
    stored = uplink.store(Stream.HEALTH, *[START_BYTES * 3 // 5] * 40)
    await uplink.turn()
    assert (len(uplink.flying), uplink.written_ahead) == (1, 1)
    uplink.presence.publish_birth()
    for _ in range(6):
        await uplink.turn()
        uplink.answer()
    assert "status" in uplink.out
    assert "meta" in uplink.out
    await uplink.finish()
    assert [name for name in uplink.out if name.isdigit()] == stored


async def test_where_nothing_retained_waits_or_has_found_room_the_backlog_goes_on() -> None:
    uplink = Uplink(meta=100)
    uplink.link._inflight._window._most_bytes = START_BYTES
    uplink.store(Stream.HEALTH, *[START_BYTES * 3 // 5] * 9)
    for _ in range(5):
        await uplink.turn()
        assert (len(uplink.flying), uplink.written_ahead) == (1, 1)
        uplink.answer()
    await uplink.finish()
    stored = uplink.store(Stream.HEALTH, *[SMALL] * 9)
    uplink.presence.put_meta()
    assert await uplink.turn() == [*stored[:6], "meta"]
    uplink.answer(9)
    assert await uplink.turn() == stored[6:]


async def test_of_many_boots_the_moments_are_kept_at_once() -> None:
    """A box that starts a hundred times in a night: each commit writes to the card."""
    uplink = Uplink()
    kept: list[object] = []

    async def keep(states: object) -> None:
        kept.append(states)

    uplink.rows.keep = keep  # type: ignore[method-assign]
    uplink.store(Stream.HEALTH, *[SMALL] * 20)
    uplink.rows.rows = [
        replace(row, record=replace(row.record, boot=row.row)) for row in uplink.rows.rows
    ]
    await uplink.finish()
    assert len(kept) == 1


async def test_a_description_larger_than_the_window_goes_though_records_keep_coming() -> None:
    uplink = Uplink(meta=10 * START_BYTES)
    uplink.offer(Stream.BAY, SMALL)
    await uplink.turn()
    uplink.presence.put_meta()
    for _ in range(20):
        uplink.offer(Stream.BAY, SMALL)
        await uplink.turn()
        uplink.answer(after_s=1.4)
        if "meta" in uplink.out:
            return
    raise AssertionError("it starves")


async def test_the_last_word_does_not_wait_behind_a_large_one() -> None:
    uplink = Uplink()
    names = uplink.offer(Stream.HEALTH, START_BYTES // 2, MAX_BODY)
    assert (await uplink.turn(), uplink.written_ahead) == (names[:1], 1)
    uplink.presence.publish_offline(uplink.link)
    assert uplink.out == [*names[:1], "status"]


async def test_nothing_is_sent_behind_the_goodbye() -> None:
    """The broker may still answer while the end of the connection is awaited."""
    uplink = Uplink()
    names = uplink.offer(Stream.HEALTH, HALF, MAX_BODY)
    assert (await uplink.turn(), uplink.written_ahead) == (names[:1], 1)
    closing = asyncio.ensure_future(uplink.link.close())
    await asyncio.sleep(0)
    uplink.answer()
    assert (uplink.out, len(uplink.lost)) == (names[:1], 1)
    uplink.link._ended.set_result(None)
    await closing
    assert len(uplink.lost) == 1, "and it has one answer"


async def test_what_waits_for_its_room_is_lost_with_the_connection_and_goes_again() -> None:
    uplink = Uplink()
    names = uplink.offer(Stream.HEALTH, SMALL, MAX_BODY, SMALL)
    await uplink.turn()
    assert uplink.written_ahead == 1
    uplink.link._inflight.fail_all(ConnectionLostError("hung up"))
    uplink.flying.clear()
    assert (len(uplink.lost), uplink.written_ahead) == (2, 0)
    await uplink.delivery.process_answers(uplink.clock.mono_ns)
    assert uplink.table.in_flight == 0
    assert uplink.out == names[:1], "nothing of it has reached a broker"


async def test_after_a_pause_the_first_batch_is_no_larger_than_the_first_window() -> None:
    uplink = Uplink()
    uplink.offer(Stream.HEALTH, *[SMALL] * 200)
    await uplink.finish()
    assert uplink.link.limit_bytes > 2 * START_BYTES
    uplink.now_s += IDLE_S + 1
    uplink.offer(Stream.HEALTH, *[SMALL] * 200)
    await uplink.turn()
    assert uplink.flying_bytes <= START_BYTES
    assert uplink.written_ahead <= 1
    await uplink.finish()


STEPS = st.lists(
    st.one_of(
        st.tuples(
            st.sampled_from(["offer", "store"]),
            st.sampled_from([Stream.AIR, Stream.EVENT, Stream.HEALTH, Stream.MANIFEST]),
            st.lists(
                st.one_of(st.integers(0, 2000), st.integers(0, 3 * START_BYTES),
                          st.sampled_from([HALF, START_BYTES, MAX_BODY])),
                min_size=1, max_size=12,
            ),
        ),
        st.tuples(st.just("answer"), st.integers(1, 20), st.sampled_from([0.0, 0.05, 1.0, 6.0])),
        st.tuples(st.just("turn"), st.none(), st.none()),
        st.tuples(st.just("meta"), st.none(), st.none()),
    ),
    max_size=30,
)  # fmt: skip


@settings(max_examples=examples(200), deadline=None)
@given(STEPS, st.sampled_from([1, 2, 7, 200]), st.sampled_from([0, 20_000]))
def test_whatever_comes_in_flight_is_the_window_or_one_and_all_of_it_arrives(
    steps: list[tuple[str, Any, Any]], window: int, meta: int
) -> None:
    """`_packet` counts each byte."""

    async def run() -> None:
        uplink = Uplink(window, meta)
        names: set[str] = set()
        for what, first, second in steps:
            if what == "answer":
                uplink.answer(first, second)
            elif what == "meta":
                uplink.presence.put_meta()
            elif what == "turn":
                await uplink.turn()
            else:
                names.update(getattr(uplink, what)(first, *second))
            assert uplink.written_ahead <= 1, "so much is held in memory besides"
        await uplink.finish()
        sent = [name for name in uplink.out if name.isdigit()]
        assert sorted(sent) == sorted(names), "each once"

    asyncio.run(run())


async def test_a_broker_that_answers_late_gets_one_large_record_at_a_time(tmp_path: Path) -> None:
    """The whole sender, over a socket."""
    async with raw_broker() as broker, box(tmp_path, broker.url) as gateway:
        late: list[bytes] = []
        reply = broker._reply

        def answer(kind: int, body: bytes) -> bytes:
            made = reply(kind, body)
            if made[:1] != bytes((PUBACK,)) or len(body) < MAX_BODY // 2:
                return made
            late.append(made)
            return b""

        broker._reply = answer  # type: ignore[method-assign]
        gateway.connect()
        await until(lambda: gateway.sender.connected)
        body = {"text": "x" * (MAX_BODY - 100)}
        await gateway.commit([Draft(Stream.HEALTH, "box", n, n, body) for n in range(4)])
        for count in range(1, 5):
            await until(lambda count=count: len(broker.records("health")) == count)  # type: ignore[misc]
            await asyncio.sleep(0.05)
            assert len(broker.records("health")) == count
            await broker.send(late.pop())
        await until(lambda: gateway.sender.counts.confirmed == 4)
