"""`site.toml.applied` beside the site file: it was applied while no daemon ran to be told.

An apply is a person's wish: the next start with that file is its trial, also of a file that was
rolled back before. The daemon may not write here, so the mark stays; each has a word of its own,
and the daemon remembers which it has seen (`TrialState.applied`).
"""

import secrets
from pathlib import Path
from typing import Annotated, Final, Literal

import msgspec

from edge.durable.readfile import read_beginning

APPLIED_SUFFIX: Final = ".applied"
MARK_LIMIT: Final = 1024  # bytes


class ApplyMark(msgspec.Struct, frozen=True, kw_only=True):
    """`digest`: SHA-256 of the file that was applied, in hex. `word`: of this one apply."""

    v: Literal[1] = 1
    digest: Annotated[str, msgspec.Meta(pattern=r"\A[0-9a-f]{64}\Z")]
    word: Annotated[str, msgspec.Meta(pattern=r"\A[0-9a-f]{16}\Z")]


def apply_mark_file(site_file: Path) -> Path:
    """Where the mark of this site file lies."""
    return site_file.with_name(f"{site_file.name}{APPLIED_SUFFIX}")


def pack_apply_mark(digest: str) -> bytes:
    """A new mark for the file with this digest."""
    return msgspec.json.encode(ApplyMark(digest=digest, word=secrets.token_hex(8))) + b"\n"


def read_apply_mark(site_file: Path) -> ApplyMark | None:
    """None for none, or for what is none."""
    try:
        return msgspec.json.decode(
            read_beginning(apply_mark_file(site_file), MARK_LIMIT), type=ApplyMark
        )
    except (OSError, ValueError, RecursionError):  # a MsgspecError is a ValueError
        return None
