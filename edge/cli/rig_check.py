"""`kerbstone rig check FILE...`: list all errors of scenario files."""

import argparse
from pathlib import Path
from typing import Any

from edge.config import Problem, Problems
from edge.rig.faultcatalogue import able_layers
from edge.rig.scenariofile import CheckedScenario, check_scenario
from edge.terminal import echo, echo_json


def add_acts(acts: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    parser = acts.add_parser(
        "check", help="list all errors of scenario files",
        description="List all errors of scenario files, and what each of them is. Exit codes: 0 "
        "all are right, 2 one is wrong.",
    )  # fmt: skip
    parser.add_argument("files", type=Path, nargs="+", metavar="FILE", help="such as incident.toml")
    parser.add_argument("--json", action="store_true", help="one JSON object a line for each file")
    parser.set_defaults(act_run=run)


def run(args: argparse.Namespace) -> int:
    return max(_check(file, args.json) for file in args.files)


def _check(file: Path, as_json: bool) -> int:
    try:
        checked = check_scenario(file)
    except Problems as error:
        if as_json:
            echo_json(_row(file, error.problems, ()))
        else:
            echo(*error.lines, err=True)
            echo(f"{file} cannot be used: {_count(len(error.problems), 'error')}", err=True)
        return 2
    if as_json:
        echo_json({**_row(file, (), checked.warnings), "layers": _layers(checked)})
        return 0
    echo(*(f"warning: {remark}" for remark in checked.warnings), err=True)
    scenario, warnings = checked.scenario, len(checked.warnings)
    about = scenario.about
    echo(f"{about.name}: {about.duration_s:g} s and up to {about.settle_s:g} s more, "
         f"{_count(len(scenario.faults), 'fault')}, "
         f"{_count(len(scenario.expects), 'expectation')}; layers {', '.join(_layers(checked))}",
         f"{file} is in order" + (f"; {_count(warnings, 'warning')}" if warnings else ""),
    )  # fmt: skip
    return 0


def _layers(checked: CheckedScenario) -> list[str]:
    """On which it can be run."""
    return [*(checked.scenario.about.layers or able_layers(checked.kinds.values()))]


def _row(file: Path, errors: tuple[Problem, ...], warnings: tuple[Problem, ...]) -> dict[str, Any]:
    def rows(found: tuple[Problem, ...]) -> list[dict[str, Any]]:
        return [{"file": p.file, "line": p.line, "key": p.key, "text": p.text} for p in found]

    return {"file": str(file), "ok": not errors, "errors": rows(errors), "warnings": rows(warnings)}


def _count(number: int, word: str) -> str:
    return f"{number} {word}{'' if number == 1 else 's'}"
