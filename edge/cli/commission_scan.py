"""`kerbstone commission scan`, `found` and `name`: devices that answer, beside the site file.

The search is that of `kerbstone scan`: it leaves alone the buses that the running gateway works on.
"""

import argparse
import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import drivers
from drivers.scan.found import Pace, factory_lines
from edge.cli.commission_asked import CommissionAsker
from edge.cli.scan import bus_place, known_site, scan_facts
from edge.control.protocol import VerbError
from edge.core.driver import SerialLine
from edge.diagnose import tomlsnippet
from edge.diagnose.scanning import Scan, make_scan_job
from edge.durable.readfile import read_file
from edge.gateway import scantargets
from edge.report.commissiontext import found_lines, step_lines
from edge.terminal import echo, echo_json, progress

PACE: Final = Pace(listen_s=3.0, answer_s=0.3, units=tuple(range(1, 17)), lines=factory_lines())
FILE_LIMIT: Final = 4 << 20


def scan_and_hand_over(args: argparse.Namespace, asker: CommissionAsker) -> int:
    """Search places, or all that nobody works on. Raises VerbError."""
    try:
        places = [bus_place(args.config, place) for place in args.places]
        jobs = [make_scan_job(place, PACE) for place in places or scantargets.default_targets()]
    except ValueError as error:
        raise VerbError(str(error)) from error
    if not jobs:
        raise VerbError("there is no /dev/i2c-*, and nothing in /dev/serial/by-id: name a place")
    site, at_work = known_site(args.config)
    scan = Scan(jobs, PACE, site, at_work)
    scan.run(lambda: progress(f"searching: {scan.share:4.0%}, at most {scan.left_s:.0f} s more"))
    progress("")
    if not args.json:
        for job in jobs:
            if job.refused:
                echo(f"{job.place}: not searched: {job.refused}")
    return _told(args, asker, {"places": [scan_facts(job) for job in jobs]})


def hand_over(args: argparse.Namespace, asker: CommissionAsker) -> int:
    """What a scan has printed while the daemon was stopped. Raises VerbError."""
    try:
        if args.file == "-":
            data: bytes | None = sys.stdin.buffer.read(FILE_LIMIT)
        else:
            data = read_file(Path(args.file), FILE_LIMIT)
        if data is None:
            raise VerbError(f"{args.file}: there is no such file")
        found = json.loads(data)
    except (OSError, ValueError, RecursionError) as error:
        raise VerbError(f"{args.file} cannot be read: {error}") from error
    return _told(args, asker, found)


def _told(args: argparse.Namespace, asker: CommissionAsker, found: Mapping[str, Any]) -> int:
    if not isinstance(found, dict):
        raise VerbError("this is not what `kerbstone scan --json` prints")
    state = asker.ask("found", places=found.get("places"))
    row = asker.step(state, "scan")
    if args.json:
        echo_json({"step": row, "found": state["found"]})
    else:
        echo(*step_lines(row), *found_lines(state["found"]))
    return 0 if row["verdict"] == "passed" else 1


def name_found(args: argparse.Namespace, asker: CommissionAsker) -> int:
    """Give it its name, and print its tables. Raises VerbError."""
    state = asker.ask("name", id=args.id, name=args.name)
    one = next(each for each in state["found"] if each["id"] == args.id)
    site, _ = known_site(args.config)
    bus = scantargets.bus_at(scantargets.site_targets(site), one["place"]) if site else ""
    text = device_tables(one, args.name, bus, [*site.buses] if site is not None else [])
    if args.json:
        echo_json({"found": one, "toml": text})
    else:
        echo("# put this into the site file; `kerbstone propose` sends it to the operator")
        echo(*text.split("\n"), fold=False)
    return 0


def device_tables(one: Mapping[str, Any], name: str, bus: str, taken: list[str]) -> str:
    """The table of a device that was found, on its bus; with the table of a bus that is new."""
    driver = str(one["driver"])
    spec = drivers.spec(driver)
    place = str(one["place"])
    keys: dict[str, Any] = {"kind": "i2c", "path": place}
    line = None
    if place.startswith("tcp:"):
        host, port = scantargets.parse_tcp_target(place)
        keys = {"kind": "modbus-tcp", "host": host, "port": port}
    elif spec.wiring != "i2c":
        kind = "modbus-rtu" if spec.wiring == "modbus" else "serial"
        keys = {"kind": kind, "port": place}
        line = SerialLine.parse(one["line"]) if one["line"] else None
    device = tomlsnippet.SnippetDevice(driver, dict(one["options"]), str(one["what"]))
    text = tomlsnippet.render_tables([tomlsnippet.SnippetBus(keys, [device], line)], taken)
    text = text.replace(f"[device.{driver}]", f"[device.{name}]", 1)
    if not bus:
        return text
    _, mark, table = text.partition(f"[device.{name}]")
    made = next(row for row in table.split("\n") if row.startswith("bus = "))
    return f"{mark}{table}".replace(made, f'bus = "{bus}"', 1)
