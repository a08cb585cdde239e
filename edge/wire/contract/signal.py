"""What a lane's traffic did with its green, in counts that add up over windows."""

from typing import Annotated

from msgspec import UNSET, UnsetType

from edge.wire.contract.terms import Count, WireStruct, meaning


class Signal(WireStruct, kw_only=True):
    """Covers only time in which the lead loop was watched and the colour was known.

    After Purdue's measures for signals (ATSPM).
    """

    cycles: Annotated[Count, meaning("Number of starts of green.")]
    green_us: Annotated[Count, meaning("For how long the signal was green.", "us")]
    red_us: Annotated[Count, meaning("For how long the signal was red.", "us")]
    arrivals: Annotated[Count, meaning("Vehicles that arrived on the lead loop.")]
    arrivals_on_green: Annotated[
        Count,
        meaning(
            "Of these, the vehicles that arrived in green. Divided by `arrivals`: per cent "
            "arrivals on green."
        ),
    ]
    green_on_us: (
        Annotated[
            Count,
            meaning(
                "For how long the lead loop was occupied in green. Divided by `green_us`: the "
                "green occupancy ratio.",
                "us",
            ),
        ]
        | UnsetType
    ) = UNSET
    red_on_us: (
        Annotated[Count, meaning("For how long the lead loop was occupied in red.", "us")]
        | UnsetType
    ) = UNSET
    queue_at_green: (
        Annotated[
            Count,
            meaning("At the stop line: starts of green with a vehicle on the loop."),
        ]
        | UnsetType
    ) = UNSET
    cycles_judged: (
        Annotated[
            Count,
            meaning(
                "At the stop line: cycles in which the green and the next five seconds of red "
                "were watched."
            ),
        ]
        | UnsetType
    ) = UNSET
    split_failures: (
        Annotated[
            Count,
            meaning(
                "Of these, the cycles in which the loop was occupied for 80 % or more of the "
                "green and of those five seconds: the green did not serve the queue."
            ),
        ]
        | UnsetType
    ) = UNSET
    queue_to_advance: (
        Annotated[
            Count,
            meaning(
                "Of these, the starts of green with a vehicle also on an advance loop of the "
                "approach. Left out if there is no advance loop, or if a lead loop of those lanes "
                "is in doubt."
            ),
        ]
        | UnsetType
    ) = UNSET
