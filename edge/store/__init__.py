"""The outbox: what must not be lost, and the owners' state. One thread, bounded in bytes."""

from edge.store.asyncoutbox import AsyncOutbox, CommitRider
from edge.store.database import OutboxBusyError
from edge.store.deliveryjournal import DeliveryJournal
from edge.store.memoryoutbox import OwnerStates
from edge.store.outbox import Outbox
from edge.store.outboxinspector import (
    DeadLetter,
    Loss,
    OutboxInspection,
    QuarantinedFile,
    inspect_outbox,
)
from edge.store.rowformat import (
    ClockMark,
    Epoch,
    OpenReport,
    OutboxCounts,
    PastState,
    PreviousStart,
    StoredRecord,
)
from edge.store.rowsearch import UnavailableError

__all__ = [
    "AsyncOutbox",
    "ClockMark",
    "CommitRider",
    "DeadLetter",
    "DeliveryJournal",
    "Epoch",
    "Loss",
    "OpenReport",
    "Outbox",
    "OutboxBusyError",
    "OutboxCounts",
    "OutboxInspection",
    "OwnerStates",
    "PastState",
    "PreviousStart",
    "QuarantinedFile",
    "StoredRecord",
    "UnavailableError",
    "inspect_outbox",
]  # fmt: skip
