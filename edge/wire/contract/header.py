"""The header of every record: its key, and where and when it was made."""

from typing import Annotated, Literal

from msgspec import UNSET, Meta, UnsetType

from edge.core import TimeQuality
from edge.wire.contract.terms import (
    MAX_INT,
    Count,
    Epoch,
    Name,
    Seq,
    Time,
    WireStruct,
    Yes,
    meaning,
)

Microseconds = Annotated[int, Meta(ge=0, le=MAX_INT)]


class Header(WireStruct, rename={"from_": "from"}, kw_only=True):
    """The header of every record. `(gw, epoch, stream, seq)` is its permanent key."""

    v: Annotated[Literal[1], meaning("Version of the wire format.")]
    gw: Annotated[Name, meaning("The gateway.")]
    epoch: Annotated[
        Epoch,
        meaning(
            "One start of the daemon: start counter (modulo 2^21) * 2^32 + 32 random bits. Records"
            " that are sent after a later start keep their epoch."
        ),
    ]
    seq: Annotated[Seq, meaning("Number within epoch and stream, over all sources, without gaps.")]
    boot: Annotated[
        Count, meaning("Number of the boot; `mono` has times of the monotonic clock of this boot.")
    ]
    from_: Annotated[
        Time,
        meaning(
            "Start of the window, UTC; for an event, its moment. A later delivery of the record may"
            " have a better value."
        ),
    ]
    to: Annotated[Time, meaning("End of the window, UTC.")]
    tq: Annotated[
        TimeQuality,
        meaning(
            "How far `from` and `to` can be trusted: none (not known; may be 1970), floor (the"
            " earliest possible time), rtc, ntp, nts."
        ),
    ]
    bounds: (
        Annotated[
            tuple[Time | None, Time | None],
            meaning(
                "If the time was never known in this boot: the record lies between these moments"
                " (UTC). null is a bound that is not known."
            ),
        ]
        | UnsetType
    ) = UNSET
    mono: Annotated[
        tuple[Microseconds, Microseconds],
        meaning("Start and end of the window on CLOCK_MONOTONIC of this boot.", "us"),
    ]
    backfilled: Annotated[Yes, meaning("Sent from the backlog, not live.")] | UnsetType = UNSET
    redelivered: Annotated[Yes, meaning("May have been sent before.")] | UnsetType = UNSET


class Sourced(Header, kw_only=True):
    """A record of one source."""

    source: Annotated[
        Name, meaning("The lane, bay, device or part of the gateway that the record describes.")
    ]


class Since(Sourced, kw_only=True):
    """An event that may have begun earlier."""

    since: (
        Annotated[
            Time,
            meaning("`from` minus `since_s`. From then on, records of this source are in doubt."),
        ]
        | UnsetType
    ) = UNSET
