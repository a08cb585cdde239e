"""`kerbstone sim fault TARGET FAULT` and `kerbstone sim drive LANE`: what a running simulation is
told from another terminal.
"""

import argparse
import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Final

from edge.cabinet.desk import DESK
from edge.cabinet.faulttargets import ALL, OFFSETS
from edge.control.protocol import SOCKET_NAME, VerbError, ask_daemon
from edge.terminal import echo, echo_json

USAGE: Final = (
    "write `sim fault TARGET FAULT`, such as `sim fault main_meter silent`; "
    "`sim fault main_meter none` ends it, `sim fault --list` shows all"
)
HOW: Final = (
    "`kerbstone sim fault NAME FAULT` begins a fault, `kerbstone sim fault NAME none` ends those",
    "of one part, `kerbstone sim fault all none` those of all. NOW stands before what is shown.",
    f"{OFFSETS}: the device measures so much more, or with - less, such as pm2_5=+60.",
)
SIMULATION: Final = "the simulation"
NO_SIMULATION: Final = (
    "no simulation runs in {desk}: start one with `kerbstone sim site.toml`, or name its folder "
    "with --desk"
)


def run_fault(args: argparse.Namespace, words: list[str]) -> int:
    """Exit codes: 0 done, 2 no such target or fault, 3 no simulation runs there."""
    desk: Path = args.desk or DESK
    if not args.list and len(words) != 2:
        echo(f"kerbstone sim: {USAGE}", err=True)
        return 2
    socket = desk / SOCKET_NAME
    try:
        if socket.exists() and not os.access(socket, os.R_OK | os.W_OK):
            echo(f"kerbstone sim: {socket} is somebody else's: ask as the user who started it",
                 err=True)  # fmt: skip
            return 3
        if args.list:
            answer = ask_daemon(desk, "faults", who=SIMULATION)
        else:
            answer = ask_daemon(desk, "fault", who=SIMULATION, target=words[0], fault=words[1])
    except VerbError as error:
        echo(f"kerbstone sim: {error}", err=True)
        return 2
    except OSError as error:
        echo(f"kerbstone sim: {socket}: {error.strerror or error}", err=True)
        return 3
    if answer is None:
        echo(f"kerbstone sim: {NO_SIMULATION.format(desk=desk)}", err=True)
        return 3
    if args.json:
        echo_json(answer)
    elif args.list:
        echo(*fault_table(answer.get("targets", [])), "", *HOW, fold=False)
    else:
        echo(*_done_lines(answer))
    return 0


def run_drive(args: argparse.Namespace, words: list[str]) -> int:
    """Exit codes: 0 a vehicle drives, 2 no such lane, 3 no simulation runs there."""
    if len(words) != 1:
        echo("kerbstone sim: write `sim drive LANE --speed 30`", err=True)
        return 2
    desk: Path = args.desk or DESK
    try:
        answer = ask_daemon(
            desk, "drive", who=SIMULATION, lane=words[0], speed_kmh=args.speed,
            length_m=args.length,
        )  # fmt: skip
    except VerbError as error:
        echo(f"kerbstone sim: {error}", err=True)
        return 2
    except OSError as error:
        echo(f"kerbstone sim: {desk / SOCKET_NAME}: {error.strerror or error}", err=True)
        return 3
    if answer is None:
        echo(f"kerbstone sim: {NO_SIMULATION.format(desk=desk)}", err=True)
        return 3
    if args.json:
        echo_json(answer)
    else:
        echo(f"a vehicle of {args.length:g} m drives over {words[0]} at {args.speed:g} km/h")
    return 0


def fault_table(rows: Iterable[Mapping[str, Any]]) -> list[str]:
    """What can misbehave, one a line; what does so is marked."""
    shown = []
    for row in rows:
        words = [*row["faults"], *([OFFSETS] if row["offsets"] else [])]
        now = f"  NOW: {row['now']}" if row["now"] else ""
        shown.append(f"{row['name']:<18} {row['what']:<22} {', '.join(words)}{now}")
    return shown


def _done_lines(answer: Mapping[str, Any]) -> list[str]:
    fault = answer["fault"]
    if not answer["names"]:
        target = answer.get("target", ALL)
        return ["nothing had a fault" if target == ALL else f"{target} had no fault"]
    says = "has no fault any more" if fault == "none" else f"has the fault {fault} now"
    return [f"{name} ({what}) {says}" for name, what in zip(answer["names"], answer["what"],
                                                           strict=True)]  # fmt: skip
