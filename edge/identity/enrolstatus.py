"""What a technician reads: the file on the boot partition and the line on the console."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from edge.core.printable import printable
from edge.identity import certs
from edge.identity.bootpartition import BootPartition
from edge.identity.identitybundle import KEY, IdentityBundle
from edge.identity.keys import KeyKind, key_kind
from edge.identity.names import comparison_code
from edge.identity.pagefingerprint import read_page_fingerprint
from edge.identity.runfiles import STATUS_NAME, write_run_file
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
    page: str = ""  # fingerprint of the page's certificate
    proposal: str = ""  # how far a site file is that the operator shall sign


def enrolled_status(bundle: IdentityBundle) -> EnrolmentStatus:
    """Of a box that has this identity."""
    code = comparison_code(certs.certificate_key(bundle.certificate))
    kind = key_kind(bundle.folder / KEY)
    page = read_page_fingerprint()
    return EnrolmentStatus("enrolled", bundle.target.gateway, code, kind, page=page)


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
        "page": status.page and f"SHA-256 {status.page}",
        "proposal": status.proposal,
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
    proposal = status.proposal and f"proposal: {status.proposal}"
    text = "kerbstone: " + ", ".join(
        part for part in (*parts, status.answer, proposal, status.action) if part
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
    """Writes to all places, each only when there is something new.

    `folder` is that in /run, for technicians who may not read the boot partition; `proposal` says
    how far a proposal is.
    """

    def __init__(
        self,
        boot: BootPartition,
        write: Callable[[str], object] = echo,
        folder: Path | None = None,
        proposal: Callable[[], str] = str,
    ) -> None:
        self._boot = boot
        self._write = write
        self._folder, self._proposal = folder, proposal
        self._last = ""

    def write(self, status: EnrolmentStatus) -> None:
        status = replace(status, proposal=self._proposal())
        self._boot.write_status(status_page(status))
        write_run_file(self._folder, STATUS_NAME, status_page(status).encode())
        text = status_line(status)
        if text != self._last:
            self._last = text
            self._write(text)
