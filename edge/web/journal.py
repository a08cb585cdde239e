"""The last lines of the log, from the journal: of Kerbstone's own services, and no others."""

import json
from collections.abc import Iterable
from typing import Any, Final

from edge.core.printable import printable
from edge.web.childrun import ChildError, run_child

UNITS: Final = ("kerbstone.service", "kerbstone-*.service")
FIELDS: Final = "MESSAGE,PRIORITY,_SYSTEMD_UNIT,SYSLOG_IDENTIFIER"
LINES: Final = 300
MOST_S: Final = 20.0
TEXT_LIMIT: Final = 1000  # characters of a line
LEVELS: Final = ("all", "warning")


async def read_journal(level: str) -> dict[str, Any]:
    """`lines`, the newest first: wall time in seconds, priority (syslog's), unit, text. `problem`:
    there is no journal, or it is not open to this user."""
    command = [
        "journalctl", "--output=json", f"--output-fields={FIELDS}", "--no-pager", "--reverse",
        f"--lines={LINES}", "--quiet",
        *(f"--unit={unit}" for unit in UNITS),
        *(("--priority=warning",) if level == "warning" else ()),
    ]  # fmt: skip
    try:
        found = await run_child(command, MOST_S)
    except ChildError as error:
        return {"lines": [], "problem": str(error)}
    lines = [row for row in map(_row, found.out.splitlines()) if row is not None]
    problem = "" if lines else found.err.strip() or "the journal has no line of Kerbstone"
    return {"lines": lines[:LINES], "problem": problem}


def _row(line: bytes) -> dict[str, Any] | None:
    try:
        entry = json.loads(line)
        wall_s = int(entry["__REALTIME_TIMESTAMP"]) / 1e6
    except (ValueError, KeyError, TypeError, RecursionError):
        return None
    message, priority = entry.get("MESSAGE"), entry.get("PRIORITY")
    return {
        "wall_s": wall_s,
        "priority": int(priority) if isinstance(priority, str) and priority.isdecimal() else 6,
        "unit": printable(str(entry.get("_SYSTEMD_UNIT", "")), 64),
        "text": printable(_text(message), TEXT_LIMIT),
    }


def _text(message: Any) -> str:
    """What is not UTF-8 comes as a list of bytes; nothing, where it was too long."""
    if isinstance(message, str):
        return message
    if isinstance(message, Iterable):
        return bytes(b for b in message if isinstance(b, int) and 0 <= b < 256).decode(
            errors="replace"
        )
    return ""
