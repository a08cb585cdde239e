"""Axes: times and numbers as people read them, and where they lie in the picture."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

WIDTH: Final = 1200.0
LEFT: Final = 150.0  # names and numbers of the axes
PLOT: Final = WIDTH - LEFT - 24
DAY_S: Final = 86_400
STEPS_S: Final = (
    1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 10_800, 21_600, 43_200, DAY_S,
    2 * DAY_S, 7 * DAY_S, 14 * DAY_S, 28 * DAY_S, 56 * DAY_S,
)  # fmt: skip
BINS_S: Final = (60, 120, 300, 600, 900, 1800, 3600, 7200, 10_800, 21_600, 43_200, DAY_S)
MARKS: Final = 13  # of a time axis, at most
BINS: Final = 300  # points of a line, about: 5 min for a day, as those who count traffic do


@dataclass(frozen=True, slots=True)
class Heading:
    """What stands above. `start_s`: Unix time of 0; None: not known, times are since the start."""

    title: str
    start_s: float | None = None
    note: str = ""


@dataclass(frozen=True, slots=True)
class TimeFrame:
    """The stretch of time that is shown, in seconds since the start."""

    from_s: float
    to_s: float

    def x(self, at_s: float) -> float:
        """From the left border of a panel."""
        return PLOT * (at_s - self.from_s) / (self.to_s - self.from_s)


def time_marks(frame: TimeFrame, start_s: float | None) -> list[tuple[float, str]]:
    """Times with their labels, at round moments of the clock on the wall."""
    span, base = frame.to_s - frame.from_s, start_s or 0.0
    step = next((s for s in STEPS_S if span / s <= MARKS), STEPS_S[-1])
    at, found = -(-(base + frame.from_s) // step) * step, []
    while at <= base + frame.to_s:
        found.append((at - base, time_label(at, step, start_s is not None)))
        at += step
    return found


def time_label(at_s: float, step: float, wall: bool) -> str:
    """`10:15`, with seconds where they count; midnight is a date, if there is a calendar."""
    if wall and (step >= DAY_S or at_s % DAY_S == 0):
        moment = datetime.fromtimestamp(at_s, UTC)
        return f"{moment.day} {moment:%b}"
    hours, rest = divmod(round(at_s), 3600)
    text = f"{hours % 24:02}:{rest // 60:02}" if wall else f"{hours}:{rest // 60:02}"
    return text if step >= 60 else f"{text}:{rest % 60:02}"


def time_text(at_s: float, start_s: float | None) -> str:
    """A moment in full, to the second."""
    if start_s is None:
        hours, rest = divmod(round(at_s), 3600)
        return f"{hours}:{rest // 60:02}:{rest % 60:02}"
    moment = datetime.fromtimestamp(round(start_s + at_s), UTC)
    return f"{moment:%Y-%m-%d %H:%M:%S}"


def bin_s(span_s: float, width_s: float) -> float:
    """How much time one point of a line stands for: whole columns, a minute or more."""
    least = max(60.0, width_s, span_s / BINS)
    for nice in BINS_S:
        if nice >= least and (nice / width_s).is_integer():
            return float(nice)
    return -(-least // width_s) * width_s


def axis_top(highest: float, least: float) -> float:
    """The upper end of an axis from 0."""
    wanted = max(highest * 1.04, least)
    step = next(step for step in _steps(wanted) if -(-wanted // step) <= 4)
    return -(-wanted // step) * step


def axis_numbers(end: float) -> list[float]:
    """Those at an axis from 0 to `end`."""
    step = next(step for step in _steps(end) if end / step <= 4.001)  # 0.1 is no whole number
    return [step * i for i in range(round(end / step) + 1)]


def _steps(wanted: float) -> list[float]:
    size = 10.0 ** len(str(int(wanted)))
    return [size * part for part in (0.01, 0.02, 0.025, 0.05, 0.1, 0.2, 0.25, 0.5)]


def short_number(value: float) -> str:
    """A coordinate, or a number of an axis: no more digits than it needs."""
    return f"{value:.1f}".rstrip("0").rstrip(".")


def duration_text(seconds: float) -> str:
    """`35 s`, `12.5 min`, `3 h`."""
    if seconds < 120:
        return f"{short_number(round(seconds, 1))} s"
    if seconds < 7200:
        return f"{short_number(round(seconds / 60, 1))} min"
    return f"{short_number(round(seconds / 3600, 1))} h"


def join_names(names: Sequence[str]) -> str:
    """`a, b and c`."""
    return " and ".join([", ".join(names[:-1]), names[-1]] if len(names) > 1 else names)
