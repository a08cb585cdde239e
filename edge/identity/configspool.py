"""How a site file gets from the page to root: a folder in /run, one request at a time, one answer.

The page's process has no right to write the site file. It leaves a request here, as a member of
the group kerbstone-config; a path unit starts root's side (`kerbstone config spool`), which takes
nothing on trust: the text is parsed within bounds, checked as a whole, and compared with the file
that it was made of. Whoever may leave a request may change this box, so nobody but the page is in
that group by default, and the page asks for a login and looks at the lock for settings first.
"""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Final, Literal

import msgspec
from msgspec import Meta

from edge.core import ConfigError
from edge.durable.atomicwrite import own_name, replace_file
from edge.durable.readfile import read_beginning
from edge.identity.proposal import PROPOSAL_LIMIT, check_visible
from edge.identity.runfiles import RUN

SPOOL_FOLDER: Final = "kerbstone-config"  # of group kerbstone-config: see kerbstone.tmpfiles
REQUEST_NAME: Final = "request.json"
ANSWER_NAME: Final = "answer.json"
REQUEST_MODE: Final = 0o640
ANSWER_MODE: Final = 0o640
FINDINGS: Final = 100  # of an answer
CONFIRM_LIMIT_S: Final = 86_400  # seconds within which somebody may have to confirm


class ConfigRequest(msgspec.Struct, frozen=True, kw_only=True):
    """What the page wants. `base`: SHA-256 of the file that the text was made of."""

    v: Literal[1] = 1
    id: Annotated[str, Meta(pattern=r"\A[0-9a-f]{16}\Z")]
    text: Annotated[str, Meta(min_length=1)]
    base: Annotated[str, Meta(pattern=r"\A[0-9a-f]{64}\Z")]
    confirm_s: Annotated[int, Meta(ge=0, le=CONFIRM_LIMIT_S)] = 0


class RequestFinding(msgspec.Struct, frozen=True):
    """An error of the text."""

    line: int
    key: str
    text: str


class ConfigAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """What became of it. refused: nothing has changed. replaced: the file is in place. taken: the
    daemon uses it; `text` says what starts anew."""

    v: Literal[1] = 1
    id: str
    state: Literal["refused", "replaced", "taken"]
    text: str = ""
    digest: str = ""
    errors: tuple[RequestFinding, ...] = ()


def config_spool(environ: Mapping[str, str] = os.environ) -> Path:
    return Path(environ.get(RUN, "/run"), SPOOL_FOLDER)


def leave_request(folder: Path, request: ConfigRequest) -> None:
    """Put it where root's side looks. Raises ConfigError for one it would not take, OSError."""
    data = msgspec.json.encode(request)
    parse_request(data)
    path = folder / REQUEST_NAME
    replace_file(path, data, REQUEST_MODE, new=own_name(path), exact_mode=True, sync=False)


def take_request(folder: Path) -> ConfigRequest | None:
    """What lies there, which is gone then; None for nothing. Raises ConfigError for what is no
    request: it is thrown away, too."""
    path = folder / REQUEST_NAME
    try:
        data = read_beginning(path, PROPOSAL_LIMIT + 1, links=False)
    except FileNotFoundError:
        return None
    except OSError as error:
        _remove(path)
        raise ConfigError(f"{path}: {error}") from error
    _remove(path)
    return parse_request(data)


def parse_request(data: bytes) -> ConfigRequest:
    """Raises ConfigError."""
    if len(data) > PROPOSAL_LIMIT:
        raise ConfigError(f"a request has at most {PROPOSAL_LIMIT} bytes: leave the remarks away")
    try:
        found = msgspec.json.decode(data, type=ConfigRequest)
    except (ValueError, RecursionError) as error:  # MsgspecError, UnicodeDecodeError
        raise ConfigError(f"no request for a site file: {error}") from None
    check_visible(found.text)
    return found


def write_answer(folder: Path, answer: ConfigAnswer) -> None:
    """For whoever has asked. Raises OSError."""
    path = folder / ANSWER_NAME
    replace_file(path, msgspec.json.encode(answer), ANSWER_MODE, new=own_name(path),
                 exact_mode=True, sync=False)  # fmt: skip


def read_answer(folder: Path) -> ConfigAnswer | None:
    """The newest one; None for none."""
    try:
        data = read_beginning(folder / ANSWER_NAME, 1 << 20, links=False)
        return msgspec.json.decode(data, type=ConfigAnswer)
    except (OSError, ValueError, RecursionError):
        return None


def _remove(path: Path) -> None:
    """A folder with that name is nobody's request. Whoever may write here can fill it, and root
    without capabilities cannot empty it; but the folder is root's, so it loses that name."""
    if not path.is_dir() or path.is_symlink():
        path.unlink(missing_ok=True)
        return
    try:
        path.rmdir()
    except OSError:
        path.rename(own_name(path))
