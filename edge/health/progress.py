"""Whether work gets done: the watchdog is fed for that, and not for being alive.

Each owner of a part of the work (a bus's thread, the store's writer, the sender) says how long it
may be silent, and reports each piece of work when it is done. One owner that hangs is enough to
let systemd start the process again.
"""

from dataclasses import dataclass


@dataclass(slots=True)
class _Owner:
    silence_ns: int
    done_ns: int


class Progress:
    """Who did something, and when. `done` may be called from any thread.

    All times are monotonic ns, of one clock.
    """

    def __init__(self) -> None:
        self._owners: dict[str, _Owner] = {}

    def expect(self, owner: str, silence_s: float, now_ns: int) -> None:
        """From now on this owner may be silent for `silence_s` at most."""
        self._owners[owner] = _Owner(int(silence_s * 1e9), now_ns)

    def done(self, owner: str, now_ns: int) -> None:
        """A piece of work is done. An owner that nobody expects any more is ignored."""
        found = self._owners.get(owner)
        if found is not None:
            found.done_ns = max(found.done_ns, now_ns)

    def healthy(self, now_ns: int) -> tuple[bool, str]:
        """Whether all owners make progress; if not, which do not, and since when."""
        late = [
            f"{name} has done nothing for {(now_ns - owner.done_ns) / 1e9:.0f} s"
            for name, owner in list(self._owners.items())
            if now_ns - owner.done_ns > owner.silence_ns
        ]
        return not late, "; ".join(late)
