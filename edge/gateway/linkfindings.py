"""What is wrong with the link to the city, by what the sender has seen, and the data saver counts.

A process that has just started has not seen much: what was open before it stays until it has.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Final

from edge.core.humanize import count_text, span_text, without_errno
from edge.gateway.datasaver import SaverLevel
from edge.health.openissues import IssueFinding
from edge.uplink.brokertroubles import ALONE_NS, OLD_PROTOCOL, TAKEN_OVER
from edge.uplink.delivery import ConnectionState

LINK_PATIENCE_NS: Final = 15_000_000_000  # so long a link may take to come up, or to come back
SILENCE_LEAST_S: Final = 300.0  # a platform may be started anew
SILENCE_WAITS: Final = 5  # times receipt_s
DISTRUST_NS: Final = 86_400_000_000_000  # nobody knows then how a broker's certificate is now
FALLBACK_NS: Final = 120_000_000_000  # the first broker may be restarted
MERGING_LEVEL: Final = 2  # from here on minutes are lost to the city
MB: Final = 1e6


def silence_limit_s(receipt_s: float) -> float:
    """So long records may wait for any receipt, while there is a link."""
    return max(SILENCE_LEAST_S, SILENCE_WAITS * receipt_s)


def silence_text(silent_s: float) -> str:
    return f"The broker takes records, and no receipt has come for {span_text(silent_s)} of link"


@dataclass(frozen=True, slots=True)
class LinkSeen:
    """What is looked at. `brokers`: those that may be used, that of uplink.url first. `receipt_s`
    None: the broker's answer confirms; `no_subscribers`: records since the start that the broker
    had nobody for."""

    connection: ConnectionState
    connected: bool
    brokers: Sequence[str]
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
    for broker in seen.brokers:
        yield from _certificate(seen, broker)
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


def _certificate(seen: LinkSeen, broker: str) -> Iterator[IssueFinding]:
    """A fallback is not tried while the first broker stands, so what was seen of it goes stale."""
    connection, troubles = seen.connection, seen.connection.troubles
    user = (connection.broker or seen.brokers[0]) if seen.connected else ""  # who has the link
    found = troubles.untrusted.get(broker)
    if found is not None and seen.now_ns - found.seen_ns < DISTRUST_NS:
        cause = found.cause
        if user == seen.brokers[0]:
            cause += (
                f". It is a fallback: it is tried again only when {user} is not reached. Without "
                f"another attempt this closes {span_text(DISTRUST_NS / 1e9)} after the last one"
            )
        yield IssueFinding("broker_untrusted", broker, cause, found.remedy)
        return
    known = found is not None or broker in troubles.trusted
    stands = broker == user and seen.up_ns >= LINK_PATIENCE_NS
    if not (known or stands) and seen.now_ns - connection.started_ns < DISTRUST_NS:
        yield IssueFinding("broker_untrusted", broker, unknown=True)


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


def fallback_findings(
    connection: ConnectionState, first: str, *, connected: bool, now_ns: int
) -> Iterator[IssueFinding]:
    """`first`: the broker of uplink.url. Another one is left now and then to try it again, so what
    is open stays until the first is reached."""
    if connected and connection.broker in ("", first):
        return
    if not connected or now_ns - connection.since_ns < FALLBACK_NS:
        yield IssueFinding("on_fallback", unknown=True)
        return
    cause = f"The first broker {first} is not reached, or takes too little: the box sends by its"
    yield IssueFinding("on_fallback", cause=f"{cause} fallback {connection.broker}")


def budget_findings(
    saver: SaverLevel, *, counted: bool, billing_day: int
) -> Iterator[IssueFinding]:
    """As kerbstone-link has counted. `counted`: it does, so after a start it is waited for."""
    if counted and not saver.set_ns:
        yield IssueFinding("data_budget", unknown=True)
    if saver.level < MERGING_LEVEL:
        return
    used = f"{saver.used / MB:,.0f} of {saver.budget / MB:,.0f} MB are used"
    until = _next_month(saver.month, billing_day)
    end = f"on {until}" if until else "with the next month of the contract"
    yield IssueFinding(
        "data_budget",
        cause=f"{used}, so minutes are merged into quarter hours: this ends {end}",
    )


def _next_month(month: str, day: int) -> date | None:
    """When the month of account after this one begins."""
    year, mark, number = month.partition("-")
    if not mark or not (year + number).isdecimal() or not 1 <= int(number) <= 12:
        return None
    return date(int(year) + int(number) // 12, int(number) % 12 + 1, day)
