"""Which broker to try next, and when: the first as soon as it is there, and never all at once.

Pure: times are nanoseconds of one monotonic clock. Whoever draws by gateway and epoch
(`random.Random(f"{gw}:{epoch}")`) spreads a fleet that lost its broker at one moment, and can
say for each gateway why it came when it came.
"""

import random
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from edge.uplink.broker import Broker

MAX_BACKOFF_S: Final = 30.0
REFUSED_BACKOFF_S: Final = 300.0
# A broker asks us to stay away: server unavailable, busy, quota exceeded, connection rate exceeded,
# use another server, server moved. Or it cannot do what we need: retained messages, QoS 1.
LONG_BACKOFF_CODES: Final = frozenset({0x88, 0x89, 0x97, 0x9F, 0x9C, 0x9D, 0x9A, 0x9B})
SPREAD_DEFAULT_S: Final = 1.0  # after a loss, unless the platform set more
LONGEST_SPREAD_S: Final = 3600.0
REFUSED_JITTER_S: Final = 30.0  # a broker that asked to be left alone does not get all back at once
STABLE_AFTER_S: Final = 5.0  # a connection that held so long was a good one
RETURN_TO_FIRST_S: Final = 900.0  # with another broker; then the first is tried again

NS_PER_S: Final = 1_000_000_000


@dataclass(frozen=True, slots=True)
class ConnectAttempt:
    """The next connection: to whom, and not before when."""

    broker: Broker
    at_ns: int


class ReconnectPolicy:
    """Say `connected`, `failed` and `ended`; ask `next`. The first attempt is due at `now_ns`."""

    def __init__(self, brokers: Sequence[Broker], rng: random.Random, now_ns: int = 0) -> None:
        if not brokers:
            raise ValueError("no broker")
        self._brokers, self._rng = tuple(brokers), rng
        self._away_ns = [0] * len(self._brokers)  # until then each is left alone
        self._rounds = 0  # in which all failed
        self._at_ns = now_ns
        self._number = 0  # the one to try next, or the one that is connected
        self._since_ns: int | None = None
        self._return_ns: int | None = None
        self._no_better: dict[int, int] = {}  # than one that takes too little -> until when
        self._leaving = False  # one that takes too little
        self.spread_s = 0.0
        """Over which reconnections spread after a loss; set by the platform, 0 to 3,600."""

    @property
    def next(self) -> ConnectAttempt:
        """Whom to try, and when. The same until something happens."""
        return ConnectAttempt(self._brokers[self._number], self._at_ns)

    def connected(self, now_ns: int) -> None:
        """The attempt led to a connection."""
        self._since_ns = now_ns
        self._return_ns, self._leaving = None, False
        if self._number:
            in_s = RETURN_TO_FIRST_S * self._rng.uniform(0.5, 1.5)
            self._return_ns = max(now_ns + int(in_s * NS_PER_S), self._away_ns[0])

    def leave(self, now_ns: int) -> None:
        """The connection that is there is not of these brokers: end it cleanly."""
        self._since_ns, self._return_ns = None, now_ns

    def return_due(self, now_ns: int) -> bool:
        """Connected to another broker for long enough: end it cleanly, to try the first again."""
        return self._return_ns is not None and now_ns >= self._return_ns

    def reject_limits(self, now_ns: int) -> None:
        """Most of what waits is larger than the connected broker takes. The others are tried at
        once; when none does better, this one is asked again in a while: its limit may be mended
        without a word to those that are connected."""
        self._note_no_better(now_ns)
        better = self._others(now_ns)
        self._leaving = True
        self._return_ns = now_ns if better else self._no_better[self._number]

    def _note_no_better(self, now_ns: int) -> None:
        again_s = REFUSED_BACKOFF_S + self._rng.uniform(0.0, REFUSED_JITTER_S)
        self._no_better[self._number] = now_ns + int(again_s * NS_PER_S)

    def _others(self, now_ns: int) -> list[int]:
        """Those that were not found to be no better."""
        known = {number for number, until_ns in self._no_better.items() if now_ns < until_ns}
        return [
            number
            for number, away_ns in enumerate(self._away_ns)
            if number not in known and away_ns <= now_ns
        ]

    def ended(self, now_ns: int) -> None:
        """The connection has ended, by itself or to go to another broker."""
        since_ns, self._since_ns = self._since_ns, None
        returning, self._return_ns = self.return_due(now_ns), None
        leaving, self._leaving = self._leaving, False
        if leaving and returning:
            others = self._others(now_ns)
            self._turn_to(others[0] if others else 0, now_ns)
            return
        if since_ns is not None and now_ns - since_ns < STABLE_AFTER_S * NS_PER_S:
            # two clients of one name, or a broker that lets in and throws out: that is no success
            self.failed(now_ns)
            return
        self._rounds = 0
        # nobody else returns at this moment: the day of the return was drawn
        spread_s = min(max(SPREAD_DEFAULT_S, self.spread_s), LONGEST_SPREAD_S)
        wait_s = 0.0 if returning else self._rng.uniform(0.0, spread_s)
        self._turn_to(0, now_ns + int(wait_s * NS_PER_S))

    def failed(self, now_ns: int, code: int | None = None) -> None:
        """The attempt failed; `code` is the reason of a CONNACK, where there was one."""
        if code in LONG_BACKOFF_CODES:
            wait_s = REFUSED_BACKOFF_S + self._rng.uniform(0.0, REFUSED_JITTER_S)
            self._away_ns[self._number] = now_ns + int(wait_s * NS_PER_S)
        if any(now_ns < until_ns for until_ns in self._no_better.values()):
            self._note_no_better(now_ns)
        if not self._turn_to(self._number + 1, now_ns):
            longest_s = min(MAX_BACKOFF_S, 2.0 ** min(self._rounds, 10))
            self._rounds += 1
            self._turn_to(0, now_ns + int(self._rng.uniform(0.0, longest_s) * NS_PER_S))

    def _turn_to(self, number: int, at_ns: int) -> bool:
        """The first from `number` on that may be tried at this time.

        False when there is none; from 0 on, it is then the one that is free first.
        """
        for other in range(number, len(self._brokers)):
            if self._away_ns[other] <= at_ns:
                self._number, self._at_ns = other, at_ns
                return True
        if number == 0:
            self._number = min(range(len(self._brokers)), key=self._away_ns.__getitem__)
            self._at_ns = self._away_ns[self._number]
        return False
