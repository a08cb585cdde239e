"""Contacts, bays, signals and pulse outputs: operate them, and look whether that was seen."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from edge.commission.steps import StepKind
from edge.commission.verdict import StepFinding, finding
from edge.core.edge import Contact

HOW: Final[dict[str, str]] = {
    "contact": "open and close it",
    "bay": "drive in and out again",
    "signal": "wait for a whole cycle",
    "pulses": "wait for two pulses",
}
ENOUGH: Final = 2  # pulses
MOST_W: Final = 100_000.0  # no pulse output of a cabinet counts more


@dataclass(frozen=True, slots=True)
class SeenContact:
    """One line since it was armed, `seconds` ago: its changes, and how it stands (None: nobody
    watches it)."""

    name: str
    kind: StepKind
    level: bool | None
    seconds: float
    changes: Sequence[Contact]
    per_kwh: float = 1000.0


def arm_contact(seen: SeenContact) -> list[StepFinding]:
    """What to do now; it is judged at the next test."""
    return [finding("operate_it", name=seen.name, level=_word(seen), how=HOW[seen.kind])]


def judge_contact(seen: SeenContact) -> list[StepFinding]:
    """What its changes since then prove."""
    ons = sum(each.on for each in seen.changes)
    if seen.kind == "pulses":
        return [_pulses(seen, ons)]
    offs = len(seen.changes) - ons
    if not ons and not offs:
        return [finding("contact_still", name=seen.name, seconds=round(seen.seconds))]
    moved = finding("contact_moved", name=seen.name, ons=ons, offs=offs, level=_word(seen))
    if ons and offs:
        return [moved]
    return [finding("operate_it", name=seen.name, level=_word(seen), how=HOW[seen.kind])]


def _pulses(seen: SeenContact, count: int) -> StepFinding:
    rises = [each.mono_ns for each in seen.changes if each.on]
    if count < ENOUGH:
        return finding("pulses_none", name=seen.name, count=count, seconds=round(seen.seconds))
    span_s = (rises[-1] - rises[0]) / 1e9
    watts = (count - 1) / seen.per_kwh * 3.6e6 / max(span_s, 1e-3)
    if watts > MOST_W:
        return finding("pulses_odd", name=seen.name, count=count, seconds=span_s, watts=watts)
    return finding(
        "pulses_seen", name=seen.name, count=count, seconds=span_s, per_kwh=seen.per_kwh,
        watts=watts,
    )  # fmt: skip


def _word(seen: SeenContact) -> str:
    return "not watched" if seen.level is None else "on" if seen.level else "off"
