"""What the uplink has done since the start: plain counts, for status, health and metrics."""

from dataclasses import dataclass


@dataclass(slots=True)
class UplinkCounters:
    """Retained messages are not counted as records."""

    sent: int = 0
    confirmed: int = 0
    redelivered: int = 0  # of the sent: they may have been sent before
    backfilled: int = 0  # of the sent: from the backlog
    no_subscribers: int = 0  # taken by a broker at which nobody listens
    refused: int = 0
    dead_letters: int = 0
    unacknowledged: int = 0  # unacknowledged when a connection ended
    receipts: int = 0  # messages
    receipts_unknown: int = 0  # numbers in receipts that nothing waits for
    receipts_overdue: int = 0  # rows whose receipt did not come in time
    commands: int = 0
    strange: int = 0  # messages to us that are not what they should be
    connections: int = 0
    failures: int = 0  # attempts to connect


@dataclass(slots=True)
class ConnectionState:
    """Where the link stands: what a person asks first. Times are monotonic ns."""

    since_ns: int  # connected, or without a link, since then
    broker: str = ""  # connected to it, or tried last
    failure: str = ""  # why the last attempt failed, or the last connection ended
    limit_notice: str = ""  # what the broker announces that keeps records back, as a sentence
    confirmed_ns: int | None = None  # when a row was confirmed last, as `confirm` means it

    def connected(self, now_ns: int) -> None:
        self.since_ns, self.failure, self.limit_notice = now_ns, "", ""

    def ended(self, why: str, now_ns: int) -> None:
        self.since_ns, self.failure, self.limit_notice = now_ns, why, ""
