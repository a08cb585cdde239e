"""`kerbstone sample DRIVER ...`: the tables of a site file for drivers, each option explained.

`kerbstone sample cabinet` prints a whole site file to try: seven devices and two lanes, which
`kerbstone sim` plays.
"""

import argparse
from collections.abc import Mapping
from pathlib import Path
from typing import Final

import drivers
from drivers.sim.simdevice import ELSEWHERE
from drivers.sim.typical import typical
from edge.core import ConfigError
from edge.diagnose.sampletables import INTRODUCTION, SampleSite, sample_facts
from edge.terminal import echo, echo_json

CABINET: Final = "cabinet"
HERE: Final = Path(__file__).parents[1] / "cabinet" / "cabinet.example.toml"
# in a wheel it lies beside the simulation, in a checkout in deploy/
EXAMPLE: Final = next(
    (p for p in (HERE, Path(__file__).parents[2] / "deploy" / HERE.name) if p.exists()), HERE
)


def register(verbs: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    parser = verbs.add_parser(
        "sample", help="an example of a driver's tables, or of a whole site file",
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter,
    )  # fmt: skip
    parser.add_argument(
        "drivers", nargs="*", metavar="DRIVER",
        help=f"one or more of {', '.join(drivers.names())}; or {CABINET}; without it: a list",
    )  # fmt: skip
    parser.add_argument("--site", action="store_true", help="with its head: a whole site file")
    parser.add_argument("--json", action="store_true", help="one JSON object")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    if not args.drivers:
        return _list(args)
    if args.drivers == [CABINET]:
        text = EXAMPLE.read_text(encoding="utf-8").rstrip("\n")
        return _print(args, text.split("\n"), {})
    try:
        specs = [drivers.spec(name) for name in args.drivers]
    except ConfigError as error:
        echo(f"kerbstone sample: {error}", err=True)
        return 2
    lines = [*(INTRODUCTION if args.site else ()), *SampleSite(specs, typical, ELSEWHERE).lines()]
    facts = sample_facts(specs[0], typical, ELSEWHERE) if len(specs) == 1 else {}
    return _print(args, lines[:-1], facts)


def _print(args: argparse.Namespace, lines: list[str], facts: Mapping[str, object]) -> int:
    if args.json:
        echo_json({**facts, "toml": "\n".join(lines)})
    else:
        echo(*lines, fold=False)
    return 0


def _list(args: argparse.Namespace) -> int:
    specs = [drivers.spec(name) for name in drivers.names()]
    if args.json:
        echo_json({one.name: one.wiring for one in specs})
        return 0
    echo(f"{CABINET:<16} a whole site file to try",
         *(f"{one.name:<16} {one.wiring}" for one in specs))  # fmt: skip
    return 0
