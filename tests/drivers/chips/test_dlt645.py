"""DL/T 645: frames found in rubbish, values never invented, a meter asked for what it has."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drivers.chips import _dlt645 as wire
from drivers.chips import _dlt645_items as items
from drivers.chips.dlt645 import DRIVER, Dlt645, explain
from drivers.sim.dlt645 import Dlt645 as Meter
from drivers.sim.dlt645 import encode_frame
from edge.core import Bad, Condition, ConfigError, DataError, Reason, SelfReporting
from tests.drivers.chips.wired import Wired
from tests.kit.vectors import vectors

ADDRESS = "202311250042"
REQUEST = wire.encode_frame(ADDRESS, wire.READ, bytes.fromhex("0000 0100"))
ANSWER = encode_frame(ADDRESS, 0x91, bytes.fromhex("00000100 56341200")).lstrip(b"\xfe")


def key(name: str) -> int:
    return next(i for i, point in enumerate(DRIVER.points) if point.key == name)


@given(st.binary(max_size=120), st.integers(1, 40))
def test_whatever_comes_before_it_an_answer_is_found(rubbish: bytes, step: int) -> None:
    cut = wire.answer_framer(REQUEST)
    stream = rubbish + b"\xfe" * wire.LONGEST * 2 + ANSWER  # half a frame waits for so much more
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
    assert ANSWER in found
    assert len(buffer) <= wire.SHELL + wire.LONGEST


@given(st.binary(max_size=250))
def test_hostile_bytes_are_a_data_error_or_samples(data: bytes) -> None:
    for frames in ([data], [data, data]):
        try:
            found = explain(frames)
        except DataError:
            continue
        assert set(found) <= {point.key for point in DRIVER.points}


@given(
    st.sampled_from([di for item in items.ITEMS for di in (item.block, *item.singles)]),
    st.sampled_from([0x91, 0xB1, 0x92, 0xB2, 0xD1, 0x11, 0x93]),
    st.binary(max_size=60),
)
def test_whatever_sound_frames_say_stays_within_the_ranges(di: int, code: int, data: bytes) -> None:
    one = wire.encode_frame(ADDRESS, code, di.to_bytes(4, "little") + data)
    try:
        found = explain([REQUEST, one, one])
    except DataError:
        return
    for point in DRIVER.points:
        sample = found.get(point.key, Bad(Reason.SILENT))
        assert isinstance(sample, Bad) or point.low <= float(str(sample)) <= point.high


def test_every_flipped_bit_is_noticed() -> None:
    for bit in range(8 * len(ANSWER)):
        wrong = bytearray(ANSWER)
        wrong[bit // 8] ^= 1 << bit % 8
        with pytest.raises(DataError):
            wire.parse_frame(bytes(wrong))


def test_echoes_and_answers_of_others_are_passed_over() -> None:
    foreign = encode_frame("000000000001", 0x91, bytes.fromhex("00000100 99999999"))
    earlier = encode_frame(ADDRESS, 0x91, bytes.fromhex("00000200 99999999"))
    noise = b"\x68\x00\x68" + REQUEST + foreign + earlier
    assert wire.answer_framer(REQUEST)(noise + ANSWER) == (ANSWER, len(noise + ANSWER))
    assert wire.answer_framer(REQUEST)(noise)[0] is None


def test_an_address_is_twelve_digits() -> None:
    for wrong in ("1", "20231125004a", "2023112500421", "٢٠٢٣١١٢٥٠٠٤٢"):
        with pytest.raises(ConfigError, match="12 digits"):
            Dlt645(Wired(), wrong)
    assert isinstance(Dlt645(Wired(), ADDRESS), SelfReporting)


async def test_what_a_meter_does_not_have_is_asked_for_once() -> None:
    meter = Meter({"energy_import": 1.5, "voltage_l1": 230}, ADDRESS, blocks=False)
    line = Wired(meter)
    device = Dlt645(line, ADDRESS)
    await device.open()
    first = await device.read()
    assert first[key("energy_import")] == 1.5
    assert first[key("voltage_l1")] == 230
    assert first[key("voltage_l2")] == first[key("power")] == Bad(Reason.ADDRESS)
    await device.read()  # the status words, one by one, are refused once more
    line.written.clear()
    assert await device.read() == first
    assert len(line.written) == 2
    await device.open()
    line.written.clear()
    await device.read()
    assert len(line.written) > 20


async def test_a_meter_that_is_alone_is_found_by_its_address() -> None:
    line = Wired(Meter({"energy_import": 7}, ADDRESS, number="000000000099"))
    device = Dlt645(line)
    await device.open()
    assert (await device.read())[0] == 7
    assert device.identity == "000000000099"
    assert all(wire.parse_frame(w).address == ADDRESS for w in line.written[1:])


async def test_two_meters_on_a_line_are_told_apart() -> None:
    line = Wired(Meter({"energy_import": 1}, ADDRESS), Meter({"energy_import": 2}, "000000000002"))
    for address, energy in ((ADDRESS, 1), ("000000000002", 2)):
        device = Dlt645(line, address)
        await device.open()
        assert (await device.read())[0] == energy
        assert device.identity == address


async def test_status_words_become_health() -> None:
    meter = Meter({"energy_import": 1}, ADDRESS, words={})
    device = Dlt645(Wired(meter), ADDRESS)
    await device.open()
    await device.read()
    assert device.health == {}
    meter.words = {1: 0x0004, 3: 0x0010, 5: 0x0081, 7: 0x0001}
    await device.open()
    await device.read()
    assert set(device.health) == {Condition.BATTERY, Condition.POWER, Condition.PHASES}
    assert "L2 is interrupted" in device.health[Condition.POWER]
    meter.words = {1: 0}
    await device.read()
    assert device.health == {}
    meter.blocks, meter.words = False, {4: 0x0010}
    await device.open()
    await device.read()
    await device.read()
    assert device.health == {Condition.OVERLOAD: "current of L1 is too high"}


@pytest.mark.parametrize(
    ("fault", "reason"),
    [("crc", Reason.CRC), ("cut", Reason.CRC), ("refuse", Reason.FAULT), ("foreign", Reason.CRC)],
)
async def test_one_bad_answer_costs_its_own_points_only(fault: str, reason: Reason) -> None:
    meter = Meter({"energy_import": 7, "energy_export": 8, "frequency": 50}, ADDRESS)
    device = Dlt645(Wired(meter), ADDRESS)
    await device.open()
    clean = await device.read()
    meter.faults.extend(["", fault])
    found = await device.read()
    export = range(key("energy_export"), key("energy_export_t4") + 1)  # one block
    want = [Bad(reason) if at in export else sample for at, sample in enumerate(clean)]
    assert (found[0], list(found)) == (7, want)
    meter.fault = fault
    with pytest.raises(DataError) as caught:
        await device.read()
    assert caught.value.reason is reason


async def test_a_meter_that_falls_silent_in_the_middle_costs_one_time_out() -> None:
    meter = Meter({"energy_import": 7, "energy_export": 8}, ADDRESS)
    line = Wired(meter)
    device = Dlt645(line, ADDRESS)
    await device.open()
    await device.read()
    meter.faults.append("")
    meter.fault = "silent"
    line.written.clear()
    found = await device.read()
    assert (found[0], found[key("energy_export")]) == (7, Bad(Reason.SILENT))
    assert found[-1] == Bad(Reason.ADDRESS)  # known already
    assert len(line.written) == 2


@pytest.mark.parametrize("blocks", [True, False])
@pytest.mark.parametrize("fill", [True, False])
async def test_tariffs_are_read_as_far_as_the_meter_has_them(blocks: bool, fill: bool) -> None:
    values = {"energy_import": 7.5, "energy_import_t1": 5.25, "energy_import_t2": 2.25}
    meter = Meter(values, ADDRESS, blocks=blocks, fill=fill)
    device = Dlt645(Wired(meter), ADDRESS)
    await device.open()
    found = dict(zip([point.key for point in device.points], await device.read(), strict=True))
    assert {k: found[k] for k in values} == values
    assert found["energy_import_t3"] == found["energy_export_t1"] == Bad(Reason.ADDRESS)


@pytest.mark.parametrize(
    ("data", "want"),
    [  # the block 0001FF00: the total, then as many tariffs as the meter has
        ("56341200 00001000 00200000 56140000 00000000", [1234.56, 1000.0, 20.0, 14.56, 0.0]),
        ("56341200", [1234.56]),
        ("56341200" + "56341200" * 63, [1234.56] * 5),
        ("ffffffff 56341200", [Bad(Reason.ADDRESS), 1234.56]),
        ("5634120a 56341200", [Bad(Reason.RANGE), 1234.56]),
    ],
)
def test_a_block_of_tariffs_is_the_total_and_its_parts(data: str, want: list[object]) -> None:
    name, said = bytes.fromhex("00ff0100"), bytes.fromhex(data)
    frames = [encode_frame(ADDRESS, 0xB1 if said[196:] else 0x91, name + said[:196])]
    frames += [encode_frame(ADDRESS, 0x92, name + said[196:] + b"\x01")] if said[196:] else []
    found = explain(frames)
    keys = ["energy_import", *(f"energy_import_t{n}" for n in (1, 2, 3, 4))]
    assert [found[key] for key in keys] == [*want, *[Bad(Reason.ADDRESS)] * (5 - len(want))]


async def test_endless_frames_come_to_an_end() -> None:
    values = {"energy_import": 3} | {f"power{part}": 1 for part in ("", "_l1", "_l2", "_l3")}
    device = Dlt645(Wired(Meter(values, ADDRESS, chunk=1)), ADDRESS)
    await device.open()
    found = await device.read()
    assert found[0] == 3  # four frames of one byte
    assert found[key("power")] == Bad(Reason.CRC)  # twelve are too many


def test_documented_frames_mean_what_others_made_of_them() -> None:
    seen = 0
    for vector in vectors("dlt645-"):
        if vector["direction"] != "rx":
            continue
        reported, frame = vector["decoded"], bytes.fromhex(vector["raw_hex"])
        assert wire.next_frame(frame)[0] == frame.lstrip(b"\xfe")
        if reported.get("error"):
            with pytest.raises(DataError) as caught:
                explain([frame])
            assert caught.value.reason is Reason.ADDRESS
            continue
        factor = 1000 if reported["unit"] in ("kW", "kvar", "kVA") else 1
        want = [factor * value for value in reported.get("values", [reported.get("value")])]
        assert list(explain([frame]).values()) == pytest.approx(want)
        seen += 1
    assert seen >= 9
    requests = [v for v in vectors("dlt645-") if v["id"].endswith("-req")]
    mine = {wire.encode_frame("000000000161", 0x11, bytes.fromhex("00000100")).hex()}
    mine.add((wire.WAKE + wire.encode_frame(wire.WILDCARD, wire.READ_ADDRESS)).hex())
    assert mine <= {v["raw_hex"] for v in requests}
