"""What a judge keeps with every window, so that no kill leaves a flag up for ever.

Small: for each approach eight numbers of its rule and a row of its model, or sixteen numbers,
together at most some 800 bytes; and of the series only those whose flag is up. The rest of the
judge's state is far larger and is written seldom.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Final

from edge.infer.observation import POSITIONS
from edge.infer.seriesfeatures import SeriesKey

VERSION: Final = 1
UNREADABLE: Final = (
    AttributeError, IndexError, KeyError, OverflowError, TypeError, ValueError,
)  # fmt: skip
"""What reading a damaged state may raise."""
LONG_S: Final = 1e6  # an age that is as good as any longer one
NAME: Final = re.compile(r"[A-Za-z0-9_.-]{1,64}")


@dataclass(frozen=True, slots=True)
class ApproachState:
    """One approach as of the last window; `row` is empty when its model had not seen that one."""

    raised: bool
    low_s: float
    hold_s: float
    smooth: tuple[float, ...]  # of the rule, by position
    age_s: tuple[float, ...]
    row: bytes = b""
    usual: tuple[float, ...] = ()  # of the rule: kept where there is no row, which has its own
    learned: tuple[float, ...] = ()

    def __post_init__(self) -> None:
        """Raises ValueError when there is not one number for each position."""
        if not len(self.usual) == len(self.learned) or len(self.usual) not in (0, len(POSITIONS)):
            raise ValueError(f"not {len(POSITIONS)} numbers: {self.usual}, {self.learned}")
        if not len(self.smooth) == len(self.age_s) == len(POSITIONS):
            raise ValueError(f"not {len(POSITIONS)} numbers: {self.smooth}, {self.age_s}")


@dataclass(frozen=True, slots=True)
class SeriesState:
    """A series whose flag is up; `row` or `rule` is what the one who spoke last remembers."""

    samples: int  # since the flag went on
    hold_s: float
    row: bytes = b""
    rule: tuple[float, ...] = ()


@dataclass(frozen=True, slots=True)
class JudgeState:
    """All of it. `models` names whose rows they are, by checksum."""

    models: tuple[str, str] = ("", "")  # congestion, anomaly
    approaches: Mapping[str, ApproachState] = field(default_factory=dict)
    series: Mapping[SeriesKey, SeriesState] = field(default_factory=dict)

    def snapshot(self) -> dict[str, object]:
        """As msgpack takes it."""
        return {
            "v": VERSION,
            "models": list(self.models),
            "approaches": {name: asdict(one) for name, one in self.approaches.items()},
            "series": [[*key, asdict(one)] for key, one in self.series.items()],
        }


def restore_models(state: Mapping[str, Any]) -> tuple[str, str]:
    """Of what is a `snapshot`, as are the others here, which can be read each by itself.

    All raise AttributeError, KeyError, TypeError or ValueError for what is damaged.
    """
    if state["v"] != VERSION:
        raise ValueError(f"version {state['v']!r}")
    congestion, anomaly = (str(model) for model in state["models"])
    return congestion, anomaly


def restore_approaches(state: Mapping[str, Any]) -> dict[str, ApproachState]:
    return {_name(name): _approach(one) for name, one in state["approaches"].items()}


def restore_series(state: Mapping[str, Any]) -> dict[SeriesKey, SeriesState]:
    return {(_name(source), _name(key)): _series(one) for source, key, one in state["series"]}


def _approach(one: Mapping[str, Any]) -> ApproachState:
    if not isinstance(one["raised"], bool):
        raise ValueError(f"raised: {one['raised']!r}")
    return ApproachState(
        one["raised"],
        check_number(one["low_s"], 0.0, LONG_S),
        check_number(one["hold_s"], 0.0, LONG_S),
        check_numbers(one["smooth"], 0.0, 1.0),
        check_numbers(one["age_s"], 0.0, LONG_S),
        _row(one["row"]),
        check_numbers(one["usual"], 0.0, 1.0),
        check_numbers(one["learned"], 0.0, LONG_S),
    )


def _series(one: Mapping[str, Any]) -> SeriesState:
    return SeriesState(
        int(check_number(one["samples"], 0, 1e9)),
        check_number(one["hold_s"], 0.0, LONG_S),
        _row(one["row"]),
        check_numbers(one["rule"], -1e30, 1e30),
    )


def check_number(value: Any, low: float, high: float) -> float:
    """Raises TypeError or ValueError unless it is a number between these."""
    if isinstance(value, bool) or not low <= value <= high:
        raise ValueError(f"{value!r} is not from {low:g} to {high:g}")
    return float(value)


def check_numbers(values: Sequence[Any], low: float, high: float) -> tuple[float, ...]:
    """Raises TypeError or ValueError unless each is a number between these."""
    return tuple(check_number(value, low, high) for value in values)


def _name(text: Any) -> str:
    if not NAME.fullmatch(text):
        raise ValueError(f"{text!r} is not a name")
    return str(text)


def _row(data: Any) -> bytes:
    if not isinstance(data, bytes):
        raise TypeError(f"{data!r} is not the row of a state")
    return data
