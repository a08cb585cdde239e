"""The control socket, with the daemon's own server at the other end."""

import asyncio
import shutil
import tempfile
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from edge.control.protocol import ControlServer
from edge.link.daemonclient import DaemonClient, DaemonReport
from edge.link.linkstate import TakenStep


@pytest.fixture
async def folder() -> AsyncIterator[Path]:
    found = Path(tempfile.mkdtemp())  # a socket's path is short
    yield found
    shutil.rmtree(found)


async def test_it_asks_and_tells_through_the_socket(folder: Path) -> None:
    heard: list[Mapping[str, Any]] = []

    async def reach(_: Mapping[str, Any]) -> Mapping[str, Any]:
        return {"connected": False, "faults": 1, "tq": "ntp", "wall_s": 1_790_000_000}

    async def hear(request: Mapping[str, Any]) -> Mapping[str, Any]:
        heard.append(request)
        return {}

    server = ControlServer(folder, {"link_facts": reach, "data_saver": hear, "link_step": hear})
    await server.start()
    daemon = DaemonClient(folder)
    assert await asyncio.to_thread(daemon.report) == DaemonReport(False, True, 1_790_000_000)
    assert await asyncio.to_thread(daemon.set_saver_level, 1, "why", 8, 10, "2026-11")
    assert await asyncio.to_thread(daemon.report_step, TakenStep("modem", "why", "done", 3, 60.0))
    assert [one["verb"] for one in heard] == ["data_saver", "link_step"]
    assert heard[0]["level"] == 1
    assert heard[1]["step"] == "modem"
    await server.close()


async def test_a_clock_that_is_not_synchronised_says_no_time(folder: Path) -> None:
    async def reach(_: Mapping[str, Any]) -> Mapping[str, Any]:
        return {"connected": True, "faults": 1, "tq": "rtc", "wall_s": 1}

    server = ControlServer(folder, {"link_facts": reach})
    await server.start()
    daemon = DaemonClient(folder)
    assert await asyncio.to_thread(daemon.report) == DaemonReport(True, True, None)
    assert not await asyncio.to_thread(daemon.set_saver_level, 1, "why", 8, 10, "2026-11")
    await server.close()


@pytest.mark.parametrize("answer", [{}, {"connected": "yes", "faults": "no", "wall_s": "now"}])
def test_an_odd_answer_is_no_evidence(answer: dict[str, Any], tmp_path: Path) -> None:
    daemon = DaemonClient(tmp_path, lambda *_, **__: dict(answer))
    assert daemon.report() == DaemonReport()


def test_no_daemon_is_no_error(tmp_path: Path) -> None:
    daemon = DaemonClient(tmp_path)
    assert daemon.report() == DaemonReport()
    assert not daemon.report_step(TakenStep("modem", "why", "done", 3, 60.0))
