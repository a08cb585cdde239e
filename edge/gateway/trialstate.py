"""What the daemon remembers of configurations that were changed as a transaction: one small file.

`config_trial` in the state folder belongs to the daemon. A site file is known by the SHA-256 of its
bytes, and is one of four: *unknown* (whoever edits a file by hand has no transaction), on *trial*,
*confirmed* (its bytes are `last_good.toml`) or *rejected*. A step is one replacement of the file:
after a kill or a power cut at any moment it is the step before or the step after.

    unknown --open--> trial --confirm--> confirmed
                        +----reject----> rejected --open (a person, or it was not to blame)--> trial
                        +----leave-----> unknown: another file was put in its place

A process that is killed in its trial has left `running`; the next start in the same boot takes that
for a bad start: a process that filled the memory, or hung until the watchdog came, cannot say so.
After a power cut nothing is known, so the trial goes on; three of them are enough.

What somebody relies on afterwards (that a file is on trial, that a person has confirmed it, that it
is good) did not happen while the card takes nothing: a restart would not know it.
"""

import logging
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Final, Literal

import msgspec

from edge.core import ConfigError
from edge.core.printable import printable
from edge.core.release import VERSION
from edge.durable.atomicwrite import replace_file
from edge.durable.checkedline import add_checksum, remove_checksum
from edge.durable.readfile import read_beginning
from edge.identity.configspool import CONFIRM_LIMIT_S

LOG: Final = logging.getLogger("kerbstone")

TRIAL_NAME: Final = "config_trial"
TRIAL_LIMIT: Final = 256 << 10  # bytes: a site of 128 KiB has no more names than this
REJECTED_KEPT: Final = 8  # files that are known to have failed; more are a person's experiments
NAMES_KEPT: Final = 500
INTERRUPTED_LIMIT: Final = 3  # power cuts within one trial
TEXT_LIMIT: Final = 300  # characters of a reason
KILLED_TEXT: Final = (
    "the process that ran with it was killed, or ended with an error, in its trial (the memory, "
    "the watchdog or a fault: `journalctl -u kerbstone` says which)"
)
CUT_TEXT: Final = "the power went, or the board was reset, {} times in its trial"
LEFT_TEXT: Final = (
    "the trial of the file {:.12} is over without a verdict: another site file was put in its place"
)

NOT_KEPT_TEXT: Final = "how its trial goes cannot be kept on the card ({})"

TrialReason = Literal["deaf", "blind", "bad_start", "refused", "unconfirmed", "by_hand"]
"""Why a configuration was rolled back. deaf: the broker cannot be reached, and the former one can.
blind: what was read before cannot be read. bad_start: the process did not come through its trial.
refused: the file cannot be used. unconfirmed: nobody confirmed it in time. by_hand: a person."""
AGAIN_REASONS: Final = frozenset({"bad_start", "refused"})
"""What a newer program may do better: then the file is tried once more."""

Digest = Annotated[str, msgspec.Meta(pattern=r"\A[0-9a-f]{64}\Z")]


class TrialNotKeptError(ConfigError):
    """The card takes nothing: the step did not happen."""


class WorkingParts(msgspec.Struct, frozen=True):
    """What could be read at one moment: devices that are polled, and lines that are open."""

    devices: tuple[str, ...] = ()
    lines: tuple[str, ...] = ()


class OpenTrial(msgspec.Struct, frozen=True, kw_only=True):
    """The configuration that is on trial. `since_ns`: monotonic, of `boot`; when it began there.

    `worked` is what the configuration before could read when it ended; `excused` of it could not
    be read by that one either, afterwards. `confirm_s` 0: nobody has to confirm it.
    """

    digest: Digest
    confirm_s: Annotated[int, msgspec.Meta(ge=0, le=CONFIRM_LIMIT_S)] = 0
    vouched: bool = False  # a person has confirmed it
    boot: str = ""
    since_ns: int = 0
    running: bool = False
    interrupted: int = 0
    worked: WorkingParts = WorkingParts()
    excused: tuple[str, ...] = ()


class RejectedConfig(msgspec.Struct, frozen=True, kw_only=True):
    """One that was rolled back. `blamed`: what it could not read, until the former one was seen to
    read it; then it is `final`."""

    digest: Digest
    reason: TrialReason
    text: str
    version: str = VERSION
    at_s: int = 0
    final: bool = True
    blamed: tuple[str, ...] = ()
    excused: tuple[str, ...] = ()
    trial: OpenTrial | None = None  # of one that is not final: what it has to be tried again with


class LeftTrial(msgspec.Struct, frozen=True, kw_only=True):
    """The trial of `digest` ended because the file with the digest `by` lies in its place."""

    digest: Digest
    by: Digest


class TrialState(msgspec.Struct, frozen=True, kw_only=True):
    """All of the file. `announced` is about to be put in place, or has been, and no start has seen
    it. `worked`: what the last good configuration could read when it ended."""

    v: Literal[1] = 1
    trial: OpenTrial | None = None
    left: LeftTrial | None = None
    applied: str = ""  # word of the last `edge.gateway.applymark` that was seen
    announced: OpenTrial | None = None
    rejected: tuple[RejectedConfig, ...] = ()  # the newest last
    worked: WorkingParts = WorkingParts()
    confirmed: str = ""
    confirmed_s: int = 0

    def packed(self) -> bytes:
        return f"{add_checksum(msgspec.json.encode(self).decode())}\n".encode()


def parse_trial_state(data: bytes) -> TrialState:
    """What was written; nothing when it is damaged: then a changed file is one edited by hand."""
    try:
        line = remove_checksum(data.decode().rstrip("\n"))
        return msgspec.json.decode(line, type=TrialState)
    except (ValueError, RecursionError):  # MsgspecError and UnicodeDecodeError are ValueErrors
        return TrialState()


@dataclass(frozen=True, slots=True)
class TrialMoment:
    """When something happens: `mono_ns` of `boot`, and the wall clock (0: not known)."""

    boot: str
    mono_ns: int
    wall_s: int = 0


class ConfigTrials:
    """The file and its steps. `folder` is the daemon's state folder; one process at a time."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / TRIAL_NAME
        self.state = TrialState()

    def read(self) -> TrialState:
        """As it lies there."""
        try:
            self.state = parse_trial_state(read_beginning(self._path, TRIAL_LIMIT))
        except OSError:
            self.state = TrialState()
        return self.state

    def on_trial(self, digest: str) -> OpenTrial | None:
        """Its trial, if it is this one's."""
        both = (self.state.trial, self.state.announced)
        return next((each for each in both if each is not None and each.digest == digest), None)

    def rejected(self, digest: str) -> RejectedConfig | None:
        """Why this one was rolled back; None: it was not, or a newer program may do better."""
        found = next((one for one in self.state.rejected if one.digest == digest), None)
        if found is not None and found.reason in AGAIN_REASONS and found.version != VERSION:
            return None
        return found

    def open(
        self,
        digest: str,
        worked: WorkingParts | None = None,
        *,
        confirm_s: int = 0,
        excused: tuple[str, ...] = (),
        applied: str = "",
    ) -> None:
        """The file with this digest is on trial from its next start on. `applied`: the word of the
        mark that says so. Raises TrialNotKeptError, as all steps that say so."""
        known = self.state.worked if worked is None else worked
        trial = OpenTrial(
            digest=digest, confirm_s=confirm_s, worked=_bounded(known), excused=excused
        )
        left = tuple(one for one in self.state.rejected if one.digest != digest)
        # a trial of it that somebody has left in the middle says nothing of this one
        state = self._without(digest)
        seen = applied or state.applied
        self._keep(msgspec.structs.replace(state, announced=trial, rejected=left, applied=seen))

    def renew(self, digest: str, confirm_s: int, mono_ns: int) -> None:
        """It is applied again while it runs on trial: what is said now counts, from now on. Raises
        TrialNotKeptError."""
        trial = self.on_trial(digest)
        if trial is not None:
            since_ns = max(1, mono_ns)
            self._keep(self._tried(msgspec.structs.replace(
                trial, confirm_s=confirm_s, vouched=False, since_ns=since_ns,
            )))  # fmt: skip

    def in_effect(self, digest: str, mono_ns: int) -> None:
        """The parts that it changes have begun anew: the time to confirm it begins."""
        trial = self.on_trial(digest)
        if trial is not None and trial.running:
            self._put(self._tried(msgspec.structs.replace(trial, since_ns=max(1, mono_ns))))

    def again(self, found: RejectedConfig, excused: tuple[str, ...]) -> None:
        """It is not to blame: on trial once more from its next start on, and what a person has
        said of it still holds. Raises TrialNotKeptError."""
        trial = found.trial or OpenTrial(digest=found.digest, worked=self.state.worked)
        self.open(found.digest, trial.worked, confirm_s=trial.confirm_s, excused=excused)
        if trial.vouched and self.state.announced is not None:
            announced = msgspec.structs.replace(self.state.announced, vouched=True)
            self._keep(msgspec.structs.replace(self.state, announced=announced))

    def begin(self, digest: str, now: TrialMoment) -> str:
        """It runs from now on. Why it must not, or "": then it was killed before, in this trial.
        Raises TrialNotKeptError: it must not either, for a start that it kills leaves no trace."""
        trial = self.on_trial(digest) or OpenTrial(digest=digest, worked=self.state.worked)
        interrupted = trial.interrupted
        if trial.running and trial.boot == now.boot:
            self._keep(self.state)  # a card that takes nothing may have kept no end in order
            return KILLED_TEXT
        if trial.running:
            interrupted += 1
            if interrupted >= INTERRUPTED_LIMIT:
                return CUT_TEXT.format(interrupted)
        same = trial.boot == now.boot and trial.since_ns > 0
        self._keep(self._tried(msgspec.structs.replace(
            trial, running=True, boot=now.boot, interrupted=interrupted,
            since_ns=trial.since_ns if same else max(1, now.mono_ns),
        )))  # fmt: skip
        return ""

    def leave(self, digest: str) -> bool:
        """The file with this digest lies there, and is to be used without a trial: that of another
        one is over. Nothing speaks against that one. False: there was none."""
        trial = self.state.trial
        if trial is None or self.on_trial(digest) is not None:
            return False
        left = LeftTrial(digest=trial.digest, by=digest)
        self._put(msgspec.structs.replace(self.state, trial=None, left=left))
        return True

    def left_text(self, digest: str) -> str:
        """For people: which trial has ended for the file with this digest; "" for none."""
        left = self.state.left
        return "" if left is None or left.by != digest else LEFT_TEXT.format(left.digest)

    def pause(self, worked: WorkingParts | None) -> bool:
        """The process ends in order; False where that is not kept: it will look like a kill.
        `worked`: of the last good one, which it ran with."""
        trial, state = self.state.trial, self.state
        if trial is not None and trial.running:
            trial = msgspec.structs.replace(trial, running=False)
        if worked is not None:
            state = msgspec.structs.replace(state, worked=_bounded(worked))
        new = msgspec.structs.replace(state, trial=trial)
        if new == self.state:
            return True
        try:
            self._keep(new)
        except TrialNotKeptError as error:
            LOG.warning("%s", error)
            return False
        return True

    def vouch(self, digest: str) -> bool:
        """A person has confirmed it. False when it is not on trial. Raises TrialNotKeptError."""
        trial = self.on_trial(digest)
        if trial is None or trial is not self.state.trial:
            return False
        self._keep(self._tried(msgspec.structs.replace(trial, vouched=True)))
        return True

    def confirm(self, digest: str, wall_s: int) -> None:
        """Its trial is over, and it is the last good one. Raises TrialNotKeptError."""
        self._keep(
            msgspec.structs.replace(self._without(digest), confirmed=digest, confirmed_s=wall_s)
        )

    def reject(
        self,
        digest: str,
        reason: TrialReason,
        text: str,
        wall_s: int,
        blamed: tuple[str, ...] = (),
    ) -> RejectedConfig:
        """It is rolled back. With `blamed` it is not final: they may fail under any one."""
        trial = self.on_trial(digest)
        found = RejectedConfig(
            digest=digest, reason=reason, text=printable(text, TEXT_LIMIT), at_s=wall_s,
            final=not blamed, blamed=blamed, excused=() if trial is None else trial.excused,
            trial=trial if blamed else None,
        )  # fmt: skip
        others = tuple(one for one in self.state.rejected if one.digest != digest)
        kept = (*others, found)[-REJECTED_KEPT:]
        self._put(msgspec.structs.replace(self._without(digest), rejected=kept))
        return found

    def forget_others(self, digest: str) -> None:
        """Whatever was rolled back before the file with this digest came may come again."""
        kept = tuple(one for one in self.state.rejected if one.digest == digest)
        if kept != self.state.rejected:
            self._put(msgspec.structs.replace(self.state, rejected=kept))

    def settle(self, digest: str) -> None:
        """What it was blamed for works now under the former one: it stays rejected."""
        self._put(
            msgspec.structs.replace(
                self.state,
                rejected=tuple(
                    msgspec.structs.replace(one, final=True, trial=None)
                    if one.digest == digest
                    else one
                    for one in self.state.rejected
                ),
            )
        )

    def _tried(self, trial: OpenTrial) -> TrialState:
        """The state in which this trial is the one that runs."""
        return msgspec.structs.replace(self._without(trial.digest), trial=trial)

    def _without(self, digest: str) -> TrialState:
        """The state in which nothing with this digest is on trial."""
        one, other = self.state.trial, self.state.announced
        return msgspec.structs.replace(
            self.state,
            trial=None if one is not None and one.digest == digest else one,
            announced=None if other is not None and other.digest == digest else other,
        )

    def _put(self, state: TrialState) -> None:
        """A disk that is ill keeps the former step, and the process goes on with the new one."""
        try:
            self._keep(state)
        except TrialNotKeptError as error:
            LOG.warning("%s", error)
            self.state = state

    def _keep(self, state: TrialState) -> None:
        """It counts once it is on the card. Raises TrialNotKeptError."""
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            replace_file(self._path, state.packed())
        except OSError as error:
            why = f"{self._path}: {error.strerror}"
            raise TrialNotKeptError(NOT_KEPT_TEXT.format(why)) from error
        self.state = state


def _bounded(found: WorkingParts) -> WorkingParts:
    return WorkingParts(found.devices[:NAMES_KEPT], found.lines[:NAMES_KEPT])
