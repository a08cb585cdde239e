"""Corrections and gas cells: numbers that no certificate has, and wires that are exchanged."""

import re
from collections.abc import Iterator
from typing import Final

from edge.config.model import Cell
from edge.config.problem import Problem
from edge.config.site import Site

GAINS: Final = (0.1, 10.0)  # beyond them a sensor measures something else
IN_VOLTS: Final = 2.0  # the electronic zero of a board is 200 to 400 mV, and so 0.2 to 0.4 V
PARTS_OF_A_MV: Final = 0.1  # certificates have whole millivolts
INPUT: Final = re.compile(r"[a-z_]*?(\d)")


def certificate_warnings(site: Site) -> Iterator[Problem]:
    """All remarks about calibrations and cells."""
    for name, one in site.calibrations.items():
        gain = one.gain
        if gain is not None and not GAINS[0] <= gain <= GAINS[1]:
            yield site.remark(
                ("calibration", name, "gain"),
                f"{gain:g} would make every value {_change(gain)}; a gain is near 1, such as 1.08 "
                "for 8 % more",
            )
    used: dict[tuple[str, str], str] = {}
    for name, cell in site.cells.items():
        yield from _volts(site, name, cell)
        yield from _electrodes(site, name, cell)
        for key in ("working", "auxiliary"):
            other = used.setdefault((cell.device, getattr(cell, key)), name)
            if other != name:
                yield site.remark(
                    ("cell", name, key),
                    f"{cell.device}.{getattr(cell, key)} is an electrode of cell.{other}, too; "
                    "each electrode has its own input",
                )


def _change(gain: float) -> str:
    if gain < 0:
        return "its opposite"
    return f"{gain:g} times as large" if gain > 1 else f"{1 / gain:.0f} times smaller"


def _volts(site: Site, name: str, cell: Cell) -> Iterator[Problem]:
    for key in ("we_electronic_mv", "ae_electronic_mv", "we_zero_mv", "ae_zero_mv"):
        value = getattr(cell, key)
        least = IN_VOLTS if "electronic" in key else PARTS_OF_A_MV
        if value is not None and 0 < abs(value) < least:
            yield site.remark(
                ("cell", name, key),
                f"{value:g} looks like volts, and this is in mV: {value * 1000:g}",
            )


def _electrodes(site: Site, name: str, cell: Cell) -> Iterator[Problem]:
    """Boards have the working electrode first (OP1), then the auxiliary one (OP2)."""
    first, second = (INPUT.fullmatch(each) for each in (cell.working, cell.auxiliary))
    if first and second and int(first[1]) == int(second[1]) + 1:
        yield site.remark(
            ("cell", name, "working"),
            f"working is behind auxiliary ({cell.auxiliary}); boards have the working electrode "
            "(OP1) first: are they exchanged?",
        )
