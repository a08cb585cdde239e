"""Nova SDS011 (also SDS018, SDS021): particulate matter, UART, sends by itself or when asked.

Source: Nova Fitness "Laser Dust Sensor Control Protocol" V1.3 (frames, reporting mode, working
period, sleep); drivers avaldebe/PyPMS, menschel/sds011, ESPHome sds011. From one source each: an
answer may take a second (TimOrme/sds011lib), and a sensor that rests between its working periods
answers with its last values (arendst/Tasmota). Others saw no answer, so the driver allows both.

Its laser lasts about 8000 hours: eleven months of continuous work. `work_min = 5` makes it work
for half a minute in five and last nine years.
"""

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Annotated, ClassVar, Final, Literal

from drivers.chips._framers import partial_head
from edge.core import (
    Bad,
    BusError,
    Condition,
    DataError,
    Framer,
    Point,
    Quantity,
    Reason,
    Sample,
    SerialBus,
    UncertainValue,
)

VALUES: Final = b"\xaa\xc0"
REPLY: Final = b"\xaa\xc5"
COMMAND: Final = b"\xaa\xb4"
TAIL: Final = 0xAB
SIZE: Final = 10
COMMAND_SIZE: Final = 19
MODE, QUERY, SLEEP, PERIOD = 2, 4, 6, 8

ANSWER_S: Final = 2.0
REPORT_S: Final = 3.0  # it reports each second, 1.5 s at most
REST_S: Final = 0.5  # while it may be at rest, for what came since
GRACE_S: Final = 90.0  # beyond its period; it keeps that badly
SPARE_READS: Final = 4  # beyond one and a half of its usual rest
SETTLE_READS: Final = 30  # its values are steady 30 s after a start
PER_UNIT: Final = 10

POINTS: Final = tuple(
    Point(key, Quantity.MASS_CONCENTRATION, low=0, high=999.9) for key in ("pm2_5", "pm10")
)


def encode_command(code: int, *data: int) -> bytes:
    """A command to whichever sensor is on the line."""
    body = bytes([code, *data]).ljust(13, b"\0") + b"\xff\xff"
    return COMMAND + body + bytes([sum(body) & 0xFF, TAIL])


def framer_for(start: bytes) -> Framer:
    """Finds whole frames that begin so, among any others."""

    def found(data: bytes) -> tuple[bytes | None, int]:
        at = data.find(start)
        if at < 0:
            return None, len(data) - partial_head(data, start)
        if len(data) - at < SIZE:
            return None, at
        frame = data[at : at + SIZE]
        return (frame, at + SIZE) if is_whole(frame) else (None, at + 1)

    return found


def is_whole(frame: bytes) -> bool:
    """Whether sum and end are right; of a command, too."""
    return (
        len(frame) in (SIZE, COMMAND_SIZE)
        and frame[-1] == TAIL
        and frame[-2] == sum(frame[2:-2]) & 0xFF
    )


def decode(frame: bytes) -> tuple[Sample, ...]:
    """One frame of values. Raises DataError when it is damaged. Zeros are bad:warmup."""
    if len(frame) != SIZE or not frame.startswith(VALUES) or not is_whole(frame):
        raise DataError(f"no values of an SDS011: {frame[:SIZE].hex() or 'nothing'}")
    counts = [int.from_bytes(frame[at : at + 2], "little") for at in (2, 4)]
    if not any(counts):
        return (Bad(Reason.WARMUP),) * len(POINTS)
    return tuple(
        count / PER_UNIT if count / PER_UNIT <= point.high else Bad(Reason.RANGE)
        for point, count in zip(POINTS, counts, strict=True)
    )


@dataclass(slots=True)
class Sds011:
    """One sensor, alone on its port.

    `mode` "query" asks for each value, at best every 3 s; "active" listens to a value a second.
    `work_min` 0 is continuous work: the first `settle_reads` readings after a start are uncertain
    (warmup). 1 to 30 is the sensor's own period: it works 30 s of so many minutes, tells its latest
    values, and rests, in which nothing new is bad:stale and no fault; only silence for one and a
    half times its usual rest is. Then "active" is the better mode: its one report is not missed.
    Both settings stay in its memory, so they are written only when they differ. Without a period
    it is put to sleep when it is closed.
    """

    bauds: ClassVar[tuple[int, ...]] = (9600,)
    formats: ClassVar[tuple[str, ...]] = ("8N1",)
    points: ClassVar[Sequence[Point]] = POINTS
    every_s: ClassVar[float] = 3.0

    bus: SerialBus
    mode: Annotated[
        Literal["query", "active"],
        "`query` asks for each value, at most every 3 s; `active` listens to one value a second",
    ] = "query"
    work_min: Annotated[
        int,
        (0, 30),
        "0: the sensor works all the time. 1 to 30: it works for 30 s in each period of so many "
        "minutes, then rests",
    ] = 0
    settle_reads: Annotated[
        int,
        (0, 3600),
        "readings after a start that are uncertain:warmup, if `work_min` is 0",
    ] = SETTLE_READS
    _identity: str = field(default="", init=False, repr=False)
    _unsaid: dict[str, str] = field(default_factory=dict, init=False, repr=False)
    _set: bool = field(default=False, init=False, repr=False)  # its settings have been looked at
    _reads: int = field(default=0, init=False, repr=False)
    _quiet: int = field(default=0, init=False, repr=False)  # readings without anything
    _rests: tuple[int, int] = field(default=(0, 0), init=False, repr=False)  # how many, the longest

    @property
    def identity(self) -> str:
        """The two bytes of its id, which comes with all that it says."""
        return self._identity

    @property
    def health(self) -> Mapping[Condition, str]:
        """Settings that it did not take, and whether it warms up."""
        found: dict[Condition, str] = {}
        if self._unsaid:
            found[Condition.SETTINGS] = "; ".join(self._unsaid.values())
        if not self.work_min and self._reads <= self.settle_reads:
            found[Condition.WARMUP] = "warming up after the start"
        return found

    @property
    def pace_s(self) -> float:
        """How often it has something new; 0: whenever it is asked."""
        return 60.0 * self.work_min

    async def open(self) -> None:
        """Wake it, and see to its settings. Raises BusError when it should work and is silent."""
        self._reads = 0
        if self.work_min and self._quiet:
            return  # opened again because it rests
        self._set = False
        try:
            await self._set_up()
        except BusError:
            if not self.work_min:
                raise

    async def read(self) -> tuple[Sample, ...]:
        """Its latest values. Raises BusError on silence, DataError when nothing is a frame."""
        try:
            frame = await self._frame()
        except BusError:
            self._reads = 0
            self._quiet += 1
            if self._is_missed():
                self._set = False  # what comes next may be another one
                raise
            return (Bad(Reason.STALE),) * len(POINTS)
        if self._quiet:
            self._rests = (self._rests[0] + 1, max(self._rests[1], self._quiet))
        self._quiet = 0
        self._identity = frame[6:8].hex()
        if not self._set:
            with suppress(BusError):  # it has just fallen asleep
                await self._set_up()
        samples = decode(frame)
        if Bad(Reason.WARMUP) in samples:
            self._reads = 0
            return samples
        self._reads += 1
        if self.work_min or self._reads > self.settle_reads:
            return samples
        return tuple(
            s if isinstance(s, Bad | UncertainValue) else UncertainValue(s, Reason.WARMUP)
            for s in samples
        )

    async def close(self) -> None:
        """Let fan and laser stand still. Always safe."""
        working, self._reads = self._reads, 0
        if working and not self.work_min:
            self._set = False
            with suppress(BusError):
                await self.bus.send(encode_command(SLEEP, 1, 0))

    def _is_missed(self) -> bool:
        """Whether this is no rest any more. How often it is asked is not known here but learnt."""
        if not self.work_min:
            return True
        rests, longest = self._rests
        if rests >= 2:  # the first may have been begun before we came
            return self._quiet > 1.5 * longest + SPARE_READS
        return self._quiet * REST_S > 60.0 * self.work_min + GRACE_S

    async def _frame(self) -> bytes:
        if self.mode == "query":
            wait_s = REST_S if self.work_min and self._quiet else ANSWER_S
            return await self.bus.frame(framer_for(VALUES), wait_s, write=encode_command(QUERY))
        wait_s = REST_S if self.work_min else REPORT_S
        return await self.bus.frame(framer_for(VALUES), wait_s, newest=True)

    async def _set_up(self) -> None:
        await self._ask(encode_command(SLEEP, 1, 1))
        await self._adjust("reporting mode", MODE, int(self.mode == "query"))
        await self._adjust("working period", PERIOD, self.work_min)
        self._set = True

    async def _adjust(self, what: str, code: int, wanted: int) -> None:
        """Set what differs. Remembers what the sensor did not confirm."""
        answer = await self._ask(encode_command(code))
        if answer is None or answer[4] != wanted:
            answer = await self._ask(encode_command(code, 1, wanted))
        if answer is None or answer[4] != wanted:
            self._unsaid[what] = f"it did not confirm its {what} ({wanted})"
        else:
            self._unsaid.pop(what, None)

    async def _ask(self, question: bytes) -> bytes | None:
        """Its reply, or None when it says other things only. Raises BusError on silence."""
        try:
            reply = await self.bus.frame(
                framer_for(REPLY + question[2:3]), ANSWER_S, write=question
            )
        except DataError:
            return None
        self._identity = reply[6:8].hex()
        return reply


def explain(frames: Sequence[bytes]) -> dict[str, Sample]:
    """What the last values among these frames mean, for a sensor that has settled.

    Commands and replies to them may be among them. Raises DataError for a damaged frame, and when
    there are no values.
    """
    samples: tuple[Sample, ...] = ()
    for frame in frames:
        if frame[:2] not in (COMMAND, REPLY, VALUES) or not is_whole(frame):
            raise DataError(f"no frame of an SDS011: {frame[:COMMAND_SIZE].hex() or 'nothing'}")
        if frame.startswith(VALUES):
            samples = decode(frame)
    if not samples:
        raise DataError("no values among the frames", Reason.SILENT)
    return {point.key: sample for point, sample in zip(POINTS, samples, strict=True)}


DRIVER: Final = Sds011
