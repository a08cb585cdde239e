"""What passes on the wires of a small site: vehicles, pulses, air and a meter, in virtual time.

An example:

    contacts, sweeps = VirtualWires().between(0, 60 * S)
"""

from bisect import bisect_left
from collections.abc import Iterator
from functools import cache

import drivers
from edge.core import Contact, Sweep, sweep
from tests.kit.engine import S, car, presences

DRIVE_S = 22.0  # how long vehicles pass
ENERGY = "energy_import"
LINES = {"north_1.lead": "a", "north_1.trail": "b", "east_1.lead": "c", "heat": "d"}


class VirtualWires:
    """What passes on all wires, in the wires' own time; the same in every test."""

    def __init__(self) -> None:
        contacts: list[Contact] = []
        for i in range(int(DRIVE_S / 1.7)):
            contacts += car("north_1", 0.36 + 1.7 * i, 40 + 3 * (i % 5))
        for i in range(int(DRIVE_S / 2.3)):
            contacts += presences("east_1.lead", (0.91 + 2.3 * i, 1.52 + 2.3 * i))
        for i in range(int(DRIVE_S / 0.9)):
            contacts += presences("heat", (0.53 + 0.9 * i, 0.58 + 0.9 * i))
        self.contacts = sorted(contacts, key=lambda c: c.mono_ns)
        self.sweeps = [s for t in range(int(DRIVE_S) + 40) for s in self._second(t + 0.25)]
        self._at = [c.mono_ns for c in self.contacts], [s.mono_ns for s in self.sweeps]

    def _second(self, t_s: float) -> Iterator[Sweep]:
        dust = [8.0 + t_s % 3] * len(points("pms5003"))
        held = {ENERGY: self.register(t_s), "voltage_l1": 230.0, "frequency": 50.0}
        yield sweep("hut_air", round(t_s * S), dust)
        meter = [held.get(key, 0.0) for key in points("sdm120")]
        yield sweep("main_meter", round(t_s * S), meter)

    @staticmethod
    def register(t_s: float) -> float:
        """7.2 kW are 0.002 kWh a second."""
        return round(1000.0 + 0.002 * int(t_s), 3)

    def between(self, from_ns: int, to_ns: int) -> tuple[list[Contact], list[Sweep]]:
        at_contacts, at_sweeps = self._at
        return (
            self.contacts[bisect_left(at_contacts, from_ns) : bisect_left(at_contacts, to_ns)],
            self.sweeps[bisect_left(at_sweeps, from_ns) : bisect_left(at_sweeps, to_ns)],
        )

    def levels(self, at_ns: int) -> list[Contact]:
        """What is found when the lines are opened."""
        found = dict.fromkeys(LINES, False)
        for contact in self.between(0, at_ns)[0]:
            found[contact.source] = contact.on
        return [Contact(source, on, at_ns, initial=True) for source, on in found.items()]

    def rises(self, source: str) -> list[int]:
        return [c.mono_ns for c in self.contacts if c.source == source and c.on]


@cache
def points(driver: str) -> tuple[str, ...]:
    """Keys of a driver's points, in the order of its sweeps."""
    options = {"unit": 1} if driver == "sdm120" else {}
    built = drivers.build(driver, None, options)
    return tuple(point.key for point in getattr(built, "points"))  # noqa: B009


WIRES = VirtualWires()
