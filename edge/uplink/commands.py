"""What comes from the platform: receipts, commands and the spread of reconnecting, sorted by topic.

Messages wait in a short queue until the sender's turn; paho's callback only puts them there. A
command names the epoch that runs, so that one that was recorded yesterday is refused without any
clock; the same id again gets the same answer and does nothing (decision 14). `resend` asks for rows
that the platform misses: they go out again, if they are still here.
"""

import logging
from collections import deque
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Protocol

from edge.core import Record
from edge.core.numbers import decode_steps
from edge.core.printable import printable
from edge.uplink.rowtable import RowTable
from edge.uplink.sendqueue import Backlog, StoredRow
from edge.wire import (
    Command,
    Receipt,
    Topics,
    WireError,
    decode_command,
    decode_receipts,
    decode_reconnect_spread,
    parse_ranges,
)

ID_LIMIT: Final = 256  # answers
SHOWN_VERB: Final = 64  # characters of an unknown verb that an answer repeats
COMMANDS_BURST: Final = 10  # commands at once; then one a second
SECOND_NS: Final = 1_000_000_000

CommandVerb = Callable[[Command], Awaitable[Mapping[str, Any]]]
"""What a verb does. Gives what the answer says; raises WireError with what is wrong."""
LOG: Final = logging.getLogger("kerbstone.uplink")
QUEUE_MESSAGES: Final = 256  # messages; more are counted and dropped: receipts come again
QUEUE_BYTES: Final = 1 << 20
RESEND_LIMIT: Final = 10_000  # rows of one command
SEARCH_LIMIT: Final = (
    50  # through an epoch, which may be long; further ones are left to the next command
)
CLUSTER_GAP: Final = 500  # numbers between two ranges that one walk finds together

Range = tuple[int, int]


@dataclass(frozen=True, slots=True)
class CommandAnswer:
    """For `up/answer/{verb}`."""

    verb: str
    data: Mapping[str, Any]


class CommandHandler:
    """One gateway in one epoch. `refused` counts what got no answer."""

    def __init__(self, gw: str, epoch: int, verbs: Mapping[str, CommandVerb]) -> None:
        self._gw, self._epoch, self._verbs = gw, epoch, verbs
        self._answers: dict[tuple[str, str], CommandAnswer] = {}
        self._tokens = float(COMMANDS_BURST)
        self._filled_ns: int | None = None
        self.refused = 0

    async def take(
        self, verb: str, payload: bytes, retained: bool, now_ns: int
    ) -> CommandAnswer | None:
        """The answer, or None when there is none: too many, retained, or nothing to answer to."""
        if retained or not self._allowed(now_ns):
            self.refused += 1
            return None
        try:
            command = decode_command(verb, payload, self._gw)
        except WireError:
            self.refused += 1  # without an id nobody would know what the answer is to
            raise
        known = self._answers.get((verb, command.id))
        if known is not None:
            return known
        answer = CommandAnswer(verb, {"id": command.id, "verb": verb, **await self._obey(command)})
        if answer.data["ok"]:
            self._answers[verb, command.id] = answer
            while len(self._answers) > ID_LIMIT:
                del self._answers[next(iter(self._answers))]
        return answer

    async def _obey(self, command: Command) -> dict[str, Any]:
        if command.epoch != self._epoch:
            self.refused += 1
            return _error(
                f"epoch {command.epoch} has ended; the status has the current one, {self._epoch}"
            )
        act = self._verbs.get(command.verb)
        if act is None:
            word, known = printable(command.verb, SHOWN_VERB), ", ".join(self._verbs)
            return _error(f'Unknown command "{word}". Known commands: {known}.')
        try:
            return {"ok": True, **await act(command)}
        except WireError as error:
            return _error(str(error))

    def _allowed(self, now_ns: int) -> bool:
        passed_ns = 0 if self._filled_ns is None else now_ns - self._filled_ns
        self._filled_ns = now_ns
        self._tokens = min(float(COMMANDS_BURST), self._tokens + passed_ns / SECOND_NS)
        if self._tokens < 1.0:
            return False
        self._tokens -= 1.0
        return True


def _error(text: str) -> dict[str, Any]:
    return {"ok": False, "error": text}


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
        size = self._bytes + len(message.payload)
        if len(self._waiting) < QUEUE_MESSAGES and size <= QUEUE_BYTES:
            self._waiting.append(message)
            self._bytes = size
        else:
            self._counts.strange += 1

    async def work(self, now_ns: int) -> list[CommandAnswer]:
        """Look at what has come; the answers that are to be sent."""
        answers: list[CommandAnswer] = []
        for message in self._taken():
            try:
                answer = await self._handle(message, now_ns)
            except WireError as error:
                self._counts.strange += 1
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
                self._counts.strange += 1
                LOG.warning("a command on %s was refused", topic)
            return answer
        else:
            self._counts.strange += 1
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
            self._bytes -= len(message.payload)
            yield message


async def find_for_resend(
    backlog: Backlog, command: Command, beat: Callable[[], None] = lambda: None
) -> tuple[Mapping[str, Any], list[int]]:
    """What to answer, and which rows are to go out again. Raises WireError for a wrong command.

    `resent` counts rows; `gone` the numbers that no row here stands for: they were confirmed, or
    declared lost; `left` those that were not looked for: ask again.
    """
    rows: dict[int, None] = {}
    found = gone = left = walks = 0
    for wanted in parse_ranges(command.arguments.get("ranges"), "ranges"):
        for walk in cluster_ranges(wanted.ranges):
            asked = sum(last - first + 1 for first, last in walk)
            if walks == SEARCH_LIMIT or len(rows) >= RESEND_LIMIT:
                left += asked
                continue
            walks += 1
            beat()
            stored = await _find(backlog, wanted, walk[0][0], walk[-1][1], RESEND_LIMIT - len(rows))
            whole = len(stored) < RESEND_LIMIT - len(rows)
            here = {each.row: _within(each.record, walk) for each in stored}
            rows.update(dict.fromkeys(row for row, count in here.items() if count))
            found = sum(here.values())
            gone, left = (gone + asked - found, left) if whole else (gone, left + asked - found)
    answer = {"resent": len(rows), "gone": max(0, gone)}
    return answer | ({"left": left} if left > 0 else {}), list(rows)


def cluster_ranges(ranges: Sequence[Range]) -> list[list[Range]]:
    """Ranges without overlaps, in order, together with those that are near."""
    found: list[list[Range]] = []
    for first, last in sorted(ranges):
        before = found[-1][-1] if found else None
        if before is not None and first <= before[1] + 1:
            found[-1][-1] = before[0], max(last, before[1])
        elif before is not None and first - before[1] <= CLUSTER_GAP:
            found[-1].append((first, last))
        else:
            found.append([(first, last)])
    return found


async def _find(
    backlog: Backlog, wanted: Receipt, first: int, last: int, most: int
) -> Sequence[StoredRow]:
    try:
        return await backlog.find(wanted.epoch, wanted.stream, first, last, most)
    except OSError as error:
        raise WireError(f"the outbox cannot be read now: {error}") from error


def _within(record: Record, ranges: Sequence[Range]) -> int:
    """How many of these numbers a record stands for."""
    covers = record.body.get("covers")
    numbers = [record.key.seq] if covers is None else decode_steps(covers)
    return sum(first <= number <= last for number in numbers for first, last in ranges)
