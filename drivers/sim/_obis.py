"""How simulated meters name and write their values: point -> OBIS code, unit, digits.

Source: IEC 62056-61, the list of OBIS codes of BDEW/EDI@Energy. Codes and encoder are the
simulators' own: what a driver makes of them is its business.
"""

from collections.abc import Iterator, Mapping
from typing import Final, NamedTuple


class ObisRow(NamedTuple):
    """One value: its code (C.D.E), its unit on the wire, how many of it make the point's unit."""

    code: str
    unit: str
    scale: float = 1.0
    digits: int = 6
    decimals: int = 3


def _phased(key: str, code: tuple[int, str], unit: str, *rest: float) -> dict[str, ObisRow]:
    first, tail = code
    scale, digits, decimals = rest
    return {
        f"{key}_l{n}": ObisRow(f"{first + 20 * n}.{tail}", unit, scale, int(digits), int(decimals))
        for n in (1, 2, 3)
    }


ROWS: Final[Mapping[str, ObisRow]] = {
    "energy_import": ObisRow("1.8.0", "kWh"),
    **{f"energy_import_t{n}": ObisRow(f"1.8.{n}", "kWh") for n in (1, 2, 3, 4)},
    "energy_export": ObisRow("2.8.0", "kWh"),
    **{f"energy_export_t{n}": ObisRow(f"2.8.{n}", "kWh") for n in (1, 2, 3, 4)},
    "energy_total": ObisRow("15.8.0", "kWh"),
    "reactive_energy_import": ObisRow("3.8.0", "kvarh"),
    "reactive_energy_export": ObisRow("4.8.0", "kvarh"),
    "power": ObisRow("1.7.0", "kW", 0.001, 2, 3),
    **_phased("power", (1, "7.0"), "kW", 0.001, 2, 3),
    "reactive_power": ObisRow("3.7.0", "kvar", 0.001, 2, 3),
    **_phased("voltage", (12, "7.0"), "V", 1, 3, 1),
    **_phased("current", (11, "7.0"), "A", 1, 3, 2),
    "power_factor": ObisRow("13.7.0", "", 1, 1, 3),
    "frequency": ObisRow("14.7.0", "Hz", 1, 2, 2),
}
GIVEN: Final = {  # what is given has a code of its own: point -> C of the other direction
    "power": "2.7.0", "power_l1": "22.7.0", "power_l2": "42.7.0", "power_l3": "62.7.0",
    "reactive_power": "4.7.0",
}  # fmt: skip


def data_set_lines(values: Mapping[str, float], prefix: str = "") -> Iterator[str]:
    """A data set per value, as in 1.8.0(000123.456*kWh); power is split into taken and given."""
    for key, row in ROWS.items():
        if key not in values:
            continue
        value = values[key] * row.scale
        if key in GIVEN:
            yield f"{prefix}{row.code}({_text(max(value, 0.0), row)})"
            yield f"{prefix}{GIVEN[key]}({_text(max(-value, 0.0), row)})"
        else:
            yield f"{prefix}{row.code}({_text(value, row)})"


def _text(value: float, row: ObisRow) -> str:
    number = f"{value:0{row.digits + 1 + row.decimals}.{row.decimals}f}"
    if len(number.lstrip("-")) > row.digits + 1 + row.decimals:
        raise OverflowError(f"{row.code} has {row.digits} digits before the point")
    return f"{number}*{row.unit}" if row.unit else number


def with_even_parity(text: bytes) -> bytes:
    """7 bits and even parity, as a line that knows only 8 bits shows them."""
    return bytes(byte | (byte.bit_count() & 1) << 7 for byte in text)
