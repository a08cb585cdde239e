"""The daemon's parts are joined in order, let live, and ended in order: in process, without wires,
and with a broker that is not there."""

import asyncio
import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from unittest import mock

import pytest

import drivers
from edge.acquire.clock import SystemClock
from edge.config import load_site
from edge.control.protocol import SOCKET_NAME, ask_daemon
from edge.core import Draft, Stream
from edge.gateway.daemon import Daemon
from edge.gateway.sitelocks import SiteBusyError
from edge.gateway.trialreports import PROBLEM_KIND
from edge.outbox import AsyncOutbox, Outbox
from tests.kit.waiting import until

SITE = """
[site]
id = "quay"
gateway = "gw-1"
[store]
dir = "{folder}/store"
run_dir = "{folder}/run"
ballast_mb = 0
[uplink]
url = "mqtt://127.0.0.1:1"
confirm = "broker"
"""


def made(folder: Path) -> Daemon:
    file = folder / "site.toml"
    file.write_text(SITE.format(folder=folder), "utf-8")
    return Daemon(load_site(file, drivers.catalogue()), SystemClock(root=folder))


def kept(folder: Path) -> list[Any]:
    """The records that no broker has taken."""
    outbox = Outbox.open(
        folder / "store", limit_bytes=8 << 20, boot_id="later", run_dir=folder / "run",
        ballast_bytes=0, owner="quay/gw-1",
    )  # fmt: skip
    outbox.begin()
    found = [stored.record for stored in outbox.pending(0, 1000)]
    outbox.close()
    return found


async def test_a_daemon_that_is_asked_to_stop_has_said_that_it_started_and_leaves_nothing_open(
    tmp_path: Path,
) -> None:
    daemon = made(tmp_path)
    running = asyncio.create_task(daemon.run())
    await until(lambda: (tmp_path / "run" / SOCKET_NAME).exists())
    status = await asyncio.to_thread(ask_daemon, tmp_path / "run", "status")
    assert status is not None
    assert (status["site"], status["link"]["unconfirmed"]) == ("quay", 0)
    with pytest.raises(SiteBusyError):
        await made(tmp_path).run()
    daemon.stop()
    await running
    assert [path.name for path in (tmp_path / "run").glob("*.sock")] == []
    events = [r.body["event"] for r in kept(tmp_path) if r.key.stream is Stream.EVENT]
    assert events == ["gap", "start"]


async def test_one_that_is_stopped_before_it_runs_ends_in_order(tmp_path: Path) -> None:
    daemon = made(tmp_path)
    daemon.stop()
    assert daemon.gateway is None
    await daemon.run()
    assert [r.body["event"] for r in kept(tmp_path) if "event" in r.body] == ["gap"]


async def test_it_stops_to_go_on_from_the_totals_that_lie_there(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """The outbox did not answer at the start, and does now."""
    why = "Restart the daemon."
    with mock.patch.object(AsyncOutbox, "restart", new_callable=mock.PropertyMock) as restart:
        restart.return_value = why
        await made(tmp_path).run()
    (event,) = (r.body for r in kept(tmp_path) if r.body.get("event") == "storage")
    assert (event["state"], event["text"]) == ("off", why)
    assert f"{why} The daemon stops for this reason." in caplog.text


async def test_a_fault_in_a_part_ends_it_and_what_was_seen_is_committed(tmp_path: Path) -> None:
    daemon = made(tmp_path)
    with (
        mock.patch("edge.uplink.sender.Sender.run", side_effect=ZeroDivisionError),
        pytest.raises(ZeroDivisionError),
    ):
        await daemon.run()
    assert kept(tmp_path)
    again = made(tmp_path)
    again.stop()
    await again.run()  # nobody holds its locks


async def test_a_configuration_on_trial_sees_what_runs_and_announces_itself(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING)
    daemon = made(tmp_path)
    running = asyncio.create_task(daemon.run())
    await until(lambda: daemon.gateway is not None)
    gateway = daemon.gateway
    assert gateway is not None
    assert not gateway.connected
    await until(lambda: gateway.healthy(gateway.clock.now().mono_ns))
    gateway.announce(PROBLEM_KIND, "the last good one runs")
    assert gateway.ingest.problems == {PROBLEM_KIND: "the last good one runs"}
    daemon.stop()
    await running
    (event,) = (r.body for r in kept(tmp_path) if r.body.get("event") == PROBLEM_KIND)
    assert event["text"] == "the last good one runs"


async def test_rows_that_a_flush_takes_along_are_offered_to_the_sender_too(
    tmp_path: Path,
) -> None:
    offered: list[Sequence[Any]] = []
    daemon = made(tmp_path)
    with mock.patch(
        "edge.uplink.sendqueue.SendQueue.offer", side_effect=lambda rows, _: offered.append(rows)
    ):
        running = asyncio.create_task(daemon.run())
        await until(lambda: daemon.gateway is not None)
        gateway = daemon.gateway
        assert gateway is not None
        async with gateway.outbox._writing:  # the two that come now wait, and go together
            offered.clear()
            kept_alone = asyncio.create_task(gateway.outbox.keep({"x": (1, b"one")}))
            await asyncio.sleep(0)
            draft = Draft(Stream.AIR, "hut", 0, 1, {})
            committed = asyncio.create_task(gateway.outbox.commit([draft]))
            await asyncio.sleep(0)
        await kept_alone
        assert await committed == []
        assert [row.record.source for rows in offered for row in rows].count("hut") == 1
        daemon.stop()
        await running
