"""How a configuration and its trial stand, for people and programs: pure."""

from typing import Any, Final, Literal

from edge.core import Stamp
from edge.gateway.lastgood import LastGood, file_digest
from edge.gateway.trialjudge import TrialJudge
from edge.gateway.trialstate import OpenTrial

UNCONFIRMED_ISSUE: Final = "The changed configuration is rolled back unless it is confirmed in time"
HELD_ISSUE: Final = "The changed configuration stays on trial: {}"

ConfigState = Literal["none", "trial", "confirmed", "rolled_back"]


def confirm_left_s(trial: OpenTrial, now: Stamp) -> float | None:
    """Seconds until it is rolled back. None: nobody has to confirm it, or somebody has."""
    if not trial.confirm_s or trial.vouched:
        return None
    return trial.confirm_s - (now.mono_ns - trial.since_ns) / 1e9


def file_status(last: LastGood, trial: OpenTrial | None, *, good: bool) -> dict[str, Any]:
    """Which file runs, and why, as `edge.gateway.configverb` documents it. `good`: it has run
    well."""
    present, rejected = file_digest(last.present()), last.trials.rejected(last.digest)
    state: ConfigState = "confirmed" if good else "none"
    if last.fallback:
        state = "rolled_back"
    elif trial is not None:
        state = "trial"
    return {
        "file": str(last.file),
        "digest": present,
        "running": last.digest if not last.fallback else file_digest(last.good_bytes()),
        "changed": present != last.digest,
        "state": state,
        "reason": rejected.reason if rejected is not None and last.fallback else "",
    }


def trial_status(trial: OpenTrial, judge: TrialJudge | None, now: Stamp) -> dict[str, Any]:
    """How the trial goes; `judge` None: it has not been looked at yet."""
    return {
        "digest": trial.digest,
        "vouched": trial.vouched,
        "confirm_s": trial.confirm_s,
        "confirm_left_s": _rounded(confirm_left_s(trial, now)),
        "health_left_s": _rounded(None if judge is None else judge.left_s(now.mono_ns)),
        "held": "" if judge is None else judge.held,
    }


def trial_issue(trial: OpenTrial, judge: TrialJudge | None, now: Stamp) -> str:
    """For the list of issues: a trial that needs a person; "" for one that does not."""
    if confirm_left_s(trial, now) is not None:
        return UNCONFIRMED_ISSUE
    return HELD_ISSUE.format(judge.held) if judge is not None and judge.held else ""


def _rounded(seconds: float | None) -> float | None:
    return None if seconds is None else round(max(0.0, seconds), 1)
