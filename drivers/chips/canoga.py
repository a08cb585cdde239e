"""3M / GTT Canoga C900 loop detector card (C922, C924, C924X) on its serial port, polled.

Source: mnit-rtmc/iris, package comm.canoga: the only public source of the protocol. GTT "Canoga
C924X Series Installation Manual": 9600 8N1 by default; TIA-232 at the front, half-duplex TIA-485
for several cards at the rear.

For each channel the card reports the newest vehicle: when it came (the card's clock, ms), how long
it stayed, a count modulo 256 and a byte of state. It does not report whether a vehicle is there
now, so an answer has no occupancy. `on_time` grows by the time that each vehicle stayed. Its growth
over a window, divided by the window's length, is the occupancy. At 9600 baud a question takes 50 ms
plus the time of the answer. With `every_s = 0.25` hardly any vehicle's duration is missed. With 1 s
some are missed on a busy lane, but all vehicles are counted.
"""

import struct
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Annotated, ClassVar, Final

from drivers.chips._canoga import (
    ANYBODY,
    CHANNELS,
    EVENTS,
    EVENTS_SIZE,
    FULL_COUNT_MS,
    LONGEST_HEADWAY_MS,
    SERIAL,
    Detection,
    DetectionStep,
    card_request,
    checksum,
    detection_step,
    detections,
    frame_events,
    headway_ms,
    text,
    text_framer,
    vehicles_between,
)
from edge.core import (
    Bad,
    BusError,
    Condition,
    ConfigError,
    DataError,
    Point,
    PointKind,
    Quantity,
    Reason,
    Sample,
    SerialBus,
    UncertainValue,
)

ANSWER_S: Final = 0.3
KEPT: Final = struct.Struct(">QQIIBB")  # volume, on_ms and the last detection of a channel
FORM: Final = b"\x01"

POINTS: Final = tuple(
    point
    for channel in range(1, CHANNELS + 1)
    for point in (
        Point(f"ch{channel}_volume", Quantity.COUNT, low=0, kind=PointKind.TOTAL),
        Point(f"ch{channel}_on_time", Quantity.DURATION, low=0, kind=PointKind.TOTAL),
        Point(f"ch{channel}_state", Quantity.STATE, low=0, high=255),
    )
)


@dataclass(slots=True)
class Channel:
    """What one loop has counted."""

    volume: int = 0
    on_ms: int = 0
    last: Detection | None = None
    suspect: Detection | None = None  # an odd answer that nothing has confirmed yet
    state: int = 0
    restored: bool = False

    def take(self, now: Detection, sure: bool) -> tuple[Sample, Sample]:
        """Volume and time occupied (s). `sure`: the answer before came without a gap."""
        last, suspect, self.suspect = self.last, self.suspect, None
        self.state = now.state
        if last is None:
            self.last = now
            if self.restored:
                return self._doubt()
            self.volume = now.count
            return self._good()
        what_changed = detection_step(last, now)
        if what_changed is DetectionStep.ODD:
            again = DetectionStep.ODD if suspect is None else detection_step(suspect, now)
            if again is DetectionStep.ODD:
                self.suspect = now
                return Bad(Reason.CRC), Bad(Reason.CRC)
            # Said twice: it is true. What the card had counted until then is not known.
            self._go_on(suspect or now, now, again)
            return self._doubt()
        self._go_on(last, now, what_changed)
        if what_changed is DetectionStep.SAME:
            return self._good()
        if not sure and headway_ms(last, now) >= FULL_COUNT_MS:
            return self._doubt()
        volume, on_time = self._good()
        # of those that came between two answers nobody knows how long they stayed
        alone = vehicles_between(last, now) == 1
        return volume, on_time if alone else UncertainValue(on_time, Reason.PARTIAL)

    def _go_on(self, before: Detection, now: Detection, step: DetectionStep) -> None:
        if step is DetectionStep.NEXT:
            self.volume += vehicles_between(before, now)
            self.on_ms += now.duration_ms
        self.last = now

    def _good(self) -> tuple[int, float]:
        return self.volume, self.on_ms / 1000

    def _doubt(self) -> tuple[Sample, Sample]:
        volume, on_time = self._good()
        return UncertainValue(volume, Reason.PARTIAL), UncertainValue(on_time, Reason.PARTIAL)


@dataclass(slots=True)
class Canoga:
    """One card. `address` is its slot (0 to 15), what was programmed (128 to 254), or 255 for the
    only card on its line.

    The bits of `fault_mask` in a channel's state mean a fault of its loop: then its time occupied
    is bad:fault. No public source says which they are, so it is 0; the state is a point.
    Vehicles that came while nobody asked are counted as long as there were fewer than 256; where
    that cannot be known the totals are uncertain (partial) once. An answer that cannot follow the
    one before it is bad:crc until the next one agrees: then the card was reset or is another.
    Raises ConfigError for an address that no card has.
    """

    points: ClassVar[Sequence[Point]] = POINTS
    line: ClassVar[str] = "9600 8N1"

    bus: SerialBus
    address: Annotated[
        int,
        (0, 255),
        "slot of the card (0 to 15), its programmed address (128 to 254), or 255 for the only "
        "card on its line",
    ] = ANYBODY
    fault_mask: Annotated[
        int,
        (0, 255),
        "bits in the state of a channel that mean a fault of its loop: then the time that the "
        "loop was occupied is bad:fault. 0: no bit, because no public source says which bits "
        "these are",
    ] = 0
    _channels: tuple[Channel, ...] = field(init=False, repr=False)
    _identity: str = field(default="", init=False, repr=False)
    _sure: bool = field(default=False, init=False, repr=False)

    def __post_init__(self) -> None:
        self._channels = tuple(Channel() for _ in range(CHANNELS))
        try:
            card_request(self.address, EVENTS)
        except ValueError as error:
            raise ConfigError(str(error)) from error

    @property
    def identity(self) -> str:
        """Its serial number."""
        return self._identity

    @property
    def health(self) -> Mapping[Condition, str]:
        """The loops whose state has a bit of `fault_mask`."""
        broken = [
            str(number)
            for number, channel in enumerate(self._channels, 1)
            if channel.state & self.fault_mask
        ]
        if not broken:
            return {}
        return {Condition.LOOP: f"fault of the loop on channel {', '.join(broken)}: check the loop"}

    async def open(self) -> None:
        """Ask for its serial number. Never fails: `read` tells whether it is there."""
        self._sure = False
        with suppress(BusError, DataError):
            cut = text_framer(SERIAL, self.address)
            frame = await self.bus.frame(cut, ANSWER_S, write=card_request(self.address, SERIAL))
            self._identity = text(frame, SERIAL, self.address)

    async def read(self) -> tuple[Sample, ...]:
        """Totals and states. Raises BusError on silence, DataError for a damaged answer."""
        sure, self._sure = self._sure, False
        question = card_request(self.address, EVENTS)
        answer = detections(await self.bus.frame(frame_events, ANSWER_S, write=question))
        samples: list[Sample] = []
        for channel, now in zip(self._channels, answer, strict=True):
            volume, on_time = channel.take(now, sure)
            fault = now.state & self.fault_mask
            samples += (volume, Bad(Reason.FAULT) if fault else on_time, now.state)
        self._sure = True
        return tuple(samples)

    async def close(self) -> None:
        """Nothing to release: it goes on counting."""

    def snapshot(self) -> bytes:
        """The totals, and where the card stood."""
        return FORM + b"".join(
            KEPT.pack(each.volume, each.on_ms, *_fields(each.last)) for each in self._channels
        )

    def restore(self, kept: bytes, age_s: float) -> None:
        """Go on with the totals; what passed meanwhile is counted if that was not for long."""
        if kept[:1] != FORM or len(kept) != 1 + CHANNELS * KEPT.size:
            return
        for channel, state in zip(self._channels, KEPT.iter_unpack(kept[1:]), strict=True):
            channel.volume, channel.on_ms = state[0], state[1]
            channel.restored = True
            if 0 <= age_s < LONGEST_HEADWAY_MS / 1000:
                channel.last = Detection(*state[2:])


def _fields(last: Detection | None) -> tuple[int, int, int, int]:
    if last is None:
        return 0, 0, 0, 0
    return last.duration_ms, last.start_ms, last.count, last.state


def explain(frames: Sequence[bytes]) -> dict[str, Sample]:
    """What the last answer among these frames means, to one who knew nothing before.

    Questions, and answers to that for the serial number, may be among them. Raises DataError for a
    damaged frame, and when there are no detections.
    """
    found: tuple[Detection, ...] = ()
    for frame in frames:
        if len(frame) == EVENTS_SIZE:
            found = detections(frame)
        elif frame.startswith(b"<") and len(frame) == 8:
            if frame[-3:] != b"%02X>" % checksum(frame[:-3]):
                raise DataError(f"wrong checksum in {frame.hex()}")
        else:
            text(frame, frame[4:5])
    if not found:
        raise DataError("no detections among the frames", Reason.SILENT)
    samples: list[Sample] = []
    for now in found:
        samples += (*Channel().take(now, sure=True), now.state)
    return {point.key: sample for point, sample in zip(POINTS, samples, strict=True)}


DRIVER: Final = Canoga
