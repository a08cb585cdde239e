"""What is wrong with a wire or a device, as a sentence for a person, with what to do about it."""

from dataclasses import dataclass
from typing import Literal

Severity = Literal["fault", "warning", "note"]


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was found. As text it is both: `sentence; remedy`.

    A fault keeps values away, a warning may, a note only tells what is unusual.
    """

    severity: Severity
    sentence: str
    remedy: str = ""

    def __str__(self) -> str:
        return f"{self.sentence}; {self.remedy}" if self.remedy else self.sentence


def fault(sentence: str, remedy: str = "") -> Finding:
    """Something that keeps values away."""
    return Finding("fault", sentence, remedy)


def warning(sentence: str, remedy: str = "") -> Finding:
    """Something that may."""
    return Finding("warning", sentence, remedy)


def note(sentence: str, remedy: str = "") -> Finding:
    """Something unusual that harms nobody by itself."""
    return Finding("note", sentence, remedy)
