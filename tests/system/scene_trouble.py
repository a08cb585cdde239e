"""A scene: corrupt models, garbage on serial lines and a flood of edges, all at once."""

import random
import shutil
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from drivers.sim.meter import MeterLine, MeterServer, UnitFault
from drivers.sim.meter_line import WHOLE_S
from drivers.sim.meter_server import Kind
from drivers.sim.pms5003 import Pms5003
from drivers.sim.sen55 import Sen55
from edge.core.looptick import SLOT_S
from models import BUNDLES
from tests.kit.broker import Mosquitto
from tests.kit.gateway import AIR, LOOPS, GatewayProcess, Records
from tests.kit.street import LoopStreet
from tests.kit.subscribed import ALL, end_us, events, states
from tests.kit.waiting import wait_until

AIR_HELD = {
    "pm1_0": 5.2, "pm2_5": 9.5, "pm4_0": 12.6, "pm10": 13.3, "humidity": 45.5,
    "temperature": 23.5, "voc_index": 100.0, "nox_index": 1.0,
}  # fmt: skip
DUST_HELD = {"pm1_0": 7.0, "pm2_5": 11.0, "pm10": 15.0, "n0_3": 12.5}
MORE_LANES = """
[lane.south_1]
approach = "south"
bus = "loops"
lead = "south"
active = "high"
bias = "none"
[lane.west_1]
approach = "west"
bus = "loops"
lead = "west"
active = "high"
bias = "none"
"""
MORE_DEVICES = """
[bus.meters]
kind = "modbus-rtu"
port = "{meter}"
baud = 38400
link_delay_s = 0.5  # nothing lies between: what never changes is polled less often, and believed
[device.noisy_meter]
driver = "sdm630"
bus = "meters"
unit = 1
[device.quiet_meter]
driver = "sdm120"
bus = "meters"
unit = 2
[bus.dust]
kind = "serial"
port = "{dust}"
[device.dust]
driver = "pms5003"
bus = "dust"
settle_reads = 0
"""
MODELS = """
[models]
dir = "{dir}/models"
"""


@dataclass
class Trouble:
    """What one daemon was put through, and what came of it."""

    found: list[dict[str, Any]] = field(default_factory=list)
    street: LoopStreet | None = None
    check: tuple[int, str] = (-1, "")
    code: int = -1
    log: str = ""
    grown_kib: int = 0  # memory, by the flood
    flood_us: tuple[int, int] = (0, 0)
    garbage_us: tuple[int, int] = (0, 0)
    after: int = 0  # vehicles on the flooded lane, when it was open again
    read: dict[str, str] = field(default_factory=dict)


def corrupt_models(folder: Path) -> None:
    """A byte of one is another, the other is cut."""
    shutil.copytree(BUNDLES, folder, ignore=shutil.ignore_patterns("*.py", "__pycache__"))
    one, other = folder / "congestion" / "congestion.onnx", folder / "anomaly" / "anomaly.onnx"
    data = bytearray(one.read_bytes())
    data[len(data) // 2] ^= 0x04
    one.write_bytes(data)
    other.write_bytes(other.read_bytes()[:1000])


def flood(street: LoopStreet, line: str, per_s: int, seconds: float) -> tuple[int, int]:
    """So many edges, each with its exact stamp; ends low. Gives the time of its edges in us."""
    start_ns, step_ns = time.monotonic_ns(), 1_000_000_000 // per_s
    count = int(per_s * seconds) // 2 * 2
    for i in range(count):
        at_ns = start_ns + i * step_ns
        if i % 50 == 0 and (wait_s := (at_ns - time.monotonic_ns()) / 1e9) > 0:
            time.sleep(wait_s)
        street.chip.drive(line, i % 2 == 0, at_ns)
    return start_ns // 1000, (start_ns + count * step_ns) // 1000


def garbage(line: MeterLine, dust: Pms5003, seconds: float) -> tuple[int, int]:
    """Every fault of a wire, one after the other. Gives its time in us."""
    rng, start_ns = random.Random(5), time.monotonic_ns()
    kinds: list[Kind] = ["noise", "crc", "cut", "noise", "foreign"]
    while time.monotonic_ns() < start_ns + int(seconds * 1e9):
        if line.units[1].fault is None:
            noise = rng.randbytes(rng.randrange(1, 40))
            line.units[1].fault = UnitFault(kinds[0], times=1, noise=noise)
            kinds.append(kinds.pop(0))
        dust.send(rng.randbytes(rng.randrange(60)))
        if not dust.faults:
            dust.faults.extend(("garbage", "sum", "half", "sum"))
        time.sleep(0.15)
    dust.faults.clear()
    line.units[1].fault = None
    return start_ns // 1000, time.monotonic_ns() // 1000


def pass_over(street: LoopStreet, line: str, count: int) -> None:
    for _ in range(count):
        for level in (True, False):
            street.chip.drive(line, level, time.monotonic_ns())
            time.sleep(0.25)


def put_through(folder: Path) -> Trouble:
    trouble = Trouble()
    broker = Mosquitto(folder / "broker").start()
    meters = MeterLine(
        {
            1: MeterServer("sdm630", {"voltage_l1": 231.5, "energy_import": 500.0}),
            2: MeterServer("sdm120", {"voltage_l1": 229.25, "energy_import": 70.0}),
        },
        baud=38_400,
        step_s=WHOLE_S,
    ).start()
    corrupt_models(folder / "models")
    lines = ("lead", "trail", "heat", "south", "west")
    sensor = Sen55(AIR_HELD, powered_s=86_400)
    with LoopStreet(folder, sensor, lines) as street, Pms5003(DUST_HELD, 0.4, zeros=0) as dust:
        site = GatewayProcess(
            folder, broker, LOOPS, MORE_LANES, AIR, MORE_DEVICES, MODELS,
            meter=meters.path, dust=dust.port,
        )  # fmt: skip
        try:
            trouble.street = street
            records = Records(broker, folder, *ALL)
            site.start()
            street.drive(every_s=0.9)
            begun_s = time.monotonic()  # its lines are open: a busy machine starts for ten seconds
            records.wait(lambda r: len(r.of("traffic")) >= 3)
            # what reads models takes memory, too
            wait_until(lambda: site.log.read_text().count("checksum") == 2)
            before_kib = site.memory_kib
            trouble.flood_us = flood(street, "south", 5000, 2.6)
            trouble.grown_kib = site.memory_kib - before_kib
            trouble.garbage_us = garbage(meters, dust, 4.0)
            records.wait(lambda r: states(r.all(), "south_1")[-1:] == ["off"])
            pass_over(street, "south", 3)
            trouble.after = 3
            # a loop says nothing of a jam before it was free once, here for the whole first slot
            time.sleep(max(0.0, begun_s + 1.2 * SLOT_S - time.monotonic()))
            street.chip.drive("west", True, time.monotonic_ns())  # it stands there from now on
            records.wait(lambda r: events(r.all(), "congestion", "west"), 75)
            street.end()
            ended_us = time.monotonic_ns() // 1000
            records.wait(lambda r: max(map(end_us, r.of("traffic"))) > ended_us)
            trouble.read = {
                name: site.ask("read", name).stdout
                for name in ("noisy_meter", "quiet_meter", "dust", "hut_air")
            }
            trouble.code = site.stop()
            trouble.found = list(records.all())
            trouble.check = records.stop()
            trouble.log = site.log.read_text()
        finally:
            site.close()
            meters.stop()
            broker.kill()
    return trouble
