"""One serial port on which devices talk in frames: by themselves, or when they are asked.

Several that are asked by address may share it.
"""

import asyncio
import termios
import time
from typing import Final

from drivers.buses.echo import Echo
from drivers.buses.serial_trouble import damaged, silent
from drivers.buses.serial_wire import LIMIT, SerialWire
from edge.core import BusError, DataError, Framer, Reason

SAMPLE: Final = 64  # bytes of what came that are looked at when no frame is in it
SLICE_NS: Final = 100_000_000  # `frame` lets its loop run this often while it waits
IDLE_CHARS: Final = 3.5  # before a question: a device may need as long to let go of the line
SETTLE_NS: Final = 20_000_000  # a late answer is over: USB adapters hold bytes back for 16 ms
BABBLE_NS: Final = 500_000_000  # who is not quiet for so long will not be
FULL: Final = 3072  # bytes that wait: the kernel keeps 4095, and a USB adapter stops at 3968


class SerialPort(SerialWire):
    """A port as a `SerialBus`."""

    async def frame(
        self, cut: Framer, timeout_s: float, write: bytes = b"", newest: bool = False
    ) -> bytes:
        """Write, then read until `cut` finds a frame; `newest` takes the last of those waiting.

        What was said before the question cannot be its answer: it is thrown away, and a late
        answer that has begun is heard to its end first. One that begins later still is for `cut`
        to tell by its address. Where an adapter hears itself, the question is not heard. What
        waits is as new as the last call, or newer; where so much waits that the newest of it was
        lost, it is thrown away. Raises BusError on silence, DataError when bytes came but no frame
        among them.
        """
        self.open()
        sent_ns, echo = 0, Echo(write, self.bits)
        if newest:
            await self._catch_up()
        if write:
            await self._quiet()
            self._settled = False
            sent_ns = self.write(write)
        until_ns = max(sent_ns, time.monotonic_ns()) + int(timeout_s * 1e9)
        last: bytes | None = None
        seen, sample = len(self._buffer), bytes(self._buffer[:SAMPLE])
        while True:
            while (found := self._next(cut)) is not None:
                if not newest:
                    self._settled = not self._buffer
                    return found
                last = found
            now_ns = time.monotonic_ns()
            chunk = echo.without(self.read(now_ns if last else min(until_ns, now_ns + SLICE_NS)))
            if not chunk and now_ns >= until_ns:
                chunk = echo.release()
            seen += len(chunk)
            sample += chunk[: SAMPLE - len(sample)]
            self._keep(chunk)
            if last is not None and (not chunk or now_ns >= until_ns):
                return last
            if last is None and not chunk and now_ns >= until_ns:
                break
            if last is None and now_ns >= until_ns + SLICE_NS:
                break  # a flood in which nothing is a frame
            await asyncio.sleep(0)
        if seen:
            raise DataError(damaged(self.port, self.settings, sample, seen, self.counted()))
        raise BusError(
            self.console() or str(silent(self.port, self.settings, timeout_s, bool(write)))
        )

    async def send(self, data: bytes) -> None:
        """Write what nothing answers, once the line is free. Raises BusError."""
        self.open()
        await _until(max(self._sent_ns, self._heard_ns) + self._idle_ns)
        self.write(data)

    async def speed(self, baud: int = 0) -> None:
        """Change the bits per second, once all that was written has left; 0: as configured.

        It holds until it is changed again or the port is opened anew. Raises BusError.
        """
        self.open()
        baud = baud or self.baud
        if baud == self._now_baud or self._serial is None:
            return
        await _until(self._sent_ns)  # an adapter may have taken bytes that it has not sent yet
        try:
            termios.tcdrain(self._fd)
            self._serial.baudrate = baud
        except (OSError, ValueError, termios.error) as error:
            raise BusError(f"{self.port} does not change to {baud} baud: {error}") from error
        self._now_baud, self.char_ns = baud, self._char_ns(baud)

    @property
    def _idle_ns(self) -> int:
        return int(IDLE_CHARS * self.char_ns)

    async def _quiet(self) -> None:
        """Throw away what was said, until nothing is said any more. Raises BusError."""
        give_up_ns = time.monotonic_ns() + BABBLE_NS
        if self.drain():
            self._settled = False
        while True:
            pause_ns = self._idle_ns if self._settled else max(self._idle_ns, SETTLE_NS)
            # not from the last time-out on: only what was heard can go on
            free_ns = max(self._heard_ns + pause_ns, self._sent_ns + self._idle_ns)
            now_ns = time.monotonic_ns()
            if now_ns >= free_ns:
                return
            if now_ns > give_up_ns:
                raise BusError(
                    f"{self.port} is never quiet: a device that talks by itself, or another master,"
                    " is on this line; disconnect it",
                    Reason.BUSY,
                )
            if self.read(min(free_ns, now_ns + SLICE_NS)):
                self._settled = False
            await asyncio.sleep(0)

    async def _catch_up(self) -> None:
        """Take what waits; if that is so much that later bytes found no room, throw it all away."""
        chunk, give_up_ns = self.read(0), time.monotonic_ns() + BABBLE_NS
        self._keep(chunk)
        while len(chunk) >= FULL and time.monotonic_ns() < give_up_ns:
            await asyncio.sleep(SETTLE_NS / 1e9)  # the kernel holds more behind what it shows
            chunk = self.drain()

    def _keep(self, chunk: bytes) -> None:
        self._buffer += chunk
        if len(self._buffer) > LIMIT:
            del self._buffer[: len(self._buffer) - LIMIT]

    def _next(self, cut: Framer) -> bytes | None:
        """The next frame in the buffer; what `cut` is done with goes out of it."""
        while self._buffer:
            frame, done = cut(bytes(self._buffer))
            if frame is not None:
                del self._buffer[: max(done, 1)]
                return frame
            if done <= 0:
                return None
            del self._buffer[:done]
        return None


async def _until(mono_ns: int) -> None:
    rest_s = (mono_ns - time.monotonic_ns()) / 1e9
    if rest_s > 0:
        await asyncio.sleep(rest_s)
