"""Speed from one loop alone: an effective length over the on-time that is usual just now.

What it can do: follow the speed of cars, because the median of seven on-times is not moved by a few
trucks (Coifman, Dhoorjaty, Lee: Estimating median velocity instead of mean velocity at single loop
detectors). Near a signal some vehicles stand and others do not: one that was on the loop for so
much longer than the usual one that no length explains it counts by its own on-time. What it cannot:
tell the speed of one vehicle; be right where most vehicles are long; or see those that are slower
than the others and do not stand.

Its scale is the effective length, loop and vehicle together. It is learnt slowly and within bounds:
from a pair as long as there is one, else from traffic that flows freely where the lane has a limit,
as if the median vehicle kept to it. Trust in that is small, since where most are slower than the
limit, it makes vehicles too long; so it moves the length by a few per cent only. A lane without a
limit keeps the usual length: vehicles differ less in length than roads in their free speed.
"""

from collections import deque
from collections.abc import Mapping, Sequence
from typing import Any, Final

from edge.process.traffic.passage import MIN_ON_NS, Passage
from edge.wire.contract.single import SingleSpeed

UM_PER_M: Final = 1_000_000
DEFAULT_LENGTH_UM: Final = 4_700_000
"""A vehicle; with a loop of 2 m that is 22 ft, the field length of MnDOT IRIS and Caltrans PeMS."""
PAIRED_UM: Final = 2_000_000  # how far from it a pair may move the length
LIMIT_UM: Final = 500_000  # and the limit of the lane
MIN_VEHICLES: Final = 7  # on-times make a median
FILL_NS: Final = 60_000_000_000  # so old may be what fills up a median
GROUP_VEHICLES: Final = 15  # vehicles make a sample of the effective length
FREE_SHARE: Final = 10  # a block is free flow when a tenth of its time, or less, was occupied
MOVING_NS: Final = 2_000_000_000  # a car takes so long at 12 km/h, a truck at 36
STOOD: Final = 10  # times as long on a loop as the usual vehicle: nothing is so long
FASTEST_PACE: Final = 18_000_000  # ns a metre: 200 km/h
STEP: Final = 16  # of what a sample says, a sixteenth is believed


class SingleLoopSpeed:
    """The estimate of one lane. `zone_m` is the part of the effective length that is loop."""

    __slots__ = ("_before", "_block", "_from", "_length", "_limit", "_zone")

    def __init__(self, zone_m: float, limit_kmh: float | None) -> None:
        self._zone = round(zone_m * UM_PER_M)
        self._length = self._zone + DEFAULT_LENGTH_UM
        self._limit = None if limit_kmh is None else round(limit_kmh * UM_PER_M / 3.6)  # um/s
        self._block: list[int] = []  # on-times, or lengths of a pair in um
        self._from = 0  # when the first of the block came
        self._before: deque[tuple[int, int]] = deque(
            maxlen=MIN_VEHICLES
        )  # (off, on-time), the newest

    @property
    def effective_cm(self) -> int:
        """The effective length, as it is believed now."""
        return (self._length + 5000) // 10_000

    def paired(self, lengths_cm: Sequence[int]) -> None:
        """Lengths that a pair has told: nothing knows better. Not for one that has a limit here."""
        for length in lengths_cm:
            self._block.append(length * 10_000)
            if len(self._block) == GROUP_VEHICLES:
                block, self._block = sorted(self._block), []
                self._learn(self._zone + block[GROUP_VEHICLES // 2], PAIRED_UM)

    def forget(self) -> None:
        """Vehicles are forgotten, what was learnt is not: a first window, of another clock."""
        self._before.clear()
        self._block.clear()

    def close(self, vehicles: Sequence[tuple[int, int]]) -> SingleSpeed | None:
        """What the record says of a window with these, from..to; None when nobody passed."""
        pace = 0
        for begin in range(0, len(vehicles), MIN_VEHICLES):
            group = [(off, off - on) for on, off in vehicles[begin : begin + MIN_VEHICLES]]
            pace += self._paces([time for _, time in group], self._usual(group))
            self._before.extend(group)
        if self._limit is not None:
            self._flow(vehicles, self._limit)
        return single_speed(len(vehicles), pace, self.effective_cm) if vehicles else None

    def alone(self, vehicles: Sequence[tuple[int, int]]) -> SingleSpeed | None:
        """The same of vehicles of which nothing is to be learnt, with nobody before them."""
        pace = 0
        for begin in range(0, len(vehicles), MIN_VEHICLES):
            times = sorted(off - on for on, off in vehicles[begin : begin + MIN_VEHICLES])
            pace += self._paces(times, _median(times))
        return single_speed(len(vehicles), pace, self.effective_cm) if vehicles else None

    def estimates(self, on_times: Sequence[int]) -> list[Passage]:
        """What on-times (ns) say one by one, of those that can be vehicles.

        The length of a single one is not known; on the average of many they are right.
        """
        paces = [time * UM_PER_M // self._length for time in on_times if time >= MIN_ON_NS]
        return [
            Passage(36_000_000_000 // pace, None, pace) for pace in paces if pace >= FASTEST_PACE
        ]

    def snapshot(self) -> dict[str, object]:
        """For a snapshot, between windows."""
        return {
            "length": self._length,
            "block": list(self._block),
            "from": self._from,
            "before": [list(each) for each in self._before],
        }

    def restore(self, state: Mapping[str, Any]) -> None:
        """Back from `snapshot`."""
        self._length = self._bounded(int(state["length"]), PAIRED_UM)
        self._block = [int(each) for each in state["block"]][: GROUP_VEHICLES - 1]
        self._from = int(state["from"])
        self._before = deque(((int(a), int(b)) for a, b in state["before"]), maxlen=MIN_VEHICLES)

    def _usual(self, group: Sequence[tuple[int, int]]) -> int:
        """The usual on-time of a few vehicles; too few are filled up with those before."""
        oldest, missing = group[0][0] - FILL_NS, MIN_VEHICLES - len(group)
        fill = [time for off, time in reversed(self._before) if off >= oldest][:missing]
        return _median(sorted([*(time for _, time in group), *fill]))

    def _paces(self, times: Sequence[int], usual: int) -> int:
        """The sum of paces (ns a metre) of vehicles: the usual one, but for those that stood."""
        stood = [time for time in times if time > STOOD * usual]
        one = max(usual * UM_PER_M // self._length, FASTEST_PACE)
        own = (max(time * UM_PER_M // self._length, FASTEST_PACE) for time in stood)
        return (len(times) - len(stood)) * one + sum(own)

    def _flow(self, vehicles: Sequence[tuple[int, int]], limit: int) -> None:
        """Learn where they flow freely: fifteen in a row, whatever the windows are."""
        for on, off in vehicles:
            if not self._block:
                self._from = on
            self._block.append(off - on)
            if len(self._block) == GROUP_VEHICLES:
                times, self._block = sorted(self._block), []
                if times[-1] < MOVING_NS and sum(times) * FREE_SHARE <= off - self._from:
                    self._learn(times[GROUP_VEHICLES // 2] * limit // 1_000_000_000, LIMIT_UM)

    def _learn(self, sample_um: int, far_um: int) -> None:
        most = self._length // 8
        step = min(max(sample_um - self._length, -most), most)
        self._length = self._bounded(self._length + step // STEP, far_um)

    def _bounded(self, length: int, far_um: int) -> int:
        usual = self._zone + DEFAULT_LENGTH_UM
        return min(max(length, usual - far_um), usual + far_um)


def _median(times: Sequence[int]) -> int:
    return (times[(len(times) - 1) // 2] + times[len(times) // 2]) // 2


def single_speed(n: int, pace: int, effective_cm: int) -> SingleSpeed:
    """The record's form: `n` vehicles, the sum of their paces in ns a metre, what it relies on."""
    return SingleSpeed(
        kmh=round(n * 3_600_000_000 / pace, 2), n=n, isum=pace, effective_cm=effective_cm
    )


def merge_single_speeds(a: SingleSpeed, b: SingleSpeed) -> SingleSpeed:
    """Two bodies as one, the earlier first. The effective length is the later one."""
    return single_speed(a.n + b.n, a.isum + b.isum, b.effective_cm)
