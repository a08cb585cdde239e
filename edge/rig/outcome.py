"""What became of one expectation, and of a scenario as a whole.

There are three ends. Only `pass` is good: what could not be judged is `not_evaluated`, and a
scenario with one of those has not passed.
"""

from collections.abc import Iterable
from typing import Final, Literal

from msgspec import Struct

Verdict = Literal["pass", "fail", "not_evaluated"]
WORST_FIRST: Final[tuple[Verdict, ...]] = ("fail", "not_evaluated", "pass")
WORDS: Final[dict[Verdict, str]] = {
    "pass": "passed",
    "fail": "failed",
    "not_evaluated": "not evaluated",
}
ROWS_LIMIT: Final = 50  # of `rows`: what a person can look at


class Judgement(Struct, frozen=True, kw_only=True):
    """What one look at a run has come to.

    `rows`: numbers of the rows of `RunLog.heard` that it rests on, at most ROWS_LIMIT. `final`: no
    later second could change it; else it holds only if the run has gone on for long enough.
    """

    verdict: Verdict
    text: str
    moment_s: float | None = None
    rows: tuple[int, ...] = ()
    final: bool = False


class Outcome(Struct, frozen=True, kw_only=True):
    """Of one expectation. `place`: which of the file's `[[expect]]` it is, from 0; None: the rig
    added it. `moment_s`: where to look in the run, in seconds of the rig's clock."""

    place: int | None
    name: str
    what: str
    verdict: Verdict
    text: str
    moment_s: float | None = None
    rows: tuple[int, ...] = ()


def not_evaluated(text: str, moment_s: float | None = None) -> Judgement:
    return Judgement(verdict="not_evaluated", text=text, moment_s=moment_s, final=True)


def verdict_of(outcomes: Iterable[Outcome]) -> Verdict:
    """Of a whole scenario: its worst outcome. Without any, nothing was judged."""
    found = {each.verdict for each in outcomes}
    return next((each for each in WORST_FIRST if each in found), "not_evaluated")


def worst_first(outcomes: Iterable[Outcome]) -> list[Outcome]:
    """Failed ones, then those that were not evaluated; each kind in the order of the file."""
    return sorted(outcomes, key=lambda each: WORST_FIRST.index(each.verdict))
