"""`read` of lanes and of all: through the daemon, on the wires without one, and again and again."""

import json
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from drivers.sim.sen55 import Sen55
from tests.kit.gateway import AIR, KERBSTONE, LOOPS, ROOT, GatewayProcess
from tests.kit.ptyscreen import PtyScreen
from tests.kit.street import LoopStreet
from tests.kit.waiting import wait_until

HELD = {
    "pm1_0": 5.2, "pm2_5": 9.5, "pm4_0": 12.6, "pm10": 13.3, "humidity": 45.5,
    "temperature": 23.5, "voc_index": 100.0, "nox_index": 1.0,
}  # fmt: skip
DOOR = """
[device.door]
driver = "contact"
bus = "loops"
line = "heat"
event = "door"
debounce_ms = 0
active = "high"
bias = "none"
"""


@pytest.fixture
def street(tmp_path: Path) -> Iterator[LoopStreet]:
    with LoopStreet(tmp_path, Sen55(HELD, powered_s=86_400)) as one:
        yield one


def start(one: GatewayProcess) -> None:
    one.start()
    wait_until(lambda: (one.folder / "run" / "control.sock").exists())


def command(one: GatewayProcess, *words: str) -> list[str]:
    return [*KERBSTONE, "read", *words, "--config", str(one.config)]


def lane(answer: subprocess.CompletedProcess[str]) -> Any:
    assert answer.returncode == 0, answer.stderr
    (found,) = json.loads(answer.stdout)["lanes"]
    return found


def test_a_lane_shows_the_vehicles_that_pass(
    site: Callable[..., GatewayProcess], street: LoopStreet
) -> None:
    one = site(LOOPS, AIR, DOOR, period_s=2)
    start(one)
    street.drive(every_s=0.9)
    wait_until(lambda: len(street.passed) >= 4)
    found = lane(one.ask("read", "north_1"))
    passed = next(each for each in found["vehicles"] if "speed_kmh" in each)
    assert passed["speed_kmh"] == pytest.approx(50.0, abs=0.5)
    assert passed["length_m"] == pytest.approx(4.5, abs=0.1)
    assert passed["class"] == "short"
    lead, trail = found["loops"]
    assert lead["edges"] >= 7
    assert trail["edges_hour"] == trail["edges"] >= 6
    assert found["window"]["health"] == "ok"
    whole = json.loads(one.ask("read", "--all").stdout)
    assert [each["name"] for each in whole["devices"]] == ["hut_air"]
    assert [each["name"] for each in whole["contacts"]] == ["door"]
    assert whole["link"]["connected"] is True
    assert whole["queue"]["limit"] == 16 << 20
    street.end()
    assert one.stop() == 0


def test_without_a_daemon_the_lines_are_watched_here(
    site: Callable[..., GatewayProcess], street: LoopStreet
) -> None:
    one = site(LOOPS, AIR, DOOR)
    watching = subprocess.Popen(
        [*command(one, "north_1", "hut_air", "--for", "6"), "--json"],
        cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    street.drive(every_s=0.9)
    out, err = watching.communicate(timeout=90)
    street.end()
    assert watching.returncode == 0, err
    found = json.loads(out)
    assert found["through"] == "read on the wires; the daemon does not run"
    speeds = [each.get("speed_kmh") for each in found["lanes"][0]["vehicles"]]
    assert pytest.approx(50.0, abs=0.5) in speeds
    values = {each["point"]: each["value"] for each in found["devices"][0]["readings"]}
    assert values["temperature"] == 23.5
    assert found["contacts"] == [], "nobody asked for the door"


def test_all_without_a_daemon_ends_as_soon_as_everything_is_known(
    site: Callable[..., GatewayProcess], street: LoopStreet
) -> None:
    one = site(LOOPS, AIR, DOOR)
    begin_s = time.monotonic()
    answer = one.ask("read", "--all", "--for", "50")
    assert answer.returncode == 0, answer.stderr
    assert time.monotonic() - begin_s < 40
    found = json.loads(answer.stdout)
    assert [loop["on"] for loop in found["lanes"][0]["loops"]] == [False, False]
    assert found["contacts"][0]["on"] is False


def test_watched_in_a_pipe_each_line_is_news(
    site: Callable[..., GatewayProcess], street: LoopStreet
) -> None:
    one = site(LOOPS, period_s=60)
    start(one)
    process = subprocess.Popen(
        [*command(one, "north_1", "--watch", "--every", "0.2"), "--json"],
        cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert process.stdout is not None
    try:
        _news(process, street)
    finally:
        street.end()
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=60)
    assert process.returncode == 130
    assert err == ""
    assert one.stop() == 0


def _news(process: subprocess.Popen[str], street: LoopStreet) -> None:
    assert process.stdout is not None
    first = json.loads(process.stdout.readline())
    assert (first["what"], first["name"]) == ("lane", "north_1")
    street.drive(every_s=5)
    seen = json.loads(process.stdout.readline())
    while not any("speed_kmh" in each for each in seen["vehicles"]):
        seen = json.loads(process.stdout.readline())


def test_watched_on_a_terminal_rows_are_written_anew_in_their_place(
    site: Callable[..., GatewayProcess], street: LoopStreet
) -> None:
    one = site(LOOPS, AIR, DOOR, period_s=60)
    start(one)
    with PtyScreen(command(one, "--all", "--watch", "--every", "0.3"), cwd=ROOT) as screen:
        screen.wait("temperature")
        screen.wait("23.5 Cel")
        screen.wait("door (door): closed")
        street.chip.drive("heat", True, time.monotonic_ns())
        screen.wait("door (door): open")
        screen.read(2)
        sent = screen.read(3)
        assert len(sent) < 3000, f"{len(sent)} bytes for 10 looks at a quiet place"
        assert screen.text.count("lane of approach north") == 1, screen.text
        assert screen.rows[0].startswith("gw-1 at test, as the daemon holds it")
        assert all(len(row) <= 80 for row in screen.rows)

        one.stop()
        screen.wait("the daemon does not run; waiting for it")
        start(one)
        screen.wait("the daemon answers again")
        screen.wait(lambda it: "23.5 Cel" in it.text.rpartition("answers again")[2])
        screen.type("\x03")
        assert screen.end() == 130
        assert "Traceback" not in screen.text
    assert one.stop() == 0


def test_a_low_terminal_says_how_many_rows_it_has_no_room_for(
    site: Callable[..., GatewayProcess], street: LoopStreet
) -> None:
    one = site(LOOPS, AIR, DOOR, period_s=60)
    start(one)
    watch = command(one, "--all", "--watch", "--every", "0.3")
    with PtyScreen(watch, cwd=ROOT, lines=10) as screen:
        screen.wait("more rows")
        screen.read(1)
        assert screen.rows[0].startswith("gw-1 at test")
        screen.resize(60, 30)
        screen.wait("door (door)")
        screen.type("\x03")
        assert screen.end() == 130
    with PtyScreen(watch, cwd=ROOT, environ={"TERM": "dumb"}) as screen:
        screen.wait("hut_air temperature")
        screen.type("\x03")
        assert screen.end() == 130
        assert b"\x1b" not in screen.sent, "such a terminal moves no cursor"
    assert one.stop() == 0
