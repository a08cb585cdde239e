"""The clock map as a manifest carries it: by which moments on both clocks its records were dated.

Both sides calculate with it: the gateway when it sends, the platform when it holds what it has
stored against what was sealed. Wall times are an envelope, outside of the digest (decision 13).
"""

from collections.abc import Iterable
from typing import Any, Final, NamedTuple

from edge.core import TimeQuality
from edge.core.walltime import SAME_NS, KnownBounds, wall_times

SAME_US: Final = SAME_NS // 1000
MOMENTS_LIMIT: Final = 32  # of one manifest
LATEST: Final = 1 << 62  # us, Unix or monotonic: whatever lies beyond is no time


class Moment(NamedTuple):
    """One moment on both clocks of a boot, microseconds; wall times are Unix.

    An unsure one, `none` or `floor`, has what is certain of the boots before and after.
    """

    boot: int
    mono_us: int
    wall_us: int
    tq: TimeQuality
    before_us: int | None = None
    after_us: int | None = None

    @property
    def offset_us(self) -> int:
        return self.wall_us - self.mono_us

    def same(self, other: "Moment") -> bool:
        """Whether both give a record the same wall times."""
        return (
            (self.boot, self.tq) == (other.boot, other.tq)
            and abs(self.offset_us - other.offset_us) <= SAME_US
            and _is_near(self.before_us, other.before_us)
            and _is_near(self.after_us, other.after_us)
        )

    def packed(self) -> list[Any]:
        """`[boot, mono, wall, tq, before, after]`."""
        return [*self[:3], str(self.tq), *self[4:]]

    def dated(self, from_us: int, to_us: int) -> tuple[int, int, KnownBounds | None]:
        """From, to and bounds (Unix us) of a record, as its gateway dates it by this moment."""
        known = _ns(self.before_us), _ns(self.after_us)
        start, end, bounds = wall_times(
            self.offset_us * 1000, self.tq, known, from_us * 1000, to_us * 1000
        )
        within = None if bounds is None else (_us(bounds[0]), _us(bounds[1]))
        return start // 1000, end // 1000, within


def _is_near(us: int | None, other_us: int | None) -> bool:
    if us is None or other_us is None:
        return us is other_us
    return abs(us - other_us) <= SAME_US


def make_moment(
    boot: int, mono_ns: int, wall_ns: int, tq: TimeQuality, known: KnownBounds
) -> Moment:
    """As a manifest says it. A `none` dates nothing: only what is known around it counts."""
    if tq is TimeQuality.NONE:
        mono_ns = wall_ns = 0
    around = (_us(known[0]), _us(known[1])) if tq.is_guessed else (None, None)
    return Moment(boot, mono_ns // 1000, wall_ns // 1000, tq, *around)


def parse_moments(found: object) -> tuple[Moment, ...]:
    """From a map that came from outside. Raises ValueError for what is no clock map."""
    if not isinstance(found, list | tuple) or len(found) > MOMENTS_LIMIT:
        raise ValueError(f"a clock map is a list of at most {MOMENTS_LIMIT} moments")
    return tuple(_moment(each) for each in found)


def _moment(found: object) -> Moment:
    match found:
        case [
            int(boot), int(mono), int(wall), word, int() | None as before, int() | None as after
        ] if (tq := TimeQuality.parse(word)) is not None:  # fmt: skip
            made = Moment(boot, mono, wall, tq, before, after)
        case _:
            raise ValueError(f"{found!r:.80} is not [boot, monotonic, wall, tq, before, after]")
    if not all(0 <= each < LATEST for each in _numbers(made)):
        raise ValueError(f"{found!r:.80} is not a moment")
    return made


def _numbers(moment: Moment) -> Iterable[int]:
    return (each for each in moment if isinstance(each, int))


def _us(ns: int | None) -> int | None:
    return None if ns is None else ns // 1000


def _ns(us: int | None) -> int | None:
    return None if us is None else us * 1000
