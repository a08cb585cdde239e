"""How much a counter grew of late: for bytes written a day, and errors an hour."""

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

HOUR_NS: Final = 3_600_000_000_000
DAY_NS: Final = 24 * HOUR_NS


class CounterGrowth:
    """A counter over a sliding span of `span_ns`, in `samples` + 2 numbers at most.

    A counter that is smaller than before began anew at zero: what it shows has been added since.
    """

    def __init__(self, span_ns: int = DAY_NS, samples: int = 96) -> None:
        self._span_ns, self._step_ns = span_ns, span_ns // samples
        self._marks: deque[tuple[int, int]] = deque(maxlen=samples + 1)
        self._counter = 0
        self._now: tuple[int, int] | None = None  # when it was seen last, and how much it had grown

    def see(self, mono_ns: int, counter: int | None) -> None:
        """It stands there now. None: nobody could read it, and the span goes on."""
        if counter is None or (self._now is not None and mono_ns < self._now[0]):
            return
        if self._now is None:
            grown = 0
        else:
            step = counter - self._counter
            grown = self._now[1] + (step if step >= 0 else counter)
        self._counter, self._now = counter, (mono_ns, grown)
        if not self._marks or mono_ns - self._marks[-1][0] >= self._step_ns:
            self._marks.append(self._now)
        while len(self._marks) > 1 and mono_ns - self._marks[1][0] >= self._span_ns:
            self._marks.popleft()

    @property
    def span_ns(self) -> int:
        """How long it has been watched, at most the span and one step."""
        return 0 if self._now is None else self._now[0] - self._marks[0][0]

    @property
    def grown(self) -> int:
        """By how much it grew in that time."""
        return 0 if self._now is None else self._now[1] - self._marks[0][1]

    def per_day(self, watched_ns: int = HOUR_NS) -> float | None:
        """Extrapolated to a day; None before it was watched for `watched_ns`."""
        if self.span_ns < max(1, watched_ns):
            return None
        return self.grown * DAY_NS / self.span_ns


@dataclass(frozen=True, slots=True)
class ErrorRate:
    """Reads of one device in the last hour, and how many of them failed."""

    reads: int
    errors: int

    @property
    def ratio(self) -> float | None:
        """0 to 1; None when it was never asked."""
        return min(1.0, self.errors / self.reads) if self.reads else None


class ErrorRates:
    """Rates over the last hour from counters that only grow: (reads, errors) for each device."""

    def __init__(self, devices: int = 256, samples: int = 12) -> None:
        self._most, self._samples = devices, samples
        self._reads: dict[str, CounterGrowth] = {}
        self._errors: dict[str, CounterGrowth] = {}

    def see(self, mono_ns: int, counters: Mapping[str, tuple[int, int]]) -> None:
        """As they stand now. A device that is not among them is forgotten."""
        named = list(counters)[: self._most]
        for name in self._reads.keys() - set(named):
            del self._reads[name], self._errors[name]
        for name in named:
            if name not in self._reads:
                self._reads[name] = CounterGrowth(HOUR_NS, self._samples)
                self._errors[name] = CounterGrowth(HOUR_NS, self._samples)
            reads, errors = counters[name]
            self._reads[name].see(mono_ns, reads)
            self._errors[name].see(mono_ns, errors)

    def rates(self) -> dict[str, ErrorRate]:
        """Of each device, in the order in which they were named."""
        return {
            name: ErrorRate(reads.grown, self._errors[name].grown)
            for name, reads in self._reads.items()
        }
