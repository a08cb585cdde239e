"""Scores all models that ship and prints every table of their cards: `make models-eval`.

    python -m models.evaluate --streets DIR --data DIR --nab-repo DIR [--python PYTHON] [--quick]
    python -m models.evaluate --final DIR

--final is a final set of streets (`generate --set final`) in place of --streets: this opening is
counted in its record, and told.

--streets holds simulated streets with truth, which `models.congestion.scenarios` generates; --data
real series with labelled faults (or `labelled_faults/` with them); --nab-repo a checked-out
numenta/NAB, whose own code scores (PYTHON is an interpreter that has pandas). What is not given is
left out, and that is said. Exit codes: 0 all was scored, 1 something was left out.

Each model's folder has `evaluate.tables(args)`, which gives its tables line by line; `args` has all
that is named here and `bundle`, the folder of the bundle. What is judged by rules alone has
`tables(args)` in its own module.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Iterable, Iterator
from datetime import UTC, datetime
from hashlib import sha256
from importlib import import_module
from pathlib import Path
from typing import Final

from models import BUNDLES
from models.anomaly import evaluate as anomaly
from models.congestion.scenarios.finalset import FinalSetError, open_final

MODELS: Final = ("loopfault", "congestion", "anomaly")
LABELLED: Final = "labelled_faults"
RULES: Final = {"speeds": "models.speeds", "incidents": "models.congestion.incidents"}
"""What else is judged by rules that ship with the program, by its module."""
NEEDS: Final = {
    "loopfault": "streets", "congestion": "streets", "anomaly": "data", "speeds": "streets",
    "incidents": "streets",
}  # fmt: skip

Tables = Callable[[argparse.Namespace], Iterable[str]]


def all_tables(args: argparse.Namespace) -> Iterator[tuple[str, bool]]:
    """(line, whether something was left out) over all models."""
    for name in args.models or (*MODELS, *RULES):
        yield "", False
        yield f"# {name}", False
        needed = NEEDS[name]
        if name in MODELS and not (BUNDLES / name / "manifest.json").is_file():
            yield "left out: it does not ship", True
        elif getattr(args, needed) is None:
            yield f"left out: no --{needed}", True
        else:
            options = argparse.Namespace(**{**vars(args), "bundle": BUNDLES / name})
            for line in _tables(name, options):
                yield line, "left out" in line


def _tables(name: str, args: argparse.Namespace) -> Iterable[str]:
    module = RULES.get(name, f"models.{name}.evaluate")
    try:
        tables: Tables | None = getattr(import_module(module), "tables", None)
    except ModuleNotFoundError as error:
        return [f"left out: {error.name} is not there"]
    return [f"left out: {module} has no tables"] if tables is None else tables(args)


def shipped_digests(names: Iterable[str]) -> dict[str, str]:
    """Of the models of simulated streets that ship: what was opened with which."""
    return {
        name: sha256((BUNDLES / name / "manifest.json").read_bytes()).hexdigest()[:12]
        for name in names
        if name in MODELS
        and NEEDS[name] == "streets"
        and (BUNDLES / name / "manifest.json").is_file()
    }


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--streets", type=Path, metavar="DIR")
    parser.add_argument("--final", type=Path, metavar="DIR", help="a final set; it counts this")
    parser.add_argument("--data", type=Path, metavar="DIR")
    parser.add_argument(
        "--fusion", type=Path, nargs="+", metavar="DIR",
        help="streets that the rival of the congestion model learns from",
    )  # fmt: skip
    parser.add_argument("--models", nargs="+", choices=(*MODELS, *RULES), help="only these")
    anomaly.options(parser)
    args = parser.parse_args(arguments)
    args.nab = None
    left_out = False
    if args.final is not None:
        if args.streets is not None:
            parser.error("--final is in place of --streets")
        now = datetime.now(UTC).isoformat(timespec="minutes")
        try:
            for line in open_final(args.final, shipped_digests(args.models or MODELS), now):
                print(line, flush=True)
        except FinalSetError as error:
            parser.error(str(error))
        args.streets, args.final = args.final, True
    args.final = bool(args.final)
    for line, left in all_tables(args):
        print(line, flush=True)
        left_out = left_out or left
    return int(left_out)


if __name__ == "__main__":
    sys.exit(main())
