"""How often the lines of lanes have changed of late: what a person asks who stands before one."""

from collections import Counter
from collections.abc import Iterable
from typing import Any, Final

from edge.core import Contact
from edge.health.countergrowth import HOUR_NS, CounterGrowth

SAMPLES: Final = 60  # an hour


class EdgeCounts:
    """Belongs to the main loop: `see` what comes, `sample` when a window ends."""

    def __init__(self, start_ns: int) -> None:
        self._start_ns = start_ns
        self._totals = Counter[str]()
        self._last_ns: dict[str, int] = {}
        self._growth: dict[str, CounterGrowth] = {}

    def see(self, contacts: Iterable[Contact]) -> None:
        """Changes of lines. The level that a line was found with is none."""
        for each in contacts:
            if not each.initial:
                self._totals[each.source] += 1
                self._last_ns[each.source] = each.mono_ns

    def sample(self, now_ns: int) -> None:
        """Time has passed."""
        for source, total in self._totals.items():
            growth = self._growth.get(source)
            if growth is None:
                growth = self._growth[source] = CounterGrowth(HOUR_NS, SAMPLES)
                growth.see(self._start_ns, 0)
            growth.see(now_ns, total)

    def status(self, source: str, now_ns: int) -> dict[str, Any]:
        """Of one line, as `north_1.lead`: seconds since its last edge (None: none since the start),
        and how many came in the last `over_s` seconds, which are an hour or since the start."""
        self.sample(now_ns)
        last_ns, growth = self._last_ns.get(source), self._growth.get(source)
        watched_ns = min(HOUR_NS, now_ns - self._start_ns)
        return {
            "last_s": None if last_ns is None else round(max(0, now_ns - last_ns) / 1e9, 1),
            "edges": 0 if growth is None else growth.grown,
            "over_s": round(max(watched_ns, 0 if growth is None else growth.span_ns) / 1e9, 1),
        }
