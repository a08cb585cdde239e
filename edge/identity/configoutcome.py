"""What the daemon says of the configuration that it has tried, for root: it writes nothing else.

The daemon leaves it in its run folder. Who reads it is root without any capability, by its group,
and takes it for a word of the daemon and no more: it can have a file put back that root itself has
kept, or be quoted to the operator.
"""

from pathlib import Path
from typing import Annotated, Final, Literal

import msgspec

from edge.durable.readfile import read_beginning

OUTCOME_NAME: Final = "config-outcome"
OUTCOME_FILE: Final = Path("/run/kerbstone") / OUTCOME_NAME
OUTCOME_LIMIT: Final = 4096  # bytes


class ConfigOutcome(msgspec.Struct, frozen=True, kw_only=True):
    """How the trial of a site file has ended. `digest`: SHA-256 of the file, in hex."""

    v: Literal[1] = 1
    digest: Annotated[str, msgspec.Meta(pattern=r"\A[0-9a-f]{64}\Z")]
    state: str
    reason: str = ""
    text: Annotated[str, msgspec.Meta(max_length=1000)] = ""


def read_config_outcome(path: Path = OUTCOME_FILE) -> ConfigOutcome | None:
    """The newest one; None for none, or for what is none."""
    try:
        return msgspec.json.decode(
            read_beginning(path, OUTCOME_LIMIT, links=False), type=ConfigOutcome
        )
    except (OSError, ValueError, RecursionError):  # a MsgspecError is a ValueError
        return None
