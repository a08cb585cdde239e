"""What a lane's traffic did with its green, in counts that add up over windows."""

from typing import Annotated

from msgspec import UNSET, UnsetType

from edge.uplink.wire.contract.terms import Count, WireStruct, meaning


class Signal(WireStruct, kw_only=True):
    """Only of time in which the lead loop was watched and the colour known.

    After Purdue's measures for signals (ATSPM).
    """

    cycles: Annotated[Count, meaning("Beginnings of green.")]
    green_us: Annotated[Count, meaning("For how long it was green.", "us")]
    red_us: Annotated[Count, meaning("For how long it was red.", "us")]
    green_on_us: (
        Annotated[
            Count,
            meaning(
                "For how long the lead loop was occupied in green. Over `green_us`: the green"
                " occupancy ratio.",
                "us",
            ),
        ]
        | UnsetType
    ) = UNSET
    red_on_us: (
        Annotated[Count, meaning("For how long the lead loop was occupied in red.", "us")]
        | UnsetType
    ) = UNSET
    arrivals: Annotated[Count, meaning("Vehicles that came onto the lead loop.")]
    arrivals_on_green: Annotated[
        Count, meaning("Of these, in green. Over `arrivals`: per cent arrivals on green.")
    ]
    queue_at_green: (
        Annotated[
            Count,
            meaning("At the stop line: beginnings of green with a vehicle on the loop."),
        ]
        | UnsetType
    ) = UNSET
    queue_to_advance: (
        Annotated[
            Count,
            meaning(
                "Of these, with one on an advance loop of the approach, too; if it has any, and"
                " their lead loops are to be believed."
            ),
        ]
        | UnsetType
    ) = UNSET
    cycles_judged: (
        Annotated[
            Count,
            meaning("At the stop line: cycles whose green and next five seconds of red were seen."),
        ]
        | UnsetType
    ) = UNSET
    split_failures: (
        Annotated[
            Count,
            meaning(
                "Of these, with the loop occupied for 80 % or more of both: the green did not"
                " serve the queue."
            ),
        ]
        | UnsetType
    ) = UNSET
