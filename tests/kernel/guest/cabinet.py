"""A whole cabinet: loops, a pulse output, air, a meter, and `kerbstone run` beside them.

    python3 -m tests.kernel.guest.cabinet BROKER_URL

Vehicles pass and pulses come for a while; then the daemon is stopped as systemd stops it. Prints
what was true as JSON.
"""

import json
import signal
import subprocess
import sys
import time
from itertools import pairwise
from pathlib import Path

import gpiod

from drivers.sim.loops import LineLevel, LoopPair, SimVehicle
from tests.kernel.guest.air import BUS
from tests.kernel.guest.answers import HELD, AnsweringProcess, adapter
from tests.kernel.guest.bank import Bank
from tests.kernel.guest.play import play

LINES = ("lead", "trail", "heat")
AIR = {"hut_air": "sen55", "mast_air": "sht4x"}
VEHICLES, EVERY_S, SPACING_M = 14, 1.5, 4.0
PULSES, PULSE_S = 20, 0.1
PERIOD_S = 5
START_S = 120.0

SITE = """
[site]
id = "kernel"
gateway = "gw-1"
period_s = {period_s}
[store]
dir = "/tmp/store"
run_dir = "/tmp/run"
limit_mb = 16
[uplink]
url = "{url}"
confirm = "broker"
encoding = "json"
[models]
congestion = false
anomaly = false
[bus.loops]
kind = "gpio"
chip = "{chip}"
[lane.north_1]
approach = "north"
bus = "loops"
lead = "lead"
trail = "trail"
spacing_m = {spacing_m}
active = "high"
bias = "none"
[device.heat]
driver = "s0"
bus = "loops"
line = "heat"
imp_per_kwh = 1000
[bus.air]
kind = "i2c"
path = "{i2c}"
[device.hut_air]
driver = "sen55"
bus = "air"
every_s = 1.0
settle_reads = 1
[device.mast_air]
driver = "sht4x"
bus = "air"
every_s = 1.0
[bus.meters]
kind = "modbus-rtu"
port = "/dev/ttyS1"
baud = 9600
parity = "E"
timeout_s = 1.0
[device.main_meter]
driver = "sdm630"
bus = "meters"
unit = 1
every_s = 1.0
"""


def wait_for_lines(chip: str) -> None:
    """Until somebody listens to all of them. Raises TimeoutError."""
    end = time.monotonic() + START_S
    while time.monotonic() < end:
        with gpiod.Chip(chip) as bank:
            if all(bank.get_line_info(line).used for line in LINES):
                return
        time.sleep(0.2)
    raise TimeoutError("the daemon has not taken its lines")


def street(bank: Bank) -> None:
    """Vehicles and pulses, in real time."""
    pair = LoopPair(bank, "lead", "trail", SPACING_M, 2.0, "high")
    _, rows = pair.plan([SimVehicle(1 + EVERY_S * i, 50.0, 4.5) for i in range(VEHICLES)])
    for number in range(PULSES):
        at_ns = int((0.6 + number) * 1e9)
        active = False  # an open collector pulls the line down
        rows.append(LineLevel(at_ns, "heat", active))
        rows.append(LineLevel(at_ns + int(PULSE_S * 1e9), "heat", not active))
    print(f"played, and held up for {play(bank, sorted(rows)):.2f} s", flush=True)


def speed_kmh(bank: Bank) -> float:
    """The mean speed as it was played: slower where a busy host held up the one who plays."""
    lead, trail = (
        [at_ns for line, level, at_ns in bank.driven if line == loop and level]
        for loop in ("lead", "trail")
    )
    times = [(off - on) / 1e9 for on, off in zip(lead, trail, strict=True)]
    return sum(SPACING_M * 3.6 / time_s for time_s in times) / len(times)


def shortest_s(bank: Bank) -> float:
    """The shortest pulse, or pause between two, as they were played."""
    times = [at_ns for line, _, at_ns in bank.driven if line == "heat"]
    return min(b - a for a, b in pairwise(times)) / 1e9


def main(url: str) -> None:
    """From the wires to the end of the daemon."""
    bank = Bank(LINES)
    bank.pull("heat", True)
    site, log = Path("/tmp/site.toml"), Path("/tmp/daemon.log")
    Path("/tmp/run").mkdir(exist_ok=True)
    words = {"url": url, "chip": bank.path, "i2c": adapter(BUS)}
    site.write_text(SITE.format(**words, period_s=PERIOD_S, spacing_m=SPACING_M))
    with AnsweringProcess(*AIR.values()), log.open("w") as said:
        daemon = subprocess.Popen(
            [sys.executable, "-m", "edge.cli.main", "run", "-v", str(site)],
            stdout=said, stderr=said,
        )  # fmt: skip
        try:
            wait_for_lines(bank.path)
            street(bank)
            time.sleep(2 * PERIOD_S)  # the last window ends, and is confirmed
            daemon.send_signal(signal.SIGTERM)
            code = daemon.wait(60)
        finally:
            daemon.kill()
            daemon.wait()
            print(log.read_text(), flush=True)
    bank.close()
    reported = {
        "exit": code,
        "vehicles": VEHICLES,
        "speed_kmh": speed_kmh(bank),
        "pulses": PULSES,
        "shortest_s": shortest_s(bank),
        "air": {device: HELD[chip] for device, chip in AIR.items()},
    }
    print(json.dumps(reported))


if __name__ == "__main__":
    main(sys.argv[1])
