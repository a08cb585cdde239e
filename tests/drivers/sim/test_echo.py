"""An adapter that echoes, on a line where nobody answers: what a driver wrote is no answer."""

import os
import select
from collections.abc import Callable
from typing import Any, cast

import pytest

import drivers
from drivers.sim._responder import ECHO_ONLY, Responder, SharedLine
from drivers.sim.canoga import Canoga
from drivers.sim.dlms import Dlms
from drivers.sim.dlt645 import Dlt645
from drivers.sim.mbus import Mbus
from drivers.sim.mhz19 import Mhz19
from drivers.sim.sps30_uart import Sps30Uart
from edge.core import BusError, DataError, Polled
from tests.kit.serialport import waiting

FAST = 115_200
MADE: dict[str, tuple[Callable[[], Responder], dict[str, Any]]] = {
    "canoga": (lambda: Canoga({}), {}),
    "dlms": (lambda: Dlms({}), {"timeout_s": 0.2}),
    "dlt645": (lambda: Dlt645({}), {"address": "000000000161"}),
    "mbus": (lambda: Mbus({}), {"address": 1, "timeout_s": 0.2}),
    "mhz19": (lambda: Mhz19({}), {}),
    "sps30_uart": (lambda: Sps30Uart({}), {}),
}


@pytest.mark.parametrize("name", MADE)
async def test_an_echo_is_no_answer(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    make, options = MADE[name]
    monkeypatch.setattr(drivers.chip(name), "ANSWER_S", 0.05, raising=False)
    with make() as made:
        made.fault = ECHO_ONLY
        port = waiting(made)(made.port, FAST)
        driver = cast(Polled, drivers.build(name, port, options))

        async def reading() -> None:
            await driver.open()
            await driver.read()

        with pytest.raises((BusError, DataError)):
            await reading()
        await driver.close()
        port.close()
        assert made.asked == 0


def said(fd: int, count: int) -> bytes:
    """So many bytes, and what comes within a moment after them."""
    data = b""
    while select.select([fd], [], [], 5 if len(data) < count else 0.05)[0]:
        data += os.read(fd, 256)
    return data


def test_the_echo_is_the_line_s_and_all_that_comes_until_the_fault_is_gone() -> None:
    asked = bytes.fromhex("ff0186000000000079")
    one, other = Mhz19({"co2": 612.0}, fault=ECHO_ONLY), Canoga({})
    with SharedLine([one, other]) as line:
        fd = os.open(line.port, os.O_RDWR | os.O_NOCTTY)
        try:
            os.write(fd, asked)
            assert said(fd, len(asked)) == asked
            one.fault = ""
            os.write(fd, asked)
            answer = said(fd, 9)
            assert (len(answer), answer[:2]) == (9, b"\xff\x86")
        finally:
            os.close(fd)
