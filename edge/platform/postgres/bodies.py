"""What the tables by kind take of a record's body: the same words as in `edge.wire.contract`, less
of them, and fields that a later version adds do no harm.

Numbers are bounded by what a column holds: what is beyond them is of another shape.
"""

from typing import Annotated, Final, Literal

from msgspec import UNSET, Meta, Struct, UnsetType

from edge.wire.contract.terms import Count, LoopPart

INT4: Final = (1 << 31) - 1
POINTS_LIMIT: Final = 256  # of one device

Int4 = Annotated[int, Meta(ge=0, le=INT4)]
Float4 = Annotated[float, Meta(ge=-1e38, le=1e38)]
Pace = Annotated[int, Meta(ge=0, le=1 << 53)]
Seconds = Annotated[float, Meta(ge=0, le=INT4 / 1000)]
Microseconds = Annotated[int, Meta(ge=0, le=INT4 * 1000)]
Short = Annotated[str, Meta(max_length=64)]
Qualities = dict[Short, int]


class Mean(Struct):
    """Of a histogram only its mean is wanted."""

    mean: Float4 | None


class SpeedSums(Struct):
    """Speeds over a pair of loops."""

    n: Int4
    sum: Annotated[int, Meta(ge=0, le=INT4)]
    step: Annotated[float, Meta(gt=0, le=1000)]
    isum: Pace
    p85: Float4 | None


class SingleSpeedSums(Struct):
    """Speeds that one loop has estimated."""

    n: Int4
    isum: Pace


class LaneBody(Struct):
    """See `edge.wire.contract.traffic.Lane`."""

    covered_s: Seconds
    volume: Int4 | None
    on_us: Microseconds | None
    speed: SpeedSums | None
    length: Mean | None
    headway: Mean | None
    gap: Mean | None
    quality: Qualities
    health: Short
    counted_by: Literal["trail", "both"] | UnsetType = UNSET
    speed_single: SingleSpeedSums | UnsetType = UNSET
    stopped: Int4 | UnsetType = UNSET
    queue_us: Microseconds | UnsetType = UNSET
    void_s: Seconds = 0.0
    p_congested: Float4 | UnsetType | None = UNSET
    covers: object = UNSET


class BayBody(Struct):
    """See `edge.wire.contract.bay.Bay`."""

    kind: Short
    covered_s: Seconds
    occupied_us: Microseconds | None
    arrivals: Int4 | None
    departures: Int4 | None
    overstays: Int4 | None
    occupied: Literal[0, 1] | None
    since_s: Float4 | None
    health: Short
    covers: object = UNSET


class PointBody(Struct):
    """A Gauge, or with `delta` a Total."""

    quality: Qualities
    mean: float | None = None
    n: Int4 | None = None
    min: Float4 | None = None
    max: Float4 | None = None
    last: float | None = None
    delta: float | None = None


class DeviceBody(Struct):
    """See `edge.wire.contract.points`: air, energy and loop cards."""

    covered_s: Seconds
    points: Annotated[dict[Short, PointBody], Meta(max_length=POINTS_LIMIT)]
    covers: object = UNSET


class EventBody(Struct):
    """What kinds of events have in common, and what of each says which one it is."""

    event: Short
    text: Annotated[str, Meta(max_length=10_000)]
    state: Short | UnsetType = UNSET
    part: LoopPart | UnsetType = UNSET
    since_s: Annotated[float, Meta(ge=0, le=1e9)] | UnsetType = UNSET
    fault: Short | UnsetType = UNSET
    condition: Short | UnsetType = UNSET
    cause: Short | UnsetType | None = UNSET
    reason: str | UnsetType = UNSET
    step: Short | UnsetType = UNSET
    point: Short | UnsetType = UNSET
    approach: Short | UnsetType = UNSET

    @property
    def detail(self) -> str | None:
        """Fault, cause, condition, step or reason; else the point or the approach."""
        words = (
            self.fault, self.cause, self.condition, self.step, self.reason, self.point,
            self.approach,
        )  # fmt: skip
        return next((word for word in words if isinstance(word, str)), None)


class HealthBody(Struct):
    """See `edge.wire.contract.health.Health`."""

    queue_rows: Count | None = None
    dropped: Count | None = None
    connection_failures: Count | None = None
    reads: Count | None = None
    errors: Count | None = None
    memory_available_bytes: Count | None = None
    disk_free_bytes: Count | None = None
    uptime_s: float | None = None
    queue_age_s: Float4 | None = None
    cpu_temperature: Float4 | None = None
    flash_written_mb_day: Float4 | None = None
    card_life_years: Float4 | None = None
    clock_synchronised: bool | None = None
    connected: bool | None = None
    in_memory: bool | None = None
    read_only: bool | None = None
    reboot_cause: Short | None = None
