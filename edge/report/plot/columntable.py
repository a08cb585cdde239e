"""Numbers by column of time, of equal width: when there are too many, two become one."""

from array import array
from collections.abc import Callable, Mapping
from math import isnan, nan
from typing import Final

Join = Callable[[float, float], float]


def _sum(a: float, b: float) -> float:
    return a + b


JOIN_BY_NAME: Final[Mapping[str, Join]] = {"sum": _sum, "low": min, "high": max}


class ColumnTable:
    """Named columns; `fields` says how two numbers of one become one: sum, low or high.

    A number that is not there is NaN, and joins with nothing.
    """

    def __init__(self, fields: Mapping[str, str]) -> None:
        self._joins = {name: JOIN_BY_NAME[how] for name, how in fields.items()}
        self.columns = {name: array("d") for name in fields}

    def __getitem__(self, name: str) -> "array[float]":
        return self.columns[name]

    def __len__(self) -> int:
        return max(map(len, self.columns.values()))

    def put(self, index: int, values: Mapping[str, float | None]) -> None:
        """Add a window's numbers to column `index`."""
        for name, value in values.items():
            if value is None:
                continue
            column = self.columns[name]
            if index >= len(column):
                column.extend([nan] * (index + 1 - len(column)))
            column[index] = _joined(self._joins[name], column[index], value)

    def has(self, name: str) -> bool:
        """Was there ever a number?"""
        return not all(map(isnan, self.columns[name]))

    def get(self, name: str, index: int) -> float:
        """NaN beyond the end, too."""
        column = self.columns[name]
        return column[index] if index < len(column) else nan

    def fold(self) -> None:
        """Twice as wide, half as many."""
        for name, column in self.columns.items():
            join = self._joins[name]
            pairs = zip(column[::2], [*column[1::2], nan], strict=False)
            self.columns[name] = array("d", [_joined(join, a, b) for a, b in pairs])


def _joined(join: Join, a: float, b: float) -> float:
    if isnan(a):
        return b
    return a if isnan(b) else join(a, b)
