"""Where an answer of `live` comes from: the daemon that runs, or one that comes back later.

A person's program asks again and again; the daemon keeps nothing for it. While it restarts there is
no answer, and `note` says why.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

from edge.control.handover import why_stopped
from edge.control.protocol import OLDER_TEXT, UnknownVerbError, VerbError, ask_daemon

TIMEOUT_S: Final = 5.0
STOPPED_TEXT: Final = "the daemon does not run; waiting for it"


class LiveSource:
    """The daemon whose socket is in `folder`; `names` None asks for everything. `store`: the folder
    of its outbox, which it may have handed over."""

    def __init__(
        self, folder: Path, names: Sequence[str] | None = None, store: Path | None = None
    ) -> None:
        self._folder, self._store = folder, store
        self._words: dict[str, Any] = {} if names is None else {"names": list(names)}

    def ask(self) -> dict[str, Any] | None:
        """None when no daemon runs. Raises VerbError and OSError: what is wrong with the question
        or with the way to the daemon.
        """
        try:
            return ask_daemon(self._folder, "live", TIMEOUT_S, **self._words)
        except UnknownVerbError as error:
            raise VerbError(OLDER_TEXT) from error

    def look(self) -> tuple[dict[str, Any] | None, str]:
        """For one who goes on whatever happens: the answer, or why there is none."""
        try:
            found = self.ask()
        except (VerbError, OSError) as error:
            return None, str(error)
        return found, "" if found is not None else self.why_stopped()

    def why_stopped(self) -> str:
        """Why no daemon answers."""
        return STOPPED_TEXT if self._store is None else why_stopped(self._store, STOPPED_TEXT)
