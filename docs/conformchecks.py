"""The table of checks in docs/conform.md, made from the checks' own declarations."""

from pathlib import Path
from typing import Final

from edge.conform.check import NEEDS, ConformanceCheck
from edge.conform.kit import CHECKS

PAGE: Final = Path(__file__).parent / "conform.md"
BEGIN, END = "<!-- checks -->\n", "<!-- end of checks -->"
HEAD: Final = "| check | asks | contract | said in | needs |\n|---|---|---|---|---|\n"


def conform_page() -> str:
    """The page as it is, with the table as the code has it."""
    text = PAGE.read_text(encoding="utf-8")
    before, _, rest = text.partition(BEGIN)
    _, _, after = rest.partition(END)
    rows = "".join(map(_row, CHECKS))
    return f"{before}{BEGIN}\n{HEAD}{rows}\n{END}{after}"


def _row(check: ConformanceCheck) -> str:
    needs = "; ".join(NEEDS[need] for need in check.needs) or "-"
    return f"| `{check.id}` | {check.asks} | {check.contract} | {check.source} | {needs} |\n"
