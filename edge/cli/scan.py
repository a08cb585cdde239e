"""`kerbstone scan [PLACE ...]`: find the devices on the wires, and print them as a configuration.

Chips are recognised by their id or serial number, meters by their registers, others by their
frames. Scan writes no setting of a device. docs/scan.md says what a question can do to an unknown
device. Ctrl-C ends the search and prints what was found so far.
"""

import argparse
import re
from pathlib import Path
from typing import Final

import drivers
from drivers.scan.found import Pace, factory_lines
from edge.config import GpioBus, Site, Store, load_site
from edge.control.protocol import VerbError, ask_daemon
from edge.core import ConfigError
from edge.core.boxfiles import find_site_file
from edge.core.driver import SerialLine
from edge.core.humanize import count_text
from edge.core.tomltext import parse_toml
from edge.diagnose import tomlsnippet
from edge.diagnose.scanning import Scan, ScanJob, make_scan_job
from edge.gateway import scantargets
from edge.gateway.scantargets import BusesInUse
from edge.terminal import echo, echo_json, has_cursor, progress

BAR: Final = 24
RUN_DIR: Final = Path(Store().run_dir)
UNITS_MAX: Final = 247


def register(verbs: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    parser = verbs.add_parser(
        "scan", help="find the devices on the wires", description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )  # fmt: skip
    add = parser.add_argument
    add(
        "places", nargs="*", metavar="PLACE",
        help="/dev/i2c-1, /dev/ttyUSB0, tcp:HOST:PORT, or a bus of the site file by its name; "
        "default: every /dev/i2c-* and every adapter in /dev/serial/by-id",
    )  # fmt: skip
    add("--units", default="1-16", metavar="1-247", help="Modbus units to ask (default 1-16)")
    add("--baud", metavar="9600,19200", help="Modbus: only these rates; default: the usual ones")
    add("--parity", default="N,E", metavar="N,E,O", help="with --baud: these parities")
    add(
        "--listen", type=float, default=3.0, metavar="SECONDS",
        help="listen for devices that send without being asked (3)",
    )  # fmt: skip
    add(
        "--timeout", type=float, default=0.3, metavar="SECONDS",
        help="wait for a Modbus answer (0.3)",
    )  # fmt: skip
    add(
        "--config",
        type=Path,
        default=find_site_file(),
        metavar="FILE",
        help="to find out which buses are in use, and what they are called",
    )
    add(
        "--propose", action="store_true",
        help="send what was found to the operator, as `kerbstone propose` does",
    )  # fmt: skip
    add("--json", action="store_true", help="one JSON object")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    try:
        pace = Pace(
            listen_s=_within(args.listen, 0.05, 60.0, "--listen"),
            answer_s=_within(args.timeout, 0.01, 10.0, "--timeout"),
            units=parse_units(args.units),
            lines=parse_lines(args.baud, args.parity),
        )
        places = [bus_place(args.config, place) for place in args.places]
        jobs = [
            make_scan_job(place, pace)
            for place in dict.fromkeys(places or scantargets.default_targets())
        ]
    except ValueError as error:
        echo(f"kerbstone scan: {error}", err=True)
        return 2
    if not jobs:
        echo(
            "kerbstone scan: there is no /dev/i2c-*, and nothing in /dev/serial/by-id: plug an "
            "adapter in, or name a port",
            err=True,
        )
        return 3
    return run_scan(args, jobs, pace)


def run_scan(args: argparse.Namespace, jobs: list[ScanJob], pace: Pace) -> int:
    """Search, show how far it is, print what was found."""
    site, at_work = known_site(args.config)
    found = Scan(jobs, pace, site, at_work)
    if not has_cursor(err=True):  # no progress is shown there
        places = count_text(len(jobs), "place")
        echo(f"kerbstone scan: {places}, at most {found.left_s:.0f} s", err=True)
    whole = found.run(lambda: _show_progress(found))
    progress("")
    used = [*site.buses, *site.devices, *site.lanes, *site.bays] if site is not None else []
    text = tomlsnippet.render_tables([bus for one in jobs if (bus := one.bus()) is not None], used)
    if args.json:
        facts = [scan_facts(one) for one in jobs]
        echo_json({"places": facts, "whole": whole, "toml": text}, indent=2)
    else:
        echo(*(line for one in jobs for line in _comment_lines(one)))
        echo("", *(text or "# no device was found").split("\n"), fold=False)
    if not whole:
        echo("kerbstone scan: ended early; this is what was found so far", err=True)
        return 130
    if all(one.refused for one in jobs):
        return 3
    if args.propose and text:
        from edge.cli.propose import propose

        args.wait = False
        if code := propose(args, text, "scan"):
            return code
    known = any(one.findings.devices for one in jobs)
    return 0 if known and not any(one.findings.unknown or one.refused for one in jobs) else 1


def bus_place(file: Path, place: str) -> str:
    """Where a bus of the site file is, if this is the name of one. Raises ValueError."""
    if "/" in place or ":" in place or not file.exists():
        return place
    try:
        site = load_site(file, drivers.catalogue())
    except ConfigError as error:
        raise ValueError(f"{file} has mistakes (kerbstone check lists them): {place} is not known"
                         ) from error  # fmt: skip
    bus = site.buses.get(place)
    if isinstance(bus, GpioBus):
        raise ValueError(f"{place} is a GPIO chip: nothing on its lines tells what it is")
    if bus is None:
        known = [name for name, one in site.buses.items() if not isinstance(one, GpioBus)]
        raise ValueError(f"{place!r} is no place and no bus of {file}; its buses are "
                         f"{', '.join(known) or 'none'}")  # fmt: skip
    return scantargets.site_targets(site)[place]


def parse_units(text: str) -> tuple[int, ...]:
    """`1-3,7` as (1, 2, 3, 7). Raises ValueError."""
    found: list[int] = []
    for part in text.split(","):
        match = re.fullmatch(r"(\d{1,3})(?:-(\d{1,3}))?", part.strip())
        first, last = (int(match[1]), int(match[2] or match[1])) if match else (0, 0)
        if not 1 <= first <= last <= UNITS_MAX:
            raise ValueError(f"--units {text}: write it as 1-16 or 1,5,7; a unit is 1 to 247")
        found += range(first, last + 1)
    return tuple(dict.fromkeys(found))


def parse_lines(baud: str | None, parity: str) -> tuple[str, ...]:
    """The settings at which meters are looked for. Raises ValueError."""
    if baud is None:
        return factory_lines()
    rates, parities = baud.split(","), parity.upper().split(",")
    if not set(parities) <= {"N", "E", "O"}:
        raise ValueError(f"--parity {parity}: write it as N, E or O, or several as N,E")
    try:
        found = [SerialLine.parse(f"{rate} 8{letter}1") for rate in rates for letter in parities]
    except ValueError as error:
        raise ValueError(f"--baud {baud}: write it as 9600 or 9600,19200: {error}") from error
    return tuple(map(str, found))


def _within(value: float, low: float, high: float, name: str) -> float:
    if not low <= value <= high:
        raise ValueError(f"{name} {value:g}: {low:g} to {high:g} seconds are allowed")
    return value


def known_site(file: Path) -> tuple[Site | None, BusesInUse]:
    """The site, if there is one in order, and what running daemons work on."""
    site, folder = None, RUN_DIR
    if file.exists():
        try:
            site = load_site(file, drivers.catalogue())
            folder = Path(site.store.run_dir)
        except ConfigError:
            echo(f"kerbstone scan: {file} has mistakes (kerbstone check lists them): its buses "
                 "are not known", err=True)  # fmt: skip
            folder = _run_dir(file)
    buses: dict[str, str] = {}
    untold = False
    for place in dict.fromkeys((folder, RUN_DIR)):
        answer = _daemon(place)
        if answer.untold and site is not None and place == folder:
            answer = BusesInUse(scantargets.site_targets(site))
        buses.update(answer.buses)
        untold |= answer.untold
    return site, BusesInUse(buses, untold)


def _daemon(folder: Path) -> BusesInUse:
    """What the daemon works on that has its socket here, if one runs."""
    try:
        status = ask_daemon(folder, "status")
    except VerbError:
        return BusesInUse(untold=True)  # there is somebody, even if he has no answer
    except OSError:
        return BusesInUse()
    if status is None:
        return BusesInUse()
    buses = status.get("buses")
    if not isinstance(buses, dict):
        return BusesInUse(untold=True)
    return BusesInUse({str(name): str(place) for name, place in buses.items()})


def _run_dir(file: Path) -> Path:
    """Where the daemon of a site file in disorder has its socket, as far as that can be seen."""
    try:
        found = parse_toml(file.read_text(encoding="utf-8"))["store"]["run_dir"]
    except (OSError, ValueError, KeyError, TypeError):
        return RUN_DIR
    return Path(found) if isinstance(found, str) else RUN_DIR


def _show_progress(found: Scan) -> None:
    full = round(BAR * found.share)
    busy = next((one for one in found.jobs if not one.finished), None)
    step = f"{Path(busy.place).name} {busy.step}"[:40] if busy is not None else ""
    progress(
        f"[{'#' * full}{'.' * (BAR - full)}] {found.share:4.0%}, at most {found.left_s:.0f} s "
        f"more  {step}"
    )


def _comment_lines(job: ScanJob) -> list[str]:
    """Comments for a person, in front of the tables."""
    out = [f"# {job.place}"]
    out += [f"#   {device.driver}: {device.what}" for device in job.findings.devices]
    out += [f"#   unknown: {text}" for text in job.findings.unknown]
    out += [f"#   note: {text}" for text in job.findings.notes]
    if job.refused:
        out.append(f"#   not searched: {job.refused}")
    elif not job.whole:
        out.append("#   not searched to the end")
    elif len(out) == 1:
        out.append("#   no device was heard")
    return out


def scan_facts(job: ScanJob) -> dict[str, object]:
    return {
        "place": job.place,
        "kind": job.kind,
        "devices": [
            {
                "driver": device.driver,
                "what": device.what,
                "options": dict(device.options),
                "serial": device.serial,
                "also": list(device.also),
                "line": device.line,
            }
            for device in job.findings.devices
        ],
        "unknown": job.findings.unknown,
        "notes": job.findings.notes,
        "refused": job.refused,
        "whole": job.whole,
    }
