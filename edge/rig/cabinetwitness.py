"""What the rig itself sees of a fault in a cabinet: what came meanwhile to what is broken.

A polled device is watched by the questions for it, a bus by all of its questions, a loop by who
drives over it, a contact by its edges.
"""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Final

from drivers.sim.drivencontact import Drive
from edge.cabinet.cabinet import Cabinet
from edge.rig.runlog import Driven, Evidence

SEEN_MAX: Final = 100  # vehicles that are named; all are counted


@dataclass(slots=True)
class _Watch:
    """One fault. `count` is asked for what came so far, `before` what it gave at the beginning."""

    kind: str
    what: str
    from_s: float
    count: Callable[[], int]
    before: int
    lanes: frozenset[str] = frozenset()


class CabinetWitness:
    """Made before the cabinet is started. `clock_s` is the rig's clock."""

    def __init__(self, cabinet: Cabinet, clock_s: Callable[[], float]) -> None:
        self._cabinet, self._clock_s = cabinet, clock_s
        self._watches: dict[str, _Watch] = {}
        self._edges: Counter[str] = Counter()
        for lines in cabinet.lines.values():
            for name, contact in lines.contacts.items():
                contact.drive = partial(self._drive, name, contact.drive)

    def begin(self, fault: str, target: str, kind: str) -> None:
        """It is in force from now on. `target` is a name of the cabinet's."""
        lanes = self._lanes(target)
        count, what = self._counter(target)
        self._watches[fault] = _Watch(kind, what, self._clock_s(), count, count(), lanes)

    def seen(self, fault: str, driven: Sequence[Driven]) -> tuple[int, Sequence[Evidence]]:
        """What came since it began, and what of that is seen here."""
        watch = self._watches[fault]
        if watch.lanes:
            over = [o for o in driven if o.lane in watch.lanes and o.on_s >= watch.from_s]
            return len(over), [
                Evidence(t_s=one.on_s, text=f"a vehicle on {one.lane}: {watch.kind}")
                for one in over[:SEEN_MAX]
            ]
        count = watch.count() - watch.before
        text = f"{count} {watch.what}: {watch.kind}"
        return count, [Evidence(t_s=self._clock_s(), text=text)] if count else []

    def _lanes(self, target: str) -> frozenset[str]:
        """Over whose loops vehicles show it: those of a loop, a lane, an approach."""
        site, loop = self._cabinet.site, target.removesuffix(".trail").removesuffix(".lead")
        table, _, name = loop.rpartition(".")
        if name in site.lanes and table in ("", "lane"):
            return frozenset([name])
        if name in site.approaches and table in ("", "approach"):
            return frozenset(site.approaches[name])
        return frozenset()

    def _counter(self, target: str) -> tuple[Callable[[], int], str]:
        """Of a device, a bus, a contact: how much came to it, and what that is."""
        cabinet, (table, _, name) = self._cabinet, target.rpartition(".")
        if name in cabinet.devices and table != "bus":
            device = cabinet.devices[name]
            bus = cabinet.buses[cabinet.site.devices[name].bus]
            return lambda: bus.asked(device), f"questions to {name}"
        if name in cabinet.buses:
            return cabinet.buses[name].carried, f"questions on bus {name}"
        return lambda: self._edges[name], f"edges of {name}"

    def _drive(self, name: str, drive: Drive, high: bool, t_ns: int) -> None:
        self._edges[name] += 1
        drive(high, t_ns)
