"""DSMR/ESMR P1: telegrams with and without a checksum, and the meters behind the meter."""

import asyncio
import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

import drivers
from drivers.chips._p1_meters import MBUS
from drivers.chips._telegram import checked, coded
from drivers.chips.dsmr import DRIVER, POINTS, Dsmr, drafted, explain
from drivers.sim.dsmr import FAULTS, crc16
from drivers.sim.dsmr import Dsmr as Meter
from edge.core import (
    GOOD,
    Bad,
    BusError,
    Condition,
    ConfigError,
    DataError,
    Doubt,
    Keeping,
    Kind,
    Reason,
    Sample,
    Telling,
    uncertain,
)
from edge.process.total import Total
from tests.drivers.bench import SerialWire

VECTORS = Path(__file__).parents[3] / "../shared/facts/vectors.json"
ADDRESS, RANGE, STALE = Bad(Reason.ADDRESS), Bad(Reason.RANGE), Bad(Reason.STALE)
CONTRADICTED = Bad(Reason.CONTRADICTED)
VALUES = {"energy_import_t1": 10.5, "energy_import_t2": 0.25, "power": -750.0, "gas_volume": 12.75}


def telegram(*lines: str, crc: bool = True) -> bytes:
    text = b"/KST5\\2X\r\n\r\n" + "".join(f"{line}\r\n" for line in lines).encode() + b"!"
    return text + (b"%04X\r\n" % crc16(text) if crc else b"\r\n")


def told(samples: tuple[Sample, ...]) -> dict[str, Sample]:
    found = zip([p.key for p in DRIVER.points], samples, strict=True)
    return {key: sample for key, sample in found if sample != ADDRESS}


def one(*lines: str) -> dict[str, Sample]:
    return {key: s for key, s in explain([telegram(*lines)]).items() if s != ADDRESS}


# --- electricity --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("line", "want"),
    [
        ("1-0:1.8.0(000001.500*kWh)", 1.5),
        ("1-0:1.8.0(0001500*Wh)", 1.5),
        ("1-0:1.8.0(000001.500*kvarh)", RANGE),
        ("1-0:1.8.0(000001.500*kW)", RANGE),
        ("1-0:1.8.0(000001.500*m3)", RANGE),
        ("1-0:1.8.0(000001.500)", RANGE),
        ("1-0:1.8.0(000001.500*)", RANGE),
        ("1-0:1.8.0(-00001.500*kWh)", RANGE),
        ("1-0:1.8.0(999999999999.9*kWh)", RANGE),
        ("1-0:1.8.0(1e3*kWh)", RANGE),
        ("1-0:1.8.0()", RANGE),
    ],
)
def test_a_number_comes_in_its_unit_or_not_at_all(line: str, want: Sample) -> None:
    assert one(line) == {"energy_import": want}


def test_both_tariffs_make_the_total_and_half_of_them_make_none() -> None:
    low, normal = "1-0:1.8.1(000010.100*kWh)", "1-0:1.8.2(000000.200*kWh)"
    assert one(low, normal)["energy_import"] == 10.3
    assert one(low, normal, "1-0:1.8.0(11*kWh)")["energy_import"] == 11
    assert one(low, normal, "1-0:1.8.0(*kWh)")["energy_import"] == RANGE
    for broken in ((low,), (low, "1-0:1.8.2(000000.200)")):
        assert "energy_import" not in one(*broken)


async def test_a_tariff_that_comes_and_goes_is_no_step_of_the_total() -> None:
    device = Dsmr(SerialWire([]))
    two = ("1-0:1.8.1(100.000*kWh)", "1-0:1.8.2(200.000*kWh)")

    async def total(*lines: str) -> Sample:
        device.bus = SerialWire([telegram(*lines)])
        return (await device.read())[0]

    assert await total(*two, "1-0:1.8.3(0.400*kWh)") == 300.4
    assert await total(*two) == ADDRESS
    assert await total(*two, "1-0:1.8.3(0.400*kWh)") == 300.4


def test_what_is_taken_and_given_is_one_power_per_phase() -> None:
    found = one(
        "1-0:1.7.0(00.000*kW)", "1-0:2.7.0(01.234*kW)", "1-0:21.7.0(00.500*kW)",
        "1-0:22.7.0(00.000*kW)", "1-0:41.7.0(00.000*kW)", "1-0:42.7.0(01.734*kW)",
        "1-0:32.7.0(230.1*V)", "1-0:31.7.0(002*A)", "0-0:96.7.21(00013)", "0-0:96.7.9(x)",
    )  # fmt: skip
    assert found == {
        "power": -1234, "power_l1": 500, "power_l2": -1734, "voltage_l1": 230.1, "current_l1": 2,
        "power_failures": 13, "long_power_failures": RANGE,
    }  # fmt: skip


# --- on the M-Bus -------------------------------------------------------------------------------

GAS = "0-1:24.1.0(003)"


@pytest.mark.parametrize(
    ("lines", "want"),
    [
        ((GAS, "0-1:24.2.1(261125115500W)(00123.456*m3)"), 123.456),
        (("0-1:24.2.1(261125115500W)(00123.456*m3)", GAS), 123.456),
        ((GAS, "0-1:24.2.3(261125115500W)(00123.456*m3)"), 123.456),  # Belgium: not corrected
        ((GAS, "0-1:24.3.0(261125110000)(00)(60)(1)(0-1:24.2.1)(m3)", "(00123.456)"), 123.456),
        ((GAS, "0-1:24.2.1(261125115500W)(00123.456*kWh)"), RANGE),
        ((GAS, "0-1:24.2.1(261125115500W)(00123.456)"), RANGE),
        ((GAS, "0-1:24.2.1(700101010000W)(00000000)"), STALE),
        ((GAS, "0-1:24.2.1(632525252525S)(00000.000)"), STALE),
        ((GAS, "0-1:24.2.1(681027002758S)(01023.855*m3)"), STALE),
        ((GAS, "0-1:24.2.1()(01023.855*m3)"), STALE),
        ((GAS, "0-1:24.2.1(261125115500W)"), ADDRESS),
        ((GAS, "0-1:24.2.1(261125115500W)()"), ADDRESS),
        (("0-1:24.1.0(002)", "0-1:24.2.1(261125115500W)(00123.456*kWh)"), ADDRESS),
        (("0-1:24.2.1(261125115500W)(00123.456*m3)",), ADDRESS),  # of what, nobody says
        (("0-5:24.1.0(003)", "0-5:24.2.1(261125115500W)(00123.456*m3)"), ADDRESS),
    ],
)
def test_gas_is_read_in_all_forms_and_nothing_else_for_it(
    lines: tuple[str, ...], want: Sample
) -> None:
    assert one("1-0:1.8.0(1*kWh)", *lines).get("gas_volume", ADDRESS) == want


@pytest.mark.parametrize("first", [True, False])
def test_a_meter_that_was_taken_away_long_ago_is_none(first: bool) -> None:
    old = ["0-1:24.1.0(003)", "0-1:24.2.1(250101000000W)(09000.000*m3)"]
    new = ["0-2:24.1.0(003)", "0-2:24.2.1(261125115500W)(00001.500*m3)"]
    gone = ["0-3:24.1.0(003)", "0-3:24.2.1(632525252525S)(00000.000*m3)"]
    lines = [*old, *new, *gone] if first else [*gone, *new, *old]
    assert one(*lines)["gas_volume"] == 1.5


A, B, C = "G0011112222333344", "G0055556666777788", "G0099990000111122"
AT = "261125115500W"


def gas(channel: int, name: str | None, volume: float, at: str = AT) -> list[str]:
    told = [] if name is None else [f"0-{channel}:96.1.0({name.encode().hex().upper()})"]
    reading = f"0-{channel}:24.2.1({at})({volume:09.3f}*m3)"
    return [f"0-{channel}:24.1.0(003)", *told, reading]


def port(*lines: list[str]) -> bytes:
    return telegram("1-0:1.8.0(1*kWh)", *(line for each in lines for line in each))


async def read(device: Dsmr, frame: bytes) -> dict[str, Sample]:
    device.bus = SerialWire([frame])
    found = zip([p.key for p in device.points], await device.read(), strict=True)
    return {key: s for key, s in found if s != ADDRESS and "energy" not in key}


TWO = (
    port(gas(1, A, 734.607, "261125115500W"), gas(2, B, 0.0, "261125115000W")),
    port(gas(1, A, 734.607, "261125115500W"), gas(2, B, 0.0, "261125120000W")),  # B's is the later
    port(gas(1, B, 0.0, "261125120000W"), gas(2, A, 734.607, "261125115500W")),
)


async def test_two_gas_meters_that_nobody_has_named_are_one_clear_word_and_no_number() -> None:
    device = Dsmr(SerialWire([]))
    for frame in TWO:
        assert await read(device, frame) == {"gas_volume": CONTRADICTED}
        assert explain([frame])["gas_volume"] == CONTRADICTED
        text = device.health[Condition.SETTINGS]
        assert f'write gas = ["{A}", "{B}"]' in text
        assert drafted(frame) == {"gas": [A, B]}
    one_left = port(gas(2, A, 735.0))  # of which of them the register was before, nobody knows
    assert await read(device, one_left) == {"gas_volume": Doubt(735.0, Reason.GAP)}
    assert device.health == {}
    assert drafted(port(gas(2, A, 735.0))) == {}


@pytest.mark.parametrize("names", [(B, A), (B.encode().hex(), A.encode().hex().upper())])
async def test_named_meters_have_a_point_each_whatever_channel_they_are_on(
    names: tuple[str, ...],
) -> None:
    for frame in TWO:  # each time started anew
        device = Dsmr(SerialWire([]), gas=names)
        assert [p.key for p in device.points] == [*(p.key for p in POINTS), "gas_volume_2"]
        assert device.points[-1].kind is Kind.TOTAL
        assert await read(device, frame) == {"gas_volume": 0.0, "gas_volume_2": 734.607}
        assert device.health == {}


async def test_of_named_meters_one_may_fall_silent_or_be_replaced() -> None:
    device = Dsmr(SerialWire([]), gas=(A, B))
    await read(device, TWO[0])
    assert await read(device, port(gas(1, B, 0.5))) == {"gas_volume_2": 0.5}
    assert device.health == {}
    never = port(gas(2, A, 0.0, "632525252525S"), gas(1, B, 0.5))
    assert await read(device, never) == {"gas_volume": STALE, "gas_volume_2": 0.5}
    assert await read(device, port(gas(2, C, 9.0), gas(1, B, 0.5))) == {"gas_volume_2": 0.5}
    assert f"gas names {A}, which the port does not tell of" in device.health[Condition.SETTINGS]
    assert C in device.health[Condition.SETTINGS]


async def test_naming_one_of_two_leaves_the_other_alone() -> None:
    device = Dsmr(SerialWire([]), gas=(B,))
    assert device.points == POINTS
    for frame in TWO:
        assert await read(device, frame) == {"gas_volume": 0.0}
        assert device.health == {}


async def test_another_meter_behind_a_point_counts_no_step_over_a_restart_either() -> None:
    device = Dsmr(SerialWire([]))
    total = Total(MBUS[3], 1e6)

    async def fed(frame: bytes) -> Sample:
        sample = (await read(device, frame))["gas_volume"]
        value = sample.value if isinstance(sample, Doubt) else sample
        quality = uncertain(sample.reason) if isinstance(sample, Doubt) else GOOD
        total.other(value, quality, 0, late=False)  # type: ignore[arg-type]
        return sample

    assert await fed(port(gas(1, A, 100.0))) == 100.0
    kept = device.kept()
    for name, volume in ((B, 101.0), (A, 102.0), (B, 103.0)):  # each a little above the other
        device = Dsmr(SerialWire([]))
        device.restore(kept, -1.0)
        assert await fed(port(gas(1, name, volume))) == Doubt(volume, Reason.GAP)
        kept = device.kept()
    for _ in range(9):
        last = await fed(port(gas(1, B, 103.0)))
    assert last == 103.0
    assert await fed(port(gas(1, B, 103.5))) == 103.5
    assert total.body()["delta"] == 0.5
    device.restore(kept, 0.0)
    assert await fed(port(gas(1, B, 103.5))) == 103.5  # it knows better by now


async def test_meters_without_an_identifier_cannot_be_told_apart() -> None:
    for names in ((None, None), (A, None), (None, "0000")):
        device = Dsmr(SerialWire([]))
        frame = port(gas(1, names[0], 5.0), gas(2, names[1], 5.0))
        assert await read(device, frame) == {"gas_volume": CONTRADICTED}
        assert "not all tell an identifier" in device.health[Condition.SETTINGS]
        assert drafted(frame) == {}
    device = Dsmr(SerialWire([]), gas=(A,))
    assert await read(device, port(gas(1, A, 5.0), gas(2, None, 6.0))) == {"gas_volume": 5.0}


GAP = [Doubt(834.0, Reason.GAP)] * 5 + [834.0]


@pytest.mark.parametrize("restart", [False, True])
@pytest.mark.parametrize(
    ("before", "gone"),
    [
        ([gas(1, A, 7.0)], gas(2, None, 834.0)),  # its place takes one that has no identifier
        ([gas(1, None, 7.0)], gas(2, A, 834.0)),
        ([gas(1, None, 7.0), gas(2, None, 834.0)], gas(2, None, 834.0)),
        ([gas(1, None, 7.0), gas(2, A, 834.0)], gas(2, A, 834.0)),
        ([gas(1, A, 7.0), gas(2, A, 834.0)], gas(2, A, 834.0)),
    ],
)
async def test_who_goes_on_alone_counts_no_step_if_it_may_be_another(
    before: list[list[str]], gone: list[str], restart: bool
) -> None:
    device = Dsmr(SerialWire([]))
    await read(device, port(before[0]))
    await read(device, port(*before))
    if restart:
        kept = device.kept()
        device = Dsmr(SerialWire([]))
        device.restore(kept, -1.0)
    found = [(await read(device, port(gone)))["gas_volume"] for _ in GAP]
    assert found == GAP
    kept = device.kept()
    device = Dsmr(SerialWire([]))
    device.restore(kept, -1.0)
    assert await read(device, port(gone)) == {"gas_volume": 834.0}


async def test_a_gap_is_not_over_by_a_restart() -> None:
    device = Dsmr(SerialWire([]))
    await read(device, port(gas(1, A, 7.0)))
    assert await read(device, port(gas(1, None, 834.0))) == {"gas_volume": GAP[0]}
    kept = device.kept()
    device = Dsmr(SerialWire([]))
    device.restore(kept, -1.0)
    assert await read(device, port(gas(1, None, 834.0))) == {"gas_volume": GAP[0]}


async def test_two_meters_with_one_identifier_are_no_register_that_alternates() -> None:
    low, high = 7.0, 834.0
    device = Dsmr(SerialWire([]))
    later_low = port(gas(1, A, high, "261125115000W"), gas(2, A, low, "261125115500W"))
    assert await read(device, later_low) == {"gas_volume": CONTRADICTED}
    assert await read(Dsmr(SerialWire([]), gas=(A,)), later_low) == {"gas_volume": CONTRADICTED}
    assert drafted(later_low) == {}  # a name would not tell them apart


async def test_a_meter_on_two_channels_is_one_by_its_later_reading() -> None:
    device = Dsmr(SerialWire([]))
    early, late = gas(1, A, 4.0, "261125115000W"), gas(2, A, 5.0, "261125115500W")
    for lines in ((early, late), (late, early), (late, gas(3, A, 5.0, "261125115500W"))):
        assert await read(device, port(*lines)) == {"gas_volume": 5.0}
    torn = port(gas(1, A, 4.0), gas(2, A, 5.0))
    assert await read(device, torn) == {"gas_volume": CONTRADICTED}
    assert f"of the gas meter {A} that cannot both be right" in device.health[Condition.SETTINGS]
    assert await read(Dsmr(SerialWire([]), gas=(A,)), torn) == {"gas_volume": CONTRADICTED}


async def test_a_hundred_invented_meters_cost_nothing() -> None:
    device = Dsmr(SerialWire([]), gas=(A, B))
    for n in range(100):
        await read(device, port(gas(n % 4 + 1, f"{n:064d}", n), gas(n % 9, "Z" * 99, n)))
    assert len(device.points) == len(POINTS) + 1
    assert device.kept() == b""
    plain = Dsmr(SerialWire([]))
    for n in range(100):
        await read(plain, port(gas(1, f"{n:04d}" * 40, n)))
    assert len(plain.kept()) < 256
    for kept in (b"", b"p1 1", b"\xff", b"p1 1\nx=y\ngas_volume", plain.kept() * 99):
        plain.restore(kept, 0.0)


@pytest.mark.parametrize("names", [("",), (A, A), (A, A.encode().hex()), tuple("ABCDE"), ("000",)])
def test_identifiers_that_cannot_be_are_a_mistake(names: tuple[str, ...]) -> None:
    with pytest.raises(ConfigError, match=r"gas = .* cannot be right"):
        Dsmr(SerialWire([]), gas=names)


@given(st.permutations(range(4)), st.permutations(range(1, 5)))
def test_neither_order_nor_channel_changes_what_a_named_meter_tells(
    order: list[int], channels: list[int]
) -> None:
    names = [A, B, C, "G1"]
    lines = [gas(channels[n], names[n], 10.0 * n) for n in order]
    device = Dsmr(SerialWire([port(*lines)]), gas=(A, B, C))
    found = dict(zip([p.key for p in device.points], asyncio.run(device.read()), strict=True))
    assert [found[k] for k in ("gas_volume", "gas_volume_2", "gas_volume_3")] == [0.0, 10.0, 20.0]


def test_a_checksum_may_lack_its_leading_zeros_and_a_time_may_have_a_small_letter() -> None:
    for n in range(400):
        text = b"/KST5\\2X\r\n\r\n1-0:1.8.0(%d*kWh)\r\n!" % n
        crc = b"%X" % crc16(text)
        if len(crc) < 4:
            assert explain([text + crc + b"\r\n"])["energy_import"] == n
            assert explain([text + crc.rjust(4, b"0") + b"\r\n"])["energy_import"] == n
            for wrong in (b"0" * (3 - len(crc)) + crc if len(crc) < 3 else crc[1:], crc.lower()):
                if wrong != crc:
                    with pytest.raises(DataError, match="CRC"):
                        explain([text + wrong + b"\r\n"])
            break
    else:
        pytest.fail("no such checksum among them")
    assert one(GAS, "0-1:24.2.1(261125115500s)(00123.456*m3)")["gas_volume"] == 123.456
    assert one(GAS, "0-1:24.2.1(261125115500w)(00123.456*m3)")["gas_volume"] == 123.456


def test_heat_water_and_warm_water_have_points_of_their_own() -> None:
    at = "(261125115500W)"
    found = one(
        "0-1:24.1.0(004)", f"0-1:24.2.1{at}(1.8*GJ)", "0-2:24.1.0(007)", f"0-2:24.2.1{at}(2.5*m3)",
        "0-3:24.1.0(006)", f"0-3:24.2.1{at}(3.5*m3)",
    )  # fmt: skip
    assert found == {"heat_energy": 500.0, "water_volume": 2.5, "warm_water_volume": 3.5}
    assert one("0-1:24.1.0(012)", f"0-1:24.2.1{at}(7*kWh)") == {"heat_energy": 7}
    assert one("0-1:24.1.0(004)", f"0-1:24.2.1{at}(7)") == {"heat_energy": RANGE}
    assert {point.kind for point in MBUS.values()} == {Kind.TOTAL}


# --- telegrams ----------------------------------------------------------------------------------


@pytest.mark.parametrize("version", [5, 2])
async def test_the_newest_telegram_counts_and_says_who_sent_it(version: int) -> None:
    old, new = Meter(VALUES, version=version), Meter(VALUES, serial="E2", version=version)
    device = Dsmr(SerialWire([old.speak()]))
    want = VALUES | {"energy_import": 10.75}
    assert told(await device.read()) == pytest.approx(want)
    assert isinstance(device, Telling)
    assert isinstance(device, Keeping)
    assert device.identity == "E0047000123456719"
    device.bus = SerialWire([old.speak(), new.speak(), old.speak()[:99]])
    assert told(await device.read()) == pytest.approx(want)
    assert device.identity == "E2"
    assert device.health == {}


@pytest.mark.parametrize("text", ["4532", "E2", "4B80", "453"])
async def test_a_number_that_is_no_text_in_hexadecimal_is_taken_as_it_is(text: str) -> None:
    device = Dsmr(SerialWire([telegram(f"0-0:96.1.1({text})")]))
    await device.read()
    assert device.identity == ("E2" if text == "4532" else text)


@pytest.mark.parametrize("version", [5, 2])
@pytest.mark.parametrize("fault", [f for f in FAULTS if f != "silent"])
async def test_a_spoilt_telegram_gives_nothing(fault: str, version: int) -> None:
    device = Dsmr(SerialWire([Meter(VALUES, version=version, fault=fault).speak()]))
    if fault in ("noise", "channels") or (version == 2 and fault == "crc"):
        assert told(await device.read())["gas_volume"] == 12.75
        return
    with pytest.raises(DataError):
        await device.read()


async def test_silence_and_a_line_that_is_no_meter() -> None:
    with pytest.raises(BusError):
        await Dsmr(SerialWire([])).read()
    with pytest.raises(DataError):
        await Dsmr(SerialWire([b"login: "])).read()


@pytest.mark.parametrize("version", [5, 2])
def test_every_flipped_bit_is_noticed(version: int) -> None:
    good = Meter({"energy_import_t1": 1.0, "gas_volume": 2.0}, version=version).speak()
    for bit in range(8 * len(good)):
        wrong = bytearray(good)
        wrong[bit // 8] ^= 1 << bit % 8
        with pytest.raises(DataError):
            explain([bytes(wrong)])


def test_a_modern_telegram_without_its_checksum_is_damaged() -> None:
    assert explain([telegram("1-0:1.8.0(1*kWh)", crc=False)])["energy_import"] == 1
    for line in ("1-3:0.2.8(50)", "0-0:1.0.0(261125120000W)", "0-0:96.1.4(50217)"):
        with pytest.raises(DataError, match="CRC"):
            explain([telegram(line, "1-0:1.8.0(1*kWh)", crc=False)])
    with pytest.raises(DataError):
        explain([telegram("1-0:1.8.0(1*kWh)", "rubbish", crc=False)])
    assert explain([telegram("1-0:1.8.0(1*kWh)", "rubbish")])["energy_import"] == 1


CODES = [
    "1-0:1.8.0",
    "1-0:1.8.1",
    "1-0:1.8.2",
    "1-0:2.7.0",
    "0-1:24.1.0",
    "0-1:24.2.1",
    "0-0:1.0.0",
]
GROUPS = ["(003)", "(261125115500W)", "(1*m3)", "(1.5*kWh)", "(9" + "9" * 15 + "*kW)", "()", "("]


@given(st.lists(st.tuples(st.sampled_from(CODES), st.lists(st.sampled_from(GROUPS)) | st.text())))
def test_whatever_a_sound_telegram_says_stays_within_the_ranges(
    lines: list[tuple[str, list[str] | str]],
) -> None:
    body = "".join(code + "".join(groups) + "\r\n" for code, groups in lines)
    text = b"/KST5X\r\n" + checked(coded(body.encode())) + b"!"
    for frame in (text + b"%04X\r\n" % crc16(text), text + b"\r\n", coded(text + b"\r\n")):
        try:
            found = explain([frame])
        except DataError:
            continue
        for point in DRIVER.points:
            sample = found[point.key]
            assert isinstance(sample, Bad) or point.low <= float(str(sample)) <= point.high


@given(st.lists(st.binary(max_size=200), max_size=3))
def test_hostile_bytes_are_a_data_error(frames: list[bytes]) -> None:
    with pytest.raises(DataError):
        explain(frames)


def test_documented_telegrams_mean_what_others_made_of_them() -> None:
    if not VECTORS.exists():
        pytest.skip("the collected vectors are not here")
    names = {  # as they stand there -> point, how many of its unit
        "energy_import_t1_kwh": ("energy_import_t1", 1), "gas_m3": ("gas_volume", 1),
        "energy_import_t2_kwh": ("energy_import_t2", 1), "power_import_kw": ("power", 1000),
        "energy_export_t1_kwh": ("energy_export_t1", 1), "voltage_l1": ("voltage_l1", 1),
        "energy_export_t2_kwh": ("energy_export_t2", 1), "current_l3": ("current_l3", 1),
    }  # fmt: skip
    seen = 0
    for vector in json.loads(VECTORS.read_text())["vectors"]:
        if not vector["id"].startswith("dsmr5-"):
            continue
        found = drivers.explain("dsmr", [bytes.fromhex(vector["raw_hex"])])
        for name, (key, scale) in names.items():
            if name in vector["decoded"]:
                assert found[key][0] == pytest.approx(scale * vector["decoded"][name])
                seen += 1
    assert seen == 3 + 8
