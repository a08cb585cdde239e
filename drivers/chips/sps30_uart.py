"""Sensirion SPS30 on its UART: mass and number of particles and their typical size.

Source: Sensirion SPS30 datasheet, UART interface (SHDLC); drivers Sensirion/embedded-uart-sps and
avaldebe/PyPMS. The SEL pin stays open. From Sensirion's drivers: a sleeping module needs a byte
0xFF before the command to wake. The laser lasts more than ten years of continuous work, says the
datasheet; it is off while the driver is closed. Fan cleaning and zeros: as in `sps30`.

Unverified: the command for the device status register (0xD2), from Sensirion/python-uart-sps30.
Other sources have it for the SEN44 only, and a firmware before 2.2 has no such register. A module
that does not answer this command is read without it; its answers then report that there is an
error, but not which.
"""

import struct
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Annotated, ClassVar, Final

from drivers.chips._sensirion import checked_sample, text_serial
from drivers.chips._sensirion_module import ASKS, ASKS_S, SETTLE_READS, STATUS_EVERY
from drivers.chips._sensirion_profile import CLEANING_TEXT, StaleLimits, apply_status, mark_warming
from drivers.chips._shdlc import (
    NOT_ALLOWED,
    ShdlcResponse,
    encode_request,
    parse_request,
    parse_response,
    response_framer,
)
from drivers.chips.sps30 import KEYS, POINTS, Sps30
from edge.core import (
    Bad,
    BusError,
    Condition,
    DataError,
    Point,
    Reason,
    Sample,
    SerialBus,
    UncertainValue,
)

START, STOP, READ, WAKE, INFO, STATUS = 0x00, 0x01, 0x03, 0x11, 0xD0, 0xD2
FLOATS: Final = b"\x01\x03"
SERIAL: Final = b"\x03"
CLEAR: Final = b"\x01"  # the register speaks of what comes after it was read
PULSE: Final = b"\xff"
ANSWER_S: Final = 0.2  # it answers within 20 ms


def decode(frame: bytes) -> tuple[Sample, ...]:
    """An answer with ten floats. Raises DataError for a damaged one, or one with an error.

    Without data it has nothing new: bad:stale. What is no number, or none it can measure, is
    bad:range; all zeros are bad:warmup.
    """
    response = parse_response(frame)
    if response.error:
        raise DataError(
            f"it refuses to send its values (error 0x{response.error:02x})", Reason.FAULT
        )
    if not response.data:
        return (Bad(Reason.STALE),) * len(POINTS)
    if len(response.data) != 4 * len(POINTS):
        raise DataError(f"{len(response.data)} bytes are not ten floats")
    values = struct.unpack(">10f", response.data)
    return mark_warming(
        POINTS, KEYS, [checked_sample(p, v) for p, v in zip(POINTS, values, strict=True)]
    )


@dataclass(slots=True)
class Sps30Uart:
    """One module, its SEL pin open. `settle_reads` fresh samples after a start are uncertain."""

    bauds: ClassVar[tuple[int, ...]] = (115200,)
    formats: ClassVar[tuple[str, ...]] = ("8N1",)
    line: ClassVar[str] = "115200 8N1"
    points: ClassVar[Sequence[Point]] = POINTS

    bus: SerialBus
    settle_reads: Annotated[
        int,
        (0, 3600),
        "samples after a start that are uncertain:warmup; set fewer for a poll slower than one "
        "a second",
    ] = SETTLE_READS
    _identity: str = field(default="", init=False, repr=False)
    _running: bool = field(default=False, init=False, repr=False)
    _fresh: int = field(default=0, init=False, repr=False)  # samples since the start
    _silence: StaleLimits = field(default_factory=StaleLimits, init=False, repr=False)
    _register: int = field(default=0, init=False, repr=False)
    _register_answers: bool = field(default=True, init=False, repr=False)
    _flagged: bool = field(default=False, init=False, repr=False)
    _status_due: bool = field(default=True, init=False, repr=False)

    @property
    def identity(self) -> str:
        """Its serial number."""
        return self._identity

    @property
    def health(self) -> Mapping[Condition, str]:
        """What its status register says of fan and laser, and whether it warms up."""
        found: dict[Condition, str] = {}
        for flag in Sps30.profile.flags:
            if self._register >> flag.bit & 1:
                found.setdefault(flag.condition, flag.text)
        if self._flagged and not self._register:
            found[Condition.DEVICE] = (
                "it reports an error of its fan or its laser, but not which of them"
            )
        if self._silence.is_long and not found:
            found[Condition.CLEANING] = CLEANING_TEXT
        if self._running and self._fresh <= self.settle_reads:
            found[Condition.WARMUP] = "warming up after the start"
        return found

    async def open(self) -> None:
        """Start measuring. Raises BusError when the module is not there."""
        try:
            await self._start()
        except BusError:  # it may be asleep
            await self._ask(WAKE, before=PULSE)
            await self._start()
        with suppress(BusError, DataError):
            number = await self._ask(INFO, SERIAL)
            if not number.error:
                self._identity = text_serial(number.data)
        self._status_due = self._register_answers = True

    async def read(self) -> tuple[Sample, ...]:
        """One sample a point. Raises BusError, and DataError for an answer that cannot be."""
        try:
            return await self._read()
        except BusError:
            self._running = False  # let it measure: if it only was disturbed, it stays settled
            raise

    async def close(self) -> None:
        """Stop measuring, which spares fan and laser. Always safe.

        Before its first sample it is left running: who polls faster than it measures, and opens
        anew when nothing comes, would never see one.
        """
        running, self._running = self._running, False
        if running and self._fresh:
            with suppress(BusError, DataError):  # it may be gone, and measures no more than we do
                await self._ask(STOP)

    async def _start(self) -> None:
        response = await self._ask(START, FLOATS)
        if response.error not in (0, NOT_ALLOWED):  # which it is while it measures
            raise DataError(f"it does not start (error 0x{response.error:02x})", Reason.FAULT)
        if not response.error:
            self._fresh, self._silence = 0, StaleLimits()
        self._running = True

    async def _read(self) -> tuple[Sample, ...]:
        frame, response = await self._news()
        if response.error == NOT_ALLOWED:  # it has lost power, and its mode with it
            self._fresh = 0
            await self._start()
            return (Bad(Reason.WARMUP),) * len(POINTS)
        samples = decode(frame)
        if not response.data:
            self._silence.reads += 1
            nothing = Bad(Reason.STALE if self._fresh else Reason.WARMUP)
            return (nothing,) * len(POINTS)
        if response.flagged or self._status_due or self._fresh % STATUS_EVERY == 0:
            await self._ask_status()
        self._flagged = response.flagged
        self._silence.broken()
        settled = self._fresh >= self.settle_reads
        self._fresh += 1
        if self._flagged and not self._register:
            samples = _doubted(samples)
        return apply_status(Sps30.profile, samples, self._register, settled)

    async def _news(self) -> tuple[bytes, ShdlcResponse]:
        """Its answer; our second and its own drift, so what is not there yet comes in a moment."""
        frame = b""
        for ask in range(ASKS):
            if ask:
                await self._wait()
            frame = await self.bus.frame(
                response_framer(READ), ANSWER_S, write=encode_request(READ)
            )
            response = parse_response(frame)
            if response.data or response.error:
                break
        return frame, response

    async def _wait(self) -> None:
        with suppress(BusError, DataError):  # nothing is what we wait for
            await self.bus.frame(response_framer(READ), ASKS_S)

    async def _ask_status(self) -> None:
        self._status_due = False
        if not self._register_answers:
            return
        try:
            status = await self._ask(STATUS, CLEAR)
        except BusError:  # the values are here: it has no such command
            self._register_answers, self._register = False, 0
            return
        except DataError:
            self._status_due = True
            return
        if not status.error and len(status.data) >= 4:  # an old firmware does not know the command
            self._register = int.from_bytes(status.data[:4])

    async def _ask(self, command: int, data: bytes = b"", before: bytes = b"") -> ShdlcResponse:
        question = before + encode_request(command, data)
        return parse_response(
            await self.bus.frame(response_framer(command), ANSWER_S, write=question)
        )


def _doubted(samples: Sequence[Sample]) -> tuple[Sample, ...]:
    return tuple(
        s if isinstance(s, Bad | UncertainValue) else UncertainValue(s, Reason.FAULT)
        for s in samples
    )


def explain(frames: Sequence[bytes]) -> dict[str, Sample]:
    """What a recorded conversation means, as of a module that has settled.

    Requests and answers, or answers alone. Raises DataError for a damaged frame, and when no
    values were read.
    """
    samples: tuple[Sample, ...] = ()
    register = 0
    for frame in frames:
        if parse_request(frame.removeprefix(PULSE)) is not None:
            continue
        response = parse_response(frame)
        if response.command == READ:
            samples = decode(frame)
        elif response.command == STATUS and len(response.data) >= 4:
            register = int.from_bytes(response.data[:4])
    if not samples:
        raise DataError("no measured values among the frames", Reason.SILENT)
    applied = apply_status(Sps30.profile, samples, register, settled=True)
    return {point.key: sample for point, sample in zip(POINTS, applied, strict=True)}


DRIVER: Final = Sps30Uart
