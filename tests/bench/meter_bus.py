"""A serial line of eight simulated meters as a process; it tells at its end what it has seen.

    python -m tests.bench.meter_bus BAUD [SILENT_UNIT ...]

It prints the name of its port, and at SIGTERM how many questions it heard, and how many of them
came before 3.5 characters of silence had passed.
"""

import json
import os
import signal
import sys
import tomllib
from contextlib import suppress
from pathlib import Path
from typing import Final

from drivers.sim.meter import MeterLine, MeterServer, UnitFault

TABLE: Final = Path(__file__).parent / "tables" / "meter20.toml"
UNITS: Final = range(1, 9)
TURNAROUND_S: Final = 0.005


def main() -> None:
    """Serve until SIGTERM."""
    signals = {signal.SIGTERM, signal.SIGINT}
    signal.pthread_sigmask(signal.SIG_BLOCK, signals)
    with suppress(OSError):  # a wire waits for no other process; without the right it may have to
        os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(10))
    table = tomllib.loads(TABLE.read_text("utf-8"))
    rows = table["points"].items()
    values = {key: row["low"] + 0.6 * (row["high"] - row["low"]) for key, row in rows}
    slaves = {unit: MeterServer(table, values) for unit in UNITS}
    for unit in map(int, sys.argv[2:]):
        slaves[unit].fault = UnitFault("silent")
    line = MeterLine(slaves, int(sys.argv[1]), turnaround_s=TURNAROUND_S).start()
    print(json.dumps({"pty": line.path}), flush=True)
    signal.sigwait(signals)
    line.stop()
    seen = ("requests", "early", "damaged", "collisions")
    print(json.dumps({name: getattr(line, name) for name in seen}), flush=True)


if __name__ == "__main__":
    main()
