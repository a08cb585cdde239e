"""Whether work gets done: the watchdog is fed for that, and not for being alive.

Each owner of a part of the work says how long it may be silent, and reports each piece of work
when it is done. One owner that hangs is enough to let systemd start the process again.

| owner | what is a piece of work | may be silent for |
|---|---|---|
| `bus-NAME`, polled | one device was asked, or one command was served | 90 s or more (1) |
| `bus-NAME`, GPIO | its loop turned, as it does four times a second | 90 s (1) |
| `committer` | a commit is on the card, fsync and all | 2 periods and 60 s |
| `sender` | its loop turned, connected or not; each attempt to connect has an end | 120 s |

(1) `edge.gateway.busworker.hang_timeout_s`. Then the bus is abandoned and tried anew once
(`edge.gateway.busworkers`), so the watchdog grants it GRACE_S more. The two others are expected by
`edge.gateway.daemon`; its main loop waits for each commit, so one that hangs in the writer's thread
stops the feeding at once.

The main loop is no owner: it is the one who looks, and feeds. When it hangs itself, nobody feeds.
"""

from dataclasses import dataclass
from typing import Final

LATE_S: Final = 10.0  # twice the pause between two looks of the daemon


@dataclass(slots=True)
class _Owner:
    silence_ns: int
    since_ns: int
    done_ns: int


class Progress:
    """Who did something, and when. `done` may be called from any thread.

    All times are monotonic ns, of one clock. Time in which nobody looked is nobody's silence: a
    process that was stopped, or starved with all of its threads, has no hung owners when it goes
    on. `late_s` is how long a pause between two looks may be before it is taken for that.
    """

    def __init__(self, late_s: float | None = None) -> None:
        self._owners: dict[str, _Owner] = {}
        self._late_ns = int((LATE_S if late_s is None else late_s) * 1e9)
        self._looked_ns: int | None = None

    def expect(self, owner: str, silence_s: float, now_ns: int) -> None:
        """From now on this owner may be silent for `silence_s` at most."""
        self._owners[owner] = _Owner(int(silence_s * 1e9), now_ns, now_ns)

    def forget(self, owner: str) -> None:
        """This owner has no work any more."""
        self._owners.pop(owner, None)

    def done(self, owner: str, now_ns: int) -> None:
        """A piece of work is done. An owner that nobody expects any more is ignored."""
        found = self._owners.get(owner)
        if found is not None:
            found.done_ns = max(found.done_ns, now_ns)

    def look(self, now_ns: int) -> int:
        """Somebody looks, as regularly as the main loop can: how long nobody did, if too long."""
        before, self._looked_ns = self._looked_ns, now_ns
        stood_ns = 0 if before is None else now_ns - before
        if stood_ns <= self._late_ns:
            return 0
        for owner in list(self._owners.values()):
            idle = owner.done_ns == owner.since_ns
            owner.done_ns = min(owner.done_ns + stood_ns, now_ns)
            owner.since_ns = owner.done_ns if idle else owner.since_ns
        return stood_ns

    def healthy(self, now_ns: int) -> tuple[bool, str]:
        """Whether all owners make progress; if not, which do not, and since when."""
        self.look(now_ns)
        late = [
            f"{name} has done nothing for {(now_ns - owner.done_ns) / 1e9:.0f} s"
            for name, owner in list(self._owners.items())
            if now_ns - owner.done_ns > owner.silence_ns
        ]
        return not late, "; ".join(late)

    def silent_ns(self, owner: str, now_ns: int) -> int:
        """For how long it has reported nothing; 0 for one that nobody expects."""
        found = self._owners.get(owner)
        return 0 if found is None else now_ns - found.done_ns

    def worked(self) -> bool:
        """Whether there are owners, and each has done something since it was expected."""
        owners = list(self._owners.values())
        return bool(owners) and all(owner.done_ns > owner.since_ns for owner in owners)
