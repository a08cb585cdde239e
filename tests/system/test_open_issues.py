"""The whole daemon with a broker: what it knows it shows, the city hears of it, and no restart
forgets it."""

import json
from collections.abc import Callable
from typing import Any

from drivers.sim.sen55 import Sen55
from edge.control.protocol import ask_daemon
from tests.kit.broker import Mosquitto
from tests.kit.gateway import AIR, GatewayProcess, Records
from tests.kit.street import LoopStreet
from tests.system.test_read import wait_for

HELD = {"pm2_5": 9.5, "humidity": 45.5, "temperature": 23.5}


def issues_of(one: GatewayProcess) -> list[dict[str, Any]]:
    status = ask_daemon(one.folder / "run", "status")
    found: list[dict[str, Any]] = [] if status is None else status["issues"]
    return found


def test_a_device_that_fails_is_known_to_all_until_it_answers(
    broker: Mosquitto, site: Callable[..., GatewayProcess]
) -> None:
    one = site(AIR, period_s=2)
    records = Records(broker, one.folder)

    def told() -> list[list[str]]:
        """The kinds in each status that the city has had, in order."""
        sent = [r for r in records.all() if r["kind"] == "status" and r["state"] == "online"]
        return [[issue["kind"] for issue in status["issues"]] for status in sent]

    one.start()  # nobody serves its bus
    wait_for(lambda: [i["kind"] for i in issues_of(one)] == ["device_fails"])
    wait_for(lambda: all(issue["told"] for issue in issues_of(one)))
    wait_for(lambda: ["device_fails"] in told())
    asked = one.ask("status")
    assert asked.returncode == 1
    (shown,) = json.loads(asked.stdout)["issues"]
    assert (shown["about"], shown["short"]) == ("hut_air", "hut_air does not answer")
    assert one.ask("doctor").returncode == 1

    first, ended = issues_of(one)[0], len(records.of("air"))
    wait_for(lambda: len(records.of("air")) >= ended + 2)  # it is kept when a window is committed
    one.kill()
    one.start()
    wait_for(lambda: len(issues_of(one)) == 2)  # the kept one, and the start itself
    after, crash = issues_of(one)
    assert crash["kind"] == "unexpected_start"
    assert after["since"] == first["since"], "it has been so for as long"
    assert after["for_s"] > first["for_s"]

    with LoopStreet(one.folder, Sen55(HELD, powered_s=86_400)):
        wait_for(lambda: [i["kind"] for i in issues_of(one)] == ["unexpected_start"])
        wait_for(lambda: told()[-1] == ["unexpected_start"])
    assert one.stop() == 0
    records.stop()
    lines = [line for line in one.log.read_text().splitlines() if "issue device_fails" in line]
    assert [" is over: " in line for line in lines] == [False, True], lines


def test_a_broker_that_takes_no_status_is_known_on_the_box(
    broker: Mosquitto, site: Callable[..., GatewayProcess]
) -> None:
    broker.kill()
    broker._conf += "max_packet_size 300\n"
    broker.start()
    one = site(AIR)
    one.start()
    wait_for(lambda: "retained_refused" in [each["kind"] for each in issues_of(one)])
    said = next(each for each in issues_of(one) if each["kind"] == "retained_refused")
    assert "/up/status" in said["cause"]
    assert "the broker accepts 300" in said["cause"]
    assert one.stop() == 0
