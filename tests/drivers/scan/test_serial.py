"""Scanning a serial port: those who talk, those who are asked, and what an echo is not."""

import functools

import pytest
from hypothesis import given
from hypothesis import strategies as st

import drivers
from drivers.buses.serial_port import SerialPort
from drivers.scan import asking, port, talking
from drivers.scan.found import Findings, Pace, ScanModbus
from drivers.sim._responder import Responder, SharedLine, TimedReply
from drivers.sim.dsmr import Dsmr
from drivers.sim.mbus import Mbus
from drivers.sim.sds011 import Sds011
from drivers.sim.zh03b import Zh03b
from edge.core import BusError, DataError, Framer
from edge.diagnose import tomlsnippet
from tests.drivers.scan.played import TALKERS, device, no_tick, on_a_port
from tests.kit import serialport as patient_port

ASKED = {
    "mhz19": "Winsen", "sps30_uart": "SPS30", "canoga": "Canoga", "dlt645": "DL/T 645",
    "mbus": "M-Bus", "dlms": "DLMS", "iec62056": "IEC 62056-21",
}  # fmt: skip


class Mirror(Responder):
    """An adapter that hears itself, on a line where nobody is."""

    def hear(self, heard: bytes) -> tuple[bytes, list[TimedReply]]:
        return b"", [(0.0, heard)]


@pytest.mark.parametrize("name", TALKERS)
async def test_those_who_talk_are_known_by_their_frames(name: str) -> None:
    with on_a_port(name) as place:
        port = SerialPort.at(place, "9600 8N1")
        found, heard = await talking.listen_for_talkers(port, "9600 8N1", 2.0)
        port.close()
    assert found is not None, heard
    assert found.driver == TALKERS[name]
    assert name == found.driver or name in found.also


@pytest.mark.parametrize("name", ASKED)
async def test_those_who_are_asked_are_known_by_their_answer(name: str) -> None:
    question, line = _question(ASKED[name])
    with on_a_port(name) as place:
        port = SerialPort.at(place, line)
        (found,) = await question(asking.Asker(port, line, 1.0, no_tick))
        port.close()
    assert found.driver == name
    assert not set(found.options) - set(drivers.spec(name).options)


@pytest.mark.parametrize("name", [*TALKERS, *ASKED])
async def test_every_device_is_found_whatever_it_was_asked_before(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The whole list, in its order, as fast as it goes: no question makes another device deaf."""
    monkeypatch.setattr(patient_port, "GRACE_NS", 50_000_000)
    findings = Findings()
    with device(name) as played:
        made = patient_port.waiting(played)

        def no_modbus(line: str, answer_s: float) -> ScanModbus:
            raise AssertionError("nobody was found")

        serial = functools.partial(made.at, played.port)
        listen_s = 2.0 if name in TALKERS else 0.02
        await port.scan_port(serial, no_modbus, Pace(listen_s, 0.01, 0.01), findings, no_tick)
    assert [found.driver for found in findings.devices] == [TALKERS.get(name, name)]


def test_every_serial_driver_is_looked_for() -> None:
    serial = {name for name in drivers.names() if drivers.spec(name).wiring == "serial"}
    assert {*TALKERS, *ASKED} == serial


@pytest.mark.parametrize("name", ASKED)
async def test_an_echo_is_nobody(name: str) -> None:
    question, line = _question(ASKED[name])
    with Mirror() as adapter:
        port = SerialPort.at(adapter.port, line)
        asker = asking.Asker(port, line, 0.2, no_tick)
        assert await question(asker) == []
        assert not asker.heard
        port.close()


async def test_an_sds011_that_was_told_to_wait_is_asked() -> None:
    with Sds011({"pm2_5": 7.0, "pm10": 9.0}, zeros=0) as device:
        device.query = True
        port = SerialPort(device.port, 115_200)
        (found,) = await asking._sds011(asking.Asker(port, "9600 8N1", 1.0, no_tick))
        port.close()
        assert not device.writes
    assert (found.driver, found.serial) == ("sds011", "58d9")


async def test_several_gas_meters_behind_a_p1_port_are_named_in_what_is_proposed() -> None:
    values = {"energy_import": 1.0, "gas_volume": 2.0, "gas_volume_2": 3.0}
    with Dsmr(values, every_s=0.05) as meter:
        port = SerialPort(meter.port, 115_200)
        found, _ = await talking.listen_for_talkers(port, "115200 8N1", 2.0)
        port.close()
    assert found is not None
    assert dict(found.options) == meter.options == {"gas": ["S00300000000", "S00300000001"]}
    assert "2 gas meters behind it" in found.what
    reported = tomlsnippet.render_tables([tomlsnippet.SnippetBus({"kind": "serial", "port": "x"},
                                   [tomlsnippet.SnippetDevice("dsmr",
                                   found.options)])])  # fmt: skip
    assert 'gas = ["S00300000000", "S00300000001"]' in reported


async def test_a_zh03b_that_waits_is_no_mhz19() -> None:
    with Zh03b({"pm1_0": 3.0, "pm2_5": 7.0, "pm10": 9.0}, zeros=0) as device:
        device.asked = True
        port = SerialPort(device.port, 115_200)
        (found,) = await asking._winsen_sensor(asking.Asker(port, "9600 8N1", 1.0, no_tick))
        port.close()
    assert (found.driver, dict(found.options)) == ("zh03b", {"mode": "asked"})


async def test_several_meters_on_m_bus_are_asked_one_by_one(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(asking, "PRIMARY", range(6))
    one, two = (Mbus({"energy_import": 5.0}, n, f"1000000{n}", turnaround_s=0.0) for n in (2, 5))
    with SharedLine([one, two]) as line:
        port = SerialPort(line.port, 115_200)
        asker = asking.Asker(port, "115200 8N1", 3.0, no_tick)
        found = await asking._mbus_meters(asker)
        port.close()
    reported = sorted(device.options.get("address", 0) for device in found)
    assert reported in ([2, 5], [2], [5])  # two answers in one are the first of them, at worst


class Babel(Responder):
    """Answers whatever is asked with bytes that mean nothing, or only what `to` is in."""

    def __init__(self, said: bytes, to: bytes = b"") -> None:
        super().__init__()
        self.said, self.to = said, to

    def hear(self, heard: bytes) -> tuple[bytes, list[TimedReply]]:
        self.asked += 1
        return b"", [(0.0, self.said)] if self.to in heard else []


EVERYBODY_MBUS = b"\x10\x40\xfe"  # how a reset of everybody begins


@pytest.mark.parametrize(
    ("said", "to", "line", "questions"),
    [
        (b"\x12\x34", b"", "2400 8E1", 3),  # it answers even those that cannot be there
        (b"\x12\xe5\x34", b"", "2400 8E1", 3),
        (b"\x12\x34", EVERYBODY_MBUS, "300 8E1", 1),  # six minutes are too much for a noise
        (b"\x12\x34", EVERYBODY_MBUS, "2400 8E1", 3 + 251),  # words of several at once
        (b"\xe5", EVERYBODY_MBUS, "300 8E1", 3 + 251),  # and here they are sure to be there
    ],
)
async def test_each_address_is_only_asked_when_somebody_may_be_there(
    said: bytes, to: bytes, line: str, questions: int
) -> None:
    steps: list[tuple[float, float]] = []

    def tick(step: str, seconds: float, more_s: float = 0.0) -> None:
        steps.append((seconds, more_s))

    noise = Babel(said, to)

    class Direct:
        """No port between them."""

        async def frame(
            self, cut: Framer, timeout_s: float, write: bytes = b"", newest: bool = False
        ) -> bytes:
            answers = noise.hear(write)[1]
            if not answers:
                raise BusError("silent")
            found, _ = cut(answers[0][1])
            if found is None:
                raise DataError("no frame")
            return found

        async def send(self, data: bytes) -> None: ...
        async def speed(self, baud: int = 0) -> None: ...
        def close(self) -> None: ...

    assert await asking._mbus_meters(asking.Asker(Direct(), line, 1.0, tick)) == []
    assert noise.asked == questions
    # all that was not in the estimate is added to it, before it is done
    assert sum(more for _, more in steps) == pytest.approx(sum(seconds for seconds, _ in steps))
    assert len(steps) in (0, 1, 1 + 251)


class Noise:
    """A port on which these bytes come, whatever is asked."""

    def __init__(self, data: bytes) -> None:
        self.data = data

    async def frame(
        self, cut: Framer, timeout_s: float, write: bytes = b"", newest: bool = False
    ) -> bytes:
        rest = self.data
        while rest:
            found, done = cut(rest)
            if found is not None:
                return found
            if done <= 0:
                break
            rest = rest[done:]
        raise DataError("no frame")

    async def send(self, data: bytes) -> None: ...
    async def speed(self, baud: int = 0) -> None: ...
    def close(self) -> None: ...


HEADS = [b"", b"\xff\x86", b"\xaa\xc0", b"<14\xffa", b"\x7e\x00\xd0", b"\x68", b"\xe5h", b"BM\x00",
         b"/KST5", b"\x1b\x1b\x1b\x1b\x01\x01\x01\x01", b"\x7e\xa0"]  # fmt: skip


@given(st.sampled_from(HEADS), st.binary(max_size=300))
async def test_nothing_that_comes_is_too_much(head: bytes, tail: bytes) -> None:
    noise = Noise(head + tail)
    found, _ = await talking.listen_for_talkers(noise, "9600 8N1", 1.0)
    assert found is None or found.driver in drivers.names()
    for _, question, lines, _ in asking.QUESTIONS:
        for one in await question(asking.Asker(noise, lines[0], 1.0, no_tick)):
            assert one.driver in drivers.names()


def _question(label: str) -> tuple[asking.Question, str]:
    return next((ask, lines[0]) for known, ask, lines, _ in asking.QUESTIONS if known == label)
