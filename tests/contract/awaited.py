"""What is declared ahead of the code that says it. A test fails when it is said after all."""

from typing import Final

AWAITED: Final[dict[str, set[str]]] = {"energy": {"anomaly"}}
"""By kind of message or event: fields. A meter of the street is odd too seldom for a scene."""
AWAITED_EVENTS: Final[set[str]] = set()
AWAITED_CAUSES: Final[set[str]] = set()
