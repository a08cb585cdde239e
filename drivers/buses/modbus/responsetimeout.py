"""How long to wait for which unit: a dead one must not cost its neighbours the line."""

from typing import Final

SHORTEST_S: Final = 0.1
FULL_EVERY: Final = 4  # of the attempts at a silent unit, one in so many waits in full


class ResponseTimeout:
    """Learns each unit's turnaround (request sent to first byte of the answer).

    A unit that was silent last time is waited for twice its learned turnaround, and not below
    0.1 s; each fourth attempt waits in full, since it may have been replaced by a slower one.
    """

    def __init__(self, timeout_s: float) -> None:
        self.timeout_s = max(timeout_s, 0.001)  # none at all would be for ever
        self._learned_s: dict[int, float] = {}
        self._silent: dict[int, int] = {}

    def wait_s(self, unit: int) -> float:
        """Seconds to wait for the first byte of this unit's next answer."""
        if not self._silent or self._silent.get(unit, 0) % FULL_EVERY == 0:
            return self.timeout_s
        return min(self.timeout_s, max(SHORTEST_S, 2 * self._learned_s.get(unit, 0.0)))

    def answered(self, unit: int, took_s: float) -> None:
        """It answered, after so long. Slower is believed at once, faster by and by."""
        learned_s = self._learned_s.get(unit, 0.0)
        if took_s > learned_s:
            self._learned_s[unit] = took_s
        else:
            self._learned_s[unit] = learned_s + 0.1 * (took_s - learned_s)
        if self._silent:
            self._silent.pop(unit, None)

    def heard(self) -> set[int]:
        """Who has ever answered."""
        return set(self._learned_s)

    def silent(self, unit: int) -> None:
        """It did not answer."""
        self._silent[unit] = self._silent.get(unit, 0) + 1
