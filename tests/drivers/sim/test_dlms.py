"""The simulated DLMS/COSEM meter on its pseudo-terminal, and the library's client as its peer."""

import select
from collections.abc import Iterator
from typing import Any

import pytest

from drivers.buses.serial_port import SerialPort
from drivers.chips.dlms import Dlms as Driver
from drivers.sim._dlms_hdlc import encode_frame, parse_frame
from drivers.sim._dlms_registers import ROWS
from drivers.sim._responder import SharedLine
from drivers.sim.dlms import FAULTS, Dlms
from edge.core import BusError, DataError
from tests.drivers.known import read
from tests.kit.serialport import waiting

FAST = 115200  # what a port waits between frames goes by its speed; a pty has none
VALUES = {
    "energy_import": 1234.567,
    **{f"energy_import_t{n}": 100.01 * n for n in (1, 2, 3, 4)},
    "energy_export": 0.078,
    "reactive_energy_import": 9.5,
    "reactive_energy_export": 0.5,
    "power": -851.2,
    **{f"power_l{n}": 100.5 - 200 * n for n in (1, 2, 3)},
    "reactive_power": -433.0,
    **{f"voltage_l{n}": 229.1 + n for n in (1, 2, 3)},
    **{f"current_l{n}": -1.25 * n for n in (1, 2, 3)},
    "power_factor": -0.95,
    "frequency": 49.5,
}


@pytest.fixture
def meter() -> Iterator[Dlms]:
    with Dlms(VALUES, 17, turnaround_s=0.0) as made:
        yield made


@pytest.fixture
def port(meter: Dlms) -> Iterator[SerialPort]:
    made = waiting(meter)(meter.port, FAST)
    yield made
    made.close()


async def test_what_it_holds_is_what_is_read(meter: Dlms, port: SerialPort) -> None:
    device = Driver(port, 17)
    await device.open()
    for _ in range(2):
        assert await read(device) == pytest.approx(VALUES)
    assert (device.identity, device.health) == ("12345678", {})


async def test_its_faults_are_seen_and_it_recovers() -> None:
    values = {"energy_import": 12.0, "frequency": 50.0}
    with Dlms(values, turnaround_s=0.0) as meter:
        port = waiting(meter)(meter.port, FAST)
        device = Driver(port, timeout_s=0.05)
        meter.late_s = 3600.0
        assert await read(device) == values
        healed = {"crc", "hcs", "cut", "noise", "echo", "not_ready", "foreign"}
        ignored = {"refused", "wrong_unit", "wrong_block"}  # these are not of an energy's value
        for fault in FAULTS:
            meter.faults.extend(["", "", "", fault])
            try:
                assert (await read(device) == values) is (fault in healed | ignored), fault
            except (BusError, DataError):
                assert fault not in healed | ignored
            meter.faults.clear()
            if fault == "late":
                meter.hurry()
                assert select.select([port._fd], [], [], 20.0)[0]
            assert await read(device) == values, fault
        meter.fault = "refused"
        with pytest.raises(DataError, match="refuses the association"):
            await device.read()
        meter.fault = "silent"
        with pytest.raises(BusError):
            await device.read()
        port.close()


async def test_two_on_one_line() -> None:
    meters = [
        Dlms({"power": 1.0}, 17, turnaround_s=0.0),
        Dlms({"power": 2.0}, 1000, password="12345678", serial="2", turnaround_s=0.0),
    ]
    with SharedLine(meters) as line:
        port = waiting(line)(line.port, FAST)
        one, two = Driver(port, 17), Driver(port, 1000, password="12345678")
        for _ in range(2):
            assert await read(one) == {"power": 1.0}
            assert await read(two) == {"power": 2.0}
        assert (one.identity, two.identity) == ("12345678", "2")
        port.close()


@pytest.mark.parametrize(
    ("address", "room", "password"), [(17, 128, ""), (9999, 128, "12345678"), (17, 20, "")]
)
def test_the_client_of_another_implementation_reads_it(
    address: int, room: int, password: str
) -> None:
    io = pytest.importorskip("dlms_cosem.io")
    peer = pytest.importorskip("dlms_cosem.client")
    security = pytest.importorskip("dlms_cosem.security")
    way = (
        security.LowLevelSecurityAuthentication(password.encode())
        if password
        else security.NoSecurityAuthentication()
    )
    with Dlms(VALUES, address, password=password, room=room, turnaround_s=0.0) as meter:
        client = peer.DlmsClient(
            transport=io.HdlcTransport(
                client_logical_address=16,
                server_logical_address=1,
                server_physical_address=address,
                extended_addressing=address > 127,
                io=io.SerialIO(port_name=meter.port, timeout=2),
            ),
            authentication=way,
            connection_settings=peer.DlmsConnectionSettings(use_rlrq_rlre=False),
        )
        client.connect()
        client.associate()
        for key in ("energy_import", "power", "voltage_l2", "power_factor"):
            assert _by(client, key) == pytest.approx(VALUES[key]), key
        with pytest.raises(peer.DataResultError, match="UNDEFINED"):
            _got(client, "99.7.0", 2)
        client.disconnect()


def _by(client: Any, key: str) -> float:
    parse = pytest.importorskip("dlms_cosem.utils").parse_as_dlms_data
    code, _, _, unit, _ = ROWS[key][0]
    value = parse(_got(client, code, 2))
    exponent, there = parse(_got(client, code, 3))
    assert there == unit
    found: float = value * 10.0**exponent / (1000 if unit == 30 else 1)
    return found


def _got(client: Any, code: str, attribute: int) -> bytes:
    cosem = pytest.importorskip("dlms_cosem.cosem")
    register = pytest.importorskip("dlms_cosem.enumerations").CosemInterface.REGISTER
    obis = cosem.Obis.from_string(f"1.0.{code}.255")
    data: bytes = client.get(cosem.CosemAttribute(register, obis, attribute))
    return data


def test_it_keeps_the_rules_of_hdlc() -> None:
    meter = Dlms({"power": 1.0}, room=32)

    def ask(control: int, info: bytes = b"") -> tuple[int, bytes, bool]:
        question = encode_frame(meter.own, meter.client, control, info)
        parts = parse_frame(meter.hear(question)[1][0][1][1:-1])
        assert parts is not None
        return parts[2:]

    aarq = bytes.fromhex("e6e600601da109060760857405080101be10040e01000000065f1f0400001010ffff")
    assert ask(0x10, aarq)[0] == 0x1F  # not connected
    assert ask(0x93)[0] == 0x73
    first = ask(0x10, aarq)
    assert (first[0], first[2]) == (0x30, True)
    assert ask(0x10, aarq)[0] == 0x31  # the same again: heard already
    assert ask(0x11) == first  # not acknowledged: once more
    second = ask(0x31)
    assert (second[0], second[2]) == (0x32, False)
    assert ask(0x51)[0] == 0x31  # nothing more to say
    damaged = bytearray(encode_frame(meter.own, meter.client, 0x53))
    damaged[-2] ^= 1
    assert meter.hear(bytes(damaged)) == (b"", [])
    assert ask(0x53)[0] == 0x73
    assert ask(0x11)[0] == 0x1F
