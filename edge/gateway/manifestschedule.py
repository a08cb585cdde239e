"""When manifests are due, and what of them is kept over a restart."""

import logging
from collections.abc import Sequence
from typing import Final

from edge.core import Draft, Stamp, StoredState
from edge.outbox import Epoch, StoredRecord
from edge.uplink.manifests import VERSION, Manifests, Sign
from edge.uplink.timestamps import UsedMoments
from edge.wire.keptstate import unpack_state

LOG: Final = logging.getLogger("kerbstone")


class ManifestSchedule:
    """The manifests of one start. `every_s` is how long a segment stays open."""

    def __init__(self, every_s: float, sign: Sign | None, now: Stamp) -> None:
        self.manifests = Manifests(sign)
        self._every_ns = int(every_s * 1e9)
        self._ended_ns = now.mono_ns

    def begin(
        self,
        epoch: Epoch,
        state: StoredState | None,
        leftovers: Sequence[StoredRecord],
        used: UsedMoments,
        now: Stamp,
    ) -> list[Draft]:
        """What the former process had sealed, and what it had handed over and not sealed: dated by
        one of the moments that were `used` for its boot.

        The opening manifest names the former epoch.
        """
        try:
            if (kept := unpack_state(state, VERSION)) is not None:
                self.manifests.restore(kept)
        except ValueError as error:
            LOG.warning("the state of the manifests cannot be read: %s", error)
        for stored in leftovers:
            self.manifests.handed(stored.record, *used.former(stored.record.boot))
        former = epoch.succeeds
        if former is None:
            return []
        return [self.manifests.opening(epoch.epoch, former, now.mono_ns)]

    def due(self, now: Stamp, *, last: bool) -> list[Draft]:
        """At a window's end: the manifests whose time has come. They are to be committed."""
        all_ = last or now.mono_ns - self._ended_ns >= self._every_ns
        if all_:
            self._ended_ns = now.mono_ns
        return self.manifests.due(now.mono_ns, all_=all_)
