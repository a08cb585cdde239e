"""What Sensirion's particle modules share: checked words, and the way from start to a value.

Source: Sensirion SEN5x and SPS30 datasheets, sections on I2C commands and the device status
register; drivers Sensirion/embedded-sps and Sensirion/python-i2c-sen5x.
"""

from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Annotated, ClassVar, Final

from edge.core import Bad, BusError, DataError, Doubt, I2cBus, Point, Reason, Sample, crc8

ADDRESS: Final = 0x69  # fixed in both modules: only one of them fits on a bus
STOP: Final = b"\x01\x04"
READY: Final = b"\x02\x02"
STATUS: Final = b"\xd2\x06"
CLEAR: Final = b"\xd2\x10"  # the fan's error bit stays set until it is cleared

SETTLE_READS: Final = 30  # both need up to 30 s at low concentrations, and bring a value a second
STATUS_EVERY: Final = 10  # samples; a fan does not break more often than that
# our second and the module's drift, so it may be late by a little: asked 5 times in a tenth
ASKS: Final = 5
ASKS_S: Final = 0.025

Decode = Callable[[bytes, Reason], tuple[Sample, ...]]
"""Makes samples of the answer to `read`; the reason is for what the module calls unknown."""


@dataclass(frozen=True, slots=True)
class Flag:
    """A bit of the status register and the points that it spoils."""

    bit: int
    keys: frozenset[str]
    usable: bool = False  # the value stays, in doubt
    reason: Reason = Reason.FAULT


@dataclass(frozen=True, slots=True)
class Profile:
    """All in which one module differs from the other."""

    points: tuple[Point, ...]
    start: bytes
    start_s: float
    stop_s: float
    wait_s: float  # from any other command to its answer
    read: bytes
    read_bytes: int
    decode: Decode
    settling: frozenset[str]  # keys of the points that need SETTLE_READS
    flags: tuple[Flag, ...]


@dataclass(slots=True)
class ParticleModule:
    """A module that measures on its own once started, a sample a second.

    The first `settle_reads` fresh samples after a start are uncertain (warmup) where the fan and
    the laser matter. They are counted, not timed: at a poll a second they are seconds; for a
    slower poll say fewer. Nothing new is bad:stale (before the first sample bad:warmup).

    A module that lost power refuses (BusError) or has nothing new; both lead to `open`, which
    starts it again. One that was only disturbed refuses the start and goes on as before.
    """

    profile: ClassVar[Profile]
    address: ClassVar[int] = ADDRESS

    bus: I2cBus
    settle_reads: Annotated[int, (0, 3600)] = SETTLE_READS
    _running: bool = field(default=False, init=False, repr=False)
    _fresh: int = field(default=0, init=False, repr=False)  # samples since the start
    _status: int = field(default=0, init=False, repr=False)
    _status_due: bool = field(default=True, init=False, repr=False)

    async def open(self) -> None:
        """Start measuring. Raises BusError when the module is not there."""
        try:
            await self.bus.transfer(ADDRESS, self.profile.start, wait_s=self.profile.start_s)
        except BusError:
            # it refuses a start while it measures; if it is that, it answers this
            await self._ready()
        else:
            self._fresh = 0
        self._status_due = True
        self._running = True

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
        if not running or not self._fresh:
            return
        with suppress(BusError):  # it may be gone, and measures no more than we do
            await self.bus.transfer(ADDRESS, STOP, wait_s=self.profile.stop_s)

    async def _read(self) -> tuple[Sample, ...]:
        profile = self.profile
        if not await self._has_news():
            nothing = Bad(Reason.STALE if self._fresh else Reason.WARMUP)
            return (nothing,) * len(profile.points)
        if self._status_due or self._fresh % STATUS_EVERY == 0:
            await self._ask_status()
        settled = self._fresh >= self.settle_reads
        samples = profile.decode(
            await self._ask(profile.read, profile.read_bytes),
            Reason.STALE if settled else Reason.WARMUP,
        )
        self._fresh += 1
        told = judged(profile, samples, self._status, settled)
        # a part that gives nothing any more may have said why
        self._status_due = Bad(Reason.STALE) in told
        return told

    async def _has_news(self) -> bool:
        for ask in range(ASKS):
            if await self._ready(ASKS_S if ask else 0.0):
                return True
        return False

    async def _ready(self, wait_s: float = 0.0) -> bool:
        return is_ready(await self._ask(READY, 3, wait_s))

    async def _ask_status(self) -> None:
        try:
            self._status = status(await self._ask(STATUS, 6))
            if self._status & sum(1 << flag.bit for flag in self.profile.flags):
                # so that the next answer speaks of what comes, not of what was
                await self.bus.transfer(ADDRESS, CLEAR, wait_s=self.profile.wait_s)
        except BusError:
            pass  # an SPS30 with firmware before 2.2 has no such register

    async def _ask(self, command: bytes, count: int, wait_s: float = 0.0) -> bytes:
        return await self.bus.transfer(
            ADDRESS, command, read=count, wait_s=max(wait_s, self.profile.wait_s)
        )


def words(frame: bytes, count: int) -> list[bytes | None]:
    """The words of an answer, two bytes each; None for a word whose checksum is wrong.

    Raises DataError when there are not `count` words.
    """
    if len(frame) != 3 * count:
        raise DataError(f"expected {3 * count} bytes, got {len(frame)}")
    return [
        frame[i : i + 2] if crc8(frame[i : i + 2]) == frame[i + 2] else None
        for i in range(0, len(frame), 3)
    ]


def is_ready(frame: bytes) -> bool:
    """The answer to READY. Raises DataError when it is damaged."""
    return bool(_whole(frame, 1)[-1])


def status(frame: bytes) -> int:
    """The 32 bits of the status register. Raises DataError when they are damaged."""
    return int.from_bytes(_whole(frame, 2))


def _whole(frame: bytes, count: int) -> bytes:
    found = words(frame, count)
    good = [word for word in found if word is not None]
    if len(good) < count:
        raise DataError(f"wrong checksum in {frame.hex()}")
    return b"".join(good)


def judged(
    profile: Profile, samples: Sequence[Sample], register: int, settled: bool
) -> tuple[Sample, ...]:
    """Samples with what the status register and the time since the start say of them."""
    raised = [flag for flag in profile.flags if register >> flag.bit & 1]
    if settled and not raised:
        return tuple(samples)
    return tuple(
        _judge(point.key, sample, raised, settled or point.key not in profile.settling)
        for point, sample in zip(profile.points, samples, strict=True)
    )


def _judge(key: str, sample: Sample, raised: Sequence[Flag], settled: bool) -> Sample:
    mine = [flag for flag in raised if key in flag.keys]
    for flag in mine:
        if not flag.usable:
            return Bad(flag.reason)
    if isinstance(sample, Bad | Doubt):
        return sample
    if mine:
        return Doubt(sample, mine[0].reason)
    return sample if settled else Doubt(sample, Reason.WARMUP)


def explain(profile: Profile, frames: Sequence[bytes]) -> dict[str, Sample]:
    """What a recorded conversation means, as of a module that has settled.

    `frames` are commands, each followed by its answer unless the module answers nothing to it.
    Raises DataError for a damaged or foreign frame, and when no values were read.
    """
    samples: tuple[Sample, ...] | None = None
    register = 0
    rest = iter([frame for frame in frames if frame])
    for command in rest:
        if command in (profile.start, STOP, CLEAR):
            continue
        if command not in (READY, STATUS, profile.read):
            raise DataError(f"{command.hex()} is no command that this driver gives")
        answer = next(rest, None)
        if answer is None:
            raise DataError(f"{command.hex()} has no answer", Reason.SILENT)
        if command == STATUS:
            register = status(answer)
        elif command == profile.read:
            samples = profile.decode(answer, Reason.WARMUP)
        elif not is_ready(answer):
            samples = (Bad(Reason.STALE),) * len(profile.points)
    if samples is None:
        raise DataError("no measured values among the frames", Reason.SILENT)
    told = judged(profile, samples, register, settled=True)
    return {point.key: sample for point, sample in zip(profile.points, told, strict=True)}
