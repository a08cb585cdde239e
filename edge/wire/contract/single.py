"""What one loop tells of speeds, and of those who follow too closely."""

from typing import Annotated

from edge.core import Quantity
from edge.wire.contract.histogram import Sum
from edge.wire.contract.terms import Amount, Count, Positive, WireStruct, meaning


class SingleSpeed(WireStruct, kw_only=True):
    """An estimate from one loop: the effective length divided by the usual on-time of a vehicle."""

    kmh: Annotated[
        Amount,
        meaning(
            "Space-mean speed, estimated: the harmonic mean. DATEX II: averageVehicleSpeed,"
            " computationalMethod harmonic.",
            Quantity.SPEED,
        ),
    ]
    n: Annotated[Positive, meaning("Number of vehicles.")]
    isum: Annotated[
        Sum,
        meaning(
            "Sum of the paces of these vehicles; with `n` it allows two windows to be merged.",
            "ns/m",
        ),
    ]
    effective_cm: Annotated[
        Positive,
        meaning(
            "The effective length that the estimate uses, learnt on this lane. NTCIP 1209: "
            "sensorZoneAvgVehicleLength and sensorZoneLength together.",
            "cm",
        ),
    ]


class Tailgating(WireStruct, kw_only=True):
    """Gaps between two vehicles that were both moving."""

    n: Annotated[Count, meaning("Gaps that are shorter than `tailgate_s` (in `meta`).")]
    of: Annotated[Positive, meaning("All gaps between two moving vehicles.")]
