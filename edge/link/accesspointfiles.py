"""Who asks for the access point, and what everybody may know of it: two files in /run.

A member of the group kerbstone leaves a request; the process that holds the access point takes it.
Both forget with the power: after a boot the access point is closed.
"""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Final, Literal

import msgspec
from msgspec import Meta

from edge.durable.atomicwrite import own_name, replace_file
from edge.durable.readfile import read_beginning, read_file
from edge.identity.runfiles import RUN

SPOOL_FOLDER: Final = "kerbstone-access-point"  # of group kerbstone: see kerbstone.tmpfiles
STATE_FOLDER: Final = "kerbstone-access-point-state"  # as the unit names it
REQUEST_NAME: Final = "request.json"
STATE_NAME: Final = "state.json"
INTERFACE_NAME: Final = "interface"  # for the unit, which stops what was started for it
REQUEST_MODE: Final = 0o640  # read by its group
READABLE: Final = 0o644
LIMIT: Final = 4096  # bytes of either
MINUTES: Final = 60
MOST_MINUTES: Final = 240

Asker = Literal["command", "button", "page"]


class AccessPointRequest(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`minutes` count from when it is taken."""

    action: Literal["open", "close"]
    minutes: Annotated[int, Meta(ge=1, le=MOST_MINUTES)] = MINUTES
    by: Asker = "command"


class AccessPointState(msgspec.Struct, frozen=True, kw_only=True):
    """`until_s` is CLOCK_BOOTTIME, in seconds; `text` says why it is not open. Never the key."""

    open: bool
    text: str = ""
    network: str = ""
    interface: str = ""
    address: str = ""
    until_s: float = 0.0
    by: Asker | None = None
    number: int = 0  # of requests that were taken since the boot


def spool_folder(environ: Mapping[str, str] = os.environ) -> Path:
    return Path(environ.get(RUN, "/run"), SPOOL_FOLDER)


def state_folder(environ: Mapping[str, str] = os.environ) -> Path:
    return Path(environ.get(RUN, "/run"), STATE_FOLDER)


def leave_request(folder: Path, request: AccessPointRequest) -> None:
    """Raises OSError: PermissionError for who is not in the group kerbstone."""
    path = folder / REQUEST_NAME
    data = msgspec.json.encode(request)
    replace_file(path, data, REQUEST_MODE, new=own_name(path), exact_mode=True, sync=False)


def take_request(folder: Path) -> AccessPointRequest | None:
    """The request, which is gone then. What is none is thrown away. Raises OSError when it cannot
    be removed: it would be taken again and again."""
    path = folder / REQUEST_NAME
    try:
        data = read_beginning(path, LIMIT + 1, links=False)
    except FileNotFoundError:
        return None
    except OSError:
        data = b""
    if path.is_dir() and not path.is_symlink():
        path.rmdir()
    else:
        path.unlink()
    if len(data) > LIMIT:
        return None
    try:
        return msgspec.json.decode(data, type=AccessPointRequest)
    except ValueError:  # a MsgspecError is one
        return None


def write_state(folder: Path, state: AccessPointState) -> None:
    """Raises OSError."""
    for name, data in (
        (INTERFACE_NAME, f"{state.interface}\n".encode()),
        (STATE_NAME, msgspec.json.encode(state) + b"\n"),
    ):
        replace_file(folder / name, data, READABLE, exact_mode=True, sync=False)


def read_state(folder: Path) -> AccessPointState | None:
    """None before the first request since the boot."""
    try:
        data = read_file(folder / STATE_NAME, LIMIT)
        return msgspec.json.decode(data or b"", type=AccessPointState)
    except (OSError, ValueError):  # a MsgspecError is one
        return None


def is_open(state: AccessPointState | None, boottime_s: float) -> bool:
    """Whether it is open now: not when its time is over and nobody has said so."""
    return state is not None and state.open and boottime_s < state.until_s
