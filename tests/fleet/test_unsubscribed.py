"""A broker that refuses subscriptions: the fleet says so, and does not leave it to the store."""

import asyncio
import json
import threading
from collections.abc import Iterator

import pytest

from tests.fleet.serverside import CONNACK
from tests.kit.command import Command

NOT_AUTHORIZED = b"\x87"


async def _serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """One connection of a broker that takes everything, and grants no subscription."""
    while first := await reader.read(1):
        size = shift = 0
        while True:
            (byte,) = await reader.readexactly(1)
            size |= (byte & 0x7F) << shift
            shift += 7
            if byte < 0x80:
                break
        body = await reader.readexactly(size)
        match first[0] >> 4:
            case 1:
                writer.write(CONNACK)
            case 3:
                topic = int.from_bytes(body[:2], "big")
                writer.write(b"\x40\x02" + body[2 + topic : 4 + topic])
            case 8:
                granted = body[:2] + b"\x00" + NOT_AUTHORIZED * body.count(b"/down/")
                writer.write(bytes((0x90, len(granted))) + granted)
            case 12:
                writer.write(b"\xd0\x00")
            case 14:
                break
    writer.close()


@pytest.fixture
def url() -> Iterator[str]:
    """Of this broker; it runs in a thread."""
    loop = asyncio.new_event_loop()
    server = loop.run_until_complete(asyncio.start_server(_serve, "127.0.0.1", 0))
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    yield f"mqtt://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    loop.call_soon_threadsafe(server.close)
    loop.call_soon_threadsafe(loop.stop)
    thread.join()
    loop.close()


FLEET = (
    "--gateways", "2", "--records", "20", "--speed", "600", "--drain", "1", "--jitter", "0.1",
)  # fmt: skip


@pytest.mark.parametrize("more", [(), ("--json",)])
def test_who_may_not_subscribe_gets_no_receipts_and_it_is_said(
    kerbstone: Command, url: str, more: tuple[str, ...]
) -> None:
    said = kerbstone("fleet", "--broker", url, *FLEET, *more)
    assert said.code == 1
    assert "refused the subscription to receipts at 2 of 2 connections" in said.err
    assert "read its topic, such as kerbstone/v1/fleet/gw-00001/down/receipt" in said.err
    if more:
        refused = json.loads(said.out)["subscriptions_refused"]
        assert refused == {"receipts": 2, "commands": 2, "reconnect_spread": 2}
    else:
        refusals = "receipts (2), commands (2), reconnect_spread (2)"
        assert f"the broker refused subscriptions to {refusals}" in said.out


def test_where_the_broker_confirms_it_is_told_and_no_fault(kerbstone: Command, url: str) -> None:
    said = kerbstone("fleet", "--broker", url, *FLEET, "--confirm", "broker")
    assert said.code == 0
    assert "refused subscriptions to commands (2), reconnect_spread (2)" in said.out
