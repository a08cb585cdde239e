"""The simulated M-Bus meter on its pseudo-terminal, and pyMeterBus as a peer of what it sends."""

import select
import struct
from collections.abc import Iterator
from typing import Any

import pytest
import serial
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st

from drivers.buses.serial_port import SerialPort
from drivers.chips._mbus_records import vif_meaning
from drivers.chips.mbus import Mbus as Driver
from drivers.chips.mbus import parse_telegram
from drivers.sim._responder import SharedLine
from drivers.sim.mbus import FAULTS, HEAT, Mbus, long_frame
from edge.core import BusError, DataError
from edge.core.remedies import split_remedy
from tests.drivers.known import read
from tests.kit.serialport import waiting

FAST = 115200  # what a port waits between telegrams goes by its speed; a pty has none
VALUES = {
    "energy_import": 1234.567,
    "energy_export": 0.078,
    "energy_import_t1": 1000.5,
    "power": -851.2,
    "power_l3": 100.5,
    "voltage_l1": 230.1,
    "current_l2": -4.999,
    "frequency": 49.98,
}


@pytest.fixture
def meter() -> Iterator[Mbus]:
    with Mbus(VALUES, 5, per_telegram=6, turnaround_s=0.0) as made:
        yield made


@pytest.fixture
def port(meter: Mbus) -> Iterator[SerialPort]:
    made = waiting(meter)(meter.port, FAST, "E")
    yield made
    made.close()


async def test_a_silent_meter_was_asked_all_the_same(meter: Mbus, port: SerialPort) -> None:
    """A rig says of it that somebody asked, and heard nothing."""
    meter.misbehave("silent")
    with pytest.raises(BusError):
        await read(Driver(port, 5))
    assert meter.asked > 0


async def test_what_it_holds_is_what_is_read(meter: Mbus, port: SerialPort) -> None:
    for device in (Driver(port, 5), Driver(port, secondary="12345678")):
        await device.open()
        assert await read(device) == pytest.approx(VALUES)
        assert device.identity == "KRB 12345678"


@pytest.mark.parametrize(
    "before",
    [
        bytes.fromhex("68aaaaaaaaaaaa681300df16"),  # DL/T 645: what is its address?
        bytes.fromhex("68050668"),  # two lengths
        bytes.fromhex("680202680000"),  # no telegram is so short
    ],
)
def test_who_speaks_otherwise_does_not_keep_it_waiting(before: bytes) -> None:
    meter = Mbus(VALUES, 5)
    left, said = meter.hear(before + bytes.fromhex("1040054516"))
    assert (left, [words for _, words in said]) == (b"", [b"\xe5"])


async def test_its_faults_are_seen_and_it_recovers(meter: Mbus, port: SerialPort) -> None:
    device = Driver(port, 5, timeout_s=0.05)
    meter.late_s = 3600.0
    for fault in FAULTS:
        meter.faults.append(fault)
        try:
            assert await read(device) == pytest.approx(VALUES)
            assert fault in ("noise", "endless")
        except (DataError, BusError):
            assert fault not in ("noise", "endless")
        if fault == "late":
            meter.hurry()
            assert select.select([port._fd], [], [], 20.0)[0]
        assert await read(device) == pytest.approx(VALUES), fault


async def test_an_answer_of_another_address_is_told_as_such(meter: Mbus, port: SerialPort) -> None:
    """Its frame is sound: neither the baud rate nor the wires are wrong."""
    meter.faults.append("foreign")
    with pytest.raises(BusError) as caught:
        await Driver(port, 5, timeout_s=0.1).read()
    cause, remedy = split_remedy(str(caught.value))
    assert cause == "address 5: another meter answered, with address 6"
    assert remedy == "set address = 6, or give the meter the address 5"


async def test_two_on_one_line() -> None:
    meters = [
        Mbus(VALUES, 5, turnaround_s=0.0),
        Mbus({"volume": 12.5}, 6, "00000006", medium=HEAT, turnaround_s=0.0),
    ]
    with SharedLine(meters) as line:
        port = waiting(line)(line.port, FAST, "E")
        assert await read(Driver(port, 6)) == {"volume": 12.5}
        assert await read(Driver(port, secondary="12345678")) == pytest.approx(VALUES)
        assert await read(Driver(port, secondary="00000006")) == {"volume": 12.5}
        with pytest.raises(BusError):
            await Driver(port, 7, timeout_s=0.03).read()
        port.close()


def test_the_frame_count_bit_is_kept_as_a_meter_keeps_it() -> None:
    meter = Mbus({"power": 1.0, "voltage": 2.0}, 1, per_telegram=2)

    def ask(control: int) -> bytes:
        return meter.hear(bytes((0x10, control, 1, control + 1, 0x16)))[1][0][1]

    assert ask(0x40) == b"\xe5"
    first, again, second = ask(0x7B), ask(0x7B), ask(0x5B)
    assert first[19:-2] == again[19:-2] != second[19:-2]
    assert ask(0x40) == b"\xe5"
    assert ask(0x7B)[19:-2] == first[19:-2]


def test_another_implementation_decodes_what_it_sends() -> None:
    peer = pytest.importorskip("meterbus")
    heat = {
        "energy": 1527.0,
        "volume": 123456.78,
        "volume_flow": -1.234,
        "temperature_flow": 85.4,
        "temperature_difference": 4.3,
    }
    meter = Mbus(heat, 1, "00000022", "ABC", HEAT, status=4)
    data = meter.hear(bytes.fromhex("107b017c16"))[1][0][1]
    read = peer.load(data)
    header = read.interpreted["body"]["header"]
    assert header["manufacturer"] == "ABC"
    assert int(header["identification"].replace(", ", "").replace("0x", "")) == 22
    found = [float(r.parsed_value) for r in read.records[: len(heat)]]
    assert found == pytest.approx([1527000, 123456.78, -1.234, 85.4, 4.3])
    meter = Mbus({"power": -851.2, "voltage_l1": 230.1, "current_l2": -4.999}, 1)
    read = peer.load(meter.hear(bytes.fromhex("107b017c16"))[1][0][1])
    assert [float(r.parsed_value) for r in read.records[:3]] == pytest.approx(
        [-851.2, 230.1, -4.999]
    )


def test_the_master_of_another_implementation_reads_it(meter: Mbus) -> None:
    peer = pytest.importorskip("meterbus")
    with serial.Serial(meter.port, FAST, timeout=0.5) as port:

        def answer() -> Any:
            return peer.load(peer.recv_frame(port, peer.FRAME_DATA_LENGTH))

        peer.send_ping_frame(port, 5)
        assert port.read(1) == b"\xe5"
        telegrams: list[Any] = []
        request = peer.send_request_frame_multi(port, 5)
        while not telegrams or telegrams[-1].more_records_follow:
            if telegrams:
                request.header.cField.parts[0] ^= peer.CONTROL_MASK_FCB
                peer.send_request_frame_multi(port, 5, request)
            telegrams.append(answer())
        found = [float(r.value) for t in telegrams for r in t.records if r.value is not None]
        assert len(telegrams) == 2
        assert found[:8] == pytest.approx(
            [1234567, 78, 1000500, -851.2, 100.5, 230.1, -4.999, 49980]
        )
        whole = telegrams[0].secondary_address
        assert whole.startswith("12345678")
        for secondary, there in ((whole, True), ("12FFFFFFFFFFFFFF", True), ("9" * 16, False)):
            peer.send_select_frame(port, secondary)
            assert (port.read(1) == b"\xe5") is there
            if there:
                peer.send_request_frame(port, 253)
                assert answer().secondary_address == whole


PEER_VIFS = ("03", "06", "0e", "13", "2b", "2e", "3b", "3e", "5b", "5d", "61", "fd48", "fd59")
PEER_KINDS = {1: 1, 2: 2, 3: 3, 4: 4, 5: 4, 6: 6, 7: 8, 9: 1, 10: 2, 11: 3, 12: 4, 14: 6}


@settings(deadline=None)  # the first one imports the peer
@example([(6, "03", 0, "storage", 0)], bytes(4))
@given(
    st.lists(
        st.tuples(
            st.sampled_from(sorted(PEER_KINDS)),
            st.sampled_from(PEER_VIFS),
            st.integers(0, 99999999),
            st.sampled_from(["", "storage", "tariff", "subunit"]),
            st.integers(0, 3),
        ),
        min_size=1,
        max_size=8,
    ),
    st.binary(max_size=20),
)
def test_records_mean_what_another_implementation_makes_of_them(
    rows: list[tuple[int, str, int, str, int]], tail: bytes
) -> None:
    peer = pytest.importorskip("meterbus")
    body = b""
    for kind, vif, number, where, function in rows:
        size = PEER_KINDS[kind]
        raw = (number % 256**size).to_bytes(size, "little")
        if kind == 5:
            raw = struct.pack("<f", number / 8)
        elif kind >= 9:
            raw = bytes.fromhex(f"{number % 100**size:0{2 * size}d}")[::-1]
        extension = {"": b"", "storage": b"\x01", "tariff": b"\x20", "subunit": b"\x40"}[where]
        body += bytes((kind | function << 4 | (0x80 if where else 0),))
        body += extension + bytes.fromhex(vif) + raw
    frame = long_frame(
        8, 1, 0x72, bytes.fromhex("78563412422e01022a000000") + body + b"\x0f" + tail
    )
    assume(frame[1] != 0x44)  # it takes this length for the sign of a wireless telegram
    theirs = peer.load(frame).records[: len(rows)]
    ours = parse_telegram(frame).records
    assert len(ours) == len(rows)
    for mine, other, row in zip(ours, theirs, rows, strict=True):
        reported = vif_meaning(mine.vif)
        assert reported is not None
        assert (mine.storage, mine.tariff, mine.subunit) == (
            2 * (row[3] == "storage"), 2 * (row[3] == "tariff"), int(row[3] == "subunit")
        )  # fmt: skip
        if mine.value is None:  # 80 00..: no value; the other one makes a number of it
            continue
        unit = {
            "Wh": 0.001,
            "J": 1 / 3.6e6,
            "W": 1,
            "m^3": 1,
            "m^3/h": 1,
            "C": 1,
            "K": 1,
            "V": 1,
            "A": 1,
        }
        want = float(other.parsed_value) * unit[str(other.unit)]
        assert float(mine.value * reported.factor) == pytest.approx(want, rel=1e-6, abs=1e-9)
