"""`kerbstone commission`: prove what was mounted, step by step, and sign the acceptance.

Without a word it leads through all steps at a terminal. It can be left at any point: the gateway
keeps what was done, and goes on there, also after a power cut. Each step is a command of its own,
too; with --json for programs. Exit codes: 0 it passed, 1 it did not, 2 wrong use, 3 the daemon
cannot be reached.
"""

import argparse
import contextlib
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final

from edge.cli.commission_asked import CommissionAsker, NotReachedError
from edge.cli.commission_guide import run_guide
from edge.cli.commission_scan import hand_over, name_found, scan_and_hand_over
from edge.cli.commission_sheet import add_verify_options, export_sheet, verify_sheet
from edge.cli.site_options import CONFIG_HELP
from edge.control.protocol import VerbError
from edge.core.boxfiles import find_site_file
from edge.report.commissiontext import commission_page, passage_lines, step_lines
from edge.terminal import echo, echo_json, is_terminal

WAIT_S: Final = 60.0
ALL: Final = "all"
TESTED: Final = ("device", "record")


def register(verbs: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    parser = verbs.add_parser(
        "commission", help="prove what was mounted, step by step, and sign the acceptance",
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter,
    )  # fmt: skip
    options = argparse.ArgumentParser(add_help=False)
    for each, default in ((parser, True), (options, False)):
        each.add_argument(
            "--config", type=Path, metavar="FILE", help=CONFIG_HELP,
            default=find_site_file() if default else argparse.SUPPRESS,
        )  # fmt: skip
        each.add_argument(
            "--json", action="store_true", help="for programs",
            default=False if default else argparse.SUPPRESS,
        )  # fmt: skip
    parser.set_defaults(run=run, act="")
    acts = parser.add_subparsers(dest="act", metavar="STEP")

    def add(name: str, text: str) -> argparse.ArgumentParser:
        return acts.add_parser(name, help=text, description=text, parents=[options])

    add("state", "what was done, and what is left")
    one = add("begin", "begin, or go on where somebody has stopped")
    one.add_argument("--by", required=True, metavar="NAME", help="who does it")
    one.add_argument("--anew", action="store_true", help="forget what was done before")
    one = add("test", "test a device, a contact, or the way to the city; `all` tests all devices")
    one.add_argument("step", metavar="STEP", help="such as device:main_meter, record, or all")
    one = add("drive", "look at the loops while somebody drives over a lane")
    one.add_argument("lane", metavar="LANE")
    one.add_argument("--speed", type=float, metavar="KMH", help="what the speedometer shows")
    one.add_argument("--length", type=float, metavar="M", help="length of the vehicle")
    one.add_argument(
        "--wait", type=float, default=WAIT_S, metavar="SECONDS",
        help="without a terminal: look on for so long at most (60)",
    )  # fmt: skip
    one = add("mine", "say which vehicle of the list was the drive")
    one.add_argument("number", type=int, metavar="NUMBER")
    one.add_argument("--speed", type=float, metavar="KMH", help="what the speedometer showed")
    one.add_argument("--length", type=float, metavar="M", help="length of the vehicle")
    add("cancel", "forget the drive that runs")
    one = add("field", "fill in what the box cannot measure")
    one.add_argument("step", metavar="STEP", help="such as loop:north_1.lead")
    one.add_argument("key", metavar="KEY", help="such as inductance_uh")
    one.add_argument("value", metavar="VALUE", help="- empties it")
    one = add("scan", "search the wires that the gateway does not use, and compare")
    one.add_argument("places", nargs="*", metavar="PLACE", help="as of `kerbstone scan`")
    one = add("found", "hand over what `kerbstone scan --json` has printed")
    one.add_argument("file", metavar="FILE", help="- reads it from stdin")
    one = add("name", "name a device that was found; prints its table for the site file")
    one.add_argument("id", metavar="ID")
    one.add_argument("name", metavar="NAME", help="by its place, such as roof_air")
    one = add("dismiss", "a device that was found is not to be read")
    one.add_argument("id", metavar="ID")
    one = add("sign", "make the acceptance sheet, keep it, and tell the city")
    one.add_argument("--by", required=True, metavar="NAME", help="who signs")
    one.add_argument("--note", default="", metavar="TEXT")
    one.add_argument("--reservations", action="store_true", help="although steps have not passed")
    one = add("export", "write a sheet of this box into a file")
    one.add_argument(
        "file", type=Path, metavar="FILE", help="its ending says the form: .html .json"
    )
    one.add_argument("--number", type=int, metavar="N", help="which sheet (default: the last)")
    add_verify_options(add("verify", "in the city: check a sheet against keys and the event"))


def run(args: argparse.Namespace) -> int:
    if args.act == "verify":
        return verify_sheet(args)
    try:
        asker = CommissionAsker.of(args.config)
        if asker is None:
            return 2
        if not args.act:
            if is_terminal() and sys.stdin.isatty() and not args.json:
                return run_guide(asker)
            args.act = "state"
        return ACTS[args.act](args, asker)
    except NotReachedError as error:
        echo(f"kerbstone commission: {error}", err=True)
        return 3
    except VerbError as error:
        echo(f"kerbstone commission: {error}", err=True)
        return 2


def _state(args: argparse.Namespace, asker: CommissionAsker) -> int:
    state = asker.state()
    _print(args, state, lambda: [*commission_page(state)])
    return 0 if state["would_be"] == "accepted" else 1


def _begin(args: argparse.Namespace, asker: CommissionAsker) -> int:
    state = asker.ask("begin", by=args.by, anew=args.anew)
    _print(args, state, lambda: [*commission_page(state)])
    return 0


def _test(args: argparse.Namespace, asker: CommissionAsker) -> int:
    steps = [args.step]
    if args.step == ALL:
        steps = [row["id"] for row in asker.state()["steps"] if row["kind"] in TESTED]
    rows = []
    for step in steps:
        rows.append(asker.step(asker.ask("test", step=step), step))
        if not args.json:
            echo(*step_lines(rows[-1]))
    if args.json:
        echo_json({"steps": rows})
    return _code(*rows)


def _drive(args: argparse.Namespace, asker: CommissionAsker) -> int:
    asker.ask("drive", lane=args.lane, speed_kmh=args.speed, length_m=args.length)
    if is_terminal() and sys.stdin.isatty() and not args.json:
        echo(f"Drive over {args.lane} now, then press Enter.")
        input()
    else:
        asker.wait_for_vehicle(args.wait)
    return _judged(args, asker, asker.ask("finish", speed_kmh=args.speed, length_m=args.length))


def _mine(args: argparse.Namespace, asker: CommissionAsker) -> int:
    drive = asker.state()["drive"]
    if drive is None or not 1 <= args.number <= len(drive["passages"]):
        raise VerbError("there is no such passage: `kerbstone commission drive LANE` lists them")
    mine = drive["passages"][args.number - 1]["at_ms"]
    state = asker.ask("finish", mine=mine, speed_kmh=args.speed, length_m=args.length)
    return _judged(args, asker, state)


def _judged(args: argparse.Namespace, asker: CommissionAsker, state: Mapping[str, Any]) -> int:
    row = asker.step(state, state["step"])
    if args.json:
        echo_json({"step": row, "drive": state["drive"]})
    else:
        echo(*passage_lines(state["drive"]), *step_lines(row))
    return _code(row)


def _cancel(args: argparse.Namespace, asker: CommissionAsker) -> int:
    _print(args, asker.ask("cancel"), lambda: ["the drive is forgotten"])
    return 0


def _field(args: argparse.Namespace, asker: CommissionAsker) -> int:
    value: float | str | None = args.value
    if args.value == "-":
        value = None
    else:
        with contextlib.suppress(ValueError):
            value = float(args.value)
    row = asker.step(asker.ask("field", step=args.step, key=args.key, value=value), args.step)
    _print(args, row, lambda: [*step_lines(row)])
    return 0


def _scan(args: argparse.Namespace, asker: CommissionAsker) -> int:
    return scan_and_hand_over(args, asker)


def _found(args: argparse.Namespace, asker: CommissionAsker) -> int:
    return hand_over(args, asker)


def _name(args: argparse.Namespace, asker: CommissionAsker) -> int:
    return name_found(args, asker)


def _dismiss(args: argparse.Namespace, asker: CommissionAsker) -> int:
    row = asker.step(asker.ask("dismiss", id=args.id), "scan")
    _print(args, row, lambda: [*step_lines(row)])
    return 0


def _sign(args: argparse.Namespace, asker: CommissionAsker) -> int:
    state = asker.ask("sign", by=args.by, note=args.note, reservations=args.reservations)
    number = state["number"]
    _print(args, state, lambda: [
        f"sheet {number} is signed and kept on this box; the city is told of it",
        f"a copy for people: `kerbstone commission export acceptance-{number}.html`",
    ])  # fmt: skip
    return 0


def _export(args: argparse.Namespace, asker: CommissionAsker) -> int:
    return export_sheet(args, asker)


def _print(
    args: argparse.Namespace, answer: Mapping[str, Any], lines: Callable[[], list[str]]
) -> None:
    if args.json:
        echo_json(answer)
    else:
        echo(*lines())


def _code(*rows: Mapping[str, Any]) -> int:
    return 0 if all(row["verdict"] == "passed" for row in rows) else 1


ACTS: Final[Mapping[str, Callable[[argparse.Namespace, CommissionAsker], int]]] = {
    "state": _state, "begin": _begin, "test": _test, "drive": _drive, "mine": _mine,
    "cancel": _cancel, "field": _field, "scan": _scan, "found": _found, "name": _name,
    "dismiss": _dismiss, "sign": _sign, "export": _export,
}  # fmt: skip
