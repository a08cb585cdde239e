"""The simulated P1 port on its pseudo-terminal, and dsmr_parser as a peer of both."""

import re
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from drivers.buses.serial_port import SerialPort
from drivers.chips.dsmr import Dsmr as Driver
from drivers.chips.dsmr import explain
from drivers.sim.dsmr import FAULTS, Dsmr, crc16
from edge.core import Bad, DataError, Reason, Sample
from tests.drivers.bench import SerialWire
from tests.long import examples

FAST = 115200
ADDRESS = Bad(Reason.ADDRESS)
VALUES = {
    "energy_import_t1": 123.456,
    "energy_import_t2": 200.001,
    "energy_export_t1": 1.0,
    "energy_export_t2": 0.5,
    "power": -1234.0,
    **{f"power_l{n}": -411.0 * n + 1 for n in (1, 2, 3)},
    **{f"voltage_l{n}": 229.0 + n for n in (1, 2, 3)},
    **{f"current_l{n}": 1.0 * n for n in (1, 2, 3)},
    "gas_volume": 123.456,
    "water_volume": 12.345,
    "warm_water_volume": 1.234,
    "heat_energy": 500.0,
    "power_failures": 13.0,
    "long_power_failures": 2.0,
}
TOTALS = {"energy_import": 323.457, "energy_export": 1.5}
PLAIN = {  # what the peer calls it -> point, how many of its unit
    **{f"ELECTRICITY_USED_TARIFF_{n}": (f"energy_import_t{n}", 1) for n in (1, 2)},
    **{f"ELECTRICITY_DELIVERED_TARIFF_{n}": (f"energy_export_t{n}", 1) for n in (1, 2)},
    "ELECTRICITY_IMPORTED_TOTAL": ("energy_import", 1),
    "ELECTRICITY_EXPORTED_TOTAL": ("energy_export", 1),
    **{f"INSTANTANEOUS_VOLTAGE_L{n}": (f"voltage_l{n}", 1) for n in (1, 2, 3)},
    **{f"INSTANTANEOUS_CURRENT_L{n}": (f"current_l{n}", 1) for n in (1, 2, 3)},
    "SHORT_POWER_FAILURE_COUNT": ("power_failures", 1),
    "LONG_POWER_FAILURE_COUNT": ("long_power_failures", 1),
}
SIGNED = {
    "power": ("CURRENT_ELECTRICITY_USAGE", "CURRENT_ELECTRICITY_DELIVERY"),
    **{
        f"power_l{n}": tuple(
            f"INSTANTANEOUS_ACTIVE_POWER_L{n}_{way}" for way in ("POSITIVE", "NEGATIVE")
        )
        for n in (1, 2, 3)
    },
}
KINDS = {3: "gas_volume", 7: "water_volume", 6: "warm_water_volume", 4: "heat_energy"}


def parsed(specification: str, text: bytes) -> Any:
    parsers = pytest.importorskip("dsmr_parser.parsers")
    known = pytest.importorskip("dsmr_parser.telegram_specifications")
    parser = parsers.TelegramParser(getattr(known, specification))
    return parser.parse(text.decode("ascii"), throw_ex=True)


def by_peer(specification: str, text: bytes) -> dict[str, float]:
    """What the peer makes of a telegram, as our points."""
    peer = parsed(specification, text)
    found: dict[str, float] = {}
    for name, (key, scale) in PLAIN.items():
        if hasattr(peer, name):
            found[key] = float(scale * getattr(peer, name).value)
    for key, (taken, given_) in SIGNED.items():
        if hasattr(peer, taken):
            assert getattr(peer, taken).unit == "kW"
            less = getattr(peer, given_).value if hasattr(peer, given_) else 0
            found[key] = float(1000 * (getattr(peer, taken).value - less))
    for device in getattr(peer, "MBUS_DEVICES", []):
        reading = next((v for name, v in device if name.endswith("_METER_READING")), None)
        reported = next(v for name, v in device if name.endswith("DEVICE_TYPE"))
        kind = KINDS.get(int(reported.value))
        if reading is not None and kind:
            heat = Decimal(1000) / Decimal("3.6") if reading.unit == "GJ" else 1
            found[kind] = float(reading.value * heat)
    return found


def numbers(samples: dict[str, Sample]) -> dict[str, float]:
    return {key: s for key, s in samples.items() if isinstance(s, int | float)}


@pytest.fixture(params=[5, 2])
def meter(request: pytest.FixtureRequest) -> Iterator[Dsmr]:
    made = Dsmr(VALUES, version=request.param)
    made.silent = True  # it talks when a test lets it
    with made:
        yield made


async def test_what_it_holds_is_what_is_read_and_its_faults_are_seen(meter: Dsmr) -> None:
    port = SerialPort(meter.port, FAST)
    port.open()
    device = Driver(port)

    async def reported() -> dict[str, Sample]:
        found = zip([p.key for p in device.points], await device.read(), strict=True)
        return {key: s for key, s in found if s != ADDRESS}

    good = pytest.approx(VALUES | TOTALS, abs=0.15)  # heat comes in MJ
    damaged = []
    for fault in ("", *(f for f in FAULTS if f != "silent")):
        meter.faults.extend([fault] if fault else [])
        meter.send(meter.speak())
        try:
            if fault == "cut" or (fault == "tail" and meter.version < 4):
                meter.send(meter.speak())
            assert await reported() == good
        except DataError:
            damaged.append(fault)
        assert not meter.faults
        meter.send(meter.speak())
        assert await reported() == good, fault
    assert damaged == (["crc", "flip", "tail"] if meter.version >= 4 else ["flip"])
    assert device.identity == meter.serial
    port.close()


def test_a_device_that_was_exchanged_leaves_its_channel_behind() -> None:
    values = {"energy_import_t1": 1.0, "gas_volume": 2.5, "water_volume": 3.5}
    found = explain([Dsmr(values, swapped=True).telegram()])
    assert (found["gas_volume"], found["water_volume"]) == (2.5, 3.5)
    with pytest.raises(ValueError, match="4 channels"):
        Dsmr(VALUES, swapped=True)


async def test_meters_that_change_their_channels_are_one_word_or_a_point_each() -> None:
    values = {"energy_import_t1": 1.0, "gas_volume": 734.607, "gas_volume_2": 0.0}
    meter = Dsmr(values, fault="channels")
    frames = [meter.speak() for _ in range(4)]
    assert len(set(frames)) == 2
    for frame in frames:
        assert explain([frame])["gas_volume"] == Bad(Reason.CONTRADICTED)
        named = Driver(SerialWire([frame]), **{k: tuple(v) for k, v in meter.options.items()})
        reported = dict(zip([p.key for p in named.points], await named.read(), strict=True))
        assert (reported["gas_volume"], reported["gas_volume_2"]) == (734.607, 0.0)


def test_another_implementation_reads_the_same() -> None:
    for version, name in ((5, "V5"), (2, "V2_2")):
        text = Dsmr(VALUES, version=version).telegram()
        found = by_peer(name, text)
        assert len(found) >= (len(VALUES) if version == 5 else 9)
        ours = numbers(explain([text]))
        assert found == pytest.approx({key: ours[key] for key in found})
    peer = parsed("V5", Dsmr(VALUES).telegram())
    assert bytes.fromhex(peer.EQUIPMENT_IDENTIFIER.value).decode() == "E0047000123456719"


@settings(deadline=None, max_examples=examples(40))
@given(st.floats(0, 999999), st.floats(0, 999999), st.integers(-99999, 99999), st.floats(0, 99999))
def test_both_read_the_same_of_any_telegram(
    low: float, normal: float, power: int, gas: float
) -> None:
    values = {
        "energy_import_t1": low, "energy_import_t2": normal, "power": float(power),
        "gas_volume": gas,
    }  # fmt: skip
    text = Dsmr(values).telegram()
    ours, theirs = numbers(explain([text])), by_peer("V5", text)
    assert theirs == pytest.approx({key: ours[key] for key in theirs})
    assert theirs.keys() == values.keys()
    damaged = text.replace(b"(0", b"(1", 1)
    if damaged != text:
        with pytest.raises(DataError):
            explain([damaged])


ABROAD = {  # telegrams as meters of other countries form them, computed
    "V4": (
        "1-3:0.2.8(42)", "0-0:1.0.0(261125120000W)", "0-0:96.1.1(4B414C37)",
        "1-0:1.8.1(001581.123*kWh)", "1-0:1.8.2(001435.706*kWh)", "1-0:2.8.1(000000.000*kWh)",
        "1-0:2.8.2(000000.002*kWh)", "0-0:96.14.0(0002)", "1-0:1.7.0(02.027*kW)",
        "1-0:2.7.0(00.000*kW)", "0-0:96.7.21(00015)", "0-0:96.7.9(00007)",
        "1-0:99.97.0(1)(0-0:96.7.19)(000104180320W)(0000237126*s)", "1-0:32.32.0(00000)",
        "0-0:96.13.1()", "0-0:96.13.0()", "1-0:31.7.0(001*A)", "1-0:51.7.0(006*A)",
        "1-0:71.7.0(002*A)", "1-0:21.7.0(00.170*kW)", "1-0:41.7.0(01.247*kW)",
        "1-0:61.7.0(00.209*kW)", "1-0:22.7.0(00.000*kW)", "1-0:42.7.0(00.000*kW)",
        "1-0:62.7.0(00.000*kW)", "0-1:24.1.0(003)", "0-1:96.1.0(4730)",
        "0-1:24.2.1(261125120000W)(00981.443*m3)",
    ),
    "BELGIUM_FLUVIUS": (
        "0-0:96.1.4(50217)", "0-0:96.1.1(3153414731)", "0-0:1.0.0(261125135409W)",
        "1-0:1.8.1(000000.034*kWh)", "1-0:1.8.2(000015.758*kWh)", "1-0:2.8.1(000000.000*kWh)",
        "1-0:2.8.2(000000.011*kWh)", "1-0:1.4.0(02.351*kW)",
        "1-0:1.6.0(200509134558S)(02.589*kW)", "1-0:1.7.0(00.000*kW)", "1-0:2.7.0(00.100*kW)",
        "1-0:21.7.0(00.000*kW)", "1-0:22.7.0(00.100*kW)", "1-0:32.7.0(234.7*V)",
        "1-0:31.7.0(000.43*A)", "0-0:96.3.10(1)", "0-1:24.1.0(003)", "0-1:96.1.1(37464)",
        "0-1:24.4.0(1)", "0-1:24.2.3(261125134558W)(00112.384*m3)", "0-2:24.1.0(007)",
        "0-2:96.1.1(3853)", "0-2:24.2.1(261125134558W)(00872.234*m3)",
    ),
    "SWEDEN": (
        "0-0:1.0.0(261125135409W)", "1-0:1.8.0(00006678.394*kWh)", "1-0:2.8.0(00000001.500*kWh)",
        "1-0:3.8.0(00000021.988*kvarh)", "1-0:4.8.0(00001020.971*kvarh)", "1-0:1.7.0(0001.727*kW)",
        "1-0:2.7.0(0000.000*kW)", "1-0:3.7.0(0000.000*kvar)", "1-0:21.7.0(0001.023*kW)",
        "1-0:22.7.0(0000.000*kW)", "1-0:32.7.0(240.3*V)", "1-0:31.7.0(004.2*A)",
    ),
    "LUXEMBOURG_SMARTY": (
        "1-3:0.2.8(42)", "0-0:1.0.0(261125135409W)", "0-0:42.0.0(53414731)",
        "1-0:1.8.0(000123.456*kWh)", "1-0:2.8.0(000007.000*kWh)", "1-0:3.8.0(000000.005*kvarh)",
        "1-0:4.8.0(000001.000*kvarh)", "1-0:1.7.0(00.500*kW)", "1-0:2.7.0(00.000*kW)",
    ),
}  # fmt: skip


@pytest.mark.parametrize(("country", "lines"), ABROAD.items())
def test_telegrams_of_other_countries_are_read_as_the_peer_reads_them(
    country: str, lines: tuple[str, ...]
) -> None:
    text = b"/KST5\\2X\r\n\r\n" + "".join(f"{line}\r\n" for line in lines).encode() + b"!"
    text += b"%04X\r\n" % crc16(text)
    theirs, ours = by_peer(country, text), numbers(explain([text]))
    assert theirs == pytest.approx({key: ours[key] for key in theirs})
    assert len(theirs) >= 3
    reported = {re.sub(r"_t[12]$", "", key) for key in theirs}
    assert {"energy_import", "energy_export", "power"} <= reported
