"""Whether a broker drops what it has acknowledged, because a subscriber's queue is full.

mosquitto counts it in `$SYS`, and says it nowhere else in numbers: its PUBACK is a success.
"""

from typing import Final

DROPPED_TOPIC: Final = "$SYS/broker/publish/messages/dropped"


class BrokerDrops:
    """Of one broker; its count begins anew with each start. `seen`: while we listened."""

    def __init__(self) -> None:
        self.total: int | None = None
        self.seen = 0

    def take(self, payload: bytes) -> str | None:
        """What is to be said, if anything. Raises ValueError for what is no count."""
        total, before = int(payload), self.total
        self.total = total
        if before is None:
            return f"since its start the broker has dropped {total} messages" if total else None
        grown = total - before if total >= before else total
        self.seen += grown
        if not grown:
            return None
        return (
            f"the broker has dropped {grown} messages more, {total} since its start: the queue of "
            "a subscriber that is away or slow is full. Gateways that wait for receipts send them "
            "again; those that do not have lost them"
        )

    def sentence(self) -> str:
        """The end of it."""
        if self.total is None:
            return (
                "the broker has not said how many messages it has dropped. mosquitto needs "
                f"sys_interval, a listener without mount_point, and a right to read {DROPPED_TOPIC}"
            )
        return f"dropped while this listened: {self.seen}, since the broker's start: {self.total}"
