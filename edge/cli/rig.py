"""Try a box under test by a scenario file: traffic, faults, and what the box has to do.

check    list all errors of scenario files
faults   what can break, and on which layer
schema   the JSON Schema of a scenario file
run      run a scenario on a box under test, and judge what came
report   judge a run anew, and report it
record   make a scenario of a running gateway
wiring   the wiring page of a bench with real wires
selftest switch each output of a bench, and read it back

Exit codes: 0 fine, 1 failed, 2 wrong use, or a scenario file that is wrong, 3 the rig could not
run it, or a report cannot be written, 4 not evaluated.
"""

import argparse
from types import ModuleType
from typing import Final

from edge.cli import rig_bench, rig_check, rig_faults, rig_record, rig_report, rig_run

ACTS: Final[tuple[ModuleType, ...]] = (
    rig_check, rig_faults, rig_run, rig_report, rig_record, rig_bench,
)  # fmt: skip
"""Each adds its acts with `add_acts`, in this order."""


def register(verbs: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    parser = verbs.add_parser(
        "rig", help="try a box under test by a scenario file", description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )  # fmt: skip
    parser.set_defaults(run=run)
    acts = parser.add_subparsers(dest="act", required=True, metavar="ACT")
    for each in ACTS:
        each.add_acts(acts)


def run(args: argparse.Namespace) -> int:
    return int(args.act_run(args))
