"""What is declared before the code sends it. A test fails once it is sent."""

from typing import Final

NOT_YET_SENT: Final[dict[str, set[str]]] = {"energy": {"anomaly"}}
"""By kind of message or event: fields. A meter of the street is odd too seldom for a scene."""
NOT_YET_SENT_EVENTS: Final[set[str]] = set()
NOT_YET_SENT_CAUSES: Final[set[str]] = set()
NOT_YET_SENT_STREAMS: Final[set[str]] = {"register"}
"""Reserved."""
