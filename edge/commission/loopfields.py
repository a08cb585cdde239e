"""What only an instrument at the feeder tells of a loop: fields to fill in, with their limits.

Detector cards tune to loops of 50 to 750 uH at a quality factor Q from 5 on (NEMA TS 2; makers'
data sheets). The series resistance of loop and feeder is below 5 ohm, the insulation against earth
above 100 megohm when new and above 10 megohm in service, measured with 500 V.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from edge.commission.verdict import StepFinding, finding


@dataclass(frozen=True, slots=True)
class LoopField:
    """One field. `low` and `high` are the limits of the trade; `most` is what anybody can mean."""

    key: str
    what: str
    unit: str
    most: float
    look: str
    low: float | None = None
    high: float | None = None

    @property
    def limit(self) -> str:
        """As people read it."""
        if self.low is None:
            return f"below {self.high:g} {self.unit}"
        if self.high is None:
            return f"at least {self.low:g} {self.unit}".strip()
        return f"{self.low:g} to {self.high:g} {self.unit}"


LOOP_FIELDS: Final[Mapping[str, LoopField]] = {
    field.key: field
    for field in (
        LoopField(
            "inductance_uh", "inductance", "uH", 10_000, low=50, high=750,
            look="Count the turns, and look for a splice that is open or shorted.",
        ),
        LoopField(
            "q", "quality factor", "", 1000, low=5,
            look="Look for water in the feeder, a poor splice, or steel too near to the loop.",
        ),
        LoopField(
            "resistance_ohm", "series resistance", "ohm", 100_000, high=5,
            look="Look for a corroded splice or terminal; twist and solder the feeder.",
        ),
        LoopField(
            "insulation_mohm", "insulation", "Mohm", 1_000_000, low=10,
            look="The insulation is damaged or wet: renew the feeder or the loop.",
        ),
    )
}  # fmt: skip
NEW_MOHM: Final = 100.0
"""Of a loop that was laid today; one in service may have a tenth of it."""


def judge_loop(loop: str, filled: Mapping[str, float]) -> list[StepFinding]:
    """Of one loop: what is missing, what is outside."""
    found = [
        finding(
            "loop_outside", loop=loop, field=key, what=field.what, value=filled[key],
            unit=field.unit or "-", limit=field.limit, look=field.look,
        )
        for key, field in LOOP_FIELDS.items()
        if key in filled and _is_outside(field, filled[key])
    ]  # fmt: skip
    missing = [key for key in LOOP_FIELDS if key not in filled]
    if missing:
        found.append(finding("loop_unmeasured", loop=loop, missing=", ".join(missing)))
    if not found:
        shown = (f"{f.what} {filled[k]:g} {f.unit}".strip() for k, f in LOOP_FIELDS.items())
        found.append(finding("loop_measured", loop=loop, values=", ".join(shown)))
    return found


def _is_outside(field: LoopField, value: float) -> bool:
    return (field.low is not None and value < field.low) or (
        field.high is not None and value > field.high
    )
