"""Traffic: what a lane with loops says about a window.

Names of other standards stand in the descriptions: NTCIP 1209 (transportation sensor systems) and
DATEX II (BasicData).
"""

from typing import Annotated, Literal

from msgspec import UNSET, Meta, UnsetType

from edge.core import Quantity
from edge.wire.contract.body import Covered, Covers, Partial, RecordBody
from edge.wire.contract.histogram import Lengths, Speeds, Times
from edge.wire.contract.signal import Signal
from edge.wire.contract.single import SingleSpeed, Tailgating
from edge.wire.contract.terms import (
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
"""The worst last. `trail_`: the lead loop is sound, the trail loop is not."""


LaneAnomalies = dict[Literal["volume", "occupancy", "speed"], Share]


class LoopDoubt(WireStruct, kw_only=True):
    """How far the data of a loop can be trusted."""

    score: Annotated[Share, meaning("How likely it is that the loop gives wrong data.", "/")]
    fault: Annotated[
        Annotated[LoopFault, Meta(extra_json_schema=GROWS)] | None,
        meaning(
            "What is wrong with the loop; null until that is certain. The fault stays here until "
            "minutes of traffic have shown that it has ended."
        ),
    ]


class Lane(RecordBody, kw_only=True):
    """One lane, one period. A value is null if the state of the loops does not allow it."""

    lane: Annotated[Name, meaning("The lane. NTCIP 1209: sensorZoneLabel.")]
    approach: Annotated[Name, meaning("The approach that the lane belongs to.")]
    covered_s: Covered
    volume: Annotated[
        Count | None,
        meaning(
            "Vehicles that arrived on the lead loop, or on the trail loop (see `counted_by`). "
            "NTCIP 1209: sampleVolumeData; DATEX II: TrafficFlow.vehicleFlow, which is per hour.",
            Quantity.COUNT,
        ),
    ]
    occupancy: Annotated[
        Share | None,
        meaning(
            "Share of the watched time for which the loop was occupied. NTCIP 1209:"
            " samplePercentOccupancy; DATEX II: TrafficConcentration.occupancy (both in per cent).",
            Quantity.OCCUPANCY,
        ),
    ]
    on_us: Annotated[Count | None, meaning("For how long the loop was occupied.", "us")]
    speed: Annotated[
        Speeds | None, meaning("Speeds; only with a pair of loops. NTCIP 1209: sampleSpeedData.")
    ]
    length: Annotated[
        Lengths | None,
        meaning(
            "Vehicle lengths; only with a pair of loops, and only of vehicles that hardly changed"
            " their speed between them: `n` may be less than that of `speed`. DATEX II:"
            " vehicleLength."
        ),
    ]
    headway: Annotated[
        Times | None,
        meaning(
            "Time from the front of one vehicle to the front of the next. DATEX II: "
            "TrafficHeadway.averageTimeHeadway."
        ),
    ]
    gap: Annotated[
        Times | None,
        meaning(
            "Time from the rear of one vehicle to the front of the next. DATEX II: averageTimeGap."
        ),
    ]
    quality: Annotated[
        Qualities,
        meaning(
            QUALITIES
            + " With a pair of loops a vehicle counts when it has left. `uncertain:estimated`: its"
            " speed is an estimate (see `speed`). `bad:range`: it has no speed. `uncertain:loop`: "
            "vehicles counted by a loop in doubt, or 1 if that loop counted none. With `mismatch` "
            "the vehicles are good, and one `uncertain:loop` says that the occupied time is in "
            "doubt. If a value is null, one `bad` gives the reason."
        ),
    ]
    health: Annotated[
        LaneHealth,
        meaning(
            "The worst state of the loops in the window: the state of the lead loop or, if that "
            "loop is sound, the state of the trail loop with the prefix `trail_`. States of the "
            "pair (mismatch, swapped) have no prefix. NTCIP 1209: sampleZoneStatus (stuck_on is "
            "maxPresence; chatter, breakup, crosstalk and splashover are erraticCounts; "
            "no_activity, stuck_off and never_active are noActivity; all of `trail_`, mismatch "
            "and swapped are pairedZoneFault)."
        ),
    ]
    kind: (
        Annotated[Literal["bicycle"], meaning("What the lane is for, if not for vehicles.")]
        | UnsetType
    ) = UNSET
    counted_by: (
        Annotated[
            Literal["trail", "both"],
            meaning(
                "The loop that has counted, if the lead loop was in doubt (see `health`). All "
                "values that need only one loop come from this loop, and `signal` is left out. "
                "`both`: in a record of several windows, first one loop has counted and then "
                "the other."
            ),
        ]
        | UnsetType
    ) = UNSET
    classes: (
        Annotated[
            dict[Name, Positive],
            meaning(
                "Vehicles by length class. These are not the classes of TLS 8+1 or FHWA 13, which "
                "need a signature or axles. The names and limits of the classes are in "
                "`meta`. Only with a pair of loops, and only of vehicles with a length; a class "
                "without vehicles is left out. "
                "NTCIP 1209: zoneClassLabel, and sampleVolumeData of a class; DATEX II: "
                "vehicleFlow by VehicleCharacteristics.lengthCharacteristic."
            ),
        ]
        | UnsetType
    ) = UNSET
    speed_single: (
        Annotated[
            SingleSpeed,
            meaning("The speed estimated from a single loop, if no pair has measured any."),
        ]
        | UnsetType
    ) = UNSET
    tailgating: (
        Annotated[
            Tailgating,
            meaning("How many vehicles follow too closely, of those that follow another."),
        ]
        | UnsetType
    ) = UNSET
    stopped: (
        Annotated[
            Positive,
            meaning("Vehicles that stood on the loop for longer than `stopped_s` (in `meta`)."),
        ]
        | UnsetType
    ) = UNSET
    queue_us: (
        Annotated[
            Positive,
            meaning(
                "For how long a queue stood on the loop: vehicles that each stay longer than 3 s, "
                "with gaps of less than 4 s.",
                "us",
            ),
        ]
        | UnsetType
    ) = UNSET
    void_s: (
        Annotated[Amount, meaning("Watched time in which all values were null.", "s")] | UnsetType
    ) = UNSET
    breakups: (
        Annotated[
            Count,
            meaning("Vehicles for which the loop gave several pulses; they were joined into one."),
        ]
        | UnsetType
    ) = UNSET
    wrong_way: (
        Annotated[Count, meaning("Vehicles that crossed the trail loop first.")] | UnsetType
    ) = UNSET
    lost_edges: (
        Annotated[Count, meaning("Edges that did not fit in the kernel's buffer.")] | UnsetType
    ) = UNSET
    signal: (
        Annotated[
            Signal,
            meaning(
                "Signal performance measures of the lane; only if contacts tell the signal's "
                "colour and the lead loop has counted."
            ),
        ]
        | UnsetType
    ) = UNSET
    partial: Partial | UnsetType = UNSET
    loops: (
        Annotated[
            dict[LoopPart, LoopDoubt],
            meaning(
                "Loops in doubt. NTCIP 1209: sensorZoneStatus other than oK; DATEX II: dataError, "
                "supplierCalculatedDataQuality."
            ),
        ]
        | UnsetType
    ) = UNSET
    p_congested: (
        Annotated[
            Share | None,
            meaning("Probability that the approach is congested; null: no healthy loop.", "/"),
        ]
        | UnsetType
    ) = UNSET
    p_congested_5: (
        Annotated[
            Share | None,
            meaning(
                "Probability that it is congested in 5 minutes; left out or null: no forecast, "
                "because no model answers.",
                "/",
            ),
        ]
        | UnsetType
    ) = UNSET
    p_congested_15: (
        Annotated[
            Share | None,
            meaning(
                "Probability that it is congested in 15 minutes; left out or null: no forecast, "
                "because no model answers.",
                "/",
            ),
        ]
        | UnsetType
    ) = UNSET
    anomaly: (
        Annotated[
            LaneAnomalies,
            meaning("Series with an anomaly, each with its score; only scores above 0.05.", "/"),
        ]
        | UnsetType
    ) = UNSET
    covers: Covers | UnsetType = UNSET
