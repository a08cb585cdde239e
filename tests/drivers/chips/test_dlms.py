"""DLMS/COSEM: frames and data never believed unseen, conversations kept, the library kept small."""

import asyncio
import subprocess
import sys

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from drivers.chips import _cosem as cosem
from drivers.chips import _hdlc as hdlc
from drivers.chips import dlms as chip
from drivers.chips._cosem import Attribute
from drivers.chips._dlms_readings import CODES
from drivers.chips._hdlc import HdlcFrame
from drivers.chips._obis import Obis
from drivers.chips.dlms import DRIVER, Dlms, explain
from drivers.sim._dlms_hdlc import encode_address, encode_frame, wrong_hcs
from drivers.sim.dlms import Dlms as Meter
from edge.core import Bad, BusError, Condition, ConfigError, DataError, Reason, SelfReporting
from tests.drivers.chips.wired import Wired
from tests.drivers.known import read

CLIENT, SERVER = b"\x21", b"\x03"
GOOD = encode_frame(CLIENT, SERVER, 0x30, b"\xe6\xe7\x00\xc4\x01\xc1\x00\x12\x08\xfd")
IMPORT = Attribute(3, Obis(1, 0, 1, 8, 0))


# --- frames -----------------------------------------------------------------------------------


def test_frames_are_those_of_the_standards_examples() -> None:
    server = hdlc.server_address(1, 17, wide=True)
    snrm = hdlc.encode(HdlcFrame(server, hdlc.client_address(16), hdlc.SNRM))
    assert snrm.hex() == "7ea00a00020023219318717e"
    assert cosem.association("12345678").hex() == (
        "6036a1090607608574050801018a0207808b0760857405080201ac0a80083132333435363738"
        "be10040e01000000065f1f0400001010ffff"
    )
    aare = "6129a109060760857405080101a203020100a305a103020100be10040e0800065f1f0400007c1f04000007"
    cosem.check_aare(bytes.fromhex(aare))


def test_frames_are_those_of_another_implementation() -> None:
    frames = pytest.importorskip("dlms_cosem.hdlc.frames")
    there = pytest.importorskip("dlms_cosem.hdlc.address").HdlcAddress
    for logical, physical, wide in ((1, None, False), (1, 17, False), (1, 17, True), (16, 9999, 1)):
        server, client = there(logical, physical, "server", bool(wide)), there(16, None, "client")
        mine = hdlc.server_address(logical, physical or 0, bool(wide))
        assert server.to_bytes() == mine
        for info in (b"\xe6\xe6\x00\x7e\x7e", b"x" * 300):
            other = frames.InformationFrame(
                server, client, info, send_sequence_number=3, receive_sequence_number=5,
                segmented=True,
            ).to_bytes()  # fmt: skip
            frame = HdlcFrame(mine, hdlc.client_address(16), 5 << 5 | 0x10 | 3 << 1, info, True)
            assert hdlc.encode(frame) == other
            assert hdlc.decode(other) == frame
            assert (frame.sent, frame.expected, frame.numbered, frame.ready) == (3, 5, True, False)


@pytest.mark.parametrize(
    ("logical", "physical", "raw"),
    [(1, 0, "03"), (1, 16, "0221"), (1, 128, "00020201"), (200, 0, "0291"), (1, 16383, "0002feff")],
)
def test_addresses_are_as_short_as_they_go(logical: int, physical: int, raw: str) -> None:
    assert (
        hdlc.server_address(logical, physical).hex()
        == raw
        == encode_address(logical, physical).hex()
    )
    for wrong in ((0, 1), (16384, 0), (1, -1), (1, 16384)):
        with pytest.raises(ValueError, match="16383"):
            hdlc.server_address(*wrong)


@given(st.binary(max_size=120), st.integers(1, 40))
def test_whatever_comes_before_it_an_answer_is_found(rubbish: bytes, step: int) -> None:
    cut = hdlc.answer_framer(CLIENT, SERVER, lambda _: True)
    stream = rubbish + b"\xff" * hdlc.LONGEST + GOOD  # half a frame waits for so much more
    buffer, found = b"", []
    for at in range(0, len(stream), step):
        buffer += stream[at : at + step]
        while buffer:
            one, done = cut(buffer)
            assert 0 <= done <= len(buffer)
            buffer = buffer[done:]
            if one is None and not done:
                break
            if one is not None:
                found.append(one)
    assert GOOD in found
    assert len(buffer) <= hdlc.LONGEST


def test_every_flipped_bit_is_noticed() -> None:
    for bit in range(8 * len(GOOD)):
        wrong = bytearray(GOOD)
        wrong[bit // 8] ^= 1 << bit % 8
        with pytest.raises(DataError):
            hdlc.decode(bytes(wrong))
    with pytest.raises(DataError, match="HCS"):
        hdlc.decode(wrong_hcs(GOOD))


def test_echoes_repetitions_and_answers_of_others_are_passed_over() -> None:
    foreign = encode_frame(CLIENT, b"\x05", 0x30, b"\xe6\xe7\x00\xc4")
    to_other = encode_frame(b"\x23", SERVER, 0x30, b"\xe6\xe7\x00\xc4")
    repeated = encode_frame(CLIENT, SERVER, 0x3E, b"\xe6\xe7\x00\xc4")
    echo = encode_frame(SERVER, CLIENT, 0x10, b"\xe6\xe6\x00\xc0")
    noise = b"\x7e\x7e\xa0\x7e" + echo + foreign + to_other + repeated
    cut = hdlc.answer_framer(CLIENT, SERVER, lambda frame: frame.sent == 0)
    assert cut(noise + GOOD) == (GOOD, len(noise + GOOD))
    assert cut(noise)[0] is None


# --- data -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("raw", "value"),
    [
        ("0fff", -1), ("11ff", 255), ("10fffe", -2), ("12fffe", 65534), ("05ffffffff", -1),
        ("06ffffffff", 2**32 - 1), ("14ffffffffffffffff", -1), ("1500000000000000ff", 255),
        ("1742480000", 50.0), ("18c059000000000000", -100.0), ("1602", 2), ("0301", 1),
        ("00", None), ("177fc00000", None), ("17ff800000", None),
    ],
)  # fmt: skip
def test_numbers_are_read(raw: str, value: float | None) -> None:
    assert cosem.number(bytes.fromhex(raw)) == value


@pytest.mark.parametrize("raw", ["", "12ff", "12ffffff", "0901ff", "0184ffffffff00", "ff", "0000"])
def test_what_is_no_number_is_none(raw: str) -> None:
    with pytest.raises(DataError) as caught:
        cosem.number(bytes.fromhex(raw))
    assert caught.value.reason is Reason.RANGE


def test_texts_are_read() -> None:
    assert cosem.text(b"\x09\x04 AB\0") == "AB"
    assert cosem.text(b"\x0a\x021\x32") == "12"
    assert cosem.text(b"\x09\x02\x00\xfe") == "FE"
    assert cosem.text(b"\x06\x00\x00\x01\x00") == "256"
    assert cosem.text(b"\x00") == ""
    for wrong in (b"\x09", b"\x09\x05AB", b"\x09\x81\x01A", b""):
        with pytest.raises(DataError):
            cosem.text(wrong)


def test_an_answer_to_something_else_is_none() -> None:
    assert cosem.parse_response(b"\xc4\x01\xc1\x00\x11\x05").data == b"\x11\x05"
    for wrong in ("c401c2001105", "c403c101001105", "d80101", "0e010600", "c10100", ""):
        with pytest.raises(DataError):
            cosem.parse_response(bytes.fromhex(wrong))


@settings(deadline=None)  # the first one imports the library
@given(st.binary(max_size=60))
def test_hostile_apdus_are_a_data_error(apdu: bytes) -> None:
    for head in (b"", b"\x61" + bytes((len(apdu),)), b"\xc4\x01\xc1", b"\xc4\x02\xc1"):
        for parse in (cosem.check_aare, cosem.parse_response):
            try:
                found = parse(head + apdu)
            except DataError:
                continue
            assert found is None or len(found.data) <= len(apdu)


@settings(deadline=None)  # the first one imports the library
@given(st.binary(max_size=200))
def test_hostile_bytes_are_a_data_error_or_samples(data: bytes) -> None:
    for frames in ([data], [GOOD, data]):
        try:
            found = explain(frames)
        except DataError:
            continue
        assert set(found) <= {point.key for point in DRIVER.points}


@settings(deadline=None)  # the first one imports the library
@given(
    st.sampled_from(sorted(CODES)), st.binary(max_size=20), st.integers(-128, 127),
    st.sampled_from([27, 29, 30, 32, 33, 35, 44, 255, 13]), st.sampled_from([5, 6, 15, 18, 23, 24]),
)  # fmt: skip
def test_whatever_sound_frames_say_stays_within_the_ranges(
    obis: Obis, data: bytes, exponent: int, unit: int, kind: int
) -> None:
    scale = b"\x02\x02\x0f" + exponent.to_bytes(1, signed=True) + bytes((0x16, unit))
    reported = []
    for number, said in ((2, bytes((kind,)) + data), (3, scale)):
        ask = cosem.ASK + cosem.get(Attribute(3, obis, number))
        reported.append(encode_frame(SERVER, CLIENT, 0x10, ask))
        reported.append(encode_frame(CLIENT, SERVER, 0x30, b"\xe6\xe7\x00\xc4\x01\xc1\x00" + said))
    for point in DRIVER.points:
        sample = explain(reported).get(point.key, Bad(Reason.SILENT))
        assert isinstance(sample, Bad) or point.low <= float(str(sample)) <= point.high


# --- conversations ----------------------------------------------------------------------------


async def test_what_a_meter_has_not_and_exponents_are_asked_for_once() -> None:
    line = Wired(Meter({"energy_import": 1.5, "power_l1": -20.0}, serial="", errors=None))
    device = Dlms(line)
    await device.open()
    assert await read(device) == {"energy_import": 1.5, "power_l1": -20.0}
    first = len(line.written)
    assert device.identity == "4B52420000000000" + "0102030405060708"  # its logical device name
    line.written.clear()
    assert await read(device) == {"energy_import": 1.5, "power_l1": -20.0}
    assert len(line.written) == 2 + 1 + 3 + 1 < first  # two for power: taken and given
    line.meters[0].values["voltage_l2"] = 231.0
    assert "voltage_l2" not in await read(device)
    await device.open()
    assert (await read(device))["voltage_l2"] == 231.0


async def test_another_meter_is_another_number_and_has_other_exponents() -> None:
    line = Wired(Meter({"power_factor": 0.5}, serial="111"))
    device = Dlms(line)
    await read(device)
    assert (device.identity, device.health) == ("111", {})
    line.meters = (Meter({"power_factor": 0.5, "frequency": 50.0}, serial="222", errors=0x40),)
    assert await read(device) == {"power_factor": 0.5, "frequency": 50.0}
    assert device.identity == "222"
    assert "64" in device.health[Condition.DEVICE]
    assert isinstance(device, SelfReporting)


async def test_segments_and_blocks_are_put_together_and_explained() -> None:
    values = {"energy_import": 12.0, "voltage_l1": 230.1, "reactive_power": -5.0}
    meter = Meter(values, 5, password="a secret", room=16, block=4, serial="0471100042")
    line = Wired(meter)
    device = Dlms(line, 5, password="a secret")
    assert await read(device) == values
    assert device.identity == "0471100042"
    reported = {k: s for k, s in explain(line.frames).items() if s != Bad(Reason.ADDRESS)}
    assert reported == values


async def test_blocks_out_of_order_are_not_put_together() -> None:
    meter = Meter({"energy_import": 12.0, "frequency": 50.0}, block=5, serial="1")
    device = Dlms(Wired(meter))
    await read(device)
    meter.faults.extend(["", "", "", "", "wrong_block"])  # SNRM, AARQ, its number, half a number
    with pytest.raises(DataError, match="block 3 came, 2 was expected"):
        await read(device)


@pytest.mark.parametrize("password", ["", "wrong", "a secret too much"])
async def test_a_meter_that_does_not_let_us_in_says_so(password: str) -> None:
    line = Wired(Meter({"power": 1.0}, password="a secret"))
    with pytest.raises(DataError, match=r"authentication failed.*password") as caught:
        await Dlms(line, password=password).read()
    assert caught.value.reason is Reason.FAULT
    assert hdlc.decode(line.written[-1]).control == hdlc.DISC
    with pytest.raises(DataError, match="authentication failed"):
        explain(line.frames)


async def test_several_on_one_line_are_told_apart() -> None:
    one, two = Meter({"power": 1.0}, 17), Meter({"power": 2.0}, 200, client=1)
    line = Wired(one, two)
    assert await read(Dlms(line, 17)) == {"power": 1.0}
    assert await read(Dlms(line, 200, client=1)) == {"power": 2.0}
    for nobody in (Dlms(line, 200), Dlms(line, 18), Dlms(line, 17, width="four")):
        with pytest.raises(BusError):
            await nobody.read()


@pytest.mark.parametrize(
    ("fault", "reason"),
    [
        ("silent", Reason.SILENT), ("disconnected", Reason.BUSY), ("out_of_step", Reason.CRC),
        ("busy", Reason.BUSY), ("null", Reason.RANGE), ("text", Reason.RANGE),
        ("torn", Reason.RANGE), ("huge", Reason.RANGE), ("exception", Reason.FAULT),
    ],
)  # fmt: skip
async def test_what_is_wrong_with_an_answer_is_said(fault: str, reason: Reason) -> None:
    meter = Meter({"energy_import": 1.0, "power": 2.0, "frequency": 50.0})
    device = Dlms(Wired(meter))
    clean = await read(device)
    meter.faults.extend(
        ["", "", "", "", fault]
    )  # SNRM, AARQ, its number, its energy; now its power
    found = await read(device)
    assert found["energy_import"] == 1.0
    assert found["power"] == Bad(reason)
    ended = reason in (Reason.SILENT, Reason.CRC) or fault == "disconnected"
    assert found["frequency"] == (Bad(reason) if ended else 50.0)
    meter.faults.clear()
    assert await read(device) == clean


@pytest.mark.parametrize("fault", ["crc", "hcs", "cut", "noise", "echo", "not_ready", "foreign"])
async def test_a_damaged_answer_is_asked_for_again(fault: str) -> None:
    meter = Meter({"energy_import": 1.0, "power": 2.0})
    line = Wired(meter)
    device = Dlms(line)
    clean = await read(device)
    for place in range(6) if fault != "not_ready" else range(1, 6):
        meter.faults.extend([""] * place + [fault])
        assert await read(device) == clean
        assert not meter.faults
    assert meter.asked == len(line.written)


async def test_half_of_a_sum_is_not_taken_for_the_whole() -> None:
    meter = Meter({"power_l1": -30.0, "frequency": 50.0})
    device = Dlms(Wired(meter))
    assert await read(device) == {"power_l1": -30.0, "frequency": 50.0}
    meter.faults.extend(["", "", "", "", "busy"])  # what is taken is told, what is given is not
    assert await read(device) == {"power_l1": Bad(Reason.BUSY), "frequency": 50.0}


async def test_another_unit_is_no_value() -> None:
    device = Dlms(Wired(Meter({"power": 2.0}, fault="wrong_unit")))
    assert await read(device) == {"power": Bad(Reason.RANGE)}


async def test_answers_without_end_come_to_an_end(monkeypatch: pytest.MonkeyPatch) -> None:
    line = Wired(Meter({"power": 2.0}, room=32, fault="endless"))
    with pytest.raises(DataError, match="does not end"):
        await Dlms(line).read()
    assert len(line.written) < 80

    waits = iter((1.0,))

    async def drips(*_: object, **__: object) -> bytes:
        await asyncio.sleep(next(waits, 0.0))
        raise BusError("nothing yet")

    monkeypatch.setattr(chip, "TIMEOUTS", 0.005)
    monkeypatch.setattr(line, "frame", drips)
    with pytest.raises(BusError, match=r"0\.01 s"):
        await Dlms(line).read()


def test_without_the_library_it_says_what_to_install_under_which_licence(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(cosem, "find_spec", lambda _: None)
    with pytest.raises(ConfigError, match=r"Business Source License 1\.1.*pip install 'dlms-cosem"):
        Dlms(Wired())
    for wrong in ("ä", "x" * 65):
        monkeypatch.undo()
        with pytest.raises(ConfigError, match="password"):
            Dlms(Wired(), password=wrong)


def test_the_library_is_imported_when_it_is_needed() -> None:
    code = (
        "import sys, drivers; drivers.spec('dlms'); drivers.build('dlms', None, {});"
        "assert not any(m.startswith('dlms_cosem') for m in sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
