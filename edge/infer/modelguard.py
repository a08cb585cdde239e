"""Stands between a judge and its model: says when the rule has to answer, and why.

When a model fails again and again, and a previous one lies beside it, the guard goes back to that
one; it must prove itself as any other, and begins with a state of its own.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from edge.infer.bundlemanifest import BundleManifest, ModelError, ModelInputError, read_manifest
from edge.infer.drift import DriftMonitor
from edge.infer.modelsession import ModelSession
from edge.wire.contract.models import Model

if TYPE_CHECKING:
    from edge.infer.modelsession import Tensor

FIRST_PAUSE_S: Final = 60.0
LONGEST_PAUSE_S: Final = 3600.0
PREVIOUS_SUFFIX: Final = ".previous"
FAILURES_LIMIT: Final = 3  # failures in a row after which a model makes room for the previous one

log = logging.getLogger(__name__)


class ModelGuard:
    """One model, loaded late, left alone for a while whenever it fails.

    `folder` None: the site has switched the model off, and its rule answers for good.
    `hurry` false: an answer is never too late (replays must not depend on the machine's load).
    `lineage` grows whenever another model speaks than before: a judge then drops the state that it
    holds for the model, whose rows mean nothing to the next one.
    """

    def __init__(
        self,
        name: str,
        folder: Path | None,
        *,
        hurry: bool = True,
        open_session: Callable[[Path], ModelSession] = ModelSession,
    ) -> None:
        self.name = name
        self.switched_off = folder is None
        self.session: ModelSession | None = None
        self.why = "not loaded yet"
        self.failures = 0
        self.lineage = 0
        self.refused = 0  # feeds that were not given to the model, in a row
        self.drift: DriftMonitor | None = None
        # the live one, and the previous one
        self._bundles: list[Path] = [] if folder is None else [folder]
        self._at = 0  # which of them speaks
        self._given_up = ""  # which one failed for good, and why
        self._saved: Mapping[str, Any] | None = None  # of drift, until a model is there
        self._hurry = hurry
        self._open = open_session
        self._asked_for = False
        self._retry_ns: int | None = 0  # None: a pause that begins when `is_ready` is asked next
        self._pause_s = FIRST_PAUSE_S
        self.manifest: BundleManifest | None = None
        if folder is None:
            return
        try:
            self.manifest = read_manifest(folder)
        except ModelError as error:
            self.why = str(error)
        former = previous_bundle(folder)
        if former is not None:
            self._bundles.append(former)

    def load(self, now_ns: int | None = None) -> bool:
        """Load and prove the model; False, with `why`, when the rule has to go on answering.

        The first load may run in a thread of its own while `is_ready` is asked in another: until it
        is done the answer there is no, so nothing is loaded twice, and what `is_ready` leads to is
        whole. Without `now_ns` the pause after a failure begins when `is_ready` is asked next.
        A model that does not load makes room for the previous one at once.
        """
        if self.switched_off:
            return False
        try:
            why = self._load()
            if why and self._next(why):
                why = self._load()
            if why:
                self.failed(now_ns, why)
            return not why
        finally:
            self._asked_for = True  # last of all: from here on `is_ready` may say yes, or load

    def _load(self) -> str:
        try:
            session = self._open(self._bundles[self._at])
        except ModelError as error:
            self.session = None
            return str(error)
        self._mark_sound()
        drift = DriftMonitor(session.manifest) if session.manifest.reference else None
        same = self.manifest is not None and self.manifest.sha256 == session.manifest.sha256
        if drift is not None and same:
            drift = self._remembering(drift)
        self.drift = drift
        self.lineage += not same
        self.manifest, self.session = session.manifest, session
        return ""

    def _remembering(self, drift: DriftMonitor) -> DriftMonitor:
        saved, self._saved = self._saved, None
        if saved is None:
            return self.drift or drift
        try:
            drift.restore(saved)
        except (KeyError, TypeError, ValueError) as error:
            log.warning("model %s: what was seen of its inputs is lost: %r", self.name, error)
        return drift

    def _next(self, why: str) -> bool:
        """Turn to the other bundle, if there is one."""
        if len(self._bundles) == 1:
            return False
        which = self.manifest.by if self.manifest and not self._at else f"model {self.name}"
        other = "model itself" if self._at else "previous model"
        self._given_up = f"{which}: {why}"
        if self.session is not None or not self.failures:
            log.warning("%s: %s; the %s is tried", which, why, other)
        self._at = 1 - self._at
        self.session = None
        return True

    def is_ready(self, now_ns: int) -> bool:
        """May the model be asked now? After a pause it is, and what is not loaded is loaded."""
        if not self._asked_for:
            return False
        if self._retry_ns is None:
            self._pause(now_ns)
            return False
        if now_ns < self._retry_ns:
            return False
        return self.session is not None or self.load(now_ns)

    def ask(self, now_ns: int, inputs: Mapping[str, Tensor]) -> tuple[list[Any], bool] | None:
        """(outputs, in time); None when it answered what cannot be. Only when `is_ready`."""
        assert self.session is not None
        try:
            answer = self.session.run(inputs)
        except ModelInputError as error:
            self._refuse(str(error))
            return None
        except ModelError as error:
            self.failed(now_ns, str(error))
            return None
        if self._hurry and self.session.took_ms > self.session.manifest.budget_ms:
            self.failed(now_ns, f"late: {self.session.took_ms:.0f} ms")
            # where another model takes over, this one's answer and state are of no use
            return None if self.session is None else (answer, False)
        self._mark_sound()
        if self.drift is not None:
            self.drift.see(now_ns, inputs, answer)
        return answer, True

    def _refuse(self, why: str) -> None:
        """A fault of ours, not of the model: the rule answers this time, the next may be well."""
        if not self.refused:
            log.error("%s; its rule answers", why)
        self.refused += 1
        self.why = why

    def failed(self, now_ns: int | None, why: str) -> None:
        """Leave the model alone for a while, each time longer."""
        if not self.failures:
            log.warning("model %s: %s; its rule answers", self.name, why)
        self.failures += 1
        self.why = why
        self._retry_ns = None
        if now_ns is not None:
            self._pause(now_ns)
        if self.failures >= FAILURES_LIMIT and self.session is not None and self._next(why):
            self._retry_ns, self._pause_s = 0, FIRST_PAUSE_S

    def _pause(self, now_ns: int) -> None:
        self._retry_ns = now_ns + int(self._pause_s * 1e9)
        self._pause_s = min(2 * self._pause_s, LONGEST_PAUSE_S)

    def _mark_sound(self) -> None:
        if self.failures or self.refused:
            log.info("model %s: answers again", self.name)
        self.failures = self.refused = 0
        self.why, self._pause_s = "", FIRST_PAUSE_S

    @property
    def sha256(self) -> str:
        """Of the model that this bundle holds; empty when there is none."""
        return self.manifest.sha256 if self.manifest else ""

    @property
    def answering(self) -> str:
        """The checksum of the model that answers; empty while its rule does."""
        answers = self.session is not None and not self.failures and not self.refused
        return self.sha256 if answers else ""

    def snapshot(self) -> dict[str, object] | None:
        """What was seen of inputs and answers, with the model's checksum; None for nothing."""
        if self.drift is None:  # what waits for its model is not lost
            return {"model": self.sha256, "drift": dict(self._saved)} if self._saved else None
        return {"model": self.sha256, "drift": self.drift.snapshot()}

    def restore(self, saved: Mapping[str, Any]) -> None:
        """Take up a snapshot, before or after `load`; what is of another model is left out.

        Raises KeyError, TypeError or ValueError for what is not a snapshot.
        """
        if saved["model"] != self.sha256:
            return
        if self.drift is not None:
            self.drift.restore(saved["drift"])
        else:
            self._saved = dict(saved["drift"])

    def status(self) -> Model:
        """For people: which model, whether it answers, and if not, why not.

        `instead` says which model made room for this one, and why; it is empty otherwise.
        """
        known, session = self.manifest, self.session
        grew_mb = session.grew_mb if session else None
        return Model(
            model=f"{known.name} {known.version}" if known else None,
            sha256=self.sha256[:12],
            answers="model" if self.answering else "rule",
            why=self.why,
            instead=self._given_up if self._at else "",
            ms=round(session.took_ms, 3) if session else None,
            mb=None if grew_mb is None else round(grew_mb, 1),
            drift=self.drift.measured() if self.drift else None,
        )


def previous_bundle(folder: Path) -> Path | None:
    """The bundle that answered before this one, to go back to when this one fails; None for none.

    Beside `NAME/` may lie `NAME.previous/`: the bundle as it was before an update, whole.
    """
    beside = folder.with_name(folder.name + PREVIOUS_SUFFIX)
    return beside if (beside / "manifest.json").is_file() else None
