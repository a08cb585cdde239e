"""What is told of a configuration's trial: to the city, to people, and to root.

The city gets an event, people an open issue and the status, root a line in `config-outcome` of the
run folder, by which the site file is put back (`edge.gateway.sitefile`) or the operator is told
(`edge.identity.renew`).
"""

from pathlib import Path
from typing import Final

from msgspec import UNSET, UnsetType

from edge.gateway.lastgood import LastGood
from edge.gateway.trialoutcome import forget_outcome, write_outcome
from edge.gateway.trialstate import RejectedConfig
from edge.gateway.trieddaemon import TriedDaemon, TriedGateway
from edge.wire.contract.boxevent import ConfigChange, ConfigReason, Configuration

PROBLEM_KIND: Final = "configuration"  # of the event, and the name of the problem
CONFIRMED_TEXT: Final = "the changed configuration has run well, and is the last good one now"


class TrialReports:
    """Of one process. `daemon` is there once it is watched; before it has a gateway the city is
    told nothing."""

    def __init__(self, last_good: LastGood) -> None:
        self._last_good = last_good
        self.daemon: TriedDaemon | None = None
        self._standing = ""  # what stands as a problem
        self._left = ""  # which trial has ended for another file

    def look(self, gateway: TriedGateway, left_text: str) -> None:
        """Loudly, once; and no longer than it is true. `left_text`: the trial of another file is
        over. That is told by each process until this file has run well: a kill may have come
        before the event."""
        text = self._last_good.fallback
        if text != self._standing:
            self._tell_standing(gateway, text)
            self._standing = text
        left = self._last_good.trials.state.left
        if left is not None and left_text and left_text != self._left:
            event = Configuration(text=left_text, outcome="replaced", digest=left.digest[:12])
            gateway.report(event)
        self._left = left_text

    def _tell_standing(self, gateway: TriedGateway, text: str) -> None:
        found = self._last_good.trials.rejected(self._last_good.digest)
        if not text:
            gateway.withdraw(PROBLEM_KIND)
        elif found is None:  # a file that was edited by hand
            gateway.announce(PROBLEM_KIND, text)
        else:
            gateway.note(PROBLEM_KIND, text)
            self.city("rolled_back", text, found.reason)
            if found.final:
                self.rejected(found)

    def confirmed(self) -> None:
        """The changed configuration is the last good one now."""
        self.city("confirmed", CONFIRMED_TEXT)
        write_outcome(self._run_dir, self._last_good.digest, "confirmed", CONFIRMED_TEXT)

    def rejected(self, found: RejectedConfig) -> None:
        """For root: put the former file back."""
        write_outcome(self._run_dir, found.digest, "rolled_back", found.text, found.reason)

    def forget(self, digest: str) -> None:
        """For root: this file is about to have another trial."""
        forget_outcome(self._run_dir, digest)

    def city(
        self, outcome: ConfigChange, text: str, reason: ConfigReason | UnsetType = UNSET
    ) -> None:
        """An event."""
        gateway = None if self.daemon is None else self.daemon.gateway
        if gateway is not None:
            digest = self._last_good.digest[:12]
            gateway.report(Configuration(text=text, outcome=outcome, reason=reason, digest=digest))

    @property
    def _run_dir(self) -> Path:
        assert self.daemon is not None
        return Path(self.daemon.site.store.run_dir)
