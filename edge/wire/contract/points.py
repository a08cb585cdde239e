"""Devices with points: air, energy, and loop cards that count by themselves."""

from abc import ABC
from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Any, Literal, TypeVar

from msgspec import UNSET, Meta, UnsetType, convert

from edge.wire.contract.body import Covered, Covers, Partial, RecordBody
from edge.wire.contract.terms import (
    MAX_INT,
    QUALITIES,
    Amount,
    Conditions,
    Count,
    Qualities,
    Share,
    WireStruct,
    meaning,
)

Steps64 = Annotated[int, Meta(ge=-MAX_INT - 1, le=MAX_INT)]
Form = TypeVar("Form", bound=WireStruct)
METER = "`meta` has its unit."


class Gauge(WireStruct, kw_only=True):
    """A measured value: its mean and extremes. Sums are integers in `step`, so merging is exact.

    mean = (origin + sum / n) * step; variance = (sq / n - (sum / n)^2) * step^2.
    """

    mean: Annotated[
        float | None, meaning(f"Mean of the good values; null if there is none. {METER}")
    ]
    n: Annotated[Count, meaning("Number of values in mean, min, max and sums.")]
    min: Annotated[float | None, meaning("Smallest value.")]
    max: Annotated[float | None, meaning("Largest value.")]
    sum: Annotated[Steps64, meaning("Sum of (value - origin), in steps.")]
    sq: Annotated[
        Annotated[int, Meta(ge=0, le=MAX_INT)] | None,
        meaning("Sum of (value - origin)^2, in steps^2; null when it is beyond 64 bits."),
    ]
    origin: Annotated[Steps64, meaning("The value from which the sums count, in steps.")]
    step: Annotated[Amount, meaning("The resolution, in the point's unit.")]
    quality: Annotated[Qualities, meaning(QUALITIES)]
    grade: (
        Annotated[
            Literal["uncertain"],
            meaning(
                "No value was good; mean, min, max and sums are those of the uncertain values."
            ),
        ]
        | UnsetType
    ) = UNSET


class Total(WireStruct, kw_only=True):
    """A register that only grows. The sum of `delta` over all windows is the register's growth."""

    first: Annotated[float | None, meaning(f"First good value of the window. {METER}")]
    last: Annotated[float | None, meaning("Last good value of the window.")]
    delta: Annotated[
        float | None,
        meaning("Growth since the last good value before the window; null without a good value."),
    ]
    step: Annotated[Amount, meaning("The resolution, in the point's unit.")]
    quality: Annotated[Qualities, meaning(QUALITIES)]


if TYPE_CHECKING:
    PointSummary = Gauge | Total
else:  # msgspec takes no union of maps without a tag: `point_hook` decides

    class PointSummary(ABC):  # noqa: B024
        """One of both: a Total has `delta`, a Gauge has not."""

    PointSummary.register(Gauge)
    PointSummary.register(Total)

PointKey = Annotated[str, Meta(min_length=1, max_length=64)]


class Device(RecordBody, kw_only=True):
    """One device that is polled, or counts pulses, in one period."""

    covered_s: Covered
    points: Annotated[
        dict[PointKey, PointSummary],
        meaning("Each point by its key: a Gauge or a Total. `meta` has units and ranges."),
    ]
    quality: (
        Annotated[Qualities, meaning("Quality of the whole window: uncertain:clock.")] | UnsetType
    ) = UNSET


Anomalies = Annotated[
    dict[str, Share],
    meaning("Points with an anomaly, each with its score; only scores above 0.05.", "/"),
]
Reported = Annotated[Conditions, meaning("Conditions that the device reports now.")]


class Air(Device, kw_only=True):
    """Air quality and weather: one device, one period."""

    partial: Partial | UnsetType = UNSET
    anomaly: Anomalies | UnsetType = UNSET
    health: Reported | UnsetType = UNSET
    covers: Covers | UnsetType = UNSET


class Energy(Device, kw_only=True):
    """Energy: one meter or pulse output, one period."""

    lost_edges: (
        Annotated[
            Count, meaning("Of a pulse meter: edges that did not fit in the kernel's buffer.")
        ]
        | UnsetType
    ) = UNSET
    partial: Partial | UnsetType = UNSET
    anomaly: Anomalies | UnsetType = UNSET
    health: Reported | UnsetType = UNSET
    covers: Covers | UnsetType = UNSET


class LoopCard(Device, kw_only=True):
    """A loop card on a serial line, which counts by itself: its points, one period."""

    partial: Partial | UnsetType = UNSET
    health: Reported | UnsetType = UNSET
    covers: Covers | UnsetType = UNSET


AnyDevice = Air | Energy | LoopCard


def point_hook(kind: type, value: Any) -> Gauge | Total:
    """For msgspec: which of the two a point is."""
    if kind != PointSummary:
        raise NotImplementedError(f"no rule for {kind}")
    if isinstance(value, dict) and "delta" in value:
        return convert(value, Total)
    return convert(value, Gauge)


def read_body(form: type[Form], found: Mapping[str, Any]) -> Form:
    """Back from what was kept or received. Raises ValueError for what is not declared."""
    return convert(found, form, dec_hook=point_hook)
