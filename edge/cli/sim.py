"""`kerbstone sim DRIVER --on PORT|pty|i2c|tcp`: play a device, alone, until you stop it."""

import argparse
import json
import signal
import sys
import threading
import tomllib
from collections.abc import Mapping
from typing import Any, Final

import drivers
from drivers.meters.register_map import tables
from drivers.sim import alone
from edge.app import paste
from edge.core import ConfigError
from edge.core.driver import DriverSpec, SerialLine

SIGNALS: Final = (signal.SIGINT, signal.SIGTERM)


def register(verbs: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    parser = verbs.add_parser(
        "sim",
        help="play a device, alone",
        description=__doc__,
        epilog="On a real adapter it stands in for the device: put a crossed cable, or an RS-485 "
        "adapter, between this machine and the gateway.",
    )
    add = parser.add_argument
    add("driver", help=f"one of {', '.join(drivers.names())}")
    add("--on", metavar="PLACE", help="; ".join(alone.WORDS.values()))
    add("--fault", default="", metavar="NAME", help="misbehave so (see --faults)")
    add("--faults", action="store_true", help="list the faults it knows, and end")
    add(
        "--value", action="append", default=[], metavar="POINT=NUMBER",
        help="what it measures; others are plausible",
    )  # fmt: skip
    add("--address", default="", metavar="N", help="its unit, address or GPIO line")
    add("--line", metavar='"9600 8N1"', help="of a real port; default: as it leaves the factory")
    add("--json", action="store_true", help="one JSON object when it runs")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    try:
        spec = drivers.spec(args.driver)
        if args.faults:
            return _list(args, alone.faults(spec.name, spec.wiring, spec.name in tables()))
        if not args.on:
            fitting = "; ".join(alone.WORDS[kind] for kind in alone.FITS[spec.wiring])
            raise ValueError(f"say where with --on: {fitting}")
        wish = wished(spec, _values(args.value), args.fault, args.address, args.line)
    except (ValueError, ConfigError) as error:
        print(f"kerbstone sim: {error}", file=sys.stderr)
        return 2
    end = threading.Event()
    before = {number: signal.signal(number, lambda *_: end.set()) for number in SIGNALS}
    try:
        with alone.running(wish, args.on) as found:
            _say(args, spec, found, wish.line)
            while not end.wait(3600.0):  # a wait without an end hears no signal
                pass
    except ValueError as error:
        print(f"kerbstone sim: {error}", file=sys.stderr)
        return 2
    except OSError as error:
        print(f"kerbstone sim: {args.on}: {error.strerror or error}", file=sys.stderr)
        return 3
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
    return 0


def wished(
    spec: DriverSpec,
    values: Mapping[str, float],
    fault: str = "",
    address: str = "",
    line: str | None = None,
) -> alone.Wish:
    """What `alone` must know of a driver. Raises ConfigError, and ValueError for the line."""
    table = None
    found = tables()
    if spec.name in found:
        table = tomllib.loads(found[spec.name].read_text(encoding="utf-8"))
    required = {key: int(o.low or 1) for key, o in spec.options.items() if o.required}
    built = None if spec.wiring == "gpio" else drivers.build(spec.name, None, required)
    points = getattr(built, "points", ())
    told = line or (str(table.get("line", "")) if table else "")
    try:
        chosen = SerialLine.parse(told) if told else spec.line
    except ValueError as error:
        raise ValueError(f"--line {told!r} is not like 9600 8N1") from error
    return alone.Wish(spec.name, spec.wiring, tuple(points), chosen, values, fault, address, table)


def _values(texts: list[str]) -> dict[str, float]:
    found = {}
    for text in texts:
        key, _, number = text.partition("=")
        try:
            found[key] = float(number)
        except ValueError as error:
            raise ValueError(f"--value {text}: write it as temperature=21.5") from error
    return found


def _list(args: argparse.Namespace, faults: tuple[str, ...]) -> int:
    if args.json:
        print(json.dumps({"driver": args.driver, "faults": faults}))
    else:
        print("\n".join(faults) or f"the simulated {args.driver} has no faults")
    return 0


def _say(
    args: argparse.Namespace, spec: DriverSpec, found: alone.Running, line: SerialLine
) -> None:
    where = found.bus.get("port") if "host" not in found.bus else None
    where = where or found.bus.get("path") or found.bus.get("chip")
    where = where or f"{found.bus['host']}:{found.bus['port']}"
    set_ = line if found.bus["kind"] == "serial" else None
    text = paste.tables([paste.Bus(found.bus, [paste.Device(spec.name, found.options)], set_)])
    if args.json:
        told: dict[str, Any] = {"driver": spec.name, "at": where, "bus": dict(found.bus)}
        print(json.dumps({**told, "options": dict(found.options), "toml": text}), flush=True)
        return
    fault = f", with the fault {args.fault}" if args.fault else ""
    print(f"# a simulated {spec.name} is at {where}{fault}; Ctrl-C ends it")
    print(f"# for the gateway's site file:\n\n{text}", flush=True)
