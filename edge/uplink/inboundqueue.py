"""What comes from the platform: receipts, commands and the spread of reconnecting, sorted by topic.

Messages wait in a short queue until the sender's turn; paho's callback only puts them there.
"""

import logging
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from typing import Final, Protocol

from edge.uplink.commands import CommandAnswer, CommandHandler
from edge.uplink.rowtable import RowTable
from edge.uplink.sendqueue import Backlog
from edge.wire import Receipt, Topics, WireError, decode_receipts, decode_reconnect_spread

LOG: Final = logging.getLogger("kerbstone.uplink")
QUEUE_MESSAGES: Final = 256  # messages; more are counted and dropped: receipts come again
QUEUE_BYTES: Final = 1 << 20  # of their topics and payloads


class ArrivedLike(Protocol):
    """A message as the connection gives it."""

    @property
    def topic(self) -> str: ...
    @property
    def payload(self) -> bytes: ...
    @property
    def retain(self) -> bool: ...


class InboundQueue:
    """Wakes the sender (`wake`) with each message. Receipts are asked for only where the table
    waits for them."""

    def __init__(
        self,
        topics: Topics,
        gw: str,
        commands: CommandHandler,
        table: RowTable,
        backlog: Backlog,
        spread: Callable[[float], None],
        wake: Callable[[], None],
    ) -> None:
        self._topics, self._gw = topics, gw
        self._commands, self._table, self._backlog = commands, table, backlog
        self._counts, self._spread, self._wake = table.counts, spread, wake
        self._waiting: deque[ArrivedLike] = deque()
        self._bytes = 0  # of what waits

    @property
    def filters(self) -> tuple[str, ...]:
        """What to subscribe."""
        asked = (self._topics.receipt,) if self._table.awaits_receipts else ()
        return (*asked, self._topics.commands, self._topics.reconnect_spread)

    def put(self, message: ArrivedLike) -> None:
        """From paho's callback: must not raise, and must not wait."""
        self._wake()  # first: a fault in what comes ends us now, not after an idle turn
        size = self._bytes + _size(message)
        if len(self._waiting) < QUEUE_MESSAGES and size <= QUEUE_BYTES:
            self._waiting.append(message)
            self._bytes = size
        else:
            self._counts.malformed_messages += 1

    async def work(self, now_ns: int) -> list[CommandAnswer]:
        """Look at what has come; the answers that are to be sent."""
        answers: list[CommandAnswer] = []
        for message in self._taken():
            try:
                answer = await self._handle(message, now_ns)
            except WireError as error:
                self._counts.malformed_messages += 1
                LOG.debug("%s: %s", message.topic, error)
                continue
            if answer is not None:
                answers.append(answer)
        return answers

    async def _handle(self, message: ArrivedLike, now_ns: int) -> CommandAnswer | None:
        topic = message.topic
        if topic == self._topics.receipt:
            if self._table.awaits_receipts and not message.retain:
                self._receipted(decode_receipts(message.payload, self._gw), now_ns)
        elif topic == self._topics.reconnect_spread:
            self._spread(decode_reconnect_spread(message.payload))
        elif (verb := self._topics.verb(topic)) is not None:
            self._counts.commands += 1
            before = self._commands.refused
            answer = await self._commands.take(verb, message.payload, message.retain, now_ns)
            if self._commands.refused != before:
                self._counts.malformed_messages += 1
                LOG.warning("a command on %s was refused", topic)
            return answer
        else:
            self._counts.malformed_messages += 1
        return None

    def _receipted(self, receipts: Sequence[Receipt], now_ns: int) -> None:
        """The platform has stored these."""
        rows = [row for receipt in receipts for row in self._table.receipt(receipt, now_ns)]
        self._counts.receipts += 1
        if rows:
            self._backlog.confirm(rows)

    def _taken(self) -> Iterator[ArrivedLike]:
        while self._waiting:
            message = self._waiting.popleft()
            self._bytes -= _size(message)
            yield message


def _size(message: ArrivedLike) -> int:
    """Nearly all of a packet can be its topic."""
    return len(message.topic.encode()) + len(message.payload)
