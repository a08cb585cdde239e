"""How a proposal gets from a technician's hand to the server, and its answer back.

A technician leaves it in the spool folder, where it is his word against nobody's: it is parsed
here, kept in the state folder, and sent with this box's certificate. Then the server is asked what
became of it: often at first, because somebody stands at the box, seldom later, and after a day not
at all: the daily look for a changed configuration finds the operator's answer, too.
"""

import logging
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Final

import msgspec

from edge.core.release import VERSION
from edge.durable.readfile import read_beginning
from edge.identity import est, siteconfig
from edge.identity.floorclock import FloorClock
from edge.identity.httpsclient import HttpsCall, ServerError
from edge.identity.identitybundle import EnrolmentTarget, IdentityBundle
from edge.identity.proposal import (
    PROPOSAL_LIMIT,
    PROPOSAL_NAME,
    ConfigReport,
    Proposal,
    ProposalError,
    encode_proposal,
    parse_proposal,
)
from edge.identity.runfiles import (
    BOX_NAME,
    PROGRESS_NAME,
    BoxNames,
    ProposalProgress,
    write_run_file,
)
from edge.identity.siteconfig import SignedConfig
from edge.identity.statefolder import PROPOSAL, PROPOSAL_ANSWER, SITE, StateFolder

LOG: Final = logging.getLogger(__name__)
# (until it has waited so long, ask each so many seconds): within a minute in the first hour
ASKING: Final = ((600.0, 20.0), (3600.0, 45.0), (86_400.0, 600.0))
SPOOL_LOOK_S: Final = 2.0
COUNTED_S: Final = 600.0  # the time waited is written so often
AGAIN_HINT: Final = "change it and send it again: `kerbstone propose FILE`"
LATE_TEXT: Final = "not answered within a day: what is signed later comes within a day"
SERVER_TOO_OLD: Final = 404


class WaitingProposal(msgspec.Struct, frozen=True):
    """In the state folder. `waited_s`: over all starts, while the box had power."""

    proposal: Proposal
    sent: bool = False
    waited_s: Annotated[float, msgspec.Meta(ge=0)] = 0.0


@dataclass
class ProposalCourier:
    """Works under the lock of the state folder, but for `wait`."""

    store: StateFolder
    watch: FloorClock
    call: HttpsCall
    spool: Path | None = None
    folder: Path | None = None  # in /run, see runfiles
    why_unusable: Callable[[str], str] = lambda config: ""  # see configtrial
    _trouble: str = ""
    _stuck: bool = False  # the spool cannot be emptied: what lies there ends no wait
    _tried: tuple[int, str] = (0, "")  # the number that was tried last, and why it cannot be used

    def __post_init__(self) -> None:
        self._counted_s = self.watch.mono_s()  # when `waited_s` was written

    def name_box(self, bundle: IdentityBundle) -> None:
        """Tell who is not root whose site file to write, and what the daemon cannot know."""
        target, configured = bundle.target, self.store.get(SITE) is not None
        refused = siteconfig.refused_config(self.store)
        why = "" if refused is None else f"number {refused.serial}: {refused.error}"
        names = BoxNames(
            target.site, target.gateway, target.broker, configured, role=target.role, refused=why
        )
        write_run_file(self.folder, BOX_NAME, msgspec.json.encode(names))

    def take(self) -> None:
        """What lies in the spool replaces what was here. What is no proposal is thrown away.

        It is kept before it is removed: who is killed in between finds it once more.
        """
        if self.spool is None:
            return
        path = self.spool / PROPOSAL_NAME
        try:
            new = parse_proposal(read_beginning(path, PROPOSAL_LIMIT + 1, links=False))
        except FileNotFoundError:
            return
        except (OSError, ProposalError) as error:
            LOG.warning("%s is thrown away: %s", path, est.one_line(str(error)))
            self._remove(path)
            return
        held = self.waiting()
        if held is None or held.proposal != new:
            self.store.remove(PROPOSAL_ANSWER)
            self._keep(WaitingProposal(new))
            self._trouble = ""
            self._say(new.id, "taken")
        self._remove(path)

    def _remove(self, path: Path) -> None:
        try:
            if path.is_dir() and not path.is_symlink():
                path.rmdir()
            else:
                path.unlink()
        except OSError as error:
            self._stuck = True
            LOG.warning("%s cannot be removed: %s; nobody looks there", path, error.strerror)

    def waiting(self) -> WaitingProposal | None:
        """The one that has no answer yet."""
        try:
            return msgspec.json.decode(self.store.get(PROPOSAL) or b"", type=WaitingProposal)
        except (OSError, ValueError):  # a MsgspecError is one
            return None

    def look(self, bundle: IdentityBundle) -> bool:
        """Send it, or ask what became of it. True: the operator has signed a configuration."""
        held = self.waiting()
        if held is None:
            return False
        self._trouble = ""
        if held.waited_s + self._since_s() >= ASKING[-1][0]:
            self._end("late", LATE_TEXT)
            return False
        try:
            if held.sent:
                found = est.est_proposal(self.call, self.watch, bundle)
            else:
                message = encode_proposal(held.proposal)
                found = est.est_propose(self.call, self.watch, bundle, message)
        except ServerError as error:
            self._trouble = est.one_line(str(error))
            self._say(held.proposal.id, "sent" if held.sent else "taken")
            return False
        if isinstance(found, est.EstDenied):
            self._end("refused", _denied(found))
            return False
        if found.id != held.proposal.id:  # the server has lost it: once more
            self._keep(self._counted(held, sent=False))
            return False
        if found.state == "refused":
            self._end("refused", f"the operator refuses it: {est.one_line(found.reason)}")
            return False
        if not held.sent:
            self._keep(self._counted(held, sent=True))
        self._say(held.proposal.id, "sent")
        return found.state == "signed"

    def answered(self, target: EnrolmentTarget) -> None:
        """A configuration has come: whatever was proposed has its answer."""
        held, found = self.waiting(), siteconfig.held_config(self.store, target)
        self.store.remove(PROPOSAL_ANSWER)
        if held is None or found is None:
            return
        changed = (
            "as it was proposed"
            if found.config == held.proposal.text
            else "changed by the operator"
        )
        self.store.remove(PROPOSAL)
        text = f"signed: configuration number {found.serial}, {changed}"
        self._show(ProposalProgress(held.proposal.id, "signed", text))

    def trial(self, bundle: IdentityBundle) -> Callable[[SignedConfig], str]:
        """Says why this box cannot use a configuration; the operator is told, once."""

        def tried(found: SignedConfig) -> str:
            if self._tried[0] != found.serial:
                self._tried = found.serial, self.why_unusable(found.config)
                if self._tried[1]:
                    self.report(bundle, found.serial, self._tried[1])
            return self._tried[1]

        return tried

    def report(self, bundle: IdentityBundle, serial: int, why: str) -> None:
        """Tell the operator why a configuration of his does not run here."""
        report = ConfigReport(serial=serial, error=why, version=VERSION)
        try:
            est.est_report(self.call, self.watch, bundle, report)
        except ServerError as error:
            LOG.warning("the operator is not told: %s", est.one_line(str(error)))

    def wait_s(self) -> float | None:
        """How long to wait before the next look; None when nothing waits."""
        held = self.waiting()
        if held is None:
            return None
        waited_s = held.waited_s + self._since_s()
        return next((each_s for until_s, each_s in ASKING if waited_s < until_s), ASKING[-1][1])

    def attended(self) -> bool:
        """Whether somebody may stand at the box: it was sent within the hour."""
        held = self.waiting()
        return held is not None and held.waited_s + self._since_s() < ASKING[1][0]

    def wait(self, seconds: float) -> None:
        """Until then, or until somebody leaves a proposal. No lock is needed."""
        if self.spool is None or self._stuck:
            self.watch.wait(seconds)
            return
        end_s = self.watch.mono_s() + seconds
        while not (self.spool / PROPOSAL_NAME).exists():
            left_s = end_s - self.watch.mono_s()
            if left_s < 0.001:
                return
            self.watch.wait(min(SPOOL_LOOK_S, left_s))

    def count(self, missed_s: float = 0.0) -> None:
        """Write how long it has waited, so that a start does not begin the hour again.

        `missed_s`: while no process of ours was there to count.
        """
        held, since_s = self.waiting(), self._since_s() + missed_s
        if held is not None and since_s >= COUNTED_S:
            self._keep(msgspec.structs.replace(held, waited_s=held.waited_s + since_s))

    def text(self) -> str:
        """A line for people; "" when there is nothing to say."""
        held = self.waiting()
        if held is None:
            answer = self.store.get(PROPOSAL_ANSWER)
            return est.one_line((answer or b"").decode("utf-8", "replace"))
        said = "sent, waits for the operator's signature" if held.sent else "not sent yet"
        return f"{said} ({self._trouble})" if self._trouble else said

    def _since_s(self) -> float:
        return self.watch.mono_s() - self._counted_s

    def _counted(self, held: WaitingProposal, *, sent: bool) -> WaitingProposal:
        waited_s = held.waited_s + self._since_s()
        return msgspec.structs.replace(held, sent=sent, waited_s=waited_s)

    def _keep(self, held: WaitingProposal) -> None:
        self.store.put(PROPOSAL, msgspec.json.encode(held))
        self._counted_s = self.watch.mono_s()

    def _say(self, name: str, state: str) -> None:
        self._show(ProposalProgress(name, state, self.text()))

    def _show(self, progress: ProposalProgress) -> None:
        write_run_file(self.folder, PROGRESS_NAME, msgspec.json.encode(progress))

    def _end(self, state: str, why: str) -> None:
        """It has an answer that is no configuration: people see it until there is a newer one."""
        held = self.waiting()
        text = f"{why}; {AGAIN_HINT}"
        self.store.put(PROPOSAL_ANSWER, text.encode())
        self.store.remove(PROPOSAL)
        if held is not None:
            self._show(ProposalProgress(held.proposal.id, state, text))


def _denied(found: est.EstDenied) -> str:
    if found.status == SERVER_TOO_OLD:
        return (
            "the enrolment server takes no proposals (an older version): "
            "give the file to the operator in another way"
        )
    return f"the enrolment server refuses it ({found.status}): {found.text}"
