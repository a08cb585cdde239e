"""`kerbstone live` on a real pseudo-terminal of 80 columns and 24 rows, beside a real daemon."""

import re
import time
from collections.abc import Callable, Iterator
from pathlib import Path

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
COLOUR = re.compile(rb"\x1b\[(?:[0-9;]*;)?(3[0-8]|4[0-8]|9[0-7]|10[0-7])(?:;[0-9;]*)?m")
SLOW_LINE_BYTES = 960  # a second at 9600 baud
MODELS_OFF = "[models]\ncongestion = false\nanomaly = false\nloopfault = false\n"


@pytest.fixture
def street(tmp_path: Path) -> Iterator[LoopStreet]:
    with LoopStreet(tmp_path, Sen55(HELD, powered_s=86_400)) as one:
        yield one


@pytest.fixture
def box(site: Callable[..., GatewayProcess], street: LoopStreet) -> GatewayProcess:
    one = site(MODELS_OFF, LOOPS, AIR, period_s=4)
    start(one)
    return one


def start(one: GatewayProcess) -> None:
    one.start()
    wait_until(lambda: (one.folder / "run" / "control.sock").exists())


def live(one: GatewayProcess, *words: str, lines: int = 24, **environ: str) -> PtyScreen:
    command = [*KERBSTONE, "live", *words, "--config", str(one.config)]
    return PtyScreen(command, cwd=ROOT, lines=lines, environ=environ)


def test_lanes_are_shown_as_they_are_driven_over(box: GatewayProcess, street: LoopStreet) -> None:
    with live(box, "--every", "0.5", lines=30) as screen:
        screen.wait("23.5 Cel")
        assert screen.rows[0].startswith("gw-1 at test  connected, ")
        screen.wait("north_1.lead             free")
        street.drive(every_s=1.5)
        screen.wait("50.0 km/h    4.5 m  short")
        screen.wait(lambda it: re.search(r"north_1\.lead .*[▄█]", it.text))
        screen.wait("50 km/h")
        assert all(len(row) <= 80 for row in screen.rows)
        street.end()
        screen.type("q")
        assert screen.end() == 0
    assert box.stop() == 0


def test_a_slow_line_carries_it(box: GatewayProcess) -> None:
    with live(box, "--every", "1") as screen:
        screen.wait("23.5 Cel")
        screen.read(14)  # the course of each value fills its columns
        begin_s = time.monotonic()
        sent = len(screen.read(6))
        seconds = time.monotonic() - begin_s
        assert sent / seconds < SLOW_LINE_BYTES, f"{sent} bytes in {seconds:.1f} s"
        screen.type("p")
        screen.wait("PAUSED")
        screen.read(1)
        assert screen.read(3) == b"", "nothing is sent while it stands still"
        screen.type("p")
        screen.wait("q quit")
        screen.type("\x03")
        assert screen.end() == 130
    assert b"\x1b[?1049l" in screen.sent[-200:], "the terminal is given back as it was"


def test_a_daemon_that_restarts_is_waited_for(box: GatewayProcess) -> None:
    with live(box, "--every", "0.5") as screen:
        screen.wait("23.5 Cel")
        box.stop()
        screen.wait("NO ANSWER for ")
        screen.wait("the daemon does not run; waiting for it")
        assert "23.5 Cel" in screen.text, "what was known stays, and grows old"
        start(box)
        screen.wait(lambda it: "connected, " in it.rows[0])
        screen.type("q")
        assert screen.end() == 0
    assert box.stop() == 0


def test_it_scrolls_and_follows_the_window(box: GatewayProcess) -> None:
    with live(box, "--every", "0.5", lines=40) as screen:
        screen.wait("nox_index")  # until then all rows fit on a small window too
        screen.resize(80, 12)
        screen.wait(lambda it: it.rows[0].startswith("gw-1") and it.rows[11].startswith("q quit"))
        screen.type("\x1b[6~")
        screen.wait("nox_index")
        assert screen.rows[0].startswith("gw-1 at test"), "the title stays"
        screen.type("\x1b[H")
        screen.wait("LINK")
        screen.resize(60, 40)
        screen.wait("nox_index")
        screen.read(1)
        assert all(len(row) <= 60 for row in screen.rows)
        screen.type("q")
        assert screen.end() == 0


def test_only_what_is_named(box: GatewayProcess) -> None:
    with live(box, "hut_air") as screen:
        screen.wait("23.5 Cel")
        assert "LANES" not in screen.text
        screen.type("q")
        assert screen.end() == 0


def test_no_colour_where_nobody_wants_one(box: GatewayProcess) -> None:
    with live(box) as screen:
        screen.wait("23.5 Cel")
        screen.type("q")
        screen.end()
        assert COLOUR.search(screen.sent)
    with live(box, NO_COLOR="1") as screen:
        screen.wait("23.5 Cel")
        screen.type("q")
        screen.end()
        assert not COLOUR.search(screen.sent), screen.sent


def test_a_terminal_that_cannot_show_it_is_told_what_can(box: GatewayProcess) -> None:
    for term in ("dumb", ""):
        with live(box, TERM=term) as screen:
            assert screen.end() == 2
            assert "`kerbstone read --all --watch`" in screen.text.replace("\n    ", "")
            assert b"\x1b" not in screen.sent


def test_those_who_look_on_leave_nothing_in_the_daemons_memory(box: GatewayProcess) -> None:
    wait_until(lambda: box.log.read_text().count("first record confirmed") == 1)
    screens = [live(box, "--every", "0.5") for _ in range(3)]
    try:
        for screen in screens:
            screen.wait("23.5 Cel")
        before_kib = box.memory_kib
        for _ in range(4):
            for screen in screens:
                screen.read(0.5)
        assert box.memory_kib - before_kib < 2048
        for screen in screens:
            screen.type("q")
            assert screen.end() == 0
    finally:
        for screen in screens:
            screen.__exit__(None, None, None)
    assert box.stop() == 0
