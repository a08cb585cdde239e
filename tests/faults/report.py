"""What came of each row, and the document that lists them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Literal

from tests.faults.matrix import FaultRow, known_to_fail

Outcome = Literal["passed", "failed", "skipped", "not run"]
KNOWN: Final = "known to fail"
HEAD: Final = """\
# Faults, and the tests for them

Made from tests/faults/matrix.toml by `python -m tests.faults.run --write`. `make faults` injects
each fault and prints the outcomes; `python -m tests.faults.run --short` leaves out the tests that
are marked *slow* here. The name of a test is a sentence; the sentence is true if the test passes.

| # | Fault | Expected | Injection | Shown by |
|---|---|---|---|---|
"""


@dataclass(frozen=True, slots=True)
class Result:
    """Of one test with all its parameters."""

    outcome: Outcome
    why: str = ""


def judged(row: FaultRow, results: Mapping[str, Result], *, short: bool) -> tuple[str, str]:
    """The outcome of a row in a word, and what should be said with it."""
    names = row.shown_by(short=short)
    found = {name: results.get(name, Result("not run")) for name in names}
    words = [result.outcome for result in found.values()]
    notes = [f"{_short(n)}: {r.outcome}" for n, r in found.items() if r.outcome == "failed"]
    notes += [f"{_short(n)}: {r.why}" for n, r in found.items() if r.outcome == "skipped"]
    notes += [f"{_short(n)}: not run" for n, r in found.items() if r.outcome == "not run"]
    notes += [f"not here: {row.not_here}"] if row.not_here else []
    if "failed" in words or "not run" in words:
        word = "FAILED"
    elif any(result.why.startswith(KNOWN) for result in found.values()):
        word = "in part"
    elif "passed" in words:
        word = "passed"
    elif words:
        word = "skipped"
    else:
        word = "slow only" if row.slow else "not injected"
    return word, "; ".join(dict.fromkeys(notes))


def table(rows: Sequence[FaultRow], results: Mapping[str, Result], *, short: bool) -> str:
    """For people at a terminal: three lines a row at the most."""
    lines = []
    for row in rows:
        word, notes = judged(row, results, short=short)
        tests = len(row.shown_by(short=short))
        lines.append(f"{row.number:>2}  {word:<12}  {row.fault}")
        lines.append(f"{'':18}{row.injection} ({tests} {'test' if tests == 1 else 'tests'})")
        if notes:
            lines.append(f"{'':18}{notes}")
    return "\n".join(lines)


def document(rows: Sequence[FaultRow]) -> str:
    """docs/faults.md."""
    return HEAD + "".join(_line(row) for row in rows)


def _line(row: FaultRow) -> str:
    shown = [_shown(name) for name in row.tests]
    shown += [f"{_shown(name)} (slow)" for name in row.slow]
    shown += [f"*Not here:* {row.not_here}."] if row.not_here else []
    cells = (str(row.number), row.fault, row.expected, row.injection, "<br>".join(shown))
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |\n"


def _shown(node_id: str) -> str:
    return f"`{node_id.removeprefix('tests/')}`" + known_to_fail(node_id) * f" (**{KNOWN}**)"


def _short(node_id: str) -> str:
    return node_id.partition("::")[2].removeprefix("test_").replace("_", " ")
