"""Commands of the platform: which are obeyed, and what is answered.

A command names the epoch that runs, so that one that was recorded yesterday is refused without any
clock; the same id again gets the same answer and does nothing (decision 14).
"""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from edge.core.printable import printable
from edge.wire import Command, WireError, decode_command

ID_LIMIT: Final = 256  # answers
SHOWN_VERB: Final = 64  # characters of an unknown verb that an answer repeats
COMMANDS_BURST: Final = 10  # commands at once; then one a second
SECOND_NS: Final = 1_000_000_000

CommandVerb = Callable[[Command], Awaitable[Mapping[str, Any]]]
"""What a verb does. Gives what the answer says; raises WireError with what is wrong."""


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
