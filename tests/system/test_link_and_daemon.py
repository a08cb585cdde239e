"""kerbstone-link and the daemon: what one tells the other, through the real socket."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from edge.control.protocol import VerbError, ask_daemon
from edge.link.daemonclient import DaemonClient, DaemonReport
from edge.link.linkstate import TakenStep
from tests.kit.broker import Mosquitto, Subscriber
from tests.kit.gateway import AIR, GatewayProcess
from tests.kit.waiting import wait_until

EVENTS = "kerbstone/v1/test/gw-1/up/event/gateway"


def test_the_link_asks_and_tells(
    site: Callable[..., GatewayProcess], broker: Mosquitto, tmp_path: Path
) -> None:
    listener = Subscriber(broker, EVENTS)
    one = site(AIR)
    link = DaemonClient(one.folder / "run")
    assert link.report() == DaemonReport(), "no daemon is no evidence"
    one.start()
    reach: Any = wait_until(lambda: (found := link.report()).broker and found)
    assert reach.faulty is None or isinstance(reach.faulty, bool)
    assert link.set_saver_level(1, "80 % are used", 80_000_000, 100_000_000, "2026-11")
    assert link.set_saver_level(1, "80 % are used", 81_000_000, 100_000_000, "2026-11")
    assert link.report_step(TakenStep("reboot", "no broker for 40 min", "ordered", 7, 1234.5))
    status = json.loads(one.ask("status").stdout)
    assert status["data_saver"] == {
        "level": 1, "used": 81_000_000, "budget": 100_000_000, "month": "2026-11"
    }  # fmt: skip
    for wrong in ({"level": 3}, {"level": True}, {"level": 1, "used": "x", "budget": 0}, {}):
        with pytest.raises(VerbError):
            ask_daemon(one.folder / "run", "data_saver", **wrong)
    with pytest.raises(VerbError, match="reconnect"):
        ask_daemon(one.folder / "run", "link_step", step="dance", boots=1, age_s=1.0)
    assert one.stop() == 0
    wait_until(lambda: any('"link"' in line for line in listener.lines))  # the last of them
    found = [json.loads(line.partition(" ")[2]) for line in listener.stop()]
    reported = {each["event"]: each for each in found}
    assert reported["data_saver"]["level"] == 1, "told once"
    assert [each["event"] for each in found].count("data_saver") == 1
    assert (reported["link"]["step"], reported["link"]["boots"]) == ("reboot", 7)
    assert "no broker for 40 min" in reported["link"]["text"]
