"""The master of one Modbus RTU line: one question at a time, and no idle but the silence it asks.

It blocks its bus's thread with computed waits: a loop's millisecond timers would cost the line
a tenth of its time. Source: Modbus over serial line V1.02, section 2.5.1.
"""

import time
from collections.abc import Mapping, Sequence
from typing import Final

from drivers.buses.echo import Echo
from drivers.buses.finding import Finding
from drivers.buses.modbus import trouble
from drivers.buses.modbus.diagnose import Ask, diagnose
from drivers.buses.modbus.frame import (
    EXCEPTION_LENGTH,
    OVERHEAD,
    Scan,
    begins,
    refusal,
    request,
    scan,
    seal,
)
from drivers.buses.modbus.patience import Patience
from drivers.buses.modbus.trouble import Known
from drivers.buses.serial_port import SerialPort
from edge.core import BusError, DataError, Reason

FAST_BAUD: Final = 19_200  # above it the silence between frames no longer shrinks
FAST_SILENCE_NS: Final = 1_750_000
TORN_NS: Final = (
    50_000_000  # a pause this long inside an answer ends it; USB adapters hold back 16 ms
)
BABBLE_NS: Final = 250_000_000  # a line that is not quiet for so long has a talker on it
EARLY_NS: Final = 400_000  # a long wait ends so much before its end; select does the rest
LIMIT: Final = 1024  # bytes looked at for one answer; more is a flood
REQUESTS: Final = 4096  # prepared requests that are kept


class ModbusRtu:
    """A `ModbusBus` over a serial port.

    `timeout_s` is the time from the end of the request to the first byte of the answer. A unit
    that ran out of it may still answer up to `timeout_s` later without harm: until then it is
    not asked again, and what comes is thrown away.
    """

    def __init__(self, port: SerialPort, timeout_s: float = 0.5) -> None:
        self.port = port
        self.patience = Patience(timeout_s)
        self.silence_ns = FAST_SILENCE_NS if port.baud > FAST_BAUD else (7 * port.char_ns + 1) // 2
        self._torn_ns = max(self.silence_ns, TORN_NS)
        self._last_ns = 0  # when the line was last heard, or will have been used by us
        self._owed: dict[int, int] = {}  # unit -> until when its late answer may come
        self._requests: dict[tuple[int, int, int, int], bytes] = {}
        self.known = Known()

    async def read_registers(self, unit: int, function: int, address: int, count: int) -> bytes:
        """2 * count bytes, as on the wire. Raises BusError on silence, DataError for the rest."""
        key = (unit, function, address, count)
        sealed = self._requests.get(key)
        if sealed is None:
            sealed = seal(request(*key))
            if len(self._requests) >= REQUESTS:
                self._requests.clear()
            self._requests[key] = sealed
        return self._ask(sealed, unit, function, count)

    async def diagnose(
        self,
        asks: Mapping[str, Ask],
        listen_s: float = 0.5,
        search: Sequence[str] = (),
        addresses: Sequence[int] = (),
    ) -> list[Finding]:
        """What is wrong with this line, or with the devices on it.

        `asks` says for each what it is asked: unit, function, address, count. Where nobody answers
        they are asked at each of the settings in `search`, such as "2400 8E1"; where only some do,
        the others at these `addresses`. It writes no register. The port is closed afterwards.
        """
        return await diagnose(self, asks, listen_s, search, addresses)

    def close(self) -> None:
        """Give the port back. Always safe; the next read opens it again."""
        self.port.close()

    def abandon(self) -> None:
        """Give the port up for ever, though a thread may hang in it. From any thread."""
        self.port.abandon()

    def _ask(self, sealed: bytes, unit: int, function: int, count: int) -> bytes:
        port = self.port
        if port.open():
            self._last_ns = time.monotonic_ns()  # nobody knows what was on the line until now
        self._settle(unit)
        self._quiet()
        sent_ns = self._last_ns = port.write(sealed)
        wait_s = self.patience.wait_s(unit)
        first_ns, found, line = self._listen(sealed, sent_ns + int(wait_s * 1e9), count)
        if found.strangers:
            self.known.stray(found.strangers)
            for stranger in found.strangers:
                self._owed.pop(stranger, None)
        self.known.judge()
        if found.done:
            self.patience.answered(unit, max(0, first_ns - sent_ns) / 1e9)
            self.known.good(unit)
            if found.end < len(line):
                self.known.stray(scan(line[found.end :], -1, 0, 0).strangers)
            if self.known.twins(unit):
                raise DataError(trouble.twins(unit))
        if found.data is not None:
            return found.data
        if found.code is not None:
            raise refusal(unit, found.code)
        if found.loose == OVERHEAD + 2 * count or begins(line, unit, function):
            raise self._damaged(unit, line)
        self._owed[unit] = sent_ns + int(2 * self.patience.timeout_s * 1e9)
        self.patience.silent(unit)
        raise self._silent(unit, wait_s, found, line)

    def _damaged(self, unit: int, line: bytes) -> DataError:
        port, times = self.port, self.known.hurt(unit)
        why = trouble.damaged(unit, times, port.port, port.settings, port.counted(), self.known)
        text = f"unit {unit}: damaged answer, {len(line)} bytes: {_hex(line)}"
        return DataError(f"{text}; {why}" if why else text)

    def _silent(self, unit: int, wait_s: float, found: Scan, line: bytes) -> BusError:
        port, text = self.port, f"unit {unit}: no answer within {wait_s:g} s"
        if found.loose:
            why = trouble.noise(port.port, port.settings, port.counted())
            return BusError(f"{text}, only noise ({_hex(line)}); {why}", Reason.CRC)
        if found.strangers:
            return BusError(f"{text}; units {sorted(set(found.strangers))} spoke instead")
        why = port.console() or trouble.no_answer(unit, port.settings, self.known)
        return BusError(f"{text}: {why}")

    def _listen(self, sealed: bytes, first_end_ns: int, count: int) -> tuple[int, Scan, bytes]:
        """Read until the answer is whole or time is over. Gives also when its first byte came.

        Until `first_end_ns` a first byte may come; what has begun is heard to its end.
        """
        port, unit, function = self.port, sealed[0], sealed[1]
        hard_ns = first_end_ns + (OVERHEAD + 2 * count) * port.char_ns + self._torn_ns
        line, echo = bytearray(), Echo(sealed)
        found = Scan()
        first_ns, until_ns, whole = 0, first_end_ns, EXCEPTION_LENGTH
        while chunk := port.read(until_ns):
            now_ns = self._last_ns = time.monotonic_ns()
            if heard := echo.without(chunk):
                first_ns = first_ns or now_ns
                line += heard
            if len(line) > LIMIT or now_ns > hard_ns:
                break
            until_ns = max(first_end_ns, now_ns + self._torn_ns)
            if len(line) >= whole:
                found = scan(bytes(line), unit, function, count)
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
            found = scan(bytes(line), unit, function, count)
        return first_ns, found, bytes(line)

    def _doze(self, until_ns: int) -> None:
        rest_ns = until_ns - EARLY_NS - time.monotonic_ns()
        if rest_ns > EARLY_NS:
            time.sleep(rest_ns / 1e9)

    def _quiet(self) -> None:
        """Wait for 3.5 characters of silence; what comes meanwhile is nobody's."""
        give_up_ns = time.monotonic_ns() + BABBLE_NS
        stray = b""
        while True:
            free_ns = self._last_ns + self.silence_ns
            heard = self.port.read(free_ns)
            now_ns = time.monotonic_ns()
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
            self.known.stray(scan(stray, -1, 0, 0).strangers)

    def _settle(self, unit: int) -> None:
        """Let pass what this unit still owes, so that it is never taken for the next answer."""
        until_ns = self._owed.pop(unit, 0)
        late = bytearray()
        while time.monotonic_ns() < until_ns and (chunk := self.port.read(until_ns)):
            self._last_ns = time.monotonic_ns()
            late = (late + chunk)[-LIMIT:]
            if unit in scan(bytes(late), -1, 0, 0).strangers:
                return


def _hex(line: bytes) -> str:
    return line[:16].hex(" ") + (" ..." if len(line) > 16 else "")
