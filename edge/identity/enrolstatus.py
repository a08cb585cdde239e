"""What a technician reads: the file on the boot partition and the line on the console."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from edge.core.printable import printable
from edge.identity.bootpartition import BootPartition
from edge.identity.keys import KeyKind
from edge.terminal import echo

KEY_PLACE_TEXTS: Final[dict[KeyKind, str]] = {
    "file": "in a file that only this box has",
    "tpm": "in the TPM of this box",
    "credential": "given by systemd",
}


@dataclass(frozen=True)
class EnrolmentStatus:
    """How far enrolment is. `waits_for` and `action` are sentences; no field holds a secret."""

    state: str
    gateway: str = ""
    code: str = ""
    key: KeyKind | None = None
    waits_for: str = ""
    since_s: float = 0.0
    answer: str = ""
    action: str = ""


def status_page(status: EnrolmentStatus) -> str:
    """The file. Only what is known has a line."""
    rows = {
        "state": status.state,
        "gateway": status.gateway,
        "code": status.code,
        "key": KEY_PLACE_TEXTS[status.key] if status.key else "",
        "waits for": status.waits_for,
        "since": coarse_age(status.since_s) if status.waits_for else "",
        "last answer": status.answer,
        "what to do": status.action,
    }
    return "".join(f"{name + ':':<13}{printable(text)}\n" for name, text in rows.items() if text)


def status_line(status: EnrolmentStatus) -> str:
    """The console: without the time, which would make a new line of each look."""
    parts = [
        status.state,
        status.gateway,
        status.code,
        status.waits_for and f"waits for {status.waits_for}",
    ]
    text = "kerbstone: " + ", ".join(
        part for part in (*parts, status.answer, status.action) if part
    )
    return printable(text)


def coarse_age(seconds: float) -> str:
    """Coarse, so that the card is written seldom: hours, then days, in which the box had power."""
    hours = int(seconds // 3600)
    if hours < 1:
        return "less than an hour"
    if hours < 48:
        return f"{hours} h of running"
    return f"{hours // 24} days of running"


class StatusWriter:
    """Writes to both places, each only when there is something new."""

    def __init__(self, boot: BootPartition, write: Callable[[str], object] = echo) -> None:
        self._boot = boot
        self._write = write
        self._last = ""

    def write(self, status: EnrolmentStatus) -> None:
        self._boot.write_status(status_page(status))
        text = status_line(status)
        if text != self._last:
            self._last = text
            self._write(text)
