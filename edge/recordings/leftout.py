"""What an import left out or had to assume, and why: how often, and where first."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

SHOWN = 60  # characters of what stands in a row


class Remark(NamedTuple):
    """One reason. `wrong`: the log is not what it should be; else nobody has to do anything."""

    text: str
    times: int
    where: str
    wrong: bool


@dataclass
class LeftOut:
    """Counts by reason, in the order in which they came up first."""

    _counts: dict[str, int] = field(default_factory=dict)
    _first: dict[str, str] = field(default_factory=dict)
    _wrong: set[str] = field(default_factory=set)

    def add(
        self, reason: str, path: Path | None = None, number: int = 0, cell: object = None
    ) -> None:
        """A row that is wrong, with its place and what stands in it."""
        self._wrong.add(reason)
        if reason not in self._first:
            shown = "" if cell is None else f": {str(cell)[:SHOWN]!r}"
            self._first[reason] = "" if path is None else f"{path.name}, row {number}{shown}"
        self._counts[reason] = self._counts.get(reason, 0) + 1

    def note(self, reason: str, count: int = 1) -> None:
        """Something that is usual in a log."""
        if count:
            self._first.setdefault(reason, "")
            self._counts[reason] = self._counts.get(reason, 0) + count

    def count(self, reason: str) -> int:
        """How often it came up."""
        return self._counts.get(reason, 0)

    def remarks(self) -> Iterator[Remark]:
        """All of them."""
        for text, count in self._counts.items():
            yield Remark(text, count, self._first[text], text in self._wrong)

    @property
    def wrong(self) -> int:
        """Rows that were wrong."""
        return sum(self._counts[reason] for reason in self._wrong)
