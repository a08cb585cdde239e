"""IEC 62056-21 mode D: telegrams without a checksum, believed only when every line is one."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drivers.chips._telegram import LIMIT, add_parity, check_parity
from drivers.chips.iec62056_push import DRIVER, Iec62056Push, explain
from drivers.sim.iec62056_push import FAULTS
from drivers.sim.iec62056_push import Iec62056Push as Meter
from edge.core import Bad, BusError, Condition, DataError, Reason, Sample, SelfReporting
from tests.drivers.bench import SerialWire
from tests.drivers.known import read

VALUES = {"energy_import": 4321.123, "energy_export": 12.0, "power": -99.0, "voltage_l1": 231.0}
GOOD = add_parity(Meter(VALUES).telegram())
ADDRESS, RANGE = Bad(Reason.ADDRESS), Bad(Reason.RANGE)


def telegram(*lines: str) -> bytes:
    return add_parity(b"/ESY5Q3DA\r\n\r\n" + "".join(f"{t}\r\n" for t in lines).encode() + b"!\r\n")


async def test_the_newest_telegram_counts_and_says_who_sent_it() -> None:
    newer = add_parity(Meter({"energy_import": 5000.0}, serial="7").telegram())
    device = Iec62056Push(SerialWire([b"\xff/E", GOOD]))
    assert await read(device) == pytest.approx(VALUES)
    assert isinstance(device, SelfReporting)
    assert device.identity == "10220010"
    device.bus = SerialWire([GOOD, newer, GOOD[:40]])
    assert await read(device) == {"energy_import": 5000.0}
    assert device.identity == "7"


@pytest.mark.parametrize(
    ("status", "condition", "word"),
    [("82", None, ""), ("A2", Condition.POWER, "L1"), ("9A", Condition.POWER, "L2, L3"),
     ("83", Condition.DEVICE, "error"), ("zz", None, ""), ("", None, "")],
)  # fmt: skip
async def test_the_status_byte_becomes_health(
    status: str, condition: Condition | None, word: str
) -> None:
    device = Iec62056Push(SerialWire([add_parity(Meter(VALUES, status=status).telegram())]))
    assert device.health == {}
    await device.read()
    assert set(device.health) == ({condition} if condition else set())
    assert word in "".join(device.health.values())


async def test_the_error_register_becomes_health_and_leaves_again() -> None:
    device = Iec62056Push(SerialWire([telegram("1.8.0(1*kWh)", "F.F(00000800)")]))
    await device.read()
    assert "00000800" in device.health[Condition.DEVICE]
    device.bus = SerialWire([telegram("1.8.0(1*kWh)", "F.F(00000000)")])
    await device.read()
    assert device.health == {}


@pytest.mark.parametrize("fault", [f for f in FAULTS if f != "silent"])
async def test_a_spoilt_telegram_gives_nothing(fault: str) -> None:
    meter = Meter(VALUES, fault=fault)
    device = Iec62056Push(SerialWire([meter.speak()]))
    if fault == "noise":
        assert await read(device) == pytest.approx(VALUES)
        return
    with pytest.raises(DataError):
        await device.read()
    with pytest.raises(BusError):
        await Iec62056Push(SerialWire([])).read()


@pytest.mark.parametrize(
    ("line", "want"),
    [
        ("1-0:1.8.0*255(1500*Wh)", 1.5),
        ("1.8.0(1.5*kWh)", 1.5),
        ("1.8.0(1.5*kW)", RANGE),
        ("1.8.0(1.5*VAh)", RANGE),
        ("1.8.0(*kWh)", RANGE),
        ("1.8.0*99(1.5*kWh)", ADDRESS),
    ],
)
def test_a_number_comes_in_its_unit_or_not_at_all(line: str, want: Sample) -> None:
    assert explain([telegram("2.8.0(1*kWh)", line)])["energy_import"] == want


@pytest.mark.parametrize("line", ["1.8.0(1.5*kWh", "1.8.01.5*kWh)", "1.8.0(1.5*kWh)\x07", "\x00"])
def test_one_damaged_line_spoils_the_telegram(line: str) -> None:
    with pytest.raises(DataError):
        explain([telegram("2.8.0(1*kWh)", line)])


def test_every_flipped_bit_is_noticed() -> None:
    for bit in range(8 * len(GOOD)):
        wrong = bytearray(GOOD)
        wrong[bit // 8] ^= 1 << bit % 8
        with pytest.raises(DataError):
            explain([bytes(wrong)])


@given(st.lists(st.binary(max_size=150), min_size=1, max_size=3))
def test_explain_survives_everything(frames: list[bytes]) -> None:
    lines = b"/KST5\r\n" + check_parity(add_parity(b"".join(frames)))[:LIMIT] + b"\r\n!\r\n"
    for one in (frames, [add_parity(lines)]):
        try:
            found = explain(one)
        except DataError:
            continue
        for point in DRIVER.points:
            sample = found[point.key]
            assert isinstance(sample, Bad) or point.low <= float(str(sample)) <= point.high
