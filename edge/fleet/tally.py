"""What a fleet counts over all its gateways; and how long answers took, without keeping each."""

import math
from collections import Counter
from dataclasses import dataclass, field
from typing import Final, Literal

GROWTH: Final = 1.02  # of a class of waits to the next: what is read from it is right to 1 %
SHORTEST_S: Final = 1e-5
CLASSES: Final = 1000  # up to an hour

AgainReason = Literal["connection", "receipt", "refused"]
"""Why a record went out again: its connection ended before the answer; no receipt came in time; the
broker had refused it."""


Subscription = Literal["receipts", "commands", "reconnect_spread"]


class Waits:
    """Counts by classes that grow with the wait."""

    def __init__(self) -> None:
        self._counts = [0] * CLASSES
        self.n = 0

    def add(self, wait_s: float) -> None:
        place = int(math.log(max(wait_s, SHORTEST_S) / SHORTEST_S) / math.log(GROWTH))
        self._counts[min(place, CLASSES - 1)] += 1
        self.n += 1

    def quantile_s(self, share: float) -> float | None:
        """So long at most did this share of all take; None without any."""
        left = math.ceil(share * self.n)
        if not left:
            return None
        place = -1
        while left > 0:
            place += 1
            left -= self._counts[place]
        return float(f"{SHORTEST_S * GROWTH ** (place + 0.5):.3g}")


@dataclass(slots=True)
class FleetTally:
    """Counts of all gateways together, since the start. Records only, unless they say otherwise."""

    made: int = 0  # numbered; those of a backlog are made before they may be sent
    sent: int = 0  # for the first time
    pubacks: int = 0
    receipted: int = 0  # that a receipt has named
    receipts: int = 0  # messages
    receipts_unknown: int = 0  # numbers in them for which nothing waited
    malformed: int = 0  # messages to a gateway that cannot be read
    no_subscribers: int = 0  # PUBACK 16: taken, and nobody has subscribed
    again: Counter[AgainReason] = field(default_factory=Counter)
    refused: Counter[int] = field(default_factory=Counter)  # by reason code
    retained: int = 0  # messages with status, meta and last records
    retained_refused: Counter[int] = field(default_factory=Counter)
    connections: int = 0
    unsubscribed: Counter[Subscription] = field(default_factory=Counter)  # refused, by what for
    lost: Counter[str] = field(default_factory=Counter)  # connections that we did not end, by why
    failures: Counter[str] = field(default_factory=Counter)  # attempts to connect, by why
    bytes_out: int = 0  # of MQTT packets
    bytes_in: int = 0
    puback_waits: Waits = field(default_factory=Waits)
    receipt_waits: Waits = field(default_factory=Waits)
