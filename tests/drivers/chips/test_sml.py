"""SML meters: values with their unit and power of ten, who the meter is and how it is."""

import pytest

from drivers.chips.sml import Sml, explain
from drivers.sim.sml import (
    FAULTS,
    NOTHING,
    WH,
    encode_frame,
    encode_list,
    encode_message,
    encode_octets,
    signed,
    unsigned,
)
from drivers.sim.sml import Sml as Meter
from edge.core import Bad, BusError, Condition, DataError, Reason, Sample, SelfReporting
from tests.drivers.bench import SerialWire
from tests.drivers.chips.sml_frames import ENERGY, POWER, SERVER, answer, entry
from tests.drivers.known import read

ADDRESS, RANGE = Bad(Reason.ADDRESS), Bad(Reason.RANGE)
VALUES = {"energy_import": 1234.5678, "energy_export": 0.5, "power": -613.25, "frequency": 50.0}
DZG = "0a01445a47000282225e"


# --- values -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("code", "value", "unit", "scaler", "want"),
    [
        (ENERGY, unsigned(12345, 4), unsigned(30, 1), signed(-1, 1), 1.2345),
        (ENERGY, unsigned(12345, 4), unsigned(30, 1), NOTHING, 12.345),
        (ENERGY, unsigned(12345, 8), unsigned(30, 2), signed(3, 1), 12345.0),
        (ENERGY, signed(5, 1), unsigned(30, 1), signed(-9, 1), 5e-12),
        (ENERGY, signed(5, 1), unsigned(30, 1), signed(-10, 1), RANGE),
        (ENERGY, signed(-5, 1), unsigned(30, 1), NOTHING, RANGE),
        (ENERGY, unsigned(2**64 - 1, 8), unsigned(30, 1), NOTHING, RANGE),
        (ENERGY, unsigned(5, 1), unsigned(27, 1), NOTHING, RANGE),
        (ENERGY, unsigned(5, 1), unsigned(32, 1), NOTHING, RANGE),
        (ENERGY, unsigned(5, 1), unsigned(255, 1), NOTHING, RANGE),
        (ENERGY, unsigned(5, 1), NOTHING, NOTHING, RANGE),
        (ENERGY, NOTHING, unsigned(30, 1), NOTHING, ADDRESS),
        (ENERGY, encode_octets(b"5"), unsigned(30, 1), NOTHING, ADDRESS),
        ("010001080063", unsigned(5, 1), unsigned(30, 1), NOTHING, ADDRESS),  # of the past
        ("0100010800", unsigned(5, 1), unsigned(30, 1), NOTHING, ADDRESS),
    ],
)
def test_a_number_comes_in_its_unit_or_not_at_all(
    code: str, value: bytes, unit: bytes, scaler: bytes, want: Sample
) -> None:
    other = entry(POWER, signed(1, 1), unsigned(27, 1))
    frame = encode_frame(answer(entry(code, value, unit, scaler), other))
    assert explain([frame])["energy_import"] == want


@pytest.mark.parametrize("wrong", [encode_octets(b"\x01"), b"\x42\x01", encode_list(NOTHING)])
def test_a_unit_or_a_power_of_ten_that_is_no_number_spoils_the_list(wrong: bytes) -> None:
    for reported in ((wrong, NOTHING), (unsigned(WH, 1), wrong)):
        with pytest.raises(DataError):
            explain([encode_frame(answer(entry(ENERGY, unsigned(5, 1), *reported)))])


def test_a_frame_without_numbers_is_stale() -> None:
    for entries in ((), (entry(ENERGY, NOTHING),)):
        with pytest.raises(DataError) as caught:
            explain([encode_frame(answer(*entries))])
        assert caught.value.reason is Reason.STALE


async def test_several_lists_in_one_frame_belong_together() -> None:
    power = entry(POWER, signed(-7, 1), unsigned(27, 1))
    first = answer(entry(ENERGY, unsigned(5000, 4)))
    second = answer(entry(ENERGY, unsigned(9, 1)), power, server=b"OTHER")
    other = encode_message(9, 0xFF01, encode_list(NOTHING))
    device = Sml(SerialWire([encode_frame(first + other + second)]))
    assert await read(device) == {"energy_import": 5.0, "power": -7.0}
    assert device.identity == "1KST0003160491"


# --- the device ---------------------------------------------------------------------------------


async def test_the_newest_frame_counts_and_says_who_sent_it() -> None:
    device = Sml(SerialWire([Meter(VALUES).frame()]))
    assert await read(device) == pytest.approx(VALUES)
    assert isinstance(device, SelfReporting)
    assert device.identity == "1KST0003160491"
    assert device.health == {}
    swapped = Meter({"energy_import": 3.0}, server="0a01445a470000000042").frame()
    device.bus = SerialWire([Meter(VALUES).frame(), swapped, Meter(VALUES).frame()[:50]])
    assert await read(device) == {"energy_import": 3.0}
    assert device.identity == "1DZG0000000066"


@pytest.mark.parametrize(
    ("server", "want"), [(b"ABC123", "ABC123"), (b"\x01\x02", "0102"), (SERVER, "1KST0003160491")]
)
async def test_without_a_number_among_the_values_the_server_is_known(
    server: bytes, want: str
) -> None:
    device = Sml(SerialWire([encode_frame(answer(entry(ENERGY, unsigned(5, 1)), server=server))]))
    await device.read()
    assert device.identity == want


async def test_what_the_pin_hides_is_not_there() -> None:
    device = Sml(SerialWire([Meter(VALUES, pin=False).frame()]))
    assert await read(device) == {"energy_import": 1234.0, "energy_export": 0.0}


@pytest.mark.parametrize(
    ("status", "want"),
    [
        (0x1C0104, {}),
        (0x1C0104 | 1 << 9, {Condition.TAMPER: "magnet"}),
        (0x1C0104 | 1 << 9 | 1 << 10, {Condition.TAMPER: "magnet; the terminal cover"}),
        (0x1C0104 | 1 << 15 | 1 << 17, {Condition.PHASES: "L1", Condition.DEVICE: "fatal"}),
        (0x020200, {}),  # a status word of another kind
    ],
)
async def test_status_words_become_health(status: int, want: dict[Condition, str]) -> None:
    device = Sml(SerialWire([Meter(VALUES, status=status).frame()]))
    await device.read()
    assert device.health.keys() == want.keys()
    for condition, text in want.items():
        assert text.split("; ")[0] in device.health[condition]
        assert device.health[condition].count(";") == text.count(";")


def meter(*reported: tuple[str, int | None, int, int, int]) -> dict[str, Sample]:
    """What is made of (C.D.E, value, scaler, unit, status); what is not told is left out."""
    entries = [
        encode_list(
            encode_octets(bytes((1, 0, *map(int, code.split(".")), 255))),
            unsigned(status, 4) if status else NOTHING, NOTHING,
            unsigned(unit, 1), signed(scaler, 1),
            NOTHING if value is None else signed(value, 5), NOTHING,
        )
        for code, value, scaler, unit, status in reported
    ]  # fmt: skip
    return {k: s for k, s in explain([encode_frame(answer(*entries))]).items() if s != ADDRESS}


@pytest.mark.parametrize(
    ("reported", "power"),
    [  # as in libsml-testing (a3c7869)
        ([("1.8.0", 172433683, -1, 30, 0x182), ("15.7.0", 1371, -1, 27, 0)], 137.1),  # EMH ED300L
        ([("1.8.0", 172436756, -1, 30, 0x1B0), ("15.7.0", 1266, -1, 27, 0)], -126.6),  # it gives
        ([("2.8.0", 43730, -1, 30, 0x10100), ("15.7.0", 0, 0, 27, 0)], 0.0),  # DrNeuhaus SMARTY
        ([("2.8.1", 1103403151, -1, 30, 0x82), ("1.7.1", -56321916, -4, 27, 0x82)], -5632.1916),
        # what has no sign and no direction is not told; FNN words have the bit for another thing
        ([("1.8.0", 1, -1, 30, 0), ("15.7.0", 1266, -1, 27, 0)], ADDRESS),
        ([("1.8.0", 1, -1, 30, 0x1C0104), ("15.7.0", 1266, -1, 27, 0)], ADDRESS),
        ([("15.7.0", 0, -1, 27, 0)], 0.0),
        ([("1.8.0", 1, -1, 30, 0x1B0), ("15.7.0", -1266, -1, 27, 0)], ADDRESS),  # it has one, then
        ([("1.8.0", 1, -1, 30, 0x182), ("15.7.0", -1266, -1, 27, 0)], ADDRESS),
        # the usual codes go before
        ([("1.8.0", 1, 0, 30, 0x1B0), ("15.7.0", 9, 0, 27, 0), ("16.7.0", -8, 0, 27, 0)], -8.0),
        ([("1.7.1", 5, 0, 27, 0), ("16.7.0", -8, 0, 27, 0)], -8.0),
        ([("1.7.1", 5, 0, 27, 0), ("1.7.0", 7, 0, 27, 0), ("2.7.0", 9, 0, 27, 0)], -2.0),
        ([("1.7.1", 5, 0, 27, 0), ("1.7.2", 7, 0, 27, 0)], ADDRESS),  # parts of a whole
        ([("1.7.1", 5, 0, 27, 0), ("2.7.1", 7, 0, 27, 0)], ADDRESS),
    ],
)
def test_power_under_another_code_has_its_sign_or_is_not_told(
    reported: list[tuple[str, int, int, int, int]], power: Sample
) -> None:
    assert meter(("14.7.0", 500, -1, 44, 0), *reported).get("power", ADDRESS) == power


@pytest.mark.parametrize(
    ("reported", "total"),
    [
        ({1: 0, 2: 1773601}, 177.3601),  # Holley DTZ541-ZDBA, libsml-testing (a3c7869)
        ({1: 147981129, 2: 20124}, 14800.1253),  # EMH eHZ-GW8E2A500AK2, the same
        ({1: 10, 2: 20, 3: 40}, 0.007),  # t3 is none of our points, and counts
        ({0: 50, 1: 10, 2: 20}, 0.005),  # never both
        ({1: 1103403151}, ADDRESS),  # one alone: the others may be hidden
        ({1: 10, 3: 20}, ADDRESS),
        ({2: 10}, ADDRESS),
        ({1: 20, 2: -10}, ADDRESS),
        ({1: 10, 2: 20, 3: None}, ADDRESS),  # it is there, and nobody knows what it says
    ],
)
def test_tariffs_make_the_total_that_is_not_told(
    reported: dict[int, int | None], total: Sample
) -> None:
    found = meter(*((f"1.8.{e}", value, -1, 30, 0) for e, value in reported.items()))
    assert found.get("energy_import", ADDRESS) == total
    assert "energy_export" not in found


async def test_the_wrong_sign_of_a_dvs74_is_put_right_and_that_of_others_kept() -> None:
    for watts, looks in ((356.24, -299.12), (1.0, 1.0), (100_000.0, -67772.16), (-50.0, -50.0)):
        wrong = Meter(VALUES | {"power": watts}, server=DZG, small_signed=True).frame()
        assert explain([wrong])["power"] == watts
        plain = Sml(SerialWire([wrong]), dvs74="off")
        assert (await read(plain))["power"] == pytest.approx(looks)
        other = Meter(VALUES | {"power": watts}, small_signed=True).frame()
        assert explain([other])["power"] == pytest.approx(looks)


@pytest.mark.parametrize("fault", [f for f in FAULTS if f != "silent"])
async def test_a_spoilt_frame_gives_nothing(fault: str) -> None:
    device = Sml(SerialWire([Meter(VALUES, fault=fault).speak()]))
    if fault == "noise":
        assert await read(device) == pytest.approx(VALUES)
        return
    with pytest.raises(DataError):
        await device.read()
    with pytest.raises(BusError):
        await Sml(SerialWire([])).read()


async def test_a_number_that_is_told_now_and_then_is_no_other_meter() -> None:
    def frame(listed_as: bytes = b"", server: bytes = SERVER) -> bytes:
        values = [entry(POWER, signed(1, 1), unsigned(27, 1))]
        if listed_as:
            values.append(entry("0100600100ff", encode_octets(listed_as)))
        return encode_frame(answer(*values, server=server))

    frames = [frame(b"1EMH0012345678"), frame(), frame(b"1EMH0012345678")]
    for order in (frames, frames[1:]):  # whichever comes first
        wire = SerialWire(list(order))
        device = Sml(wire)
        seen = set()
        for one in order:
            wire.replies[:] = [one]
            await device.read()
            seen.add(device.identity)
        assert len(seen) == 1
    wire.replies[:] = [frame(server=bytes.fromhex("0a01454d480000003039"))]
    await device.read()
    assert device.identity == "1EMH0000012345"
