"""From the two voltages of an Alphasense four-electrode gas cell to a concentration.

Source: Alphasense application note AAN 803, tables of editions 02 and 04 as carried in
fablabbcn/smartcitizen-data and south-coast-science/scs_core.

The working electrode (WE) sees the gas, the auxiliary one (AE) does not; both drift with
temperature. The board adds an electronic offset to each, the cell itself gives a current in clean
air ("zero", on the certificate in mV: current times gain). The note has four ways to take away what
temperature does, each with a table in steps of 10 K; a cell has the one that it prefers first.

What the sources do not agree on, and what only one of them says:
- SO2-A4: edition 02 repeats the row of SO2-B4 there; edition 04 is taken.
- Algorithm 3: one source multiplies the coefficient by the difference of the zeros instead of
  taking the difference away. The note's own form is taken.
- The tables of the B4 cells come from a single source, as do NO-A4 by algorithm 4 and H2S-B4 by 2.
- H2S-A4 prefers algorithm 2, which divides by the auxiliary zero: where the certificate says 0,
  take algorithm 1.
- The unit of algorithm 4's coefficient is said nowhere; only mV fits the formula.
The edition that came with the cell decides: choose `algorithm` after it.
"""

from bisect import bisect_right
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from math import isfinite
from typing import Final

from edge.core import ConfigError

GRID_CEL: Final = (-30, -20, -10, 0, 10, 20, 30, 40, 50)  # Cel
MV: Final = 1000.0  # in a volt

# fmt: off
TABLES: Final[Mapping[str, Mapping[int, Sequence[float]]]] = {
    "CO-A4": {1: (1, 1, 1, 1, -0.2, -0.9, -1.5, -1.5, -1.5),
              4: (13, 12, 16, 11, 4, 0, -15, -18, -36)},
    "NO-A4": {3: (0.7, 0.7, 0.7, 0.7, 0.8, 1, 1.2, 1.4, 1.6),
              4: (-25, -25, -25, -25, -16, 0, 56, 200, 615)},
    "NO2-A43F": {1: (0.8, 0.8, 1, 1.2, 1.6, 1.8, 1.9, 2.5, 3.6),
                 3: (0.2, 0.2, 0.2, 0.2, 0.7, 1, 1.3, 2.1, 3.5)},
    "OX-A431": {3: (0.1, 0.1, 0.2, 0.3, 0.7, 1, 1.7, 3, 4),
                1: (1, 1.2, 1.2, 1.6, 1.7, 2, 2.1, 3.4, 4.6)},
    "SO2-A4": {4: (0, 0, 0, 0, 0, 0, 5, 25, 45),
               1: (1.3, 1.3, 1.3, 1.2, 0.9, 0.4, 0.4, 0.4, 0.4)},
    "H2S-A4": {2: (-1.5, -1.5, -1.5, -0.5, 0.5, 1, 0.8, 0.5, 0.3),
               1: (3, 3, 3, 1, -1, -2, -1.5, -1, -0.5)},
    "CO-B4": {1: (0.7, 0.7, 0.7, 0.7, 1, 3, 3.5, 4, 4.5),
              2: (0.2, 0.2, 0.2, 0.2, 0.3, 1, 1.2, 1.3, 1.5)},
    "NO-B4": {2: (1.8, 1.8, 1.4, 1.1, 1.1, 1, 0.9, 0.9, 0.8),
              3: (0.8, 0.8, 0.8, 0.8, 0.9, 1, 1.1, 1.2, 1.3)},
    "NO2-B43F": {1: (1.3, 1.3, 1.3, 1.3, 1, 0.6, 0.4, 0.2, -1.5),
                 3: (1, 1, 1, 1, 1, 1, 0.4, -0.1, -4)},
    "OX-B431": {1: (0.9, 0.9, 1, 1.3, 1.5, 1.7, 2, 2.5, 3.7),
                3: (0.5, 0.5, 0.5, 0.6, 0.6, 1, 2.8, 5, 5.3)},
    "SO2-B4": {4: (-4, -4, -4, -4, -4, 0, 20, 140, 450),
               1: (1.6, 1.6, 1.6, 1.6, 1.6, 1.6, 1.9, 3, 5.8)},
    "H2S-B4": {1: (-0.6, -0.6, 0.1, 0.8, -0.7, -2.5, -2.5, -2.2, -1.8),
               2: (0.2, 0.2, 0, -0.3, 0.3, 1, 1, 0.9, 0.7)},
}
# fmt: on


@dataclass(frozen=True, slots=True)
class AlphasenseCell:
    """One cell on its board: what the certificate says, in mV, and mV/ppb of its gas.

    `algorithm` 0 is the one that the application note prefers for this type. Raises ConfigError
    for a type or an algorithm without a table, and for numbers that cannot be those of a cell.
    """

    type: str
    we_electronic_mv: float
    ae_electronic_mv: float
    we_zero_mv: float
    ae_zero_mv: float
    sensitivity_mv_ppb: float
    algorithm: int = 0

    def __post_init__(self) -> None:
        tables = TABLES.get(self.type)
        if tables is None:
            raise ConfigError(f"no cell is called {self.type!r}; choose from {', '.join(TABLES)}")
        if self.algorithm and self.algorithm not in tables:
            known = " and ".join(str(number) for number in sorted(tables))
            raise ConfigError(
                f"algorithm {self.algorithm} has no table for {self.type}: {known} have"
            )
        numbers = (
            self.we_electronic_mv, self.ae_electronic_mv, self.we_zero_mv, self.ae_zero_mv,
            self.sensitivity_mv_ppb,
        )  # fmt: skip
        if not all(isfinite(number) for number in numbers):
            raise ConfigError(f"{self.type}: a value of the certificate is no number")
        if self.sensitivity_mv_ppb <= 0:
            raise ConfigError(
                f"{self.type}: sensitivity_mv_ppb must be above 0; take the one in mV/ppb from the"
                " certificate, not that in nA/ppm"
            )
        if self.by == 2 and self.ae_zero_mv == 0:
            raise ConfigError(
                f"{self.type}: algorithm 2 divides by ae_zero_mv, which is 0; choose algorithm 1"
            )

    @property
    def by(self) -> int:
        """The number of the algorithm that is used."""
        return self.algorithm or next(iter(TABLES[self.type]))


def coefficient(cell: AlphasenseCell, temperature_cel: float) -> float:
    """The table's value at a temperature: between two steps on a line, beyond the ends as there.

    Raises ValueError for a temperature that is no number.
    """
    if not isfinite(temperature_cel):
        raise ValueError(f"{temperature_cel} is no temperature")
    table = TABLES[cell.type][cell.by]
    if temperature_cel <= GRID_CEL[0]:
        return float(table[0])
    if temperature_cel >= GRID_CEL[-1]:
        return float(table[-1])
    right = bisect_right(GRID_CEL, temperature_cel)
    cold, warm = GRID_CEL[right - 1], GRID_CEL[right]
    share = (temperature_cel - cold) / (warm - cold)
    return table[right - 1] + share * (table[right] - table[right - 1])


def corrected_mv(cell: AlphasenseCell, we_v: float, ae_v: float, temperature_cel: float) -> float:
    """What of the working electrode's voltage is due to gas, in mV."""
    we_mv = we_v * MV - cell.we_electronic_mv
    ae_mv = ae_v * MV - cell.ae_electronic_mv
    return ALGORITHMS[cell.by](cell, coefficient(cell, temperature_cel), we_mv, ae_mv)


def compensate(cell: AlphasenseCell, we_v: float, ae_v: float, temperature_cel: float) -> float:
    """The concentration in ppb. Noise around clean air makes it negative: it is not cut off."""
    return corrected_mv(cell, we_v, ae_v, temperature_cel) / cell.sensitivity_mv_ppb


def without_no2(
    gas_mv: float, sensitivity_mv_ppb: float, no2_ppb: float, no2_mv_ppb: float
) -> float:
    """Ozone in ppb from the corrected mV of an Ox cell, which sees NO2 as well.

    `sensitivity_mv_ppb` is the cell's for ozone, `no2_mv_ppb` its for NO2, both on its certificate;
    `no2_ppb` comes from an NO2 cell beside it.
    """
    return (gas_mv - no2_ppb * no2_mv_ppb) / sensitivity_mv_ppb


def compensate_ozone(
    cell: AlphasenseCell,
    we_v: float,
    ae_v: float,
    temperature_cel: float,
    no2_ppb: float,
    no2_mv_ppb: float,
) -> float:
    """Ozone in ppb from the voltages of an Ox cell; see `without_no2`."""
    gas_mv = corrected_mv(cell, we_v, ae_v, temperature_cel)
    return without_no2(gas_mv, cell.sensitivity_mv_ppb, no2_ppb, no2_mv_ppb)


def _algorithm_1(cell: AlphasenseCell, n: float, we_mv: float, ae_mv: float) -> float:
    return we_mv - n * ae_mv


def _algorithm_2(cell: AlphasenseCell, k: float, we_mv: float, ae_mv: float) -> float:
    return we_mv - k * (cell.we_zero_mv / cell.ae_zero_mv) * ae_mv


def _algorithm_3(cell: AlphasenseCell, k: float, we_mv: float, ae_mv: float) -> float:
    return we_mv - (cell.we_zero_mv - cell.ae_zero_mv) - k * ae_mv


def _algorithm_4(cell: AlphasenseCell, k_mv: float, we_mv: float, ae_mv: float) -> float:
    return we_mv - cell.we_zero_mv - k_mv


ALGORITHMS: Final[Mapping[int, Callable[[AlphasenseCell, float, float, float], float]]] = {
    1: _algorithm_1,
    2: _algorithm_2,
    3: _algorithm_3,
    4: _algorithm_4,
}
