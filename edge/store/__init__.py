"""The outbox: what must not be lost, and the owners' state. One thread, bounded in bytes."""

from edge.store.database import BusyError
from edge.store.find import UnavailableError
from edge.store.journal import Journal
from edge.store.look import Aside, DeadLetter, Look, Loss, look
from edge.store.memory import States
from edge.store.outbox import Outbox
from edge.store.rows import Counts, Epoch, Former, Mark, Opened, Past, Stored
from edge.store.writer import Riding, Writer

__all__ = [
    "Aside", "BusyError", "Counts", "DeadLetter", "Epoch", "Former", "Journal", "Look", "Loss",
    "Mark", "Opened", "Outbox", "Past", "Riding", "States", "Stored", "UnavailableError", "Writer",
    "look",
]  # fmt: skip
