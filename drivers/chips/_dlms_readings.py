"""What a DLMS/COSEM meter has reported: registers with their exponents and units, and refusals.

Source: as in `_obis`, whose vocabulary of points and codes it uses.
"""

from decimal import Decimal
from typing import Final

from drivers.chips import _cosem as cosem
from drivers.chips._cosem import SCALER_UNIT, Attribute
from drivers.chips._obis import Obis
from drivers.chips._obis_values import (
    ObisMeaning,
    ObisReading,
    known_points,
    obis_meaning,
    obis_samples,
)
from edge.core import Bad, Reason, Sample

NAMES: Final = (Obis(0, 0, 96, 1, 0), Obis(0, 0, 42, 0, 0))  # of the maker; logical device name
ERRORS: Final = Obis(0, 0, 97, 97, 0)

POINTS: Final = known_points(
    "energy_import", "energy_import_t1", "energy_import_t2", "energy_import_t3", "energy_import_t4",
    "energy_export", "reactive_energy_import", "reactive_energy_export",
    "power", "power_l1", "power_l2", "power_l3", "reactive_power",
    "voltage_l1", "voltage_l2", "voltage_l3", "current_l1", "current_l2", "current_l3",
    "power_factor", "frequency",
)  # fmt: skip
_KEYS: Final = {point.key: place for place, point in enumerate(POINTS)}


def _codes() -> dict[Obis, ObisMeaning]:
    """The codes of these points, in their order; what is told whole comes before its parts."""
    every = (Obis(1, 0, c, d, e) for c in range(1, 100) for d in (7, 8) for e in range(5))
    known = {
        obis: point_meaning
        for obis in every
        if (point_meaning := obis_meaning(obis)) and point_meaning.key in _KEYS
    }
    return dict(sorted(known.items(), key=lambda item: (_KEYS[item[1].key], item[1].sign != 0)))


CODES: Final = _codes()
WHOLE: Final = {meaning.key: obis for obis, meaning in CODES.items() if not meaning.sign}
PARTS: Final = {
    key: tuple(obis for obis, meaning in CODES.items() if meaning.key == key and meaning.sign)
    for key in _KEYS
}


class DlmsReadings:
    """What was reported in one reading, and what is remembered from one to the next.

    `scales` and what the meter does not have are remembered; `begin` forgets the rest.
    """

    def __init__(self) -> None:
        self.scales: dict[Obis, tuple[int, int]] = {}
        self.plan = [o for key in _KEYS for o in ((WHOLE[key],) if key in WHOLE else PARTS[key])]
        self.begin()

    def begin(self) -> None:
        """A new reading."""
        self.values: dict[Obis, Decimal | None] = {}
        self.spoilt: dict[str, Reason] = {}
        self.broken = False  # the meter fell silent
        self._refused: set[str] = set()
        self._waiting = list(self.plan)

    def next(self) -> Obis | None:
        """What is to be asked for next."""
        return self._waiting.pop(0) if self._waiting else None

    def value(self, obis: Obis, data: bytes) -> None:
        """A register's value. Raises DataError for what is none."""
        self.values[obis] = cosem.number(data)

    def scale(self, obis: Obis, data: bytes) -> None:
        """A register's exponent and unit. Raises DataError for what is none."""
        self.scales[obis] = cosem.scaler_unit(data)

    def take(self, asked: Attribute, data: bytes) -> None:
        """Either of them."""
        (self.scale if asked.number == SCALER_UNIT else self.value)(asked.obis, data)

    def refuse(self, obis: Obis, reason: Reason) -> None:
        """It could not be had. What the meter has not, it may have in parts: they are next."""
        key = CODES[obis].key
        self.values.pop(obis, None)
        if reason is not Reason.ADDRESS:
            self.spoilt.setdefault(key, reason)
            return
        self._refused.add(key)
        if obis in self.plan:
            parts = PARTS[key] if not CODES[obis].sign else ()
            at = self.plan.index(obis)
            self.plan[at : at + 1] = parts
            self._waiting[:0] = parts

    def stop(self, reason: Reason) -> None:
        """The rest cannot be had either."""
        self.broken = True
        left = {CODES[obis].key for obis in self.plan if obis not in self._complete()}
        self.spoilt |= {key: reason for key in left if key not in self.spoilt}
        self._waiting = []

    def postpone(self) -> None:
        """The time is over: what was not asked for comes first the next time, or nearly so."""
        done = [obis for obis in self.plan if obis in self._complete()]
        left = [obis for obis in self.plan if obis not in done]
        self.stop(Reason.BUSY)
        self.plan = done[:1] + left + done[1:]

    def samples(self, asked_only: bool = False) -> dict[str, Sample]:
        """One sample per point, or only of what was asked for."""
        known = self._complete()
        readings = [
            ObisReading(
                obis, None if value is None else value.scaleb(known[obis][0]), known[obis][1]
            )
            for obis, value in self.values.items()
            if obis in known
        ]
        found = dict(zip(_KEYS, obis_samples(POINTS, readings, with_registers=False), strict=True))
        found |= {key: Bad(reason) for key, reason in self.spoilt.items()}
        asked = {CODES[obis].key for obis in known} | self._refused | set(self.spoilt)
        return {key: sample for key, sample in found.items() if key in asked or not asked_only}

    def _complete(self) -> dict[Obis, tuple[int, int]]:
        return {obis: self.scales[obis] for obis in self.values if obis in self.scales}
