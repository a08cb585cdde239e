"""Whether the program on this box can use a configuration: asked before it replaces the last one.

The operator has checked it with the version at his desk; this box may have an older one, which does
not know a driver or a key. The parts that read a site file are not for a process that holds the
identity's key, so `kerbstone check` is run as a process of its own.
"""

import logging
import subprocess
import tempfile
from pathlib import Path
from typing import Final

import msgspec

from edge.core.ownpython import own_command, own_environment
from edge.core.printable import printable

LOG: Final = logging.getLogger(__name__)
CHECK_S: Final = 120.0  # on a Pi Zero 2 W a tenth of it
REFUSED_CODE: Final = 2  # of `kerbstone check`; all else is no verdict
REASON_LIMIT: Final = 160  # characters
NO_CHECK: Final = "the configuration is taken unchecked: %s"


class CheckError(msgspec.Struct, frozen=True):
    """One of the errors that `kerbstone check --json` prints."""

    line: int = 0
    key: str = ""
    text: str = ""


class CheckReport(msgspec.Struct, frozen=True):
    """What is needed of that."""

    errors: list[CheckError] = []


def why_unusable(config: str) -> str:
    """The first error and how many more there are; "" when it can be used.

    Also "" when nobody could say: a box must not stay without a configuration for that.
    """
    try:
        with tempfile.TemporaryDirectory() as folder:
            file = Path(folder, "site.toml")
            file.write_text(config, encoding="utf-8")
            command = own_command("-m", "edge.cli.main", "check", "--json", str(file))
            done = subprocess.run(
                command, capture_output=True, timeout=CHECK_S, check=False, env=own_environment()
            )
    except (OSError, subprocess.TimeoutExpired) as error:
        LOG.warning(NO_CHECK, type(error).__name__)
        return ""
    if done.returncode != REFUSED_CODE:
        if done.returncode:
            LOG.warning(NO_CHECK, f"`kerbstone check` ended with {done.returncode}")
        return ""
    try:
        found = msgspec.json.decode(done.stdout, type=CheckReport).errors
        first = found[0]
    except (ValueError, IndexError):  # a MsgspecError is a ValueError
        LOG.warning(NO_CHECK, "`kerbstone check` says nothing that can be read")
        return ""
    more = f" (and {len(found) - 1} more)" if len(found) > 1 else ""
    return printable(f"line {first.line}: {first.key}: {first.text}", REASON_LIMIT) + more
