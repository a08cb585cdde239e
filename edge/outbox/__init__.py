"""The outbox: what must not be lost, and the owners' state. One thread, bounded in bytes."""

from edge.outbox.asyncoutbox import AsyncOutbox, CommitRider
from edge.outbox.database import OutboxBusyError
from edge.outbox.deliveryjournal import DeliveryJournal
from edge.outbox.epochs import Epoch, PastState, PreviousStart
from edge.outbox.memoryoutbox import OwnerStates
from edge.outbox.outbox import Outbox
from edge.outbox.outboxfolder import OpenReport
from edge.outbox.outboxinspector import (
    DeadLetter,
    Loss,
    OutboxInspection,
    QuarantinedFile,
    inspect_outbox,
)
from edge.outbox.outboxstats import OutboxCounts
from edge.outbox.rowformat import StoredRecord
from edge.outbox.rowsearch import UnavailableError

__all__ = [
    "AsyncOutbox",
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
