"""Judge a run of the rig anew, and report it: failed expectations first, each with its moment."""

import argparse
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

from edge.core.printable import json_line_text, quote_name
from edge.rig.htmlreport import html_report
from edge.rig.jsonreport import json_report
from edge.rig.judging import judge
from edge.rig.junitreport import junit_report
from edge.rig.outcome import Outcome, Verdict, verdict_of
from edge.rig.runfile import read_run
from edge.rig.runlog import RunLog
from edge.rig.scenario import Scenario
from edge.rig.textreport import outcome_lines
from edge.terminal import echo

EXIT_CODES: Final[dict[Verdict, int]] = {"pass": 0, "fail": 1, "not_evaluated": 4}
Form = Callable[[Scenario, RunLog, Sequence[Outcome]], str]
FORMS: Final[dict[str, tuple[Form, str]]] = {
    "html": (html_report, "a page that needs nothing else: sentences, and one time axis"),
    "junit": (junit_report, "JUnit XML for Jenkins or GitLab; not evaluated is an error there"),
    "json": (
        lambda scenario, log, found: json_line_text(json_report(scenario, log, found), 1) + "\n",
        "for programs",
    ),
}


def add_acts(acts: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    parser = acts.add_parser("report", help="judge a run anew, and report it", description=__doc__)
    parser.add_argument(
        "file", type=Path, metavar="RUN.json", help="what `kerbstone rig run` wrote"
    )
    for name, (_, text) in FORMS.items():
        parser.add_argument(f"--{name}", type=Path, metavar="FILE", help=f"write {text}")
    parser.set_defaults(act_run=run)


def run(args: argparse.Namespace) -> int:
    """Raises ConfigError for a file that is no run."""
    scenario, log = read_run(args.file)
    outcomes = judge(scenario, log)
    echo(*outcome_lines(scenario, log, outcomes))
    for name in FORMS:
        file = getattr(args, name)
        if file is not None and not write_report(name, file, scenario, log, outcomes):
            return 3
    return EXIT_CODES[verdict_of(outcomes)]


def write_report(
    name: str, file: Path, scenario: Scenario, log: RunLog, outcomes: Sequence[Outcome]
) -> bool:
    """One of FORMS; False, after a word, if it cannot be written."""
    try:
        file.write_text(FORMS[name][0](scenario, log, outcomes), encoding="utf-8")
    except OSError as error:
        echo(f"kerbstone rig: {quote_name(str(file))}: {error.strerror or error}", err=True)
        return False
    return True
