"""What a connection says to its caller: how it began, each answer, what came in, and its end."""

from collections.abc import Callable, Hashable
from dataclasses import dataclass
from typing import Final

SESSION_TAKEN_OVER: Final = 142  # DISCONNECT: another client has connected under our name


class ConnectionLostError(ConnectionError):
    """The connection ended before the broker answered. Nobody knows whether the message arrived.

    `code` is the reason code of the broker's DISCONNECT, when it sent one: 142 is
    `SESSION_TAKEN_OVER`.
    """

    def __init__(self, text: str, code: int | None = None) -> None:
        super().__init__(text)
        self.code = code


class CertificateRejectedError(ConnectionLostError):
    """The broker does not take our certificate: expired, revoked, or from somebody else."""


class BrokerRefusedError(Exception):
    """The broker said no: `code` and `name` as in MQTT 5, for example 135 Not authorized."""

    def __init__(self, code: int, name: str, text: str = "") -> None:
        super().__init__(f"{name} ({code}){': ' + text if text else ''}")
        self.code, self.name = code, name


@dataclass(frozen=True, slots=True)
class Will:
    """What the broker publishes, retained, when the connection breaks."""

    topic: str
    payload: bytes
    content_type: str


@dataclass(frozen=True, slots=True)
class MqttSession:
    """What the broker said when it let us in."""

    window: int  # messages that it takes without an answer, or our own limit
    max_packet: int | None
    keepalive_s: int  # in force: the server's, where it sent one; 0: it expects none
    not_before_ns: int | None = None  # Unix time of the server certificate: certainly passed
    retain: bool = True  # it keeps retained messages


@dataclass(frozen=True, slots=True)
class InboundMessage:
    """A message from the broker: hostile until parsed.

    `retain`: with MQTT 5 as it was published; with 3.1.1 only what was stored before we came.
    """

    topic: str
    payload: bytes
    content_type: str | None
    retain: bool


PublishAnswer = int | BrokerRefusedError | ConnectionLostError
OnAnswer = Callable[[Hashable, PublishAnswer], None]
"""Called once for each message with the caller's token. Must not raise: paho is in mid-packet."""
OnMessage = Callable[[InboundMessage], None]
