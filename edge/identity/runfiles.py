"""What everybody on the box may know of its identity: files in /run, none of them a secret.

The identity's folder and the boot partition are for root only. A technician who is not root reads
here how far enrolment is, and whose site file to write; he leaves a proposal in a folder beside.
"""

import logging
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Final, TypeVar

import msgspec

from edge.durable import atomicwrite
from edge.durable.readfile import read_file

LOG: Final = logging.getLogger(__name__)
RUN: Final = "KERBSTONE_RUN"  # in the environment: another folder than /run, for trying it out
IDENTITY_FOLDER: Final = "kerbstone-identity"  # in it, as the units name it
SPOOL_FOLDER: Final = "kerbstone-proposal"  # of group kerbstone: see kerbstone.tmpfiles
STATUS_NAME: Final = "status.txt"  # the page that is on the boot partition, too
BOX_NAME: Final = "box.json"
PROGRESS_NAME: Final = "proposal.json"
RUN_NAMES: Final = (STATUS_NAME, BOX_NAME, PROGRESS_NAME)
READABLE: Final = 0o644
LIMIT: Final = 64 << 10
T = TypeVar("T")


class BoxNames(msgspec.Struct, frozen=True):
    """Whose site file this box takes, and the broker that its claim named."""

    site: str
    gateway: str
    broker: str | None = None
    configured: bool = False  # it has a site file
    role: str | None = None  # None: enrolled by a version that did not keep it
    refused: str = ""  # which signed configuration its version cannot use, and why


class ProposalProgress(msgspec.Struct, frozen=True):
    """How far the newest proposal is. `state` is for programs, `text` a sentence for people."""

    id: str
    state: str  # taken, sent, refused, signed, late
    text: str


def identity_run_folder(environ: Mapping[str, str] = os.environ) -> Path:
    return Path(environ.get(RUN, "/run"), IDENTITY_FOLDER)


def spool_folder(environ: Mapping[str, str] = os.environ) -> Path:
    return Path(environ.get(RUN, "/run"), SPOOL_FOLDER)


def runtime_folder(environ: Mapping[str, str] = os.environ) -> Path | None:
    """The folder in /run that systemd gives to this service; None for a command of a person."""
    folder = environ.get("RUNTIME_DIRECTORY")
    return None if folder is None else Path(folder)


def write_run_file(folder: Path | None, name: str, data: bytes) -> None:
    """Replace it, if it says anything new. Never raises: enrolment goes on without its readers."""
    if folder is None:
        return
    path = folder / name
    try:
        if read_file(path, LIMIT) != data:
            atomicwrite.replace_file(path, data, READABLE, exact_mode=True, sync=False)
    except OSError as error:
        LOG.warning("%s cannot be written: %s", path, error.strerror or type(error).__name__)


def read_box_names() -> BoxNames | None:
    """None on a box that has no identity, or is none."""
    return _read(identity_run_folder() / BOX_NAME, BoxNames)


def read_progress() -> ProposalProgress | None:
    return _read(identity_run_folder() / PROGRESS_NAME, ProposalProgress)


def read_status_lines() -> list[str]:
    """The rows of the enrolment's page; none on a machine that is no box."""
    try:
        data = read_file(identity_run_folder() / STATUS_NAME, LIMIT)
    except OSError:
        return []
    return (data or b"").decode("utf-8", "replace").splitlines()


def _read(path: Path, kind: type[T]) -> T | None:
    try:
        return msgspec.json.decode(read_file(path, LIMIT) or b"", type=kind)
    except (OSError, ValueError):  # a MsgspecError is one
        return None
