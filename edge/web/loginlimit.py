"""How often a secret may be tried: growing waits for each source, and for all sources together.

A phone that reaches the page through the socket proxy of an interface has no address here ("").
Such phones wait only as all sources do: as one source, a stranger would put the technician off for
minutes with each try. A try that comes too early costs nothing: it is answered without a look at
the secret. A wait of all is short, so that a stranger in the same network cannot keep a technician
out for long; with one look in ALL_MOST_S seconds, a secret of provisioning outlives the box.
"""

from collections import OrderedDict
from dataclasses import dataclass
from typing import Final

FREE: Final = 4  # wrong tries of a source before it has to wait
FIRST_S: Final = 2.0  # then this, and twice as long after each other one
MOST_S: Final = 300.0
ALL_FREE: Final = 20  # wrong tries of all sources together
ALL_MOST_S: Final = 10.0
FORGET_S: Final = 1800.0  # without a wrong try, a source is new again
SOURCES: Final = 256  # the one whose last try is longest ago is forgotten


@dataclass(slots=True)
class _Tries:
    wrong: int = 0
    last_s: float = 0.0
    next_s: float = 0.0


class LoginLimit:
    """Counts wrong tries. Times are monotonic seconds."""

    def __init__(self) -> None:
        self._all = _Tries()
        self._sources: OrderedDict[str, _Tries] = OrderedDict()

    def __len__(self) -> int:
        return len(self._sources)

    def wait_s(self, source: str, now_s: float) -> float:
        """How long this source has to wait from now on; 0: it may try."""
        found = self._sources.get(source)
        mine = 0.0 if found is None else _left_s(found, now_s)
        return max(mine, _left_s(self._all, now_s))

    def begin(self, source: str, now_s: float) -> None:
        """A try begins: it counts as wrong until it is right, so that ten at once are ten."""
        if source:
            tries = self._sources.setdefault(source, _Tries())
            self._sources.move_to_end(source)
            while len(self._sources) > SOURCES:
                self._sources.popitem(last=False)
            _count(tries, now_s, FREE, MOST_S)
        _count(self._all, now_s, ALL_FREE, ALL_MOST_S)

    def right(self, source: str) -> None:
        """The try was right: the source is as new, and all have one wrong try less."""
        self._sources.pop(source, None)
        self._all.wrong = max(0, self._all.wrong - 1)
        self._all.next_s = 0.0


def _left_s(tries: _Tries, now_s: float) -> float:
    return 0.0 if now_s - tries.last_s >= FORGET_S else max(0.0, tries.next_s - now_s)


def _count(tries: _Tries, now_s: float, free: int, most_s: float) -> None:
    if now_s - tries.last_s >= FORGET_S:
        tries.wrong = 0
    tries.wrong += 1
    tries.last_s = now_s
    over = min(tries.wrong - free, 16)
    tries.next_s = now_s + min(most_s, FIRST_S * 2.0 ** (over - 1)) if over > 0 else now_s
