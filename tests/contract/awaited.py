"""What is declared ahead of the code that says it. A test fails when it is said after all."""

from typing import Final

AWAITED: Final[dict[str, set[str]]] = {
    "lane": {"p_congested_5", "p_congested_15", "anomaly"},
    "congestion": {"p5", "p15", "reason"},
    "anomaly": {"meant"},
}
"""By kind of message or event: fields."""
AWAITED_EVENTS: Final = {"incident"}
AWAITED_CAUSES: Final = {"scale", "event"}
