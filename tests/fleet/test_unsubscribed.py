"""A broker that refuses subscriptions: the fleet says so, and does not leave it to the store."""

import asyncio
import json
import subprocess

import pytest

from tests.kit.platform import COMMAND, ROOT
from tests.kit.rawbroker import raw_broker

NOT_AUTHORIZED = 0x87
WORDS = (
    "--gateways", "2", "--records", "20", "--speed", "600", "--drain", "1", "--jitter", "0.1",
)  # fmt: skip


async def fleet_at_it(*more: str) -> tuple[int | None, str, str]:
    """Exit code, and what was said."""
    async with raw_broker() as broker:
        broker.suback = lambda _name: NOT_AUTHORIZED
        process = await asyncio.create_subprocess_exec(
            *COMMAND, "fleet", "--broker", broker.url, *WORDS, *more,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, cwd=ROOT,
        )  # fmt: skip
        out, err = await process.communicate()
    return process.returncode, out.decode(), err.decode()


@pytest.mark.parametrize("more", [(), ("--json",)])
async def test_who_may_not_subscribe_gets_no_receipts_and_it_is_said(more: tuple[str, ...]) -> None:
    code, out, err = await fleet_at_it(*more)
    assert code == 1
    assert "refused the subscription to receipts at 2 of 2 connections" in err
    assert "read its topic, such as kerbstone/v1/fleet/gw-00001/down/receipt" in err
    if more:
        refused = json.loads(out)["subscriptions_refused"]
        assert refused == {"receipts": 2, "commands": 2, "reconnect_spread": 2}
    else:
        refusals = "receipts (2), commands (2), reconnect_spread (2)"
        assert f"the broker refused subscriptions to {refusals}" in out


async def test_where_the_broker_confirms_it_is_told_and_no_fault() -> None:
    code, out, _ = await fleet_at_it("--confirm", "broker")
    assert code == 0
    assert "refused subscriptions to commands (2), reconnect_spread (2)" in out
