"""The one error of these commands, and how a command ends with it."""

import sys
from collections.abc import Callable


class BuildError(Exception):
    """It cannot be built here; the message says why, and what to do."""


def report(text: str) -> None:
    """Progress, beside the output."""
    print(text, file=sys.stderr, flush=True)


def ended(command: Callable[[], None]) -> int:
    """Runs a command; the exit code."""
    try:
        command()
    except BuildError as error:
        report(f"error: {error}")
        return 1
    return 0
