"""The outbox: what must not be lost, and the owners' state. One thread, bounded in bytes."""

from edge.store.database import BusyError
from edge.store.journal import Journal
from edge.store.look import look
from edge.store.outbox import Outbox
from edge.store.rows import Counts, Epoch, Former, Mark, Opened, Stored
from edge.store.writer import Writer

__all__ = [
    "BusyError", "Counts", "Epoch", "Former", "Journal", "Mark", "Opened", "Outbox", "Stored",
    "Writer", "look",
]  # fmt: skip
