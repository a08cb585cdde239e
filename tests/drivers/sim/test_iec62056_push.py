"""The simulated mode D meter on its pseudo-terminal, and dsmr_parser as a peer of what it sends."""

from decimal import Decimal

import pytest

from drivers.buses.serial_port import SerialPort
from drivers.chips.iec62056_push import Iec62056Push as Driver
from drivers.chips.iec62056_push import explain
from drivers.sim.iec62056_push import FAULTS, Iec62056Push
from edge.core import Bad, DataError, Reason, Sample

FAST = 115200  # a pty has no speed
VALUES = {
    "energy_import": 4321.123,
    "energy_import_t1": 4321.0,
    "energy_export": 12.0,
    "power": -600.0,
    "power_l1": 120.0,
    "power_l2": -20.0,
    "power_l3": -700.0,
    "voltage_l1": 230.9,
    "current_l3": 3.03,
}


async def test_what_it_holds_is_what_is_read_and_its_faults_are_seen() -> None:
    meter = Iec62056Push(VALUES)
    meter.silent = True  # it talks when it is let
    with meter:
        port = SerialPort(meter.port, FAST)
        port.open()
        device = Driver(port)

        async def reported() -> dict[str, Sample]:
            found = zip([p.key for p in device.points], await device.read(), strict=True)
            return {key: s for key, s in found if s != Bad(Reason.ADDRESS)}

        damaged = []
        for fault in ("", *(f for f in FAULTS if f != "silent")):
            meter.faults.extend([fault] if fault else [])
            meter.send(meter.speak())
            try:
                if fault == "cut":
                    meter.send(meter.speak())
                assert await reported() == pytest.approx(VALUES)
            except DataError:
                damaged.append(fault)
            assert not meter.faults
            meter.send(meter.speak())
            assert await reported() == pytest.approx(VALUES), fault
        assert damaged == ["parity", "line"]
        assert device.identity == meter.serial
        port.close()


def test_another_implementation_reads_the_same() -> None:
    parsers = pytest.importorskip("dsmr_parser.parsers")
    known = pytest.importorskip("dsmr_parser.telegram_specifications")
    text = Iec62056Push(VALUES, serial="1ESY1234567890").telegram()
    peer = parsers.TelegramParser(known.Q3D).parse(text.decode("ascii"), throw_ex=True)
    ours = explain([text])
    assert peer.ELECTRICITY_IMPORTED_TOTAL.value == Decimal(str(ours["energy_import"]))
    assert peer.ELECTRICITY_EXPORTED_TOTAL.value == Decimal("12")
    taken, given = peer.CURRENT_ELECTRICITY_USAGE, peer.CURRENT_ELECTRICITY_DELIVERY
    assert (taken.unit, given.unit) == ("kW", "kW")
    assert 1000 * (taken.value - given.value) == Decimal(str(ours["power"])) == -600
    assert peer.Q3D_EQUIPMENT_STATE.value == "82"
