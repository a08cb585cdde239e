"""What one loop tells of speeds, and of those who follow too closely."""

from typing import Annotated

from edge.core import Quantity
from edge.uplink.wire.contract.histogram import Sum
from edge.uplink.wire.contract.terms import Amount, Count, Part, Positive, told


class SingleSpeed(Part, kw_only=True):
    """An estimate from one loop: an effective length over the usual on-time of some vehicles."""

    kmh: Annotated[
        Amount,
        told(
            "Space-mean speed, estimated: the harmonic mean. DATEX II: averageVehicleSpeed,"
            " computationalMethod harmonic.",
            Quantity.SPEED,
        ),
    ]
    n: Annotated[Positive, told("Number of vehicles.")]
    isum: Annotated[Sum, told("Sum of their paces: with `n` two windows add up.", "ns/m")]
    effective_cm: Annotated[
        Positive,
        told(
            "The effective length that it relies on, learnt by this lane. NTCIP 1209:"
            " sensorZoneAvgVehicleLength and sensorZoneLength together.",
            "cm",
        ),
    ]


class Tailgating(Part, kw_only=True):
    """Gaps between vehicles of which both were moving."""

    n: Annotated[Count, told("Those that are shorter than `tailgate_s` in `meta`.")]
    of: Annotated[Positive, told("All of them.")]
