"""`python -m tests.mutants.run [--seed 1] [--count 300]`: which wrong changes no test notices.

Draws changes of the code that keeps, sends and proves records, and tries each against the tests
that reach its line. Ends with 1 when fewer than 95 % are noticed, when one that is planted is not,
and when one that survives has no reason in docs/mutants.md.
"""

import argparse
import os
import sys
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from queue import SimpleQueue
from typing import Final

from tests.mutants.drawing import PARTS, SUITES, Planted, drawn, files, planted
from tests.mutants.mutations import Mutant
from tests.mutants.reach import ROOT, Reach, ReachError, measure
from tests.mutants.trial import Bench, Fate, Verdict

NOTICED: Final = 0.95
PAGE: Final = ROOT / "docs" / "mutants.md"
CACHE: Final = ROOT / "build" / "mutants"
CONTROL: Final = 40  # tests that must pass on a copy before anything is changed in it

Verdicts = Mapping[Mutant, Verdict]


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.mutants.run", description=__doc__)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--count", type=int, default=300)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--only", default="", help="those whose name holds this, all of them")
    options = parser.parse_args(arguments)
    print(f"seed {options.seed}, {options.count} mutants", flush=True)
    os.environ["LONG"] = "1"  # a rare case may be the one that notices
    special = list(planted())
    chosen = [*(each.mutant for each in special), *drawn(options.seed, options.count)]
    chosen = [mutant for mutant in chosen if options.only in mutant.name]
    if not chosen:
        print(f"no mutant has {options.only!r} in its name", file=sys.stderr)
        return 1
    started = time.monotonic()
    try:
        names = sorted({mutant.path for mutant in chosen} | {f for p in PARTS for f in files(p)})
        reach = measure(list(SUITES), names, CACHE, options.workers)
        verdicts = dict(tried(chosen, reach, options.workers))
    except ReachError as error:
        print(error, file=sys.stderr)
        return 1
    minutes = (time.monotonic() - started) / 60
    print("\n".join(summary(verdicts)), f"\n{minutes:.0f} minutes", flush=True)
    found = list(faults(verdicts, special, reasons()))
    print(*found, sep="\n", file=sys.stderr)
    return 1 if found else 0


def tried(chosen: Sequence[Mutant], reach: Reach, workers: int) -> Iterator[tuple[Mutant, Verdict]]:
    """Each on trial; said as they come. Raises ReachError when a copy fails as it is."""
    benches: SimpleQueue[Bench] = SimpleQueue()
    control = sorted(reach.seconds, key=lambda test: reach.seconds[test])[::-1][-CONTROL:]

    def judge(mutant: Mutant) -> Verdict:
        bench = benches.get()
        try:
            last = mutant.line + mutant.old.count("\n")
            tests = reach.tests(mutant.path, mutant.line, last)
            source = (ROOT / mutant.path).read_bytes()
            took = [reach.seconds[test] for test in tests]
            return bench.trial(mutant.path, mutant.applied(source), tests, took)
        finally:
            benches.put(bench)

    copies = [Bench() for _ in range(workers)]
    try:
        for copy in copies:
            copy.__enter__()
            if not copy.passes(control, 600.0):
                raise ReachError("the tests do not pass on a copy of this code as it is")
            benches.put(copy)
        with ThreadPoolExecutor(workers) as pool:
            for place, (mutant, verdict) in enumerate(
                zip(chosen, pool.map(judge, chosen), strict=True), 1
            ):
                print(f"{place:4} {line(mutant, verdict)}", flush=True)
                yield mutant, verdict
    finally:
        for copy in copies:
            copy.__exit__(None, None, None)


def line(mutant: Mutant, verdict: Verdict) -> str:
    """One trial, for people."""
    by = f"by {verdict.by}" if verdict.by else f"{verdict.tests} tests"
    return f"{verdict.fate:9} {verdict.seconds:5.1f} s {mutant.name}:{mutant.line} {by}"


def summary(verdicts: Verdicts) -> Iterator[str]:
    """What became of them, part by part."""
    for part in PARTS:
        mine = [verdict for mutant, verdict in verdicts.items() if mutant.path in files(part)]
        counts = Counter(verdict.fate for verdict in mine)
        result = ", ".join(f"{counts[fate]} {fate}" for fate in Fate if counts[fate])
        yield f"{part:9} {len(mine):4} mutants: {result}"
    noticed = sum(verdict.noticed for verdict in verdicts.values())
    yield f"{noticed} of {len(verdicts)} noticed, {100 * noticed / len(verdicts):.1f} %"


def faults(verdicts: Verdicts, special: Iterable[Planted], why: Mapping[str, str]) -> Iterator[str]:
    """All that makes a run fail."""
    noticed = sum(verdict.noticed for verdict in verdicts.values())
    if noticed < NOTICED * len(verdicts):
        yield f"fewer than {100 * NOTICED:.0f} % were noticed"
    for each in special:
        if each.mutant in verdicts and not verdicts[each.mutant].noticed:
            yield f"planted, and not noticed: {each.name}"
    for mutant, verdict in verdicts.items():
        if not verdict.noticed and mutant.name not in why:
            yield f"{verdict.fate}, and docs/mutants.md has no reason: {mutant.name}"


def reasons(page: Path = PAGE) -> dict[str, str]:
    """By the name of a survivor, from the rows of the page's table."""
    found: dict[str, str] = {}
    for row in page.read_text(encoding="utf-8").splitlines() if page.exists() else []:
        match row.removeprefix("| `").split("` | "):
            case [name, why] if row.startswith("| `"):
                found[name.replace("\\|", "|")] = why.removesuffix(" |")
    return found


if __name__ == "__main__":
    sys.exit(main())
