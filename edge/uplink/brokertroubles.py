"""What a broker does that needs a person, each until the very same thing is seen to succeed.

It outlives connections. A process that has just started knows nothing of it yet. Times are
monotonic ns, given by the caller.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final

QUOTA_OVER_NS: Final = 60_000_000_000  # a broker at its quota takes one record now and then
HEARD_OVER_NS: Final = 600_000_000_000  # a stream may rest for so long, and others tell for it
ALONE_NS: Final = 900_000_000_000  # whoever has our name, too, tries again sooner
TAKEN_OVER: Final = "Another client has connected under this gateway's name"
OLD_PROTOCOL: Final = "MQTT 3.1.1: a publish that the broker refuses looks like a success"


@dataclass(slots=True)
class ReceiptWait:
    """For how long records that the broker has taken are without a receipt: over all connections,
    without the time between them, in which none can come."""

    _waits: bool = False
    _before_ns: int = 0  # of connections that have ended
    _from_ns: int | None = None  # in this one
    _linked: bool = False

    def acknowledged(self, now_ns: int) -> None:
        """The broker has taken a record, and the platform has not confirmed it. The last answers of
        a connection are looked at when it has ended."""
        if not self._waits:
            self._waits, self._from_ns = True, now_ns if self._linked else None

    def came(self) -> None:
        """A receipt has confirmed something."""
        self._waits, self._before_ns, self._from_ns = False, 0, None

    def connected(self, now_ns: int) -> None:
        self._linked = True
        if self._waits:
            self._from_ns = now_ns

    def ended(self, now_ns: int) -> None:
        self._linked = False
        if self._from_ns is not None:
            self._before_ns += now_ns - self._from_ns
            self._from_ns = None

    def silent_ns(self, now_ns: int) -> int | None:
        """None: nothing waits for a receipt, as far as this process has sent it."""
        if not self._waits:
            return None
        return self._before_ns + (0 if self._from_ns is None else now_ns - self._from_ns)


@dataclass(frozen=True, slots=True)
class Distrust:
    """What is wrong with a broker's certificate, and the remedy; when it was seen last."""

    cause: str
    remedy: str
    seen_ns: int


@dataclass(slots=True)
class BrokerTroubles:
    """Who sees something succeed ends its trouble here; who looks for issues reads the fields."""

    untrusted: dict[str, Distrust] = field(default_factory=dict)  # by broker
    trusted: set[str] = field(default_factory=set)  # brokers whose certificates were good last
    denied: dict[str, str] = field(default_factory=dict)  # stream or filter, and a sentence
    quota: str = ""  # a sentence, while it is used up
    quota_ns: int = 0  # when the broker said so last
    unheard_ns: dict[str, int] = field(default_factory=dict)
    """By stream: when a record of it was taken last that nobody had subscribed to."""
    taken_over: bool = False
    old_protocol: bool = False
    receipts: ReceiptWait = field(default_factory=ReceiptWait)

    def trust(self, broker: str) -> None:
        """TLS with it has led to a connection, or to an answer."""
        self.trusted.add(broker)
        self.untrusted.pop(broker, None)

    def distrust(self, broker: str, found: Distrust) -> None:
        """TLS with it has failed by its certificate."""
        self.trusted.discard(broker)
        self.untrusted[broker] = found

    def connected(self, broker: str, now_ns: int) -> None:
        self.trust(broker)
        self.receipts.connected(now_ns)

    def subscribed(self, refused: Iterable[str]) -> None:
        """A connection has asked for its filters; these were refused."""
        streams = {key: text for key, text in self.denied.items() if "/" not in key}
        self.denied = streams | {
            each: f"The broker does not allow a subscription to {each}" for each in refused
        }

    def stands(self, since_ns: int, now_ns: int) -> None:
        """The connection is up since then."""
        if now_ns - since_ns >= ALONE_NS:
            self.taken_over = False

    def over_quota(self, text: str, now_ns: int) -> None:
        self.quota, self.quota_ns = text, now_ns

    def taken(self, stream: str, now_ns: int, *, heard: bool) -> None:
        """The broker has taken a record of this stream; `heard`: for a subscriber."""
        self.denied.pop(stream, None)
        if self.quota and now_ns - self.quota_ns >= QUOTA_OVER_NS:
            self.quota = ""
        if not heard:
            self.unheard_ns[stream] = now_ns
        elif self.unheard_ns:
            self.unheard_ns = {
                name: at_ns
                for name, at_ns in self.unheard_ns.items()
                if name != stream and now_ns - at_ns < HEARD_OVER_NS
            }
