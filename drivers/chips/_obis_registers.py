"""Registers that a meter tells whole or by tariffs, from one telegram to the next.

A total that is made of tariffs is one register only as long as it is made of the same ones: where
one of them comes and goes, the sum steps, and nobody drew that.
"""

from collections.abc import Iterable, Sequence
from typing import Final

from drivers.chips._obis import UNSAID
from drivers.chips._obis_values import ObisReading, obis_meaning, obis_samples, register_of
from edge.core import Bad, Point, Reason, Sample, UncertainValue

REGISTER: Final = 8  # group D
WHOLE: Final = 256  # more than there can be tariffs


class TariffRegisters:
    """What the registers of one meter were made of so far."""

    def __init__(self) -> None:
        self._of = ""
        self._parts: dict[str, int] = {}

    def samples(
        self, identity: str, wanted: Sequence[Point], readings: Sequence[ObisReading]
    ) -> tuple[Sample, ...]:
        """As the function of this name; a sum of fewer tariffs than before is bad:address.

        One of more is another register than before: uncertain for the gap, once.
        """
        if identity != self._of:
            self._of, self._parts = identity, {}
        parts = _tariff_counts(readings)
        pairs = zip(wanted, obis_samples(wanted, readings), strict=True)
        return tuple(
            self._steady(point.key, sample, parts.get(point.key)) for point, sample in pairs
        )

    def _steady(self, key: str, sample: Sample, parts: int | None) -> Sample:
        if parts is None or isinstance(sample, Bad | UncertainValue):
            return sample
        before = self._parts.setdefault(key, parts)
        self._parts[key] = max(before, parts)
        if parts > before:
            return UncertainValue(sample, Reason.GAP)
        return sample if parts == before else Bad(Reason.ADDRESS)


def _tariff_counts(readings: Iterable[ObisReading]) -> dict[str, int]:
    """Of how many tariffs each register is made; WHOLE where the meter tells it itself."""
    found: dict[str, set[int]] = {}
    for code in (reading.obis for reading in readings):
        if (key := register_of(code)) is not None:
            found.setdefault(key, set()).add(code.e)
        elif (
            code.d == REGISTER
            and code.e in (0, UNSAID)
            and (point_meaning := obis_meaning(code)) is not None
        ):
            found.setdefault(point_meaning.key, set()).add(0)
    return {key: WHOLE if 0 in tariffs else len(tariffs) for key, tariffs in found.items()}
