"""Every register table against pymodbus's simulator: what it has packed is what we read.

All meters are at one server, each a unit: it keeps the functions apart, and refuses what is more
than the meter's own limit. Each is there twice: once with zeros between its values, once with
nothing there, which makes it refuse every request across a gap. Once its registers are made from
our tables, once from the published lists, so that a wrong row of ours does not prove itself.
"""

import struct
import tomllib
from collections.abc import Iterator
from contextlib import closing
from itertools import product
from typing import Any, Literal

import pytest
from pymodbus.framer import FramerType
from pymodbus.server import ModbusSerialServer, ModbusTcpServer
from pymodbus.simulator import SimDevice

from drivers.buses.modbus import ModbusRtu, ModbusTcp
from drivers.buses.serial_port import SerialPort
from drivers.meters.mapfile import HERE
from drivers.meters.register_map import ModbusDevice, load_register_map
from drivers.meters.registerblock import plan_requests
from edge.core import Bad, ModbusBus, Reason, UncertainValue
from tests.drivers.meters.facts import FILES, LISTS, TYPES, WORDS, facts
from tests.kit.pymodbuspeer import Gaps, Peer, PeerValue, strict
from tests.kit.serialport import PtyPair
from tests.long import one_in

NAMES = sorted(path.stem for path in HERE.glob("*.toml"))
GAPS: tuple[Gaps, ...] = ("zero", "refuse")
KINDS = list(product(NAMES, GAPS))
UNITS = {kind: unit for unit, kind in enumerate(KINDS, 1)}
RATIOS = {"pt": 2, "ct": 40}
SURE = 20  # readings until a line is believed that holds always the same
SERIAL, TEXT = 20_261_125, "KR0680001A0PJ"
Held = dict[tuple[int, int], float]  # (function, address) -> value in our unit


def raw(place: int, type_: str, scale: float, low: float, high: float) -> float:
    """A value for a register, each another one, within its range, and of its type."""
    value = low + (high - low) * (0.15 + 0.7 * (place * 0.38 % 1))
    if type_ == "f32":
        return float(struct.unpack(">f", struct.pack(">f", value / scale))[0])
    return round(value / scale)


def of_table(name: str, gaps: Gaps) -> tuple[SimDevice, Held]:
    """A meter as its file tells it, read with nothing of ours, and what it holds."""
    doc: dict[str, Any] = tomllib.loads((HERE / f"{name}.toml").read_text("utf-8"))
    rows, held = [], {}
    for place, row in enumerate(doc["points"].values()):
        function, scale = row.get("function", doc["function"]), row.get("scale", 1)
        number = raw(place, row["type"], scale, row["low"], row["high"])
        rows.append(PeerValue(row["address"], row["type"], function, number))
        held[function, row["address"]] = number * scale
        for ratio in row.get("times", ()):
            held[function, row["address"]] *= RATIOS[ratio]
    for key, row in doc.get("ratios", {}).items():
        rows.append(PeerValue(row["address"], row["type"], doc["function"], RATIOS[key]))
    for row in doc.get("conditions", {}).values():
        rows.append(PeerValue(row["address"], row["type"], doc["function"], row["normal"]))
    if who := doc.get("identity"):
        number_ = TEXT.ljust(2 * who["length"], "\0") if who["type"] == "text" else SERIAL
        function = who.get("function", doc["function"])
        rows.append(PeerValue(who["address"], who["type"], function, number_))
    unit = UNITS[name, gaps]
    return strict(unit, rows, doc["words"], doc["max_registers"], gaps), held


def of_facts(name: str, gaps: Gaps) -> tuple[SimDevice, Held]:
    """A meter as the facts tell it, and what it holds; values that suit our ranges."""
    doc, ours = facts(name), {r.address: r for r in load_register_map(name).registers}
    rows, held = [], {}
    words: Literal["big", "little"] = (
        "big" if WORDS[doc["modbus"]["word_order"]] == "big" else "little"
    )
    for place, row in enumerate(doc["register"]):
        mine = ours.get(row["address"])
        low, high = (mine.point.low, mine.point.high) if mine else (0, 0)
        ratios = row.get("ratio", "").split("*") if row.get("ratio") else []
        if mine and ratios:
            low, high = mine.low, mine.high
        number = raw(place, TYPES[row["type"]], row["scale"], low, high)
        for function in doc["modbus"]["read_functions"]:
            rows.append(PeerValue(row["address"], TYPES[row["type"]], function, number))
        value = number * row["scale"]
        for ratio in ratios:
            value *= RATIOS[ratio]
        if mine:
            held[doc["modbus"]["read_functions"][0], row["address"]] = value
    for row in doc.get("config_register", ()):
        if row["quantity"] in ("pt_ratio", "ct_ratio"):
            rows.append(PeerValue(row["address"], "u16", 3, RATIOS[row["quantity"][:2]]))
        elif row["quantity"] == "serial_number":
            rows.append(PeerValue(row["address"], "u32", 3, SERIAL))
    limit = doc["modbus"]["max_registers_per_request"]
    return strict(UNITS[name, gaps], rows, words, limit, gaps), held


METERS = {kind: of_table(*kind) for kind in KINDS}


@pytest.fixture(scope="module")
def endpoint() -> Iterator[int]:
    devices = [meter for meter, _ in METERS.values()]
    with Peer(lambda: ModbusTcpServer(devices, address=("127.0.0.1", 0))) as peer:
        yield peer.port


@pytest.fixture(scope="module")
def line() -> Iterator[str]:
    devices = [meter for meter, _ in METERS.values()]
    ptys = PtyPair()
    make = lambda: ModbusSerialServer(  # noqa: E731
        devices, framer=FramerType.RTU, port=ptys.b, baudrate=115_200
    )
    with Peer(make):
        yield ptys.a
    ptys.close()


@pytest.fixture(scope="module")
def others() -> Iterator[tuple[int, dict[tuple[str, Gaps], Held]]]:
    meters = {kind: of_facts(*kind) for kind in KINDS}
    devices = [meter for meter, _ in meters.values()]
    with Peer(lambda: ModbusTcpServer(devices, address=("127.0.0.1", 0))) as peer:
        yield peer.port, {kind: held for kind, (_, held) in meters.items()}


async def read(bus: ModbusBus, name: str, gaps: Gaps) -> tuple[Held, ModbusDevice]:
    """What it tells, and tells again when it is known where its gaps are, until it is sure of it.

    On a line an unchanged answer may be a copy of the first, or that to another question.
    """
    meter = ModbusDevice(bus, load_register_map(name), UNITS[name, gaps])
    await meter.open()
    table, first = meter.map, await meter.read()
    for _ in range(SURE):
        found = await meter.read()
        for one, was in zip(found, first, strict=True):
            reported = (
                one.value if isinstance(one, UncertainValue) and one.reason is Reason.STALE else one
            )
            assert reported in (was, Bad(Reason.SILENT))
        if found == first:
            break
    assert found == first
    places = ((table.asks(register), register.address) for register in table.registers)
    return dict(zip(places, found, strict=True)), meter  # type: ignore[arg-type]


def serial(meter: ModbusDevice) -> str:
    who = meter.map.identity
    return "" if who is None else TEXT if who.type == "text" else str(SERIAL)


def test_every_meter_with_a_list_has_a_table_and_every_table_is_tried() -> None:
    assert set(NAMES) == set(FILES)
    meters = {path.stem for path in LISTS.glob("*.toml")}
    assert meters == set(FILES.values()) | {"sunspec-meter-int", "sunspec-meter-float"}


@pytest.mark.parametrize(("name", "gaps"), KINDS)
async def test_every_point_from_pymodbus_over_tcp(endpoint: int, name: str, gaps: Gaps) -> None:
    with closing(ModbusTcp("127.0.0.1", endpoint, timeout_s=20.0)) as bus:
        found, meter = await read(bus, name, gaps)
    assert found == pytest.approx(METERS[name, gaps][1], rel=1e-9)
    assert meter.identity == serial(meter)
    assert not meter.health


@one_in(4)
@pytest.mark.parametrize(("name", "gaps"), KINDS)
async def test_every_point_from_pymodbus_on_a_line(line: str, name: str, gaps: Gaps) -> None:
    with closing(ModbusRtu(SerialPort(line, 115_200), timeout_s=2.0, link_delay_s=2.0)) as bus:
        found, meter = await read(bus, name, gaps)
    assert found == pytest.approx(METERS[name, gaps][1], rel=1e-9)
    assert meter.identity == serial(meter)


@pytest.mark.parametrize(("name", "gaps"), KINDS)
async def test_every_point_of_the_published_lists(
    others: tuple[int, dict[tuple[str, Gaps], Held]], name: str, gaps: Gaps
) -> None:
    port, held = others
    with closing(ModbusTcp("127.0.0.1", port, timeout_s=20.0)) as bus:
        found, _ = await read(bus, name, gaps)
    assert {at: found[at] for at in held[name, gaps]} == pytest.approx(held[name, gaps], rel=1e-9)


@pytest.mark.parametrize("name", NAMES)
def test_no_request_is_longer_than_the_meter_likes_nor_cuts_a_value(name: str) -> None:
    table = load_register_map(name)
    blocks = plan_requests(table)
    assert sorted(place for one in blocks for place in one.places) == list(range(len(table.cells)))
    for one in blocks:
        assert one.count <= table.max_registers
        for place in one.places:
            cell = table.cells[place]
            assert one.address <= cell.address < cell.end <= one.address + one.count
