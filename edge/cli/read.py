"""`kerbstone read DEVICE --config FILE`: read one device now, through the daemon if it runs."""

import argparse
from pathlib import Path

from edge.cli.site_options import load_site_or_report, site_options
from edge.control.protocol import VerbError, ask_daemon
from edge.core import BusError
from edge.diagnose import standalone
from edge.terminal import echo, echo_json


def register(verbs: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    parser = verbs.add_parser("read", help="read one device now", description=__doc__)
    parser.add_argument("device", help="its name in the configuration")
    site_options(parser)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    site = load_site_or_report(args.config)
    if site is None:
        return 2
    try:
        answer = ask_daemon(Path(site.store.run_dir), "read", device=args.device)
        through = "read by the daemon"
        if answer is None:
            through = "read on the bus; the daemon does not run"
        shown_readings = answer or standalone.read_once(site, args.device)
        readings, health = shown_readings["readings"], shown_readings.get("health", {})
    except VerbError as error:
        echo(f"kerbstone read: {error}", err=True)
        return 2
    except OSError as error:
        echo(f"kerbstone read: {error}; use sudo, or join the group kerbstone", err=True)
        return 3
    except BusError as error:
        echo(f"kerbstone read: {args.device} does not answer: {error}", err=True)
        return 3
    if args.json:
        found = {"device": args.device, "through": through, "readings": readings}
        echo_json({**found, **({"health": health} if health else {})})
    else:
        echo(f"{args.device}, {through}", *map(_line, readings))
        echo(*(f"  {word}: {text}" for word, text in health.items()))
    if all(r["value"] is None for r in readings):
        return 3 if any(r["quality"] == "bad:silent" for r in readings) else 1
    return 0


def _line(reading: dict[str, object]) -> str:
    value = "-" if reading["value"] is None else f"{reading['value']:.6g}"
    quality = "" if reading["quality"] == "good" else f"  {reading['quality']}"
    return f"  {reading['point']:<24}{value:>12} {reading['unit']:<6}{quality}"
