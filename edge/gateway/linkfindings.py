"""What is wrong with the link to the broker, by what the sender has seen.

A process that has just started has not seen much: what was open before it stays until it has.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Final

from edge.core.humanize import count_text, span_text, without_errno
from edge.health.openissues import IssueFinding
from edge.uplink.brokertroubles import ALONE_NS, OLD_PROTOCOL, TAKEN_OVER
from edge.uplink.delivery import ConnectionState

LINK_PATIENCE_NS: Final = 15_000_000_000  # so long a link may take to come up, or to come back
SILENCE_LEAST_S: Final = 300.0  # a platform may be started anew
SILENCE_WAITS: Final = 5  # times receipt_s


def silence_limit_s(receipt_s: float) -> float:
    """So long records may wait for any receipt, while there is a link."""
    return max(SILENCE_LEAST_S, SILENCE_WAITS * receipt_s)


def silence_text(silent_s: float) -> str:
    return f"The broker takes records, and no receipt has come for {span_text(silent_s)} of link"


@dataclass(frozen=True, slots=True)
class LinkSeen:
    """What is looked at. `receipt_s` None: the broker's answer confirms; `no_subscribers`: records
    since the start that the broker had nobody for."""

    connection: ConnectionState
    connected: bool
    receipt_s: float | None
    no_subscribers: int
    now_ns: int

    @property
    def up_ns(self) -> int:
        """How long the link has been up."""
        return self.now_ns - self.connection.since_ns if self.connected else 0


def link_findings(seen: LinkSeen) -> Iterator[IssueFinding]:
    connection = seen.connection
    if not seen.connected and seen.now_ns - connection.since_ns < LINK_PATIENCE_NS:
        # after a start, too: what was open before it is over only once there is a link
        yield IssueFinding("no_broker", unknown=True)
    elif not seen.connected:
        why = f" ({without_errno(connection.failure)})" if connection.failure else ""
        down_s = (seen.now_ns - connection.since_ns) / 1e9
        cause = f"No link to the broker for {span_text(down_s)}{why}"
        yield IssueFinding("no_broker", cause=cause, remedy=connection.remedy)
    if connection.limit_notice:
        yield IssueFinding("broker_limits", cause=without_errno(connection.limit_notice))
    refused = (
        f"The broker does not take {topic}: {without_errno(why)}"
        for topic, why in connection.refused.items()
    )
    if cause := _first(refused):
        yield IssueFinding("retained_refused", cause=cause)
    yield from _troubles(seen)
    yield from _unstored(seen)


def _troubles(seen: LinkSeen) -> Iterator[IssueFinding]:
    """Each until the very same thing has succeeded."""
    troubles = seen.connection.troubles
    settled = seen.up_ns >= LINK_PATIENCE_NS
    if troubles.untrusted:
        remedies = [remedy for _, remedy in troubles.untrusted.values()]
        cause = _first(cause for cause, _ in troubles.untrusted.values())
        yield IssueFinding("broker_untrusted", cause=cause, remedy=remedies[0])
    elif not (troubles.trusted or settled):
        yield IssueFinding("broker_untrusted", unknown=True)
    if troubles.denied:
        yield IssueFinding("broker_denies", cause=_first(troubles.denied.values()))
    elif not settled:
        yield IssueFinding("broker_denies", unknown=True)
    if troubles.quota:
        yield IssueFinding("broker_quota", cause=troubles.quota)
    elif not settled:
        yield IssueFinding("broker_quota", unknown=True)
    if troubles.taken_over:
        yield IssueFinding("name_taken", cause=TAKEN_OVER)
    elif seen.up_ns < ALONE_NS:
        yield IssueFinding("name_taken", unknown=True)
    if troubles.old_protocol and seen.receipt_s is None:  # else receipts say what was stored
        yield IssueFinding("old_protocol", cause=OLD_PROTOCOL)


def _unstored(seen: LinkSeen) -> Iterator[IssueFinding]:
    """The broker takes records, and nobody has them."""
    connection = seen.connection
    untold = connection.confirmed_ns is None  # this process has not seen one confirmed
    if seen.receipt_s is None:
        if connection.troubles.unheard_ns:
            records = count_text(seen.no_subscribers, "record")
            cause = f"The broker took {records} without a subscriber: they are lost"
            yield IssueFinding("no_subscribers", cause=cause)
        elif untold:
            yield IssueFinding("no_subscribers", unknown=True)
        return
    silent_s = (connection.troubles.receipts.silent_ns(seen.now_ns) or 0) / 1e9
    if silent_s >= silence_limit_s(seen.receipt_s):
        yield IssueFinding("no_receipts", cause=silence_text(silent_s))
    elif untold:
        yield IssueFinding("no_receipts", unknown=True)


def _first(causes: Iterable[str]) -> str:
    """The first, and how many there are besides: what is said of it is enough."""
    first, *others = [*causes] or [""]
    return f"{first} (and {len(others)} more)" if others else first
