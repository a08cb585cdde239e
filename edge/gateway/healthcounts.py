"""What the outbox and the link count, in the words of a health record."""

import dataclasses
from collections.abc import Mapping
from typing import Final

from edge.outbox import OutboxCounts
from edge.uplink.rowtable import UplinkCounters

Numbers = Mapping[str, int | float | bool | None]

LINK_FIELDS: Final = {  # of the link's counters; what it gives up for good, the outbox counts
    "sent": "sent",
    "confirmed": "confirmed",
    "redelivered": "sent_redelivered",
    "backfilled": "sent_backfilled",
    "no_subscribers": "no_subscribers",
    "refused": "refused",
    "unacknowledged": "unacknowledged",
    "receipts": "receipts",
    "receipts_unknown": "receipts_unknown",
    "receipts_overdue": "receipts_overdue",
    "commands": "commands",
    "strange": "malformed_messages",
    "connections": "connections",
    "failures": "connection_failures",
}


def queue_fields(counts: OutboxCounts, boot: int, now_ns: int) -> Numbers:
    """The outbox. A row of another boot has an age that nobody knows here."""
    age_ns = None
    if counts.oldest is not None and counts.oldest[0] == boot:
        age_ns = max(0, now_ns - counts.oldest[1])
    return {
        "queue_rows": counts.rows,
        "queue_bytes": counts.size,
        "queue_limit_bytes": counts.limit,
        "queue_age_s": None if age_ns is None else round(age_ns / 1e9, 1),
        "queue_forecast_s": _seconds(counts.forecast_s),
        "queue_forecast_downsampled_s": _seconds(counts.forecast_downsampled_s),
        "dropped": counts.dropped,
        "downsampled": counts.downsampled,
        "damaged": counts.damaged,
        "dead_letters": counts.dead_letters,
        "quarantined": counts.quarantined,
        "in_memory": counts.in_memory is not None,
    }


def link_fields(counters: UplinkCounters, connected: bool) -> Numbers:
    """The link to the broker, since the daemon's start."""
    counted = dataclasses.asdict(counters)
    return {"connected": connected, **{name: counted[own] for own, name in LINK_FIELDS.items()}}


def _seconds(value: float | None) -> int | None:
    return None if value is None else round(value)
