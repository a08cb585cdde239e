"""The master of one Modbus RTU line: one question at a time, and no idle but the silence it asks.

It blocks its bus's thread with computed waits: a loop's millisecond timers would cost the line
a tenth of its time. Source: Modbus over serial line V1.02, section 2.5.1.
"""

import time
from collections.abc import Sequence
from typing import Final, Protocol

from drivers.buses.echo import Echo
from drivers.buses.modbus import modbustrouble
from drivers.buses.modbus.frame import (
    EXCEPTION_LENGTH,
    OVERHEAD,
    Ask,
    ResponseSearch,
    append_crc,
    exception_error,
    may_begin,
    read_request,
    search_response,
)
from drivers.buses.modbus.modbustrouble import KnownUnits
from drivers.buses.modbus.pendingresponses import PendingResponses, ResponseTrust
from drivers.buses.modbus.responsetimeout import ResponseTimeout
from drivers.buses.serial_port import SerialPort
from edge.core import AmbiguousAnswerError, BusError, DataError, Reason, StaleAnswer
from edge.core.frametap import FrameTap

FAST_BAUD: Final = 19_200  # above it the silence between frames no longer shrinks
FAST_SILENCE_NS: Final = 1_750_000
TORN_NS: Final = (
    50_000_000  # a pause this long inside an answer ends it; USB adapters hold back 16 ms
)
BABBLE_NS: Final = 250_000_000  # a line that is not quiet for so long has a talker on it
EARLY_NS: Final = 400_000  # a long wait ends so much before its end; select does the rest
LINK_DELAY_S: Final = 5.0
LIMIT: Final = 1024  # bytes looked at for one answer; more is a flood
REQUESTS: Final = 4096  # prepared requests that are kept


class LineClock(Protocol):
    """What a line takes its time from: the module `time`, or a wire that keeps its own."""

    def monotonic_ns(self) -> int: ...
    def sleep(self, seconds: float, /) -> None: ...


class ModbusRtu:
    """A `ModbusBus` over a serial port.

    `timeout_s` is the time from the end of the request to the first byte of the answer,
    `link_delay_s` how long after the request it may still come. Until then its unit is asked
    nothing that has an answer of the same length; that raises AmbiguousAnswerError.
    """

    def __init__(
        self,
        port: SerialPort,
        timeout_s: float = 0.5,
        link_delay_s: float = LINK_DELAY_S,
        clock: LineClock | None = None,
    ) -> None:
        self.port, self.link_delay_s = port, link_delay_s
        self.response_timeout = ResponseTimeout(timeout_s)
        self.silence_ns = FAST_SILENCE_NS if port.baud > FAST_BAUD else (7 * port.char_ns + 1) // 2
        self._clock: LineClock = clock or time
        self._torn_ns = max(self.silence_ns, TORN_NS)
        self._last_ns = 0  # when the line was last heard, or will have been used by us
        self._empty_ns = 0  # when nothing waited to be read: what is found now came later
        self._pending = PendingResponses(int(max(timeout_s, link_delay_s) * 1e9))
        self._requests: dict[Ask, bytes] = {}
        self.known = KnownUnits()

    async def read_registers(self, unit: int, function: int, address: int, count: int) -> bytes:
        """2 * count bytes, as on the wire. Raises BusError on silence, DataError for the rest."""
        key = (unit, function, address, count)
        sealed = self._requests.get(key)
        if sealed is None:
            sealed = append_crc(read_request(*key))
            if len(self._requests) >= REQUESTS:
                self._requests.clear()
            self._requests[key] = sealed
        return self._ask(sealed, key)

    @property
    def tap(self) -> FrameTap | None:
        """Of its port: somebody looks at the bytes."""
        return self.port.tap

    @tap.setter
    def tap(self, tap: FrameTap | None) -> None:
        self.port.tap = tap

    def close(self) -> None:
        """Give the port back. Always safe; the next read opens it again."""
        self.port.close()

    def abandon(self) -> None:
        """Give the port up for ever, though a thread may hang in it. From any thread."""
        self.port.abandon()

    def _ask(self, sealed: bytes, ask: Ask) -> bytes:
        port, unit = self.port, ask[0]
        if port.open():
            self._last_ns = self._clock.monotonic_ns()  # nobody knows what was on it until now
        self._settle(ask)
        self._quiet()
        sent_ns = self._last_ns = port.write(sealed)
        wait_s = self.response_timeout.wait_s(unit)
        first_ns, found, line = self._listen(sealed, ask, sent_ns + int(wait_s * 1e9))
        self.known.judge()
        if found.done:
            self._pending.answered(ask, found.data, found.code, sent_ns, self._long_ns(ask[3]))
            self.response_timeout.answered(unit, max(0, first_ns - sent_ns) / 1e9)
            self.known.good(unit)
            if found.end < len(line):
                self._came(search_response(line[found.end :], -1, 0, 0).unmatched)
            if self.known.twins(unit):
                raise DataError(modbustrouble.two_responses(unit))
        if found.data is not None:
            return found.data
        if found.code is not None:
            raise exception_error(unit, found.code)
        damaged = found.loose == OVERHEAD + 2 * ask[3] or (
            found.loose > 0 and may_begin(line, unit, ask[1])
        )
        self._pending.owe(ask, sent_ns, self._long_ns(ask[3]), damaged and not found.passed)
        if damaged:
            raise self._damaged(unit, line)
        if found.passed:
            raise AmbiguousAnswerError(
                f"unit {unit}: this may be an older answer: {modbustrouble.LATE}"
            )
        self.response_timeout.silent(unit)
        raise self._silent(unit, found, line)

    def _damaged(self, unit: int, line: bytes) -> DataError:
        port, times = self.port, self.known.hurt(unit)
        why = modbustrouble.damaged(
            unit, times, port.port, port.settings, port.counted(), self.known
        )
        text = f"unit {unit}: damaged answer, {len(line)} bytes: {_hex(line)}"
        return DataError(f"{text}: {why}" if why else f"{text}; {modbustrouble.DAMAGED_REMEDY}")

    def _silent(self, unit: int, found: ResponseSearch, line: bytes) -> BusError:
        # the first time it was waited for in full; later a shorter wait would be told as another
        port, text = (
            self.port,
            f"unit {unit}: no answer within {self.response_timeout.timeout_s:g} s",
        )
        if found.loose:
            why = modbustrouble.noise(port.port, port.settings, port.counted())
            return BusError(f"{text}, only noise ({_hex(line)}): {why}", Reason.CRC)
        if found.unmatched:
            units = sorted({frame[0] for frame in found.unmatched})
            return BusError(f"{text}: {modbustrouble.another_spoke(unit, units)}")
        why = port.console() or modbustrouble.no_answer(unit, port.settings, self.known)
        return BusError(f"{text}: {why}")

    def _listen(
        self, sealed: bytes, ask: Ask, first_end_ns: int
    ) -> tuple[int, ResponseSearch, bytes]:
        """Read until the answer is whole or time is over. Gives also when its first byte came.

        Until `first_end_ns` a first byte may come; what has begun is heard to its end.
        """
        port = self.port
        hard_ns = first_end_ns + self._long_ns(ask[3])
        line, echo = bytearray(), Echo(sealed)
        found, first_ns, until_ns, whole = ResponseSearch(), 0, first_end_ns, EXCEPTION_LENGTH
        seen, passed = 0, list[bytes]()
        while chunk := port.read(until_ns):
            now_ns = self._last_ns = self._clock.monotonic_ns()
            if heard := echo.without(chunk):
                first_ns = first_ns or now_ns
                line += heard
            if len(line) > LIMIT or now_ns > hard_ns:
                break
            until_ns = max(first_end_ns, now_ns + self._torn_ns)
            if len(line) >= whole:
                found = self._judged(ask, bytes(line), passed, now_ns)
                self._came([one for one in found.unmatched[seen:] if one not in passed])
                seen = len(found.unmatched)
                if found.done:
                    break
                whole = len(line) + (found.expects or 1)
                if found.spoilt:
                    until_ns = now_ns + self._torn_ns
            if found.expects:  # ours has begun: whole it is after its last byte, or never
                until_ns = now_ns + (whole - len(line)) * port.char_ns + self._torn_ns
            self._doze(now_ns + (whole - len(line) - 1) * port.char_ns)
            until_ns = min(until_ns, hard_ns)
        line += echo.release()
        if not found.done:
            found = self._judged(ask, bytes(line), passed, self._last_ns)
            self._came([one for one in found.unmatched[seen:] if one not in passed])
        if passed:
            found = self._last(ask, bytes(line), found, passed)
        return first_ns, found, bytes(line)

    def _judged(self, ask: Ask, line: bytes, passed: list[bytes], now_ns: int) -> ResponseSearch:
        """What is in the line; answers that are not certainly ours are `passed` over."""
        unit, function, _, count = ask
        while True:
            found = search_response(line, unit, function, count, passed)
            if not found.done:
                return found
            worth = self._pending.worth(ask, found.data, found.code, now_ns, self._empty_ns)
            if worth is ResponseTrust.OLD and found.data is not None:
                found.data = StaleAnswer(found.data)
            if worth is not ResponseTrust.NONE:
                return found
            passed.append(line[found.begin : found.end])

    def _last(
        self, ask: Ask, line: bytes, found: ResponseSearch, passed: list[bytes]
    ) -> ResponseSearch:
        """An answer that was passed over is ours when no other came where none comes twice."""
        unit, function, _, count = ask
        now_ns = self._clock.monotonic_ns()
        if found.done:
            for copy in passed:
                self._pending.came(copy, now_ns, self._empty_ns)
        elif self._pending.proven(unit, now_ns):
            return search_response(line, unit, function, count)
        return found

    def _came(self, answers: Sequence[bytes]) -> None:
        """These came, and were not waited for."""
        if answers:
            now_ns = self._clock.monotonic_ns()
            for answer in answers:
                self._pending.came(answer, now_ns, self._empty_ns)
            self.known.stray([answer[0] for answer in answers])

    def _long_ns(self, count: int) -> int:
        """What an answer of so many registers takes at most, from its first byte on."""
        return (OVERHEAD + 2 * count) * self.port.char_ns + self._torn_ns

    def _doze(self, until_ns: int) -> None:
        rest_ns = until_ns - EARLY_NS - self._clock.monotonic_ns()
        if rest_ns > EARLY_NS:
            self._clock.sleep(rest_ns / 1e9)

    def _quiet(self) -> None:
        """Wait for 3.5 characters of silence; what comes meanwhile is nobody's."""
        give_up_ns = self._clock.monotonic_ns() + BABBLE_NS
        stray = b""
        while True:
            free_ns = self._last_ns + self.silence_ns
            heard = self.port.read(free_ns)
            now_ns = self._clock.monotonic_ns()
            if not heard:
                if now_ns >= free_ns:
                    break
                continue
            self._last_ns = now_ns
            stray = (stray + heard)[-LIMIT:]
            if now_ns > give_up_ns:
                raise BusError(
                    f"{self.port.port} is never quiet: another master, or a device that talks"
                    " by itself, is on this line; disconnect it",
                    Reason.BUSY,
                )
        if stray:
            self._came(search_response(stray, -1, 0, 0).unmatched)
        self._empty_ns = now_ns

    def _settle(self, ask: Ask) -> None:
        """Let pass an answer that could be taken for the one to `ask`. Raises AmbiguousAnswerError.

        It is not waited for longer than twice the time-out: the line has others.
        """
        now_ns = self._clock.monotonic_ns()
        due = self._pending.bars(ask, now_ns)
        if due is None:
            return
        give_up_ns = (
            due.sent_ns + int(2 * self.response_timeout.timeout_s * 1e9) + self._long_ns(ask[3])
        )
        give_up_ns = min(due.until_ns, give_up_ns)
        late = b""
        while chunk := self.port.read(give_up_ns):
            now_ns = self._last_ns = self._clock.monotonic_ns()
            late = (late + chunk)[-LIMIT:]
            if answers := search_response(late, -1, 0, 0).unmatched:
                late = b""
                self._came(answers)
            if now_ns > give_up_ns or self._pending.bars(ask, now_ns) is None:
                break
        now_ns = self._clock.monotonic_ns()
        if due := self._pending.bars(ask, now_ns):
            rest_s = (due.until_ns - now_ns) / 1e9
            raise AmbiguousAnswerError(
                f"an earlier answer of unit {ask[0]} is missing, and could be taken for this one"
                f" (the unit is asked again in {rest_s:.1f} s): {modbustrouble.LATE}"
            )


def _hex(line: bytes) -> str:
    return line[:16].hex(" ") + (" ..." if len(line) > 16 else "")
