"""Why a unit of a serial line does not answer as it should: sentences with a remedy. No wire here.

What is right with one unit says what is wrong with another: so it is kept who has answered.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

from drivers.buses.serial_trouble import UartCounters, counter_findings

TWICE: Final = 2  # second answers in a row: one may be a late answer to an older question
DAMAGED_REMEDY: Final = "check shield, terminator, and cables beside power lines"
DAMAGED: Final = 3  # damaged answers in a row that are no accident
SHOWN: Final = 8  # units that a sentence names at most
LATE: Final = (
    "answers come late or twice on this line, or are lost; raise timeout_s for a radio or a"
    " converter, or lower link_delay_s if it is longer than necessary"
)


@dataclass(slots=True)
class KnownUnits:
    """What is known of the units of one line."""

    answered: set[int] = field(default_factory=set)  # at least once
    damaged: dict[int, int] = field(default_factory=dict)  # unit -> damaged answers in a row
    doubled: dict[int, int] = field(default_factory=dict)  # unit -> questions answered twice
    last: int = -1  # who answered last, and whether another answer of his came behind
    again: bool = False
    owed: bool = False  # his answer before was damaged: he, or a converter, may say it once more

    def good(self, unit: int) -> None:
        """It has answered, and what it said is sound."""
        self.answered.add(unit)
        self.owed = self.damaged.pop(unit, 0) > 0
        self.last, self.again = unit, False

    def stray(self, units: Sequence[int]) -> None:
        """These units spoke, and were not asked."""
        self.again = self.again or self.last in units

    def judge(self) -> None:
        """Another question has been asked: whatever belonged to the last one has come."""
        if self.again:
            self.doubled[self.last] = self.doubled.get(self.last, 0) + (not self.owed)
        elif self.doubled:
            self.doubled.pop(self.last, None)
        self.last, self.again, self.owed = -1, False, False

    def twins(self, unit: int) -> bool:
        """Do two devices answer as this unit?"""
        return self.doubled.get(unit, 0) >= TWICE

    def hurt(self, unit: int) -> int:
        """It has answered, and not whole; how often in a row."""
        self.damaged[unit] = self.damaged.get(unit, 0) + 1
        return self.damaged[unit]

    def others(self, unit: int) -> list[int]:
        """Who else has answered."""
        return sorted(self.answered - {unit})


def no_answer(unit: int, settings: str, known: KnownUnits) -> str:
    """What to look at when nothing came at all."""
    if unit in known.answered:
        return "it has answered before; check its supply and its wire"
    if others := known.others(unit):
        return (
            f"{_units(others)} on this line can be heard; check its address and its supply, that"
            f" it is set to {settings} like the others, and that its A and B are not swapped"
        )
    return (
        "no device on this line has answered so far; check that A and B are not swapped,"
        f" that the meters are set to {settings}, and that they have supply"
    )


def no_answer_behind(unit: int, answered: set[int]) -> str:
    """The same where a connection stands, and a converter with a line of its own may be behind."""
    if unit in answered:
        return "it has answered before; check its supply and its wire"
    if others := sorted(answered):
        return f"{_units(others)} there can be heard; check its address and its supply"
    return (
        "the connection stands, but no unit behind it has answered so far; check its address, that"
        " the converter has the meters' baud rate and parity, and that A and B are not swapped"
    )


def noise(port: str, settings: str, counted: UartCounters) -> str:
    """What to look at when bytes came, and no answer was among them."""
    if found := counter_findings(port, settings, counted):
        return str(found[0])
    return (
        f"no answer can be read at {settings}; set the meters' baud rate and parity here, check"
        " that A and B are not swapped, and fit the termination"
    )


def another_spoke(unit: int, units: Sequence[int]) -> str:
    """What to look at when what came was no answer to this question."""
    if list(units) == [unit]:
        return (
            "an answer to another question came; raise timeout_s if it comes late (a radio, a"
            " converter), or disconnect the other master of this line"
        )
    return (
        f"{_units(units)} answered instead; raise timeout_s if answers come late (a radio, a"
        f" converter), disconnect another master, or give the meter the address {unit}"
    )


def damaged(
    unit: int, times: int, port: str, settings: str, counted: UartCounters, known: KnownUnits
) -> str:
    """What to look at when an answer was not whole; "" when it may be an accident."""
    if found := counter_findings(port, settings, counted):
        return str(found[0])
    if times < DAMAGED:
        return ""
    if others := known.others(unit):
        return (
            f"{times} in a row, while {_units(others)} can be understood; check that no other"
            f" device has the address {unit}, then its plug and its wire"
        )
    return (
        f"{times} in a row; fit the termination, lead the wire away from power lines, and"
        " disconnect a second master"
    )


def two_responses(unit: int) -> str:
    """Two answers came to one question."""
    return (
        f"two devices answer as unit {unit}, and their values cannot be told apart; give one of"
        " them another address"
    )


def _units(units: Sequence[int]) -> str:
    shown = ", ".join(map(str, units[:SHOWN])) + (" ..." if len(units) > SHOWN else "")
    return f"unit {shown}" if len(units) == 1 else f"units {shown}"
