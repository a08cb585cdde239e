"""The header that every record begins with: what names it, where and when it was made."""

from typing import Annotated, Literal

from msgspec import UNSET, Meta, UnsetType

from edge.core.reading import TimeQuality
from edge.uplink.wire.contract.terms import (
    MAX_INT,
    Amount,
    Count,
    Epoch,
    Name,
    Seq,
    Steps,
    Time,
    WireStruct,
    Yes,
    meaning,
)

Microseconds = Annotated[int, Meta(ge=0, le=MAX_INT)]


class Header(WireStruct, rename={"from_": "from"}, kw_only=True):
    """What every record begins with. `(gw, epoch, stream, seq)` names it for ever."""

    v: Annotated[Literal[1], meaning("Version of the wire format.")]
    gw: Annotated[Name, meaning("The gateway.")]
    epoch: Annotated[
        Epoch,
        meaning(
            "One start of the daemon: start counter (modulo 2^21) * 2^32 + 32 random bits. Unsent"
            " records keep theirs."
        ),
    ]
    seq: Annotated[Seq, meaning("Number in its epoch and stream, over all sources, without gaps.")]
    boot: Annotated[Count, meaning("Number of the boot whose monotonic clock `mono` is of.")]
    from_: Annotated[
        Time,
        meaning("Begin of the window, UTC; of an event its moment. A later envelope is better."),
    ]
    to: Annotated[Time, meaning("End of the window, UTC.")]
    tq: Annotated[
        TimeQuality,
        meaning(
            "How far `from` and `to` can be trusted: none (nobody knows; 1970 may stand there),"
            " floor (not before), rtc, ntp, nts."
        ),
    ]
    bounds: (
        Annotated[
            tuple[Time | None, Time | None],
            meaning(
                "Of a record whose boot never knew the time: it lies between these moments (UTC);"
                " null is an end that is not known."
            ),
        ]
        | UnsetType
    ) = UNSET
    mono: Annotated[
        tuple[Microseconds, Microseconds],
        meaning("Begin and end of the window on CLOCK_MONOTONIC of this boot.", "us"),
    ]
    backfilled: Annotated[Yes, meaning("Sent from the backlog, not live.")] | UnsetType = UNSET
    redelivered: Annotated[Yes, meaning("May have been sent before.")] | UnsetType = UNSET


class Sourced(Header, kw_only=True):
    """A record of one source."""

    source: Annotated[
        Name, meaning("The lane, bay, device or part of the gateway that it is about.")
    ]


class Summary(Sourced, kw_only=True):
    """A window of one source."""

    covered_s: Annotated[
        Amount,
        meaning("How much of the window was watched. The rest is in a `gap` event.", "s"),
    ]
    partial: (
        Annotated[
            Yes, meaning("The window was cut short: a stop, or the time became known or jumped.")
        ]
        | UnsetType
    ) = UNSET
    covers: (
        Annotated[
            Steps,
            meaning(
                "A merged record: exactly the numbers that it stands for, its own among them, as"
                " steps [first, last, step] (decision 11)."
            ),
        ]
        | UnsetType
    ) = UNSET
