"""Simulate a device, or the whole cabinet of a site file, until Ctrl-C.

kerbstone sim sdm630 --on pty             one device, on a wire that --on names
kerbstone sim site.toml                   every device, lane and contact of a site, each on its bus
kerbstone sim fault main_meter silent     from another terminal: let one of them misbehave
kerbstone sim fault --list                what can misbehave, and how
"""

import argparse
import math
import signal
import threading
from pathlib import Path
from typing import Final

import drivers
from drivers.meters.register_map import list_maps
from drivers.sim import simrunner
from drivers.sim.simplace import FITS, WORDS
from edge.cabinet.simrequest import sim_request
from edge.cli import sim_fault, sim_site
from edge.cli.sim_place import place_trouble
from edge.core import ConfigError
from edge.core.driver import DriverSpec, SerialLine
from edge.core.signalevent import SignalEvent
from edge.diagnose import tomlsnippet
from edge.terminal import echo, echo_json

OTHER: Final = "give another place with --on"
FAULT: Final = "fault"
DRIVE: Final = "drive"
SITE_FILE: Final = ".toml"
FOR_ONE: Final = (
    "--fault, --value, --address and --line are for one device; with a site file, let something "
    "misbehave from another terminal: `kerbstone sim fault main_meter silent`"
)
SIGNALS: Final = (signal.SIGINT, signal.SIGTERM)


def register(verbs: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    parser = verbs.add_parser(
        "sim",
        help="simulate a device, or the whole cabinet of a site file",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        epilog="On a real adapter the simulator takes the place of the device: put a crossed\n"
        "cable, or an RS-485 adapter, between this machine and the gateway.",
    )
    add = parser.add_argument
    add(
        "what", metavar="DRIVER|FILE|fault|drive",
        help=f"a site file; or `fault` or `drive`, of one that is simulated; or a driver: "
        f"{', '.join(drivers.names())}",
    )  # fmt: skip
    add(
        "words", nargs="*", metavar="WORD",
        help="of `fault`: what shows it, and which; of `drive`: the lane",
    )  # fmt: skip
    add(
        "--on", metavar="PLACE", action="append", default=[],
        help="; ".join(WORDS.values()) + "; with a site file: BUS=PORT plays a bus on a real port",
    )  # fmt: skip
    add("--faults", action="store_true", help="list the faults that can be shown, and end")
    add("--list", action="store_true", help="of `fault`: list what runs, and its faults")
    add("--json", action="store_true", help="print one JSON object at the start")
    add = parser.add_argument_group("with a driver").add_argument
    add("--fault", default="", metavar="NAME", help="the fault to show (see --faults)")
    add(
        "--value", action="append", default=[], metavar="POINT=NUMBER",
        help="a measured value; other points get plausible values",
    )  # fmt: skip
    add(
        "--address", default="", metavar="N",
        help="Modbus unit, I2C or serial address, or GPIO line",
    )  # fmt: skip
    add(
        "--line", metavar='"9600 8N1"',
        help="settings of a real port; default: the device's factory setting",
    )  # fmt: skip
    sim_site.site_arguments(parser)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    if args.what == FAULT:
        return sim_fault.run_fault(args, args.words)
    if args.what == DRIVE:
        return sim_fault.run_drive(args, args.words)
    if args.words:
        echo(f"kerbstone sim: {args.words[0]!r} does not belong here", err=True)
        return 2
    if args.what.endswith(SITE_FILE) or "/" in args.what:
        if args.fault or args.value or args.address or args.line:
            echo(f"kerbstone sim: {FOR_ONE}", err=True)
            return 2
        file = Path(args.what)
        return (
            sim_site.list_site_faults(args, file) if args.faults else sim_site.run_site(args, file)
        )
    return _run_device(args)


def _run_device(args: argparse.Namespace) -> int:
    try:
        spec = drivers.spec(args.what)
        if args.faults:
            return _list(
                args, simrunner.list_faults(spec.name, spec.wiring, spec.name in list_maps())
            )
        if len(args.on) != 1:
            fitting = "; ".join(WORDS[kind] for kind in FITS[spec.wiring])
            raise ValueError(f"give the place of the device with --on: {fitting}")
        wish = sim_request(spec, _values(args.value), args.fault, args.address, args.line)
    except (ValueError, ConfigError) as error:
        echo(f"kerbstone sim: {error}", err=True)
        return 2
    end = SignalEvent()
    fallen: list[str] = []

    def fell(what: threading.ExceptHookArgs) -> None:
        """A thread of the device has ended: nobody would hear any more from it."""
        fallen.append(f"{what.exc_type.__name__}: {what.exc_value}")
        end.set()

    hook, threading.excepthook = threading.excepthook, fell
    before = {number: signal.signal(number, lambda *_: end.set()) for number in SIGNALS}
    try:
        with simrunner.run_sim(wish, args.on[0]) as found:
            _print_usage(args, spec, found, wish.line)
            end.wait()
    except ValueError as error:
        echo(f"kerbstone sim: {error}", err=True)
        return 2
    except OSError as error:
        kind, _, rest = args.on[0].partition(":")
        where = rest or kind  # of i2c:/tmp/bus the path
        echo(f"kerbstone sim: {place_trouble(error, where, OTHER)}", err=True)
        return 2
    finally:
        threading.excepthook = hook
        for number, handler in before.items():
            signal.signal(number, handler)
    if fallen:
        echo(f"kerbstone sim: the simulated {spec.name} has failed: {fallen[0]}", err=True)
        return 3
    return 0


def _values(texts: list[str]) -> dict[str, float]:
    found = {}
    for text in texts:
        key, _, number = text.partition("=")
        try:
            found[key] = float(number)
        except ValueError as error:
            raise ValueError(f"--value {text}: write it as temperature=21.5") from error
        if not math.isfinite(found[key]):
            raise ValueError(f"--value {text}: a device measures a finite number")
    return found


def _list(args: argparse.Namespace, faults: tuple[str, ...]) -> int:
    if args.json:
        echo_json({"driver": args.what, "faults": faults})
    else:
        echo(*(faults or [f"the simulated {args.what} has no faults"]))
    return 0


def site_tables(spec: DriverSpec, sim: simrunner.RunningSim, line: SerialLine) -> str:
    """The tables for the gateway's site file."""
    set_ = line if sim.bus["kind"] == "serial" else None
    return tomlsnippet.render_tables(
        [tomlsnippet.SnippetBus(sim.bus, [tomlsnippet.SnippetDevice(spec.name, sim.options)], set_)]
    )


def _print_usage(
    args: argparse.Namespace, spec: DriverSpec, sim: simrunner.RunningSim, line: SerialLine
) -> None:
    where = sim.bus.get("port") if "host" not in sim.bus else None
    where = where or sim.bus.get("path") or sim.bus.get("chip")
    where = where or f"{sim.bus['host']}:{sim.bus['port']}"
    text = site_tables(spec, sim, line)
    if args.json:
        usage: dict[str, object] = {"driver": spec.name, "at": where, "bus": dict(sim.bus)}
        echo_json({**usage, "options": dict(sim.options), "toml": text})
        return
    fault = f", with the fault {args.fault}" if args.fault else ""
    echo(f"# a simulated {spec.name} is at {where}{fault}; Ctrl-C ends it")
    echo("# for the gateway's site file:", "", *text.split("\n"), fold=False)
