"""What Sensirion's modules say and what it means: status register, judgement, recordings.

Source: as in `_sensirion_module`.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from drivers.chips._sensirion import SerialQuery, exchanges, text_serial, whole_words
from edge.core import Bad, Condition, DataError, Point, Reason, Sample, UncertainValue

STOP: Final = b"\x01\x04"
READY: Final = b"\x02\x02"
STATUS: Final = b"\xd2\x06"
CLEAR: Final = b"\xd2\x10"  # the fan's error bit stays set until it is cleared
CLEAN: Final = b"\x56\x07"  # the fan blows itself free
SERIAL: Final = SerialQuery(b"\xd0\x33", 16, 0.05, text_serial)
ZERO_READS: Final = 5  # however soon a module counts as settled: at first zeros are no clean air
QUIET_READS: Final = 2  # more than usual
CLEANING_TEXT: Final = "no new values: its fan may be cleaning itself, for ten seconds each week"


Decode = Callable[[bytes, Reason], tuple[Sample, ...]]
"""Makes samples of the answer to `read`; the reason is for what the module calls unknown."""


@dataclass(frozen=True, slots=True)
class StatusFlag:
    """A bit of the status register, what it says of the module, and the points that it spoils."""

    bit: int
    keys: frozenset[str]
    condition: Condition
    text: str  # "" where another flag of this bit has it
    usable: bool = False  # the value stays, in doubt
    reason: Reason = Reason.FAULT


@dataclass(frozen=True, slots=True)
class Profile:
    """All in which one module differs from the others."""

    points: tuple[Point, ...]
    start: tuple[bytes, ...]  # one for each mode
    start_s: float
    stop_s: float
    wait_s: float  # from any other command to its answer
    read: bytes
    read_bytes: int
    decode: Decode
    settling: frozenset[str] = frozenset()  # keys of the points that need to settle
    flags: tuple[StatusFlag, ...] = ()  # none: it has no status register
    stop: bytes = STOP
    ready: bytes = READY
    ready_mask: int = 0x00FF
    serial: SerialQuery = SERIAL
    writes: frozenset[bytes] = frozenset()  # further commands, which carry arguments
    asks: frozenset[bytes] = frozenset()  # further commands, which have an answer


@dataclass(slots=True)
class StaleLimits:
    """How many reads in a row brought nothing new, and how many do so between two samples.

    Who polls faster than the module measures has some always, and more is what tells.
    """

    reads: int = 0
    usual: int = 0

    def broken(self) -> None:
        """There was a sample."""
        self.usual, self.reads = self.reads, 0

    @property
    def is_long(self) -> bool:
        return self.reads > self.usual + QUIET_READS


def is_ready(profile: Profile, frame: bytes) -> bool:
    """The answer to the question for news. Raises DataError when it is damaged."""
    return bool(int.from_bytes(whole_words(frame, 1)) & profile.ready_mask)


def status(frame: bytes) -> int:
    """The 32 bits of the status register. Raises DataError when they are damaged."""
    return int.from_bytes(whole_words(frame, 2))


def mark_warming(
    points: Sequence[Point], keys: frozenset[str], samples: Sequence[Sample]
) -> tuple[Sample, ...]:
    """Samples, of which those of `keys` are bad:warmup when all their numbers are zero.

    So a module sends them that has not seen any air yet.
    """
    seen = [s for p, s in zip(points, samples, strict=True) if p.key in keys]
    numbers = [sample for sample in seen if not isinstance(sample, Bad)]
    if any(numbers) or not numbers:
        return tuple(samples)
    return tuple(
        Bad(Reason.WARMUP) if p.key in keys and not isinstance(s, Bad) else s
        for p, s in zip(points, samples, strict=True)
    )


def apply_status(
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


def _judge(key: str, sample: Sample, raised: Sequence[StatusFlag], settled: bool) -> Sample:
    mine = [flag for flag in raised if key in flag.keys]
    for flag in mine:
        if not flag.usable:
            return Bad(flag.reason)
    if isinstance(sample, Bad | UncertainValue):
        return sample
    if mine:
        return UncertainValue(sample, mine[0].reason)
    return sample if settled else UncertainValue(sample, Reason.WARMUP)


def explain(profile: Profile, frames: Sequence[bytes]) -> dict[str, Sample]:
    """What a recorded conversation means, as of a module that has settled.

    `frames` are commands, each followed by its answer unless the module answers nothing to it.
    Raises DataError for a damaged or foreign frame, and when no values were read.
    """

    def answers(command: bytes) -> bool | None:
        if command in (profile.stop, CLEAR, CLEAN, *profile.start) or (
            len(command) > 2 and command[:2] in profile.writes
        ):
            return False
        asked = (profile.ready, STATUS, profile.read, profile.serial.command, *profile.asks)
        return True if command in asked else None

    samples: tuple[Sample, ...] | None = None
    register = 0
    for command, answer in exchanges(frames, answers):
        if command == STATUS:
            register = status(answer)
        elif command == profile.read:
            samples = profile.decode(answer, Reason.WARMUP)
        elif command == profile.serial.command:
            whole_words(answer, profile.serial.words)
        elif command == profile.ready and not is_ready(profile, answer):
            samples = (Bad(Reason.STALE),) * len(profile.points)
    if samples is None:
        raise DataError("no measured values among the frames", Reason.SILENT)
    judged_samples = apply_status(profile, samples, register, settled=True)
    return {point.key: sample for point, sample in zip(profile.points, judged_samples, strict=True)}
