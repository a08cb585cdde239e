"""Whoever holds a connection: keeps all that it is told."""

from collections.abc import Hashable, Sequence

from edge.uplink.broker import Broker
from edge.uplink.mqtt import Answer, Connection, Inbound, LostError


class Caller:
    def __init__(self) -> None:
        self.answers: list[tuple[Hashable, Answer]] = []
        self.lost: list[LostError] = []
        self.messages: list[Inbound] = []

    async def open(self, broker: Broker, subscribe: Sequence[str] = ()) -> Connection:
        return await Connection.open(
            broker,
            will=None,
            on_answer=lambda token, answer: self.answers.append((token, answer)),
            on_lost=self.lost.append,
            subscribe=subscribe,
            on_message=self.messages.append,
        )
