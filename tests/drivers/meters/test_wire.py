"""Every point of the shipped tables over real ports, from our simulator; `test_peer` has others."""

import struct
from typing import Literal

import pytest
from pymodbus.server import ModbusTcpServer
from pymodbus.simulator import DataType, SimData, SimDevice

from drivers.buses.modbus import ModbusRtu, ModbusTcp
from drivers.meters.mapfile import HERE
from drivers.meters.register_map import ModbusDevice, RegisterMap, load_register_map
from drivers.sim.meter import MeterLine, MeterLoad, MeterServer, MeterTcp
from drivers.sim.meter_line import WHOLE_S
from edge.core import Bad, ModbusBus, Reason
from tests.kit.pymodbuspeer import Peer
from tests.kit.serialport import waiting

NAMES = sorted(path.stem for path in HERE.glob("*.toml"))


def numbers(table: RegisterMap) -> dict[str, float]:
    """A value per point, each another one, within its range and no round binary number."""
    found = {}
    for i, register in enumerate(table.registers):
        bounds = register if register.times else register.point  # no transformers before it
        part = 0.1 + 0.7 * i / len(table.registers)
        found[register.point.key] = bounds.low + (bounds.high - bounds.low) * part
    return found


def as_float32(value: float) -> float:
    """The wire's resolution."""
    return float(struct.unpack(">f", struct.pack(">f", value))[0])


async def check(bus: ModbusBus, table: RegisterMap, unit: int, held: dict[str, float]) -> None:
    """Each value as it was, to half a step of its register."""
    meter = ModbusDevice(bus, table, unit)
    await meter.open()
    samples = await meter.read()
    assert meter.identity == ("12345678" if table.identity else "")
    for register, sample in zip(table.registers, samples, strict=True):
        step = 0.501 * register.scale if register.type[0] != "f" else 0
        assert sample == pytest.approx(held[register.point.key], rel=1e-7, abs=step)


@pytest.mark.parametrize("name", ["sdm630", "em24", "pzem004t"])
async def test_every_point_from_our_simulator_on_a_line(name: str) -> None:
    table = load_register_map(name)
    held = numbers(table)
    line = MeterLine({7: MeterServer(name, held)}, baud=38_400, step_s=WHOLE_S).start()
    bus = ModbusRtu(waiting(line)(line.path, 38_400))
    await check(bus, table, 7, held)
    bus.close()
    line.stop()
    assert (line.damaged, line.early, line.collisions) == (0, 0, 0)


@pytest.mark.parametrize("gaps", ["zero", "refuse"])
@pytest.mark.parametrize("name", NAMES)
async def test_every_point_from_our_simulator_over_tcp(
    name: str, gaps: Literal["zero", "refuse"]
) -> None:
    table = load_register_map(name)
    held = numbers(table)
    server = MeterTcp({1: MeterServer(name, {}), 7: MeterServer(name, held, gaps=gaps)}).start()
    bus = ModbusTcp(server.host, server.port, timeout_s=20.0)
    await check(bus, table, 7, held)
    bus.close()
    server.stop()


async def test_pymodbus_refusing_registers_between_points_costs_no_point() -> None:
    table = load_register_map("sdm120")
    held = numbers(table)

    def make() -> ModbusTcpServer:
        blocks = [
            SimData(r.address, values=held[r.point.key], datatype=DataType.FLOAT32)
            for r in table.registers
            if "demand" not in r.point.key
        ]
        return ModbusTcpServer(SimDevice(1, blocks), address=("127.0.0.1", 0))

    with Peer(make) as peer:
        bus = ModbusTcp("127.0.0.1", peer.port, timeout_s=20.0)
        meter = ModbusDevice(bus, table, 1)
        want = tuple(
            Bad(Reason.ADDRESS) if "demand" in key else as_float32(value)
            for key, value in held.items()
        )
        assert await meter.read() == want
        assert await meter.read() == want
        bus.close()


@pytest.mark.parametrize("name", NAMES)
def test_a_simulated_load_knows_every_point_and_each_is_within_its_range(name: str) -> None:
    table = load_register_map(name)
    held = MeterLoad(3 if any(r.point.key == "voltage_l2" for r in table.registers) else 1).values()
    for register in table.registers:
        point = register.point
        assert point.low <= held[point.key] <= point.high, point.key


async def test_what_the_simulated_load_tells_fits_together() -> None:
    now_s = [0.0]
    load_630 = MeterLoad(3, amps=lambda t: (5.0, -2.0, 0.5 + t / 3600), clock=lambda: now_s[0])
    server = MeterTcp({1: MeterServer("sdm630", load_630.values)}).start()
    bus = ModbusTcp(server.host, server.port, timeout_s=20.0)
    meter = ModbusDevice(bus, load_register_map("sdm630"), 1)
    await meter.read()
    now_s[0] = 3600.0
    samples = await meter.read()
    got: dict[str, float] = {}
    for point, sample in zip(meter.points, samples, strict=True):
        assert isinstance(sample, float), point.key
        got[point.key] = sample
    bus.close()
    server.stop()
    for phase in ("l1", "l2", "l3"):
        watts = got[f"voltage_{phase}"] * got[f"current_{phase}"] * got[f"power_factor_{phase}"]
        assert got[f"power_{phase}"] == pytest.approx(watts, rel=1e-5)
        square = got[f"power_{phase}"] ** 2 + got[f"reactive_power_{phase}"] ** 2
        assert got[f"apparent_power_{phase}"] ** 2 == pytest.approx(square, rel=1e-5)
        both = got[f"energy_import_{phase}"] + got[f"energy_export_{phase}"]
        assert got[f"energy_total_{phase}"] == pytest.approx(both, rel=1e-5)
    assert got["power"] == pytest.approx(sum(got[f"power_l{n}"] for n in (1, 2, 3)), rel=1e-5)
    # an hour: 5 A, 2 A out, and on the average 1 A
    assert got["energy_import_l1"] == pytest.approx(230.4 * 5 * 0.95 / 1000, rel=1e-4)
    assert got["energy_export_l2"] == pytest.approx(229.1 * 2 * 0.95 / 1000, rel=1e-4)
    assert got["energy_import_l3"] == pytest.approx(231.7 * 1 * 0.95 / 1000, rel=1e-4)
    assert got["energy_import_l2"] == 0
