"""Traffic: what a lane with loops says about a window.

Names of other standards stand in the descriptions: NTCIP 1209 (transportation sensor systems) and
DATEX II (BasicData).
"""

from typing import Annotated, Literal

from msgspec import UNSET, Meta, UnsetType

from edge.core import Quantity
from edge.uplink.wire.contract.header import Summary
from edge.uplink.wire.contract.terms import (
    MAX_INT,
    QUALITIES,
    Amount,
    Count,
    Name,
    Part,
    Qualities,
    Share,
    told,
)

LaneHealth = Literal["ok", "no_activity", "trail_stuck_on", "unobserved", "chatter", "stuck_on"]
Sum = Annotated[int, Meta(ge=0, le=MAX_INT)]


class Histogram(Part, kw_only=True):
    """Fixed bins; adding two of one scale is exact. All but counts and sums is derived."""

    width: Annotated[Amount, told("Width of a bin, in `unit`.")]
    bins: Annotated[Count, told("Number of bins; one more holds everything beyond.")]
    first: Annotated[Count, told("The bin that `counts` begins with.")]
    counts: Annotated[list[Count], told("Values per bin, only the filled stretch.")]
    n: Annotated[Count, told("Number of values.")]
    step: Annotated[Amount, told("One step of `sum`, in `unit`.")]
    sum: Annotated[Sum, told("Sum of all values, in steps.")]


class Speeds(Histogram, kw_only=True):
    """Speeds of vehicles over a pair of loops."""

    unit: Annotated[Literal["km/h"], told("Unit of all that is not a count or in steps.")]
    mean: Annotated[
        Amount | None,
        told(
            "Arithmetic (time) mean. NTCIP 1209: sampleSpeedData; DATEX II: TrafficSpeed"
            ".averageVehicleSpeed, computationalMethod arithmetic.",
            Quantity.SPEED,
        ),
    ]
    isum: Annotated[Sum, told("Sum of paces, for the harmonic mean.", "ns/m")]
    harmonic: Annotated[
        Amount | None,
        told(
            "Harmonic (space) mean: the one for flow relations. DATEX II: averageVehicleSpeed,"
            " computationalMethod harmonic.",
            Quantity.SPEED,
        ),
    ]
    p15: Annotated[Amount | None, told("15th percentile.", Quantity.SPEED)]
    p50: Annotated[Amount | None, told("Median.", Quantity.SPEED)]
    p85: Annotated[Amount | None, told("85th percentile.", Quantity.SPEED)]


class Lengths(Histogram, kw_only=True):
    """Lengths of vehicles over a pair of loops. No classes: contacts do not tell them."""

    unit: Annotated[Literal["m"], told("Unit of all that is not a count or in steps.")]
    mean: Annotated[Amount | None, told("Mean.", Quantity.LENGTH)]
    p15: Annotated[Amount | None, told("15th percentile.", Quantity.LENGTH)]
    p50: Annotated[Amount | None, told("Median.", Quantity.LENGTH)]
    p85: Annotated[Amount | None, told("85th percentile.", Quantity.LENGTH)]


class Times(Histogram, kw_only=True):
    """Headways, or gaps, between vehicles."""

    unit: Annotated[Literal["s"], told("Unit of all that is not a count or in steps.")]
    mean: Annotated[Amount | None, told("Mean.", Quantity.DURATION)]
    p15: Annotated[Amount | None, told("15th percentile.", Quantity.DURATION)]
    p50: Annotated[Amount | None, told("Median.", Quantity.DURATION)]
    p85: Annotated[Amount | None, told("85th percentile.", Quantity.DURATION)]


class Lane(Summary, kw_only=True):
    """One lane, one period. What the state of its loops does not allow to say is null, never 0."""

    stream: Annotated[Literal["traffic"], told("The stream.")]
    lane: Annotated[Name, told("The lane. NTCIP 1209: sensorZoneLabel.")]
    approach: Annotated[Name, told("The approach that it belongs to.")]
    kind: (
        Annotated[Literal["bicycle"], told("What the lane is for, where not for vehicles.")]
        | UnsetType
    ) = UNSET
    volume: Annotated[
        Count | None,
        told(
            "Vehicles that came onto the lead loop. NTCIP 1209: sampleVolumeData; DATEX II:"
            " TrafficFlow.vehicleFlow, which is per hour.",
            Quantity.COUNT,
        ),
    ]
    occupancy: Annotated[
        Share | None,
        told(
            "Share of the watched time for which the lead loop was occupied. NTCIP 1209:"
            " samplePercentOccupancy; DATEX II: TrafficConcentration.occupancy (both in per cent).",
            Quantity.OCCUPANCY,
        ),
    ]
    on_us: Annotated[Count | None, told("For how long the lead loop was occupied.", "us")]
    speed: Annotated[Speeds | None, told("Of a pair of loops. NTCIP 1209: sampleSpeedData.")]
    length: Annotated[Lengths | None, told("Of a pair of loops. DATEX II: vehicleLength.")]
    headway: Annotated[
        Times | None,
        told(
            "From the front of one vehicle to the front of the next. DATEX II: TrafficHeadway"
            ".averageTimeHeadway."
        ),
    ]
    gap: Annotated[
        Times | None,
        told("From the end of one vehicle to the front of the next. DATEX II: averageTimeGap."),
    ]
    quality: Annotated[Qualities, told(QUALITIES + " Vehicles of a pair count once they are over.")]
    health: Annotated[
        LaneHealth,
        told(
            "State of the loops; the worst in the window. NTCIP 1209: sampleZoneStatus (stuck_on is"
            " maxPresence, chatter erraticCounts, no_activity noActivity, trail_stuck_on"
            " pairedZoneFault)."
        ),
    ]
    void_s: (
        Annotated[Amount, told("Watched time in which nothing was a number.", "s")] | UnsetType
    ) = UNSET
    breakups: (
        Annotated[Count, told("Vehicles that a loop had broken up, and that were joined.")]
        | UnsetType
    ) = UNSET
    wrong_way: (
        Annotated[Count, told("Vehicles that came over the trail loop first.")] | UnsetType
    ) = UNSET
    lost_edges: (
        Annotated[Count, told("Edges that did not fit in the kernel's buffer.")] | UnsetType
    ) = UNSET
    p_congested: (
        Annotated[
            Share | None,
            told("How likely its approach is congested; null: no healthy loop.", "/"),
        ]
        | UnsetType
    ) = UNSET
