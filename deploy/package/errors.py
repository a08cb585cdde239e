"""The one error of these commands, and how a command ends with it."""

import sys
from collections.abc import Callable


class BuildError(Exception):
    """It cannot be built here; the message says why, and what to do."""


def say(text: str) -> None:
    """Progress, beside the output."""
    print(text, file=sys.stderr, flush=True)


def ended(command: Callable[[], None]) -> int:
    """Runs a command; the exit code."""
    try:
        command()
    except BuildError as error:
        say(f"error: {error}")
        return 1
    return 0
