"""What a step came to, and why: a word for programs, a sentence with its figures for people."""

from collections.abc import Iterable, Mapping
from enum import StrEnum
from typing import Final

from msgspec import Struct

from edge.commission.findingkinds import FINDING_KINDS, FindingKind

Figure = str | int | float | None
"""Part of a sentence. Numbers are rounded where the finding is made."""
DIGITS: Final = 4


class StepVerdict(StrEnum):
    """The better one first."""

    PASSED = "passed"
    UNPROVEN = "unproven"  # nothing was wrong, but it was not seen to be right
    DOUBTFUL = "doubtful"  # a person must decide
    FAILED = "failed"


SEVERITY: Final[Mapping[StepVerdict, int]] = {word: place for place, word in enumerate(StepVerdict)}


class StepFinding(Struct, frozen=True):
    """One thing that was found. `figures` fill the places of its sentence."""

    kind: FindingKind
    figures: dict[str, Figure] = {}

    @property
    def verdict(self) -> StepVerdict:
        return StepVerdict(FINDING_KINDS[self.kind].verdict)

    @property
    def text(self) -> str:
        """One sentence, with its values."""
        return FINDING_KINDS[self.kind].text.format_map(self._shown)

    @property
    def remedy(self) -> str:
        """What to do; empty where there is nothing to do."""
        return FINDING_KINDS[self.kind].remedy.format_map(self._shown)

    @property
    def _shown(self) -> dict[str, str]:
        return {key: shown_figure(value) for key, value in self.figures.items()}


def finding(kind: FindingKind, **figures: Figure) -> StepFinding:
    """With numbers of four digits: nobody reads more of them."""
    return StepFinding(kind, {key: rounded(value) for key, value in figures.items()})


def rounded(value: Figure) -> Figure:
    """A number to four digits, whole where it is whole; anything else as it is."""
    if not isinstance(value, float):
        return value
    short = float(f"{value:.{DIGITS}g}")
    return int(short) if short.is_integer() and abs(short) < 1e15 else short


def shown_figure(value: Figure) -> str:
    """As it stands in a sentence."""
    if value is None:
        return "-"
    return str(value) if isinstance(value, str | int) else f"{value:.{DIGITS}g}"


def worst_verdict(findings: Iterable[StepFinding]) -> StepVerdict:
    """Of a step: that of its worst finding; of none, unproven."""
    verdicts = [each.verdict for each in findings]
    return max(verdicts, key=SEVERITY.__getitem__) if verdicts else StepVerdict.UNPROVEN
