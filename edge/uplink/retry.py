"""When to try again: how long to wait before the next connection."""

import random
from typing import Final

LONGEST_S: Final = 30.0
REFUSED_S: Final = 300.0

# The broker asks us to stay away: server unavailable, busy, quota exceeded, connection rate
# exceeded, use another server, server moved.
STAY_AWAY: Final = frozenset({0x88, 0x89, 0x97, 0x9F, 0x9C, 0x9D})


class Backoff:
    """Full jitter: a fleet that lost its broker at one moment does not come back at one moment."""

    def __init__(self, rng: random.Random) -> None:
        self._rng = rng
        self._failed = 0

    def connected(self) -> None:
        """The next loss is a first one again."""
        self._failed = 0

    def wait_s(self, code: int | None = None) -> float:
        """Seconds until the next attempt, after a loss or a refusal with a CONNACK `code`."""
        if code in STAY_AWAY:
            return REFUSED_S
        longest = min(LONGEST_S, 2.0 ** min(self._failed, 10))
        self._failed += 1
        return self._rng.uniform(0.0, longest)
