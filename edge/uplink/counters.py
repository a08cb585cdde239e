"""What the uplink has done since the start: plain counts, for status, health and metrics."""

from dataclasses import dataclass


@dataclass(slots=True)
class Counters:
    """Retained messages are not counted as records."""

    sent: int = 0
    confirmed: int = 0
    again: int = 0  # of the sent: they may have been sent before
    late: int = 0  # of the sent: from the backlog
    nobody: int = 0  # taken by a broker at which nobody listens
    refused: int = 0
    dead: int = 0
    lost: int = 0  # unanswered when a connection ended
    receipts: int = 0  # messages
    unknown: int = 0  # numbers in receipts that nothing waits for
    overdue: int = 0  # rows whose receipt did not come in time
    commands: int = 0
    strange: int = 0  # messages to us that are not what they should be
    connections: int = 0
    failures: int = 0  # attempts to connect
