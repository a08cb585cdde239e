"""What two decoders make of one frame, and what came of each value.

Another implementation is no judge: where it differs, a person has looked, and a reason with its
source stands in `reasons.toml`. A difference without one is wrong, and ends the run.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from math import isclose
from typing import Final

from edge.core import Bad, Sample, UncertainValue
from tests.frames.reasons import Reason

CLOSE: Final = 1e-9  # of doubles; what the other side rounds in its text is told by `exact_to`
LINE: Final = 80  # characters of what a refusal says


class Outcome(StrEnum):
    """What came of one value."""

    SAME = "same"
    BETTER = "ours better"
    REFUSED = "refused"  # it gives a number, ours says why there is none
    WRONG = "wrong"


@dataclass(frozen=True, slots=True)
class Case:
    """One frame as both see it: values by point, or in a word why it was refused as a whole.

    Ours has every point of the driver; what the other tells besides is of no point, and not tried.
    """

    frame: str
    ours: Mapping[str, Sample] | str
    theirs: Mapping[str, float | None] | str
    exact_to: float = 0.0  # a number of theirs has no more digits than this
    raw: bytes = b""  # with `again`, it is cut at each byte too
    again: Callable[[bytes], Mapping[str, Sample] | str] | None = None


@dataclass(frozen=True, slots=True)
class Compared:
    """One value, or one frame as a whole (no point)."""

    frame: str
    point: str
    ours: str
    theirs: str
    outcome: Outcome
    reason: str = ""

    def __str__(self) -> str:
        place = f"{self.frame} {self.point}".strip()
        return f"{place}: ours {self.ours}, theirs {self.theirs}"


@dataclass(slots=True)
class FrameTally:
    """One set: what was compared, and which reasons it needed."""

    name: str
    frames: int = 0
    values: list[Compared] = field(default_factory=list)
    cuts: int = 0  # beginnings of frames that were given to the driver
    decoded: list[str] = field(default_factory=list)  # those that gave a number

    def count(self, outcome: Outcome) -> int:
        return sum(one.outcome is outcome for one in self.values)

    def add(self, case: Case, reasons: Sequence[Reason]) -> None:
        self.frames += 1
        self.values += compare(case, [one for one in reasons if self.name in one.sets])
        for size in range(len(case.raw) if case.again else 0):
            assert case.again is not None
            decoded = case.again(case.raw[:size])
            self.cuts += 1
            if not isinstance(decoded, str) and any(
                not isinstance(s, Bad) for s in decoded.values()
            ):
                self.decoded.append(f"{case.frame}, the first {size} of {len(case.raw)} bytes")


def compare(case: Case, reasons: Sequence[Reason]) -> Iterator[Compared]:
    """Each value that one of the two gives."""
    ours, theirs = case.ours, case.theirs
    if isinstance(ours, str) and isinstance(theirs, str):
        yield Compared(case.frame, "", ours[:LINE], theirs[:LINE], Outcome.SAME)
    elif isinstance(ours, str):
        assert not isinstance(theirs, str)
        numbers = {key: _said(value) for key, value in theirs.items() if value is not None}
        for key, said in (numbers or {"": _said(None)}).items():
            yield _judged(case, key, ours[:LINE], said, Outcome.REFUSED, reasons)
    elif isinstance(theirs, str):
        decoded = {key: sample for key, sample in ours.items() if not isinstance(sample, Bad)}
        for key, sample in decoded.items():
            yield _judged(case, key, _said(sample), theirs[:LINE], Outcome.BETTER, reasons)
        if not decoded:
            yield Compared(case.frame, "", "no value", theirs[:LINE], Outcome.SAME)
    else:
        yield from _values(case, ours, theirs, reasons)


def _values(
    case: Case,
    ours: Mapping[str, Sample],
    theirs: Mapping[str, float | None],
    reasons: Sequence[Reason],
) -> Iterator[Compared]:
    decoded = [key for key, sample in ours.items() if not isinstance(sample, Bad)]
    for key in dict.fromkeys((*(key for key in theirs if key in ours), *decoded)):
        sample, other = ours.get(key), theirs.get(key)
        mine = sample.value if isinstance(sample, UncertainValue) else sample
        number = None if mine is None or isinstance(mine, Bad) else float(mine)
        said = (_said(sample), _said(other))
        if number is None and other is None:
            yield Compared(case.frame, key, *said, Outcome.SAME)
        elif number is None:
            yield _judged(case, key, *said, Outcome.REFUSED, reasons)
        elif other is not None and isclose(number, other, rel_tol=CLOSE, abs_tol=case.exact_to):
            yield Compared(case.frame, key, *said, Outcome.SAME)
        else:
            yield _judged(case, key, *said, Outcome.BETTER, reasons)


def _judged(
    case: Case, key: str, ours: str, theirs: str, outcome: Outcome, reasons: Sequence[Reason]
) -> Compared:
    for one in reasons:
        if one.outcome == outcome and one.fits(case.frame, key, ours, theirs):
            return Compared(case.frame, key, ours, theirs, outcome, one.name)
    return Compared(case.frame, key, ours, theirs, Outcome.WRONG)


def _said(value: Sample | None) -> str:
    match value:
        case None:
            return "none"
        case Bad(reason):
            return f"bad:{reason}"
        case UncertainValue(number, reason):
            return f"{number:.12g} (uncertain:{reason})"
    return f"{float(value):.12g}"
