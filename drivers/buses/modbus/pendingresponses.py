"""Which answers may still come on a serial line, and whether one that comes belongs to a question.

An answer tells its unit, its function and its length, and not which registers they are. So of one
unit, function and length (a `Kind`) one question at a time may be without its answer, until that
has come or cannot come any more. A radio or a bridge may also repeat an answer: a copy is the same
to the last bit as one that was sent lately.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import Enum
from typing import Final

from drivers.buses.modbus.frame import EXCEPTION, Ask
from edge.core import StaleAnswer

LATE_TIMES: Final = 10  # a unit that was late may be so again: wary for so many delays
REPEATS_NS: Final = 3600 * 1_000_000_000  # and for so long after a copy
PROVEN: Final = 200  # answers, none late or twice: then damage is mere damage, the same no copy
DOUBTS: Final = 4  # answers, of who is neither late nor tells twice, after which none is shifted
ANSWERS_LIMIT: Final = (
    256  # answers of one kind that are kept; more within a delay is no line of meters
)
KINDS: Final = 1024

Kind = tuple[int, int, int]
"""Unit, function, and bytes of registers: all that an answer says of its question."""


class ResponseTrust(Enum):
    """What an answer is worth that fits a question."""

    SOUND = "sound"
    OLD = "old"  # or what these registers held lately, and hold no more
    NONE = "none"  # it may be the answer to another question


@dataclass(frozen=True, slots=True)
class PendingResponse:
    """A question whose answer may still come.

    `came`: something did that was most likely it, damaged, or the same as what was told before. If
    that was a copy, the answer comes to the next question, that one's to the next but one, and so
    on: so many answers of these registers (`doubts`) are old, unless all is clear before: one more
    comes than was asked for, or none is asked for until `until_ns`.
    """

    ask: Ask
    sent_ns: int
    until_ns: int
    came: bool
    doubts: int


class PendingResponses:
    """The answers that one line's units owe, and those that they have sent. Times are monotonic.

    `delay_ns` is how long after a question an answer may begin.
    """

    def __init__(self, delay_ns: int) -> None:
        self.delay_ns = delay_ns
        self._due: dict[Kind, PendingResponse] = {}
        # answer -> question -> until when a copy may come; the latest is the last
        self._answers: dict[Kind, dict[bytes, dict[Ask, int]]] = {}
        self._last: dict[Ask, tuple[bytes, bool]] = {}  # and whether it differs from the one before
        self._late: dict[int, int] = {}  # unit -> until when it counts as one that is late
        self._repeats: dict[int, int] = {}  # or that tells an answer twice
        self._prompt: dict[int, int] = {}  # unit -> answers since it was the one or the other

    def bars(self, ask: Ask, now_ns: int) -> PendingResponse | None:
        """The question whose answer could be taken for that to this one, if there is one.

        Where others are kept waiting it is asked no more either, so that a pause settles it.
        """
        due = self._due.get(_kind(ask))
        if due is not None and due.until_ns <= now_ns:
            del self._due[_kind(ask)]
            return None
        if due is None or (due.doubts and due.ask == ask):
            return None
        due = self._due[_kind(ask)] = replace(due, doubts=0)
        return due

    def owe(self, ask: Ask, sent_ns: int, long_ns: int, damaged: bool) -> None:
        """It was asked, and has no answer; one would take `long_ns` at most."""
        unit = ask[0]
        if damaged and self.proven(unit, sent_ns):
            return
        came, until_ns = damaged and not self.wary(unit, sent_ns), sent_ns + self.delay_ns + long_ns
        self._due[_kind(ask)] = PendingResponse(ask, sent_ns, until_ns, came, DOUBTS if came else 0)

    def worth(
        self, ask: Ask, data: bytes | None, code: int | None, now_ns: int, since_ns: int
    ) -> ResponseTrust:
        """Of what fits `ask`: registers, or the code of an exception. It came after `since_ns`."""
        unit, function = ask[:2]
        if data is None:  # an exception fits every question that has no answer
            answerers = self._answerers(
                _exception_kind(unit, function), bytes((code or 0,)), since_ns
            )
            unsure = self._open(unit, function, now_ns) or (answerers and self.wary(unit, now_ns))
            return ResponseTrust.NONE if unsure else ResponseTrust.SOUND
        answerers = self._answerers(_kind(ask), data, since_ns)
        if answerers:
            if self._repeats.get(unit, 0) > now_ns or ask not in answerers:
                return ResponseTrust.NONE  # what other registers hold is rarely the same
            if self._late.get(unit, 0) > now_ns:
                return ResponseTrust.OLD
            if self._last.get(ask, (b"", False))[1] and self._prompt.get(unit, 0) < PROVEN:
                return ResponseTrust.OLD  # it was another one before, or none
        return ResponseTrust.OLD if _kind(ask) in self._due else ResponseTrust.SOUND

    def answered(
        self, ask: Ask, data: bytes | None, code: int | None, sent_ns: int, long_ns: int
    ) -> None:
        """This was taken for its answer. A copy of it may come; and if it is a `StaleAnswer`, the
        answer."""
        unit = ask[0]
        self._prompt[unit] = self._prompt.get(unit, 0) + 1
        until_ns = sent_ns + self.delay_ns + long_ns
        if data is None:
            self._record(_exception_kind(unit, ask[1]), bytes((code or 0,)), ask, until_ns)
            return
        due = self._due.pop(_kind(ask), None)
        doubts = DOUBTS if due is None or self.wary(unit, sent_ns) else due.doubts
        if isinstance(data, StaleAnswer) and doubts > 1:
            self._due[_kind(ask)] = PendingResponse(ask, sent_ns, until_ns, True, doubts - 1)
        self._record(_kind(ask), data, ask, until_ns)
        before = self._last.get(ask)
        if len(self._last) >= KINDS:
            self._last.clear()
        self._last[ask] = data, before is None or before[0] != data

    def came(self, frame: bytes, now_ns: int, since_ns: int) -> None:
        """A whole answer that nobody waited for: a late one, a copy, or a stranger's.

        It was found now, and came at any time after `since_ns`.
        """
        unit, function = frame[0], frame[1]
        if function & EXCEPTION:
            kind, code = _exception_kind(unit, function & ~EXCEPTION), frame[2:3]
        else:
            kind, code = (unit, function, frame[2]), frame[3:-2]
        due = self._due.get(kind)
        if self._answerers(kind, code, since_ns):  # or registers that have not changed: who knows
            if due is None or due.until_ns <= now_ns:
                self._repeats[unit], self._prompt[unit] = now_ns + REPEATS_NS, 0
        elif due is not None and due.until_ns > now_ns:
            del self._due[kind]
            self._record(kind, code, due.ask, due.until_ns)
            self._late[unit], self._prompt[unit] = now_ns + LATE_TIMES * self.delay_ns, 0

    def wary(self, unit: int, now_ns: int) -> bool:
        """Whether it has lately been late, or sent something twice."""
        return max(self._late.get(unit, 0), self._repeats.get(unit, 0)) > now_ns

    def proven(self, unit: int, now_ns: int) -> bool:
        """Whether all that it says can only be the answer to the last question."""
        owes = any(kind[0] == unit and due.until_ns > now_ns for kind, due in self._due.items())
        return not owes and not self.wary(unit, now_ns) and self._prompt.get(unit, 0) >= PROVEN

    def _open(self, unit: int, function: int, now_ns: int) -> bool:
        """Whether a question of this function, of whatever length, may still be refused."""
        return any(
            kind[:2] == (unit, function) and due.until_ns > now_ns and not due.came
            for kind, due in self._due.items()
        )

    def _answerers(self, kind: Kind, data: bytes, since_ns: int) -> Sequence[Ask]:
        """Whose answer this was, so lately that a copy could come after `since_ns`."""
        answerers = self._answers.get(kind, {}).get(data)
        if answerers is None:
            return ()
        return [ask for ask, until_ns in answerers.items() if until_ns > since_ns]

    def _record(self, kind: Kind, data: bytes, ask: Ask, until_ns: int) -> None:
        records = self._answers.get(kind)
        if records is None:
            if len(self._answers) >= KINDS:
                self._answers.clear()
            records = self._answers[kind] = {}
        answerers = records.pop(data, None) or {}
        answerers[ask] = until_ns
        records[data] = answerers
        oldest = next(iter(records))
        while (
            len(records) > ANSWERS_LIMIT
            or max(records[oldest].values()) <= until_ns - 2 * self.delay_ns
        ):
            del records[oldest]
            oldest = next(iter(records))


def _kind(ask: Ask) -> Kind:
    return ask[0], ask[1], 2 * ask[3]


def _exception_kind(unit: int, function: int) -> Kind:
    return unit, function | EXCEPTION, 0
