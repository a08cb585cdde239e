"""`kerbstone sim site.toml`: the whole cabinet of a site on simulated wires, until Ctrl-C."""

import argparse
import asyncio
import json
import signal
import threading
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Final
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import drivers
from drivers.sim.traffic import MOST_PER_HOUR, Flow
from edge.cabinet.cabinet import Cabinet, placed_site
from edge.cabinet.desk import BROKER, DESK, KEEP, Desk, open_desk
from edge.cabinet.deskcontrol import cabinet_verbs, fault_rows
from edge.cabinet.deskplaces import desk_places
from edge.cabinet.playedlines import Hour, StreetWish
from edge.cli.sim_fault import fault_table
from edge.cli.sim_place import place_trouble
from edge.config import GpioBus, Site, load_site
from edge.control.protocol import OWNER_MASK, ControlServer
from edge.core import ConfigError
from edge.gateway.scantargets import site_targets
from edge.kernelclock import KernelClock
from edge.terminal import echo, echo_json

SIGNALS: Final = (signal.SIGINT, signal.SIGTERM)
S: Final = 1_000_000_000
OTHER_DESK: Final = "give another folder with --desk"
OTHER_PLACE: Final = "name another one in the site file, or with --on for a real port"


def site_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of `kerbstone sim` that are for a site file."""
    add = parser.add_argument_group("with a site file").add_argument
    add(
        "--desk", type=Path, metavar="FOLDER",
        help=f"where its sockets, ports and the gateway's copy of the file are (default: {DESK})",
    )  # fmt: skip
    add(
        "--broker", default=BROKER, metavar="URL",
        help=f"the broker in that copy (default: {BROKER}); `{KEEP}` keeps the site's own, and a "
        "gateway that runs then reports simulated values to it",
    )  # fmt: skip
    add(
        "--flow", type=parse_flow, default=Flow(), metavar="N",
        help="vehicles an hour on each lane (400); `day` or `day:900` follows the hours of a day",
    )  # fmt: skip
    add(
        "--speed", type=float, default=30.0, metavar="KMH",
        help="of `drive`: how fast one vehicle goes over the lane (30)",
    )  # fmt: skip
    add(
        "--length", type=float, default=4.5, metavar="M",
        help="of `drive`: how long it is (4.5)",
    )  # fmt: skip
    add(
        "--seed", type=int, default=1, metavar="N",
        help="draw other vehicles; the same number gives the same traffic again (1)",
    )  # fmt: skip


def parse_flow(text: str) -> Flow:
    """`600`, `day` or `day:900`. Raises ValueError."""
    word, _, number = text.partition(":")
    day = word == "day"
    try:
        per_hour = float(number or Flow().per_hour) if day else float(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(f"{text}: write 600, day or day:900") from error
    if not 0 <= per_hour <= MOST_PER_HOUR:
        raise argparse.ArgumentTypeError(
            f"{text}: a lane carries 0 to {MOST_PER_HOUR:.0f} vehicles an hour"
        )
    return Flow(per_hour, day)


def run_site(args: argparse.Namespace, file: Path) -> int:
    """Play the cabinet. Exit codes: 0 ended, 2 wrong use, or no place to be had, 3 it failed."""
    try:
        desk = open_desk(file, args.desk, args.broker, parse_ports(args.on))
    except ConfigError as error:
        echo(*_error_lines(error), err=True)
        return 2
    except OSError as error:
        where = str(error.filename or args.desk or DESK)
        echo(f"kerbstone sim: {place_trouble(error, where, OTHER_DESK)}", err=True)
        return 2
    try:
        return _play(args, desk, file)
    finally:
        desk.lock.release()


def _listed(file: Path) -> Site:
    """The site, in places that nobody opens."""
    site = load_site(file, drivers.catalogue())
    return placed_site(site, desk_places(site, Path("/tmp"), {}))


def list_site_faults(args: argparse.Namespace, file: Path) -> int:
    """What can go wrong in it, without playing it."""
    try:
        rows = fault_rows(Cabinet(_listed(file)))
    except ConfigError as error:
        echo(*_error_lines(error), err=True)
        return 2
    if args.json:
        echo_json({"site": str(file), "targets": rows})
    else:
        echo(*fault_table(rows))
    return 0


def parse_ports(words: list[str]) -> dict[str, str]:
    """`meters=/dev/ttyUSB1` of each --on. Raises ConfigError."""
    found = {}
    for word in words:
        bus, equals, port = word.partition("=")
        if not equals:
            raise ConfigError(
                f"--on {word}: with a site file write BUS=PORT, such as meters=/dev/ttyUSB1"
            )
        found[bus] = port
    return found


def _play(args: argparse.Namespace, desk: Desk, source: Path) -> int:
    try:
        street = StreetWish(args.flow, args.seed, _hour(desk.site))
        cabinet = Cabinet(desk.site, ports=desk.ports, street=street)
    except ConfigError as error:
        echo(*_error_lines(error), err=True)
        return 2
    try:
        with cabinet:
            failed = asyncio.run(_serve(args, desk, cabinet, source))
    except OSError as error:
        where = str(error.filename or desk.folder)
        other = OTHER_DESK if Path(where).is_relative_to(desk.folder) else OTHER_PLACE
        echo(f"kerbstone sim: {place_trouble(error, where, other)}", err=True)
        return 2
    if failed:
        echo(f"kerbstone sim: a part of the simulation has failed: {failed[0]}", err=True)
        return 3
    return 0


async def _serve(args: argparse.Namespace, desk: Desk, cabinet: Cabinet, source: Path) -> list[str]:
    """Answer commands until a signal. Gives what has failed."""
    loop, end = asyncio.get_running_loop(), asyncio.Event()
    failed: list[str] = []

    def fell(what: threading.ExceptHookArgs) -> None:
        """A thread of the simulation has ended: what it played is silent for no good reason."""
        failed.append(f"{what.exc_type.__name__}: {what.exc_value}")
        loop.call_soon_threadsafe(end.set)

    hook, threading.excepthook = threading.excepthook, fell
    server = ControlServer(desk.folder, cabinet_verbs(cabinet), OWNER_MASK)
    for number in SIGNALS:
        loop.add_signal_handler(number, end.set)
    try:
        await server.start()
        _print_start(args, desk, source)
        await end.wait()
    finally:
        await server.close()
        threading.excepthook = hook
    return failed


def _print_start(args: argparse.Namespace, desk: Desk, source: Path) -> None:
    site, places = desk.site, site_targets(desk.site)
    if args.json:
        echo_json({"file": str(desk.file), "desk": str(desk.folder), "buses": places})
        return
    file = _short(desk.file)
    copy = f"the gateway's copy of the file: {file}" if desk.made else f"the file: {file}"
    echo(f"the cabinet of {source} is simulated until Ctrl-C; {copy}")
    for name, place in places.items():
        at = f"{desk.ports[name]} (a real port)" if name in desk.ports else place
        echo(f"  {name:<14} {site.buses[name].kind:<11} {at}", *_hanging(site, name), fold=False)
    if desk.made:
        echo(*also_other(desk), fold=False)
    first = next((n for n, d in site.devices.items() if d.driver not in ("contact", "s0")), "")
    searched = [n for n, b in site.buses.items() if not isinstance(b, GpioBus)]
    desk_words = "" if desk.folder == DESK.absolute() else f" --desk {_short(desk.folder)}"
    echo(
        "in another terminal:",
        f"  kerbstone check {file}",
        *([f"  kerbstone scan --config {file} {' '.join(searched)}"] if searched else []),
        *([f"  kerbstone read {first} --config {file}"] if first else []),
        f"  kerbstone doctor --check wires --config {file}",
        f"  kerbstone sim fault --list{desk_words}",
        f"  kerbstone run {file}",
        fold=False,
    )


def also_other(desk: Desk) -> Iterator[str]:
    """What the copy has other than its buses, by key."""
    changes = (one for one in desk.changes if one.path[0] != "bus")
    rest = {".".join(map(str, one.path)): one.value for one in changes}
    told = [
        f"{key} left out" if value is None
        else key if key.startswith("store.")
        else f"{key} = {json.dumps(value)}"
        for key, value in rest.items()
    ]  # fmt: skip
    yield f"  also other in this copy: {', '.join(told)}"
    if "uplink.confirm" in rest:
        yield "  so a record that nobody subscribes to at this broker is lost, and `status` says it"


def _hanging(site: Site, bus: str) -> list[str]:
    """What is on a bus, a line each."""
    found = [f"{name} ({device.driver})" for name, device in site.devices_on(bus).items()]
    found += [f"{name} (lane)" for name in site.lanes_on(bus)]
    found += [f"{name} (bay)" for name in site.bays_on(bus)]
    return [f"      {one}" for one in found]


def _short(path: Path) -> str:
    here = Path.cwd()
    return str(path.relative_to(here) if path.is_relative_to(here) else path)


def _hour(site: Site) -> Hour:
    clock = KernelClock()
    try:
        zone = ZoneInfo(site.place.zone)
    except (ZoneInfoNotFoundError, ValueError):
        zone = ZoneInfo("UTC")

    def hour() -> float:
        now = datetime.fromtimestamp(clock.now().wall_ns / S, zone)
        return now.hour + now.minute / 60

    return hour


def _error_lines(error: ConfigError) -> list[str]:
    lines = list(error.lines)
    return lines if len(lines) > 1 else [f"kerbstone sim: {lines[0]}"]
