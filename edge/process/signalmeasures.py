"""What traffic did with its green: from a lane's changes and its signal's colours to figures.

All of them speak of the time in which the loop was watched.

Split failure after Purdue (ATSPM): in a cycle the loop at the stop line was occupied for 80 % or
more of the green (GOR) and of the first five seconds of red (ROR5), so the queue was not served.
A cycle is judged in the window in which the fifth second of its red lies. Where red is inferred,
its five seconds begin with amber.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from msgspec import UNSET, UnsetType

from edge.process.debounce import LineChange, LineEvent
from edge.process.phase import ShownColour
from edge.wire.contract.signal import Signal

RED_NS: Final = 5_000_000_000  # of the first red that is looked at
SPLIT_FAILURE_SHARE: Final = (4, 5)  # 80 %, of both (Purdue)


@dataclass(frozen=True, slots=True)
class SignalLane:
    """A lane with a signal. `position` stop has the figures of a queue, the others arrivals.

    A rise less than `merge_ns` after a fall is the same vehicle.
    """

    lane: str
    position: str
    presence: bool = True
    merge_ns: int = 60_000_000


class SignalMeasures:
    """The figures of one lane."""

    def __init__(self, site: SignalLane) -> None:
        self.site = site
        self._now = 0
        self._sums: dict[str, int] = {}
        self.begin()

    def begin(self) -> None:
        """A first window, with nothing known."""
        self._colour: str | None = None
        self._level: bool | None = None  # None: nobody knows
        self._fell = -(1 << 62)
        self._green: list[int] | None = None  # length and occupied, of this cycle's green
        self._red: list[int] | None = None  # the same of its first red; None: judged, or not known

    def forget(self) -> None:
        """No colour is known: the cycle is not judged. What is on the loop is known on."""
        self._colour = self._green = self._red = None

    def play(
        self, start_ns: int, end_ns: int, changes: Sequence[LineEvent], shown: Sequence[ShownColour]
    ) -> tuple[dict[str, int] | None, dict[int, bool | None]]:
        """A window: its sums, and what was on the loop at each beginning of green.

        `changes` are those of the lead loop, `shown` the colours; without any the sums are None.
        """
        if not shown:
            self.forget()
        self._now, self._sums = start_ns, {}
        onsets: dict[int, bool | None] = {}
        left = list(shown)
        for change in changes:
            while left and left[0].at_ns <= change.at_ns:
                self._show(left.pop(0), onsets)
            self._until(change.at_ns)
            self._change(change)
        for each in left:
            self._show(each, onsets)
        self._until(end_ns)
        return (self._sums if shown else None), onsets

    def snapshot(self) -> list[Any]:
        """For a snapshot, between windows."""
        return [self._colour, self._level, self._fell, self._green, self._red]

    def restore(self, state: Sequence[Any]) -> None:
        """Back from `snapshot`."""
        colour, level, fell, green, red = state
        self._colour = None if colour is None else str(colour)
        self._level, self._fell = None if level is None else bool(level), int(fell)
        self._green = None if green is None else [int(each) for each in green]
        self._red = None if red is None else [int(each) for each in red]

    def _add(self, key: str, by: int = 1) -> None:
        self._sums[key] = self._sums.get(key, 0) + by

    def _until(self, at: int) -> None:
        """Time goes on to `at` with the same colour and the same level."""
        if at <= self._now:
            return
        begin, self._now = self._now, at
        if self._colour not in ("green", "red"):
            return
        if self._level is None:  # what nobody watched has no figures
            self._green = self._red = None
            return
        colour, on = self._colour, self._level
        # whole microseconds of the moments, so that parts add up
        length = at // 1000 - begin // 1000
        self._add(f"{colour}_us", length)
        if self.site.presence and on:
            self._add(f"{colour}_on_us", length)
        if colour == "green":
            if self._green is not None:
                self._green[0] += at - begin
                self._green[1] += (at - begin) * on
        elif self._red is not None:
            part = min(at - begin, RED_NS - self._red[0])
            self._red[0] += part
            self._red[1] += part * on
            if self._red[0] >= RED_NS:
                self._judge()

    def _show(self, shown: ShownColour, onsets: dict[int, bool | None]) -> None:
        self._until(shown.at_ns)
        before, self._colour = self._colour, shown.colour
        if before is None or before == shown.colour:
            return  # since when it shows this is not known, or reported before
        if shown.colour == "green":
            self._add("cycles", self._level is not None)
            onsets[shown.at_ns] = self._level
            self._green, self._red = [0, 0], None
        elif shown.colour == "red":
            self._red = [0, 0]

    def _change(self, change: LineEvent) -> None:
        what, at = change.what, change.at_ns
        if what is LineChange.RISE:
            if at - self._fell >= self.site.merge_ns:
                self._add("arrivals")
                if self._colour == "green":
                    self._add("arrivals_on_green")
            self._level = True
        elif what is LineChange.FALL:
            self._level, self._fell = False, at
        else:
            self._green = self._red = None
            self._level = None if what is LineChange.UNOBSERVED else what is LineChange.FOUND_ON

    def _judge(self) -> None:
        green, red, self._green, self._red = self._green, self._red, None, None
        if green is None or red is None or not green[0]:
            return
        self._add("cycles_judged")
        many, of = SPLIT_FAILURE_SHARE
        self._add("split_failures", all(on * of >= length * many for length, on in (green, red)))


def lane_measures(
    sites: Sequence[SignalLane],
    played: Mapping[str, tuple[dict[str, int] | None, dict[int, bool | None]]],
) -> dict[str, Signal]:
    """Lane -> `signal` of its record, from what each lane of an approach has played.

    Lanes without figures are left out.
    """
    ahead = [onsets for site in sites if site.position == "advance"
             for _, onsets in (played[site.lane],)]  # fmt: skip
    measures: dict[str, Signal] = {}
    for site in sites:
        sums, onsets = played[site.lane]
        if sums is None:
            continue
        measures[site.lane] = found = Signal(
            cycles=sums.get("cycles", 0),
            green_us=sums.get("green_us", 0),
            red_us=sums.get("red_us", 0),
            arrivals=sums.get("arrivals", 0),
            arrivals_on_green=sums.get("arrivals_on_green", 0),
        )
        if not site.presence:
            continue
        found.green_on_us = sums.get("green_on_us", 0)
        found.red_on_us = sums.get("red_on_us", 0)
        if site.position == "stop":
            queues = [at for at, on in onsets.items() if on]
            found.queue_at_green = len(queues)
            found.cycles_judged = sums.get("cycles_judged", 0)
            found.split_failures = sums.get("split_failures", 0)
            if ahead:
                found.queue_to_advance = sum(any(each.get(at) for each in ahead) for at in queues)
    return measures


def merge_measures(a: Signal, b: Signal) -> Signal:
    """The figures of two windows as one."""
    return Signal(
        cycles=a.cycles + b.cycles,
        green_us=a.green_us + b.green_us,
        red_us=a.red_us + b.red_us,
        arrivals=a.arrivals + b.arrivals,
        arrivals_on_green=a.arrivals_on_green + b.arrivals_on_green,
        green_on_us=_either(a.green_on_us, b.green_on_us),
        red_on_us=_either(a.red_on_us, b.red_on_us),
        queue_at_green=_either(a.queue_at_green, b.queue_at_green),
        cycles_judged=_either(a.cycles_judged, b.cycles_judged),
        split_failures=_either(a.split_failures, b.split_failures),
        queue_to_advance=_either(a.queue_to_advance, b.queue_to_advance),
    )


def _either(a: int | UnsetType, b: int | UnsetType) -> int | UnsetType:
    return UNSET if a is UNSET and b is UNSET else (a or 0) + (b or 0)
