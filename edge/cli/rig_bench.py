"""`kerbstone rig wiring BENCH` and `kerbstone rig selftest BENCH`: a bench with real wires."""

import argparse
from pathlib import Path
from typing import Final

from edge.config import Problems
from edge.rig.benchfile import load_bench
from edge.rig.benchselftest import Verdict, self_test
from edge.rig.benchwiring import wiring_html, wiring_text
from edge.terminal import echo

SIGNS: Final[dict[Verdict, str]] = {
    "ok": "ok", "wrong": "WRONG", "not_evaluated": "NOT SHOWN",
}  # fmt: skip
WRONG, NOT_SHOWN = 1, 4


def add_acts(acts: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    wiring = acts.add_parser(
        "wiring", help="the wiring page of a bench",
        description="Which wire goes where, for whoever makes it. Exit codes: 0 shown, 2 the bench "
        "file or the site file is wrong, 3 the page cannot be written.",
    )  # fmt: skip
    wiring.add_argument("file", type=Path, metavar="BENCH", help="such as bench.toml")
    wiring.add_argument("--html", type=Path, metavar="FILE", help="write a page to print")
    wiring.set_defaults(act_run=run_wiring)
    test = acts.add_parser(
        "selftest", help="switch each output of a bench, and read it back",
        description="Switch each output of a bench and read back what is wired back; send through "
        "each port that is heard. The box has to be off or not connected. The supply is not "
        "touched. Exit codes: 0 all is right, 1 something is wrong, 2 the bench file is wrong, "
        "4 something could not be shown: it is not read back.",
    )  # fmt: skip
    test.add_argument("file", type=Path, metavar="BENCH", help="such as bench.toml")
    test.set_defaults(act_run=run_selftest)


def run_wiring(args: argparse.Namespace) -> int:
    try:
        bench, site = load_bench(args.file)
    except Problems as error:
        echo(*error.lines, err=True)
        return 2
    if args.html is None:
        echo(*wiring_text(bench, site), fold=False)
        return 0
    try:
        args.html.write_text(wiring_html(bench, site), encoding="utf-8")
    except OSError as error:
        echo(f"kerbstone rig: {args.html}: {error.strerror or error}", err=True)
        return 3
    return 0


def run_selftest(args: argparse.Namespace) -> int:
    try:
        bench, _ = load_bench(args.file)
    except Problems as error:
        echo(*error.lines, err=True)
        return 2
    found: list[Verdict] = []
    for row in self_test(bench):
        echo(f"{SIGNS[row.verdict]:10} {row.name}: {row.text}")
        found.append(row.verdict)
    if "wrong" in found:
        return WRONG
    return NOT_SHOWN if "not_evaluated" in found or not found else 0
