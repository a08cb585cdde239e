"""Simulated energy meters on a pseudo-terminal or at a TCP endpoint; also a program of its own.

    python -m drivers.sim.meter --table sdm630 --pty --link /tmp/meters --baud 9600
    python -m drivers.sim.meter --table sdm120 --tcp 127.0.0.1:5020 --units 1-10
    python -m drivers.sim.meter --table sunspec --model 213 --tcp 127.0.0.1:5020

It prints one line of JSON when it is ready (`link` or `pty`, or `host` and `port`), and at SIGTERM
one more with what each unit's registers hold.
"""

import argparse
import json
import signal
import sys
from pathlib import Path
from typing import get_args

from drivers.sim.meter_line import MeterLine
from drivers.sim.meter_load import MeterLoad
from drivers.sim.meter_server import FAULTS, Kind, MeterServer, UnitFault, Values
from drivers.sim.meter_tcp import MeterTcp
from drivers.sim.meter_unit import Unit
from drivers.sim.sunspec import SunSpec
from edge.terminal import echo_json

__all__ = [
    "FAULTS",
    "MeterLine",
    "MeterLoad",
    "MeterServer",
    "MeterTcp",
    "SunSpec",
    "Unit",
    "UnitFault",
    "main",
]


def units(text: str) -> list[int]:
    """`1,3-5` as [1, 3, 4, 5]."""
    found: list[int] = []
    for part in text.split(","):
        first, _, last = part.partition("-")
        found += range(int(first), int(last or first) + 1)
    return found


def fault(text: str) -> tuple[int, UnitFault]:
    """`UNIT:KIND`, as in `3:silent`."""
    unit, _, kind = text.partition(":")
    kinds: dict[str, Kind] = {known: known for known in get_args(Kind)}
    if kind not in kinds:
        raise argparse.ArgumentTypeError(f"{kind!r} is no fault; choose from {', '.join(kinds)}")
    return int(unit), UnitFault(kinds[kind])


def main(arguments: list[str] | None = None) -> int:
    """Serve until SIGTERM or SIGINT. Returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m drivers.sim.meter", description=__doc__)
    parser.add_argument("--table", default="sdm630", help="a driver, or sunspec")
    parser.add_argument("--model", type=int, default=203, help="of sunspec: 201..204, 211..214")
    parser.add_argument("--units", type=units, default=[1], help="such as 1 or 1,3-5")
    where = parser.add_mutually_exclusive_group(required=True)
    where.add_argument("--pty", action="store_true", help="a pseudo-terminal with true wire time")
    where.add_argument("--tcp", metavar="HOST:PORT", help="a Modbus TCP endpoint")
    parser.add_argument("--link", type=Path, help="another name for the pseudo-terminal")
    parser.add_argument("--baud", type=int, default=9600)
    parser.add_argument("--parity", choices=("N", "E", "O"), default="N")
    parser.add_argument("--stop", type=int, choices=(1, 2), default=1)
    parser.add_argument("--turnaround", type=float, default=None, metavar="SECONDS")
    parser.add_argument("--values", type=Path, help="JSON: fixed values per point, not a load")
    parser.add_argument("--kwh", type=float, default=0.0, help="what energy_import begins with")
    parser.add_argument("--fault", type=fault, action="append", default=[], metavar="UNIT:KIND")
    options = parser.parse_args(arguments)

    played = {number: _unit(options, number) for number in options.units}
    for number, trouble in options.fault:
        played[number].fault = trouble
    stop = {signal.SIGTERM, signal.SIGINT}
    signal.pthread_sigmask(signal.SIG_BLOCK, stop)  # the threads inherit it: sigwait gets them
    server = _server(options, played)
    if isinstance(server, MeterLine):
        _print_line({"link": str(options.link)} if options.link else {"pty": server.path})
    else:
        _print_line({"host": server.host, "port": server.port})
    signal.sigwait(stop)
    server.stop()
    _print_line({"held": {number: unit.held() for number, unit in played.items()}})
    return 0


def _unit(options: argparse.Namespace, number: int) -> Unit:
    if options.values:
        values = json.loads(options.values.read_text("utf-8"))
        return _device(options, values, number)
    phases = 3
    if options.table != "sunspec":
        phases = 3 if "voltage_l2" in MeterServer(options.table, {}).table["points"] else 1
    load = MeterLoad(phases)
    load.reset(options.kwh)
    return _device(options, load.values, number)


def _device(options: argparse.Namespace, values: Values, number: int) -> Unit:
    if options.table == "sunspec":
        return SunSpec(values, options.model, serial=str(number))
    return MeterServer(options.table, values, serial=number)


def _server(options: argparse.Namespace, played: dict[int, Unit]) -> MeterLine | MeterTcp:
    if options.tcp:
        host, _, port = options.tcp.rpartition(":")
        return MeterTcp(played, host, int(port), options.turnaround or 0.0).start()
    turnaround_s = 0.005 if options.turnaround is None else options.turnaround
    line = MeterLine(played, options.baud, options.parity, options.stop, turnaround_s, options.link)
    return line.start()


def _print_line(what: dict[str, object]) -> None:
    echo_json(what)


if __name__ == "__main__":
    sys.exit(main())
