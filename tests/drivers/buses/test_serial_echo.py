"""Adapters that hear themselves: what was said and comes back is nobody's answer."""

import asyncio
from collections.abc import Iterator
from typing import Any, cast

import pytest

import drivers
from drivers.buses.echo import Echo
from drivers.buses.modbus.rtu import ModbusRtu
from drivers.buses.serial_port import SerialPort
from edge.core import BusError, Polled, Reason
from tests.kit.serialport import FarEnd, waiting


@pytest.fixture
def port(far: FarEnd) -> Iterator[SerialPort]:
    opened = waiting(far)(far.path, 115_200)
    yield opened
    opened.close()


def cut(data: bytes) -> tuple[bytes | None, int]:
    """Frames are `<...>`, questions too."""
    end = data.find(b">")
    return (data[: end + 1], end + 1) if end >= 0 else (None, 0)


@pytest.mark.parametrize(
    ("pieces", "reported", "held"),
    [
        ((b"question",), b"", b""),
        ((b"que", b"stion", b"answer"), b"answer", b""),
        ((b"questionanswer",), b"answer", b""),
        ((b"que", b"st"), b"", b"quest"),  # it may be one yet
        ((b"que", b"er"), b"queer", b""),
        ((b"\0question",), b"\0question", b""),  # not first: who can tell
        ((b"questionquestion",), b"question", b""),  # an answer may equal its question
        ((b"answer", b"question"), b"answerquestion", b""),
    ],
)
def test_one_whole_copy_that_comes_first_is_an_echo(
    pieces: tuple[bytes, ...], reported: bytes, held: bytes
) -> None:
    echo = Echo(b"question")
    assert b"".join(map(echo.without, pieces)) == reported
    assert echo.release() == held
    assert echo.release() == b""


def test_the_parity_of_seven_bits_is_not_compared() -> None:
    said = bytes.fromhex("af3f218d0a")  # /?! as a driver says it with parity
    assert Echo(said, 7).without(b"/?!\r\n/ABC") == b"/ABC"
    assert Echo(said, 8).without(b"/?!\r\n/ABC") == b"/?!\r\n/ABC"


async def test_behind_an_echo_comes_the_answer(far: FarEnd, port: SerialPort) -> None:
    far.answer(lambda asked: asked + b"<answer>")
    assert await port.frame(cut, 20.0, write=b"<question>") == b"<answer>"


async def test_an_answer_that_equals_its_question_is_one(far: FarEnd, port: SerialPort) -> None:
    far.answer(lambda asked: asked + asked)
    assert await port.frame(cut, 20.0, write=b"<same>") == b"<same>"


async def test_an_answer_that_begins_as_its_question_is_one(far: FarEnd, port: SerialPort) -> None:
    far.answer(lambda asked: b"<12>")
    assert await port.frame(lambda data: (data[:3], 3) if data else (None, 0), 0.2, b"<123") == (
        b"<12"
    )


async def test_an_answer_that_is_the_beginning_of_its_question_is_one(
    far: FarEnd, port: SerialPort
) -> None:
    far.answer(lambda asked: b"<1>")
    assert await port.frame(cut, 0.2, write=b"<1>more") == b"<1>"


QUIET: dict[str, dict[str, Any]] = {
    "dlt645": {"address": "000000000161"}, "mbus": {"address": 5, "timeout_s": 0.2},
    "dlms": {"address": 17, "timeout_s": 0.2}, "canoga": {"address": 3}, "sps30_uart": {},
    "mhz19": {}, "iec62056": {}, "sds011": {}, "zh03b": {"mode": "asked"},
}  # fmt: skip


@pytest.mark.parametrize("name", QUIET)
async def test_who_is_dead_on_an_adapter_that_hears_itself_is_silent(
    far: FarEnd, port: SerialPort, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    real = port.frame
    said: list[float] = []

    async def soon(cut, timeout_s, write=b"", newest=False):  # type: ignore[no-untyped-def]
        said.append(timeout_s)
        return await real(cut, 0.02, write, newest)

    monkeypatch.setattr(port, "frame", soon)
    far.answer(lambda asked: asked)
    device = cast(Polled, drivers.build(name, port, QUIET[name]))
    with pytest.raises(BusError) as caught:  # noqa: PT012
        await device.open()
        await device.read()
    assert caught.value.reason is Reason.SILENT
    assert len(said) <= 3
    assert sum(said) <= 5.5


def test_a_modbus_unit_that_is_dead_on_such_an_adapter_is_silent(
    far: FarEnd, port: SerialPort
) -> None:
    far.answer(lambda asked: asked)
    master = ModbusRtu(port, 0.05)
    with pytest.raises(BusError) as caught:
        asyncio.run(master.read_registers(1, 3, 0, 2))
    assert caught.value.reason is Reason.SILENT
