"""`kerbstone sim DRIVER --on PORT|pty|i2c|tcp`: simulate a device without gateway until Ctrl-C."""

import argparse
import errno
import math
import signal
import threading
import tomllib
from collections.abc import Mapping
from typing import Final

import drivers
from drivers.meters.register_map import list_maps
from drivers.sim import simrunner
from drivers.sim.simplace import FITS, WORDS, parse_whole
from edge.core import ConfigError, Polled
from edge.core.driver import DriverSpec, SerialLine
from edge.core.signalevent import SignalEvent
from edge.diagnose import tomlsnippet
from edge.terminal import echo, echo_json

IN_USE: Final = ": end the program that uses it, or take another"
SIGNALS: Final = (signal.SIGINT, signal.SIGTERM)


def register(verbs: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    parser = verbs.add_parser(
        "sim",
        help="simulate a device without a gateway",
        description=__doc__,
        epilog="On a real adapter the simulator takes the place of the device: put a crossed "
        "cable, or an RS-485 adapter, between this machine and the gateway.",
    )
    add = parser.add_argument
    add("driver", help=f"one of {', '.join(drivers.names())}")
    add("--on", metavar="PLACE", help="; ".join(WORDS.values()))
    add("--fault", default="", metavar="NAME", help="the fault to show (see --faults)")
    add("--faults", action="store_true", help="list the faults that the device can show, and end")
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
    add("--json", action="store_true", help="print one JSON object at the start")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    try:
        spec = drivers.spec(args.driver)
        if args.faults:
            return _list(
                args, simrunner.list_faults(spec.name, spec.wiring, spec.name in list_maps())
            )
        if not args.on:
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
        with simrunner.run_sim(wish, args.on) as found:
            _print_usage(args, spec, found, wish.line)
            end.wait()
    except ValueError as error:
        echo(f"kerbstone sim: {error}", err=True)
        return 2
    except OSError as error:
        why = IN_USE if error.errno in (errno.EADDRINUSE, errno.EWOULDBLOCK) else ""
        echo(f"kerbstone sim: {args.on}: {error.strerror or error}{why}", err=True)
        return 3
    finally:
        threading.excepthook = hook
        for number, handler in before.items():
            signal.signal(number, handler)
    if fallen:
        echo(f"kerbstone sim: the simulated {spec.name} has failed: {fallen[0]}", err=True)
        return 3
    return 0


def sim_request(
    spec: DriverSpec,
    values: Mapping[str, float],
    fault: str = "",
    address: str = "",
    line: str | None = None,
) -> simrunner.SimRequest:
    """What `alone` must know of a driver. Raises ConfigError, ValueError for line and address."""
    table = None
    found = list_maps()
    if spec.name in found:
        table = tomllib.loads(found[spec.name].read_text(encoding="utf-8"))
    required = {key: int(o.low or 1) for key, o in spec.options.items() if o.required}
    options = {**required, **_address(spec, address)}
    built = None if spec.wiring == "gpio" else drivers.build(spec.name, None, options)
    points = built.points if isinstance(built, Polled) else ()
    line_text = line or (str(table.get("line", "")) if table else "")
    try:
        chosen = SerialLine.parse(line_text) if line_text else spec.line
    except ValueError as error:
        raise ValueError(f"--line {error}") from error
    if spec.wiring == "modbus" and chosen.bits != 8:
        raise ValueError(f"--line {line_text!r}: Modbus has 8 bits")
    return simrunner.SimRequest(
        spec.name, spec.wiring, tuple(points), chosen, values, fault, address, table
    )


def _address(spec: DriverSpec, given: str) -> dict[str, object]:
    """The option that it is in a configuration. Raises ValueError for one that no device has."""
    option = spec.options.get("address")
    if not given or spec.wiring not in ("i2c", "serial") or (option is None and not spec.address):
        return {}  # `alone` knows the others
    if option is not None and option.type is str:
        return {"address": given}
    number, form = parse_whole(given), "#x" if spec.wiring == "i2c" else "d"
    if option is None:
        if number != spec.address:
            raise ValueError(f"--address {given}: {spec.name} is always at {spec.address:{form}}")
        return {}
    low, high = int(option.low or 0), int(option.high or 0)
    if not low <= number <= high:
        span = f"{low:{form}} to {high:{form}}"
        raise ValueError(f"--address {given}: {spec.name} has {span}")
    return {"address": number}


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
        echo_json({"driver": args.driver, "faults": faults})
    else:
        echo(*(faults or [f"the simulated {args.driver} has no faults"]))
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
