"""A scene: a newcomer's cabinet is scanned, and lives with what happens to devices in the field."""

import json
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from drivers.sim.dlt645 import Dlt645
from drivers.sim.gpio import SimChip
from drivers.sim.i2c import I2cChip, I2cKernel
from drivers.sim.i2c_server import I2cServer
from drivers.sim.meter_server import MeterServer
from drivers.sim.meter_tcp import MeterTcp
from drivers.sim.meter_unit import UnitFault
from drivers.sim.sen55 import Sen55
from drivers.sim.sht4x import Sht4x
from drivers.sim.sps30 import Sps30
from tests.kit.broker import Mosquitto
from tests.kit.gateway import KERBSTONE, ROOT, GatewayProcess, Records
from tests.kit.subscribed import ALL, events

HELD: dict[str, dict[str, float]] = {  # by the name that a scan gives
    "sht4x": {"temperature": 21.5, "humidity": 40.0},
    "sen55": {"pm2_5": 9.5, "pm10": 13.3, "temperature": 23.5, "voc_index": 100.0},
    "sps30": {"pm2_5": 7.2, "nc10": 50.5, "typical_size": 0.62},
    "pms5003": {"pm1_0": 7.0, "pm2_5": 11.0, "pm10": 15.0},
    "sdm120": {"voltage_l1": 231.5, "power": 125.0, "energy_import": 500.0, "frequency": 50.0},
    "dlt645": {"voltage_l1": 229.3, "power": 80.5, "energy_import": 300.0, "frequency": 50.02},
}
CORRECTED = {"temperature": 21.5 - 0.5, "humidity": 40.0 * 1.1}  # of the sht4x, see below
EDITS = {  # what a person adds to what was found: a test has little time
    "sht4x": "every_s = 0.5",
    "sen55": "every_s = 1.0\nsettle_reads = 3",
    "sps30": "every_s = 1.0\nsettle_reads = 3",
    "pms5003": "settle_reads = 1",
    "sdm120": "every_s = 0.5",
    "dlt645": "every_s = 1.0",
}
DOOR = """
[bus.contacts]
kind = "gpio"
chip = "sim:{}/gpio"
[device.cabinet]
driver = "contact"
bus = "contacts"
line = "door"
active = "high"
event = "door"
"""
CALIBRATIONS = """
[calibration.old]
device = "sht4x"
point = "temperature"
by = "City laboratory"
on = 2019-03-02
until = 2020-03-01
offset = -0.5
publish = "both"
[calibration.valid]
device = "sht4x"
point = "humidity"
by = "City laboratory"
on = 2026-03-02
certificate = "K-1"
until = 2999-12-31
gain = 1.1
publish = "both"
"""
NUMBERS = {"sdm120": ("11111111", "22222222"), "dlt645": ("000000000301", "000000000302")}
BEFORE = {name: HELD[name]["energy_import"] for name in NUMBERS}
AFTER = {"sdm120": 20_000.0, "dlt645": 4000.0}  # where a swapped meter's register stands, in kWh
GROWTH = 0.01  # kWh, of each meter before it goes, and of each that came: one step at the least
PATIENT = ("--listen", "1.6", "--units", "1", "--timeout", "2")  # on a busy machine
THREE_HOURS_S = 3 * 3600.0
LIMIT_S = 60.0  # for anything to happen; it is a matter of seconds


class HurriedGateway(GatewayProcess):
    """Its daemon counts three readings as three hours, and trusts the clock."""

    command = (sys.executable, "-m", "tests.system.hurried")


@dataclass
class CatalogueDevices:
    """The devices, and where a scan finds them."""

    sen55: Sen55
    sps30: Sps30
    modbus: MeterServer
    dlt645: Dlt645
    places: list[str]
    gpio: SimChip
    hours_s: float = 0.0  # the gas sensor's clock is ahead by so much

    def swap(self, name: str) -> None:
        """Another meter in the place of this one; its registers stand elsewhere."""
        if name == "sdm120":
            self.modbus.swap(int(NUMBERS[name][1]))
        else:
            self.dlt645.number = NUMBERS[name][1]
        self.count(name, AFTER[name])

    def repair_fan(self) -> None:
        """Which takes its supply away for a moment."""
        self.sps30.errors.clear()
        self.sps30.power(False)
        self.sps30.power(True)

    def count(self, name: str, kwh: float) -> None:
        values: Any = self.modbus.values if name == "sdm120" else self.dlt645.values
        values["energy_import"] = kwh


@dataclass
class Catalogue:
    """What came of it."""

    scan: tuple[int, str] = (-1, "")
    checked: tuple[int, str] = (-1, "")
    found: list[dict[str, Any]] = field(default_factory=list)
    down_us: int = 0  # the daemon was stopped then
    up_us: int = 0  # and started again
    rested: bool = False  # the gas sensor did not measure meanwhile, and so forgot
    taught_s: float = 0.0  # what the gas sensor's algorithm had learnt before the restart
    begun_s: float = 0.0  # and when it measured again
    codes: list[int] = field(default_factory=list)
    check: tuple[int, str] = (-1, "")
    log: str = ""


@contextmanager
def cabinet(folder: Path) -> Iterator[CatalogueDevices]:
    """All wires with their devices: sensors that have had their supply since yesterday."""
    with ExitStack() as stack:
        sen55 = Sen55(HELD["sen55"], powered_s=86_400, serial="AIR-1")
        sps30 = Sps30(HELD["sps30"], powered_s=86_400, serial="DUST-1", fault="fan")
        air: dict[int, I2cChip] = {0x44: Sht4x(HELD["sht4x"], powered_s=9.0), 0x69: sen55}
        other: dict[int, I2cChip] = {0x69: sps30}  # its address is that of the SEN55
        for name, chips in (("air", air), ("dust", other)):
            stack.enter_context(I2cServer(I2cKernel(chips), folder / name))
        number = NUMBERS["dlt645"][0]
        dlt645 = stack.enter_context(Dlt645(HELD["dlt645"], number=number, turnaround_s=0.0))
        modbus = MeterServer("sdm120", dict(HELD["sdm120"]), int(NUMBERS["sdm120"][0]))
        network = MeterTcp({1: modbus}).start()
        stack.callback(network.stop)
        gpio = stack.enter_context(SimChip(("door",), folder / "gpio", clock_ns=time.monotonic_ns))
        dust = stack.enter_context(played("pms5003", HELD["pms5003"], "--on", "pty"))
        places = [f"sim:{folder}/air", f"sim:{folder}/dust", dust, dlt645.port]
        places += [f"tcp:{network.host}:{network.port}"]
        gpio.drive("door", False, time.monotonic_ns())
        wires = CatalogueDevices(sen55, sps30, modbus, dlt645, places, gpio)
        sen55.clock = lambda: time.monotonic() + wires.hours_s
        yield wires


@contextmanager
def played(name: str, held: Mapping[str, float], *arguments: str) -> Iterator[str]:
    """`kerbstone sim`, as a process; gives where it is."""
    values = [word for key, value in held.items() for word in ("--value", f"{key}={value}")]
    command = [*KERBSTONE, "sim", name, *arguments, *values, "--json"]
    process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    try:
        yield json.loads(process.stdout.readline())["at"]
    finally:
        process.terminate()
        process.wait(10)
        process.stdout.close()


def reported(*arguments: str) -> tuple[int, str]:
    """Exit code, and what a command said: of one that failed, why, too."""
    command = [*KERBSTONE, *arguments]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=90)
    return done.returncode, done.stdout + (done.stderr if done.returncode else "")


def edited(toml: str) -> str:
    """The tables as they were printed, with what a person adds."""
    for name, more in EDITS.items():
        head = f"[device.{name}]\n"
        toml = toml.replace(head, f"{head}{more}\n")
    return toml


def is_good(record: Mapping[str, Any]) -> bool:
    """All that its device holds here is good."""
    keys = HELD[record["source"]]
    return all(set(record["points"][key]["quality"]) == {"good"} for key in keys)


def polled(records: Records, name: str, since_us: int = 0) -> list[dict[str, Any]]:
    return [
        r for r in (*records.of("air"), *records.of("energy"))
        if r["source"] == name and r["mono"][0] >= since_us
    ]  # fmt: skip


def now_us() -> int:
    return time.monotonic_ns() // 1000


def live_through(folder: Path) -> Catalogue:
    outcome = Catalogue()
    broker = Mosquitto(folder / "broker").start()
    try:
        with cabinet(folder) as wires:
            outcome.scan = reported("scan", *wires.places, *PATIENT)
            tables = edited(outcome.scan[1]) + DOOR.format(folder) + CALIBRATIONS
            tables = tables.replace("{", "{{").replace("}", "}}")  # for it is filled in
            site = HurriedGateway(folder, broker, tables, period_s=1)
            outcome.checked = reported("check", str(site.config))
            records = Records(broker, folder, *ALL)
            try:
                if outcome.scan[0] == outcome.checked[0] == 0:
                    _run(outcome, wires, site, records)
            finally:
                outcome.log = site.log.read_text() if site.log.exists() else ""
                site.close()
                outcome.found = list(records.all())
                outcome.check = records.stop()
    finally:
        broker.kill()
    return outcome


def _run(
    outcome: Catalogue, wires: CatalogueDevices, site: GatewayProcess, records: Records
) -> None:
    def wait(done: Callable[[Records], Any]) -> None:
        def either(r: Records) -> Any:
            assert site.running, site.log.read_text()
            return done(r)

        records.wait(either, LIMIT_S)

    def grow(names: Iterable[str], kwh: Mapping[str, float]) -> None:
        for name in names:
            wires.count(name, kwh[name] + GROWTH)
        wait(lambda r: all(stands(r, name, kwh[name] + GROWTH) for name in names))

    site.start()
    assert wires.gpio.wait_requested(["door"], LIMIT_S)
    wait(lambda r: all(any(map(is_good, polled(r, name))) for name in NUMBERS))
    wires.hours_s = THREE_HOURS_S  # the gas sensor's algorithm knows the air by now
    wires.gpio.drive("door", True, time.monotonic_ns())
    grow(NUMBERS, BEFORE)
    # the meter that somebody exchanges is silent for a while
    wires.modbus.fault = UnitFault("silent")
    wait(lambda r: events(r.all(), "sensor_fault", "sdm120"))
    wires.swap("sdm120")
    wires.modbus.fault = None
    wait(lambda r: stands(r, "sdm120", AFTER["sdm120"]))
    wires.gpio.drive("door", False, time.monotonic_ns())
    grow(["sdm120"], AFTER)
    wait(lambda r: all(any(map(is_well, polled(r, n))) for n in HELD.keys() - {"sps30"}))
    wait(lambda r: len(events(r.all(), "door")) >= 2 and fan(r) == ["on"])

    outcome.taught_s = wires.sen55.learnt_s
    outcome.down_us = now_us()
    outcome.codes.append(site.stop())
    wires.repair_fan()
    wires.swap("dlt645")
    outcome.rested = not wires.sen55.measuring

    outcome.up_us = now_us()
    site.start()
    wait(lambda r: stands(r, "dlt645", AFTER["dlt645"]) and fan(r) == ["on", "off"])
    grow(["dlt645"], AFTER)
    wait(lambda r: all(any(map(is_good, polled(r, n, outcome.up_us))) for n in ("sps30", "sen55")))
    outcome.begun_s = wires.sen55.learnt_s if wires.sen55.measuring else 0.0
    outcome.codes.append(site.stop())


def is_well(record: Mapping[str, Any]) -> bool:
    """Good, but for what nobody may trust: the expired calibration."""
    return record["source"] == "sht4x" or is_good(record)


def stands(records: Records, name: str, kwh: float) -> bool:
    """Whether the last record of a meter has its register there."""
    found = polled(records, name)
    last = found[-1]["points"]["energy_import"]["last"] if found else None
    return last is not None and abs(last - kwh) < GROWTH / 4


def fan(records: Records) -> list[str]:
    """What was told of it: on, off, ..."""
    reported = events(records.all(), "health", "sps30")
    return [e["state"] for e in reported if e["condition"] == "fan"]
