"""The table of the doctor's checks in docs/doctor.md, made from `edge/diagnose/checks.py`."""

from pathlib import Path
from typing import Final

from edge.diagnose.checks import CHECKS, Check

PAGE: Final = Path(__file__).parent / "doctor.md"
BEGIN, END = "<!-- checks -->\n", "<!-- end of checks -->"
HEAD: Final = "| group | id | asks | only known to the | open issues |\n|---|---|---|---|---|\n"


def doctor_page() -> str:
    """The page as it is, with the table as the code has it."""
    text = PAGE.read_text(encoding="utf-8")
    before, _, rest = text.partition(BEGIN)
    _, _, after = rest.partition(END)
    rows = "".join(_row(check, row) for check, row in CHECKS.items())
    return f"{before}{BEGIN}\n{HEAD}{rows}\n{END}{after}"


def _row(check: str, row: Check) -> str:
    issues = ", ".join(f"`{kind}`" for kind in row.kinds) or "-"
    only = "gateway" if row.daemon else "-"
    return f"| {row.group} | `{check}` | {row.asks} | {only} | {issues} |\n"
