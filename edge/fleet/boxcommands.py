"""Commands of the platform to a simulated gateway, obeyed and answered by a gateway's own code."""

from collections.abc import Callable, Coroutine, Iterable, Mapping, Sequence
from typing import Any, TypeVar, cast

from edge.core import Record
from edge.fleet.boxrecords import BoxRecords
from edge.outbox.rowformat import StoredRecord
from edge.uplink.commands import CommandAnswer, CommandHandler
from edge.uplink.resend import find_for_resend
from edge.uplink.sendqueue import Backlog
from edge.wire import Command

Result = TypeVar("Result")


class BoxCommands:
    """`unconfirmed` gives all rows that are still here; `again` is told which go out once more."""

    def __init__(
        self,
        gw: str,
        epoch: int,
        records: BoxRecords,
        unconfirmed: Callable[[], Iterable[int]],
        again: Callable[[Sequence[int]], None],
        say_status: Callable[[], None],
    ) -> None:
        self._records, self._unconfirmed = records, unconfirmed
        self._again, self._say_status = again, say_status
        self._handler = CommandHandler(gw, epoch, {"resend": self._resend, "status": self._status})

    def take(self, verb: str, payload: bytes, retained: bool, now_ns: int) -> CommandAnswer | None:
        """The answer, if there is one. Raises WireError for what is no command."""
        return _ended(self._handler.take(verb, payload, retained, now_ns))

    async def find(
        self, epoch: int, stream: str, first: int, last: int, limit: int
    ) -> Sequence[StoredRecord]:
        """What an outbox finds: rows of these numbers that are not confirmed."""
        found: list[StoredRecord] = []
        for row in self._unconfirmed():
            key = self._records.key(row)
            if (key.epoch, str(key.stream)) == (epoch, stream) and first <= key.seq <= last:
                record: Record = self._records.record(row)
                found.append(StoredRecord(row, record, redelivered=False))
                if len(found) == limit:
                    break
        return found

    async def _resend(self, command: Command) -> Mapping[str, Any]:
        answer, rows = await find_for_resend(cast("Backlog", self), command)
        self._again(rows)
        return answer

    async def _status(self, _command: Command) -> Mapping[str, Any]:
        self._say_status()
        return {}


def _ended(work: Coroutine[Any, Any, Result]) -> Result:
    """What waits for nothing ends at once, without the loop."""
    try:
        work.send(None)
    except StopIteration as ended:
        result: Result = ended.value
        return result
    raise RuntimeError("a command of a simulated gateway waits for nothing")
