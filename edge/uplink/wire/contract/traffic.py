"""Traffic: what a lane with loops says about a window.

Names of other standards stand in the descriptions: NTCIP 1209 (transportation sensor systems) and
DATEX II (BasicData).
"""

from typing import Annotated, Literal

from msgspec import UNSET, Meta, UnsetType

from edge.core import Quantity
from edge.uplink.wire.contract.header import Summary
from edge.uplink.wire.contract.histogram import Lengths, Speeds, Times
from edge.uplink.wire.contract.signal import Signal
from edge.uplink.wire.contract.single import SingleSpeed, Tailgating
from edge.uplink.wire.contract.terms import (
    GROWS,
    QUALITIES,
    Amount,
    Count,
    LoopFault,
    LoopPart,
    Name,
    Positive,
    Qualities,
    Share,
    WireStruct,
    meaning,
)

LaneHealth = Literal[
    "ok",
    "trail_splashover", "trail_crosstalk", "trail_undercount", "trail_breakup",
    "trail_no_activity", "trail_unobserved", "trail_stuck_off", "trail_never_active",
    "trail_inverted", "trail_chatter", "trail_stuck_on",
    "swapped", "mismatch",
    "splashover", "crosstalk", "undercount", "breakup",
    "no_activity", "unobserved", "stuck_off", "never_active", "inverted", "chatter", "stuck_on",
]  # fmt: skip
"""The worst last. `trail_`: the lead loop is sound, and its trail loop is not."""


class LoopDoubt(WireStruct, kw_only=True):
    """How far a loop is to be believed."""

    score: Annotated[Share, meaning("How likely it is not to be believed.", "/")]
    fault: Annotated[
        Annotated[LoopFault, Meta(extra_json_schema=GROWS)] | None,
        meaning(
            "What is wrong with it, once that is sure; null before. It stays until traffic has"
            " shown for minutes that it is over."
        ),
    ]


class Lane(Summary, kw_only=True):
    """One lane, one period. What the state of its loops does not allow to say is null, never 0."""

    stream: Annotated[Literal["traffic"], meaning("The stream.")]
    lane: Annotated[Name, meaning("The lane. NTCIP 1209: sensorZoneLabel.")]
    approach: Annotated[Name, meaning("The approach that it belongs to.")]
    kind: (
        Annotated[Literal["bicycle"], meaning("What the lane is for, where not for vehicles.")]
        | UnsetType
    ) = UNSET
    volume: Annotated[
        Count | None,
        meaning(
            "Vehicles that came onto the lead loop, or onto the trail loop (see `counted_by`)."
            " NTCIP 1209: sampleVolumeData; DATEX II: TrafficFlow.vehicleFlow, which is per hour.",
            Quantity.COUNT,
        ),
    ]
    counted_by: (
        Annotated[
            Literal["trail", "both"],
            meaning(
                "Which loop has counted, where it was not the lead, which is not to be believed"
                " (see `health`): all that one loop tells is then of this one, and `signal` is left"
                " out. `both`, one after the other: in a record of several windows."
            ),
        ]
        | UnsetType
    ) = UNSET
    occupancy: Annotated[
        Share | None,
        meaning(
            "Share of the watched time for which the loop was occupied. NTCIP 1209:"
            " samplePercentOccupancy; DATEX II: TrafficConcentration.occupancy (both in per cent).",
            Quantity.OCCUPANCY,
        ),
    ]
    on_us: Annotated[Count | None, meaning("For how long the loop was occupied.", "us")]
    speed: Annotated[Speeds | None, meaning("Of a pair of loops. NTCIP 1209: sampleSpeedData.")]
    length: Annotated[Lengths | None, meaning("Of a pair of loops. DATEX II: vehicleLength.")]
    headway: Annotated[
        Times | None,
        meaning(
            "From the front of one vehicle to the front of the next. DATEX II: TrafficHeadway"
            ".averageTimeHeadway."
        ),
    ]
    gap: Annotated[
        Times | None,
        meaning("From the end of one vehicle to the front of the next. DATEX II: averageTimeGap."),
    ]
    quality: Annotated[
        Qualities,
        meaning(
            QUALITIES + " Vehicles of a pair count once they are over. `uncertain:loop`: counted by"
            " a loop that is doubted; of a whole window, where nothing came or (`mismatch`) for how"
            " long the loop was occupied is in doubt. One `bad` says why a value is null."
        ),
    ]
    health: Annotated[
        LaneHealth,
        meaning(
            "State of the loops; the worst in the window: the lead loop's, and where that is sound"
            " the trail loop's, with `trail_` before it unless it speaks of the pair. NTCIP 1209:"
            " sampleZoneStatus (stuck_on is maxPresence; chatter, breakup, crosstalk and splashover"
            " erraticCounts; no_activity, stuck_off and never_active noActivity; all of `trail_`,"
            " mismatch and swapped pairedZoneFault)."
        ),
    ]
    void_s: (
        Annotated[Amount, meaning("Watched time in which nothing was a number.", "s")] | UnsetType
    ) = UNSET
    breakups: (
        Annotated[Count, meaning("Vehicles that a loop had broken up, and that were joined.")]
        | UnsetType
    ) = UNSET
    wrong_way: (
        Annotated[Count, meaning("Vehicles that came over the trail loop first.")] | UnsetType
    ) = UNSET
    lost_edges: (
        Annotated[Count, meaning("Edges that did not fit in the kernel's buffer.")] | UnsetType
    ) = UNSET
    classes: (
        Annotated[
            dict[Name, Positive],
            meaning(
                "Vehicles by length class: by length only, never TLS 8+1 or FHWA 13, which need a"
                " signature, or axles. Their names and limits stand in `meta`. A pair of loops"
                " only; without those of which none came. NTCIP 1209: zoneClassLabel, and"
                " sampleVolumeData of a class; DATEX II: vehicleFlow by VehicleCharacteristics"
                ".lengthCharacteristic."
            ),
        ]
        | UnsetType
    ) = UNSET
    speed_single: (
        Annotated[
            SingleSpeed,
            meaning("Where no pair tells a speed: what one loop alone lets one estimate."),
        ]
        | UnsetType
    ) = UNSET
    tailgating: (
        Annotated[
            Tailgating, meaning("How many follow too closely; while vehicles follow each other.")
        ]
        | UnsetType
    ) = UNSET
    stopped: (
        Annotated[
            Positive,
            meaning("Vehicles that stood on the loop for longer than `stopped_s` in `meta`."),
        ]
        | UnsetType
    ) = UNSET
    queue_us: (
        Annotated[
            Positive,
            meaning(
                "For how long a queue stood on the loop: vehicles that stay longer than 3 s,"
                " with less than 4 s between them.",
                "us",
            ),
        ]
        | UnsetType
    ) = UNSET
    signal: (
        Annotated[
            Signal,
            meaning(
                "What its traffic did with its green; where contacts tell the signal's colour, and"
                " the lead loop has counted."
            ),
        ]
        | UnsetType
    ) = UNSET
    loops: (
        Annotated[
            dict[LoopPart, LoopDoubt],
            meaning(
                "Loops that are not fully believed. NTCIP 1209: sensorZoneStatus other than oK;"
                " DATEX II: dataError, supplierCalculatedDataQuality."
            ),
        ]
        | UnsetType
    ) = UNSET
    anomaly: (
        Annotated[
            dict[Literal["volume", "occupancy", "speed"], Share],
            meaning("Series that behave oddly, each with how much; only those above 0.05.", "/"),
        ]
        | UnsetType
    ) = UNSET
    p_congested: (
        Annotated[
            Share | None,
            meaning("How likely its approach is congested; null: no healthy loop.", "/"),
        ]
        | UnsetType
    ) = UNSET
    p_congested_5: (
        Annotated[
            Share | None, meaning("The same in 5 minutes; left out or null: no model knows.", "/")
        ]
        | UnsetType
    ) = UNSET
    p_congested_15: (
        Annotated[
            Share | None, meaning("The same in 15 minutes; left out or null: no model knows.", "/")
        ]
        | UnsetType
    ) = UNSET
