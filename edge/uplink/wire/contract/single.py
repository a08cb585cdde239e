"""What one loop tells of speeds, and of those who follow too closely."""

from typing import Annotated

from edge.core import Quantity
from edge.uplink.wire.contract.histogram import Sum
from edge.uplink.wire.contract.terms import Amount, Count, Positive, WireStruct, meaning


class SingleSpeed(WireStruct, kw_only=True):
    """An estimate from one loop: an effective length over the usual on-time of some vehicles."""

    kmh: Annotated[
        Amount,
        meaning(
            "Space-mean speed, estimated: the harmonic mean. DATEX II: averageVehicleSpeed,"
            " computationalMethod harmonic.",
            Quantity.SPEED,
        ),
    ]
    n: Annotated[Positive, meaning("Number of vehicles.")]
    isum: Annotated[Sum, meaning("Sum of their paces: with `n` two windows add up.", "ns/m")]
    effective_cm: Annotated[
        Positive,
        meaning(
            "The effective length that it relies on, learnt by this lane. NTCIP 1209:"
            " sensorZoneAvgVehicleLength and sensorZoneLength together.",
            "cm",
        ),
    ]


class Tailgating(WireStruct, kw_only=True):
    """Gaps between vehicles of which both were moving."""

    n: Annotated[Count, meaning("Those that are shorter than `tailgate_s` in `meta`.")]
    of: Annotated[Positive, meaning("All of them.")]
