"""The steps of a run at which a command is sent: what was asked, and what is judged."""

from enum import StrEnum


class Step(StrEnum):
    """In the order in which they are taken."""

    STATUS = "status"
    SAME = "the same id"
    STALE = "another epoch"
    UNKNOWN = "no such command"
    FOREIGN = "another gateway"
    AFTER = "after what is malformed"
    RESEND = "resend"
    GONE = "resend of what has its receipt"
    RETAINED = "a retained command"
    FORMER = "the former epoch"
