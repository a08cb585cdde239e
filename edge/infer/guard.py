"""Stands between a judge and its model: says when the rule has to answer, and why."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from edge.infer.manifest import Manifest, ModelError, read_manifest
from edge.infer.session import Session

if TYPE_CHECKING:
    from edge.infer.session import Tensor

FIRST_PAUSE_S: Final = 60.0
LONGEST_PAUSE_S: Final = 3600.0

log = logging.getLogger(__name__)


class Guard:
    """One model, loaded late, left alone for a while whenever it fails.

    `hurry` false: an answer is never too late (replays must not depend on the machine's load).
    """

    def __init__(
        self,
        name: str,
        folder: Path,
        *,
        hurry: bool = True,
        open_session: Callable[[Path], Session] = Session,
    ) -> None:
        self.name = name
        self.session: Session | None = None
        self.why = "not loaded yet"
        self.failures = 0
        self._folder = folder
        self._hurry = hurry
        self._open = open_session
        self._asked_for = False
        self._retry_ns: int | None = 0  # None: a pause that begins when `ready` is asked next
        self._pause_s = FIRST_PAUSE_S
        self.manifest: Manifest | None
        try:
            self.manifest = read_manifest(folder)
        except ModelError as error:
            self.manifest, self.why = None, str(error)

    def load(self, now_ns: int | None = None) -> bool:
        """Load and prove the model; False, with `why`, when the rule has to go on answering.

        The first load may run in a thread of its own while `ready` is asked in another: until it
        is done the answer there is no, so nothing is loaded twice, and what `ready` leads to is
        whole. Without `now_ns` the pause after a failure begins when `ready` is asked next.
        """
        try:
            session = self._open(self._folder)
        except ModelError as error:
            self.session = None
            self.failed(now_ns, str(error))
            return False
        else:
            self._well()
            self.manifest, self.session = session.manifest, session
            return True
        finally:
            self._asked_for = True  # last of all: from here on `ready` may say yes, or load

    def ready(self, now_ns: int) -> bool:
        """May the model be asked now? After a pause it is, and what is not loaded is loaded."""
        if not self._asked_for:
            return False
        if self._retry_ns is None:
            self._pause(now_ns)
            return False
        if now_ns < self._retry_ns:
            return False
        return self.session is not None or self.load(now_ns)

    def ask(self, now_ns: int, feed: Mapping[str, Tensor]) -> tuple[list[Any], bool] | None:
        """(outputs, in time); None when it answered what cannot be. Only when `ready`."""
        assert self.session is not None
        try:
            answer = self.session.run(feed)
        except ModelError as error:
            self.failed(now_ns, str(error))
            return None
        if self._hurry and self.session.took_ms > self.session.manifest.budget_ms:
            self.failed(now_ns, f"late: {self.session.took_ms:.0f} ms")
            return answer, False
        self._well()
        return answer, True

    def failed(self, now_ns: int | None, why: str) -> None:
        """Leave the model alone for a while, each time longer."""
        if not self.failures:
            log.warning("model %s: %s; its rule answers", self.name, why)
        self.failures += 1
        self.why = why
        self._retry_ns = None
        if now_ns is not None:
            self._pause(now_ns)

    def _pause(self, now_ns: int) -> None:
        self._retry_ns = now_ns + int(self._pause_s * 1e9)
        self._pause_s = min(2 * self._pause_s, LONGEST_PAUSE_S)

    def _well(self) -> None:
        if self.failures:
            log.info("model %s: answers again", self.name)
        self.failures, self.why, self._pause_s = 0, "", FIRST_PAUSE_S

    @property
    def sha256(self) -> str:
        """Of the model that this bundle holds; empty when there is none."""
        return self.manifest.sha256 if self.manifest else ""

    def status(self) -> dict[str, Any]:
        """For people: which model, whether it answers, and if not, why not."""
        known = self.manifest
        return {
            "model": f"{known.name} {known.version}" if known else None,
            "sha256": self.sha256[:12],
            "answers": "model" if self.session and not self.failures else "rule",
            "why": self.why,
            "ms": round(self.session.took_ms, 3) if self.session else None,
        }
