"""Bays: how a place to load, to charge or to park was used in a window."""

from typing import Annotated, Literal

from msgspec import UNSET, Meta, UnsetType

from edge.core import Quantity
from edge.wire.contract.body import Covered, Covers, Partial, RecordBody
from edge.wire.contract.histogram import Times
from edge.wire.contract.terms import (
    GROWS,
    QUALITIES,
    Amount,
    BayKind,
    Count,
    Name,
    Positive,
    Qualities,
    Share,
    WireStruct,
    meaning,
)

BayHealth = Literal["ok", "unobserved", "chatter"]
Kind = Annotated[BayKind, Meta(extra_json_schema=GROWS)]


class Bay(RecordBody, kw_only=True):
    """One bay, one period. A value that its contact cannot give is null, never 0 or free.

    A bay is one place, so its records show each stay, but nothing about the vehicle.
    """

    bay: Annotated[Name, meaning("The bay. NTCIP 1209: sensorZoneLabel.")]
    kind: Annotated[Kind, meaning("What the bay is for.")]
    covered_s: Covered
    occupied_us: Annotated[Count | None, meaning("For how long the bay was occupied.", "us")]
    occupancy: Annotated[
        Share | None,
        meaning(
            "Share of the watched time for which the bay was occupied. NTCIP 1209:"
            " samplePercentOccupancy; DATEX II: TrafficConcentration.occupancy (both in per cent).",
            Quantity.OCCUPANCY,
        ),
    ]
    arrivals: Annotated[
        Count | None,
        meaning(
            "Vehicles that came and stayed for `min_stay_s` (in `meta`) or more. NTCIP 1209:"
            " sampleVolumeData."
        ),
    ]
    departures: Annotated[Count | None, meaning("Vehicles that left after such a stay.")]
    stay: Annotated[
        Times | None,
        meaning(
            "Durations of the stays that ended, if both the arrival and the departure were seen."
        ),
    ]
    overstays: Annotated[
        Count | None,
        meaning("Vehicles that exceeded `max_stay_min` (in `meta`), each counted once."),
    ]
    overstay_us: Annotated[
        Count | None, meaning("For how long the bay was seen occupied beyond that limit.", "us")
    ]
    occupied: Annotated[
        Literal[0, 1] | None,
        meaning(
            "Whether the bay is occupied at the end of the window; null: not known. DATEX II: "
            "parkingSpaceOccupied."
        ),
    ]
    since_s: Annotated[
        Amount | None,
        meaning(
            "For how long the bay has been occupied; a minimum if the gateway found it occupied; "
            "null while it is free.",
            "s",
        ),
    ]
    quality: Annotated[Qualities, meaning(QUALITIES + " Stays count when they have ended.")]
    health: Annotated[
        BayHealth,
        meaning(
            "The worst state of the bay's contact in the window. NTCIP 1209: sampleZoneStatus "
            "(chatter is erraticCounts)."
        ),
    ]
    void_s: (
        Annotated[Amount, meaning("Watched time in which all values were null.", "s")] | UnsetType
    ) = UNSET
    passers: Annotated[Positive, meaning("Vehicles that left before `min_stay_s`.")] | UnsetType = (
        UNSET
    )
    lost_edges: (
        Annotated[Count, meaning("Edges that did not fit in the kernel's buffer.")] | UnsetType
    ) = UNSET
    partial: Partial | UnsetType = UNSET
    covers: Covers | UnsetType = UNSET


class BayMeta(WireStruct, kw_only=True):
    """A bay with one loop or contact."""

    kind: Annotated[Kind, meaning("What the bay is for.")]
    max_stay_min: Annotated[
        Amount | None,
        meaning("A longer stay raises an `overstay` event; null: no limit.", "min"),
    ]
    min_stay_s: Annotated[Amount, meaning("A vehicle that leaves sooner only passed by.", "s")]
