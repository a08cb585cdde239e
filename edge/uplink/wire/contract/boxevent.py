"""Events of the gateway itself: what was not seen, what is lost, and what gives it trouble."""

from typing import Annotated, Literal

from msgspec import UNSET, Meta, UnsetType

from edge.uplink.wire.contract.event import Event
from edge.uplink.wire.contract.health import CAUSE, BoardCondition, RebootCause
from edge.uplink.wire.contract.terms import Amount, Count, Epoch, OnOff, Seq, WireStruct, meaning
from edge.uplink.wire.topics import STREAMS

StreamName = Annotated[str, Meta(pattern=f"^({'|'.join(sorted(STREAMS))})$")]
StreamOrAll = Annotated[str, Meta(pattern=rf"^(\*|{'|'.join(sorted(STREAMS))})$")]


class Former(WireStruct, kw_only=True):
    """The epoch before, as far as the outbox knows it."""

    epoch: Annotated[Epoch, meaning("The epoch.")]
    last: Annotated[
        dict[StreamName, Count],
        meaning("The last number of each stream; empty: its numbers are lost with its outbox."),
    ]


class Gap(Event, tag="gap", kw_only=True):
    """Nobody watched: what every record after a start refers to."""

    reason: Annotated[
        Literal["start", "restart", "power"],
        meaning(
            "start: nothing is known before. restart: the daemon did not run. power: the box was"
            " off; the open window and what was not committed are lost."
        ),
    ]
    sources: Annotated[list[str], meaning("Who is concerned; `*` is all.")]
    gap: Annotated[
        tuple[Count | None, Count],
        meaning("From (in the time of `boot_before`; null: unknown) to (in that of `boot`).", "us"),
    ]
    boot_before: Annotated[Count | None, meaning("The boot in which the gap began.")]
    former: (
        Annotated[Former, meaning("The epoch before. Left out: unknown, as on a new card.")]
        | UnsetType
    ) = UNSET


class ClockCut(Event, tag="clock", kw_only=True):
    """The open window ended here, because time became known or jumped."""

    reason: Annotated[
        Literal["synchronised", "step"],
        meaning("The clock is known now, or was set while it was trusted."),
    ]


class Drop(Event, tag="drop", kw_only=True):
    """Numbers that will never be delivered."""

    epoch_of: Annotated[Epoch, meaning("Their epoch.")]
    stream_of: Annotated[StreamOrAll, meaning("Their stream; `*`: all of the epoch.")]
    reason: Annotated[
        Literal["full", "size", "refused", "damage", "memory"],
        meaning(
            "full: no room. size: too large to be sent. refused: by the broker, again and again."
            " damage: not readable from the disk. memory: the disk failed and memory was full."
        ),
    ]
    range: Annotated[
        tuple[Seq, Seq | None],
        meaning("First and last number; not all between need be lost. Last null: nobody knows."),
    ]
    count: Annotated[Count | None, meaning("How many; null: nobody knows.")]


class Storage(Event, tag="storage", kw_only=True):
    """The disk gives trouble (records are kept in memory), or works again."""

    state: Annotated[OnOff, meaning("On or off.")]


class Start(Event, tag="start", kw_only=True):
    """Why the daemon was started, as far as the board tells."""

    reason: Annotated[RebootCause, meaning(CAUSE)]


class Board(Event, tag="board", kw_only=True):
    """A condition of the box itself goes on or off; `text` says what to do."""

    state: Annotated[OnOff, meaning("On or off.")]
    condition: Annotated[BoardCondition, meaning("What it is.")]


class DataSaver(Event, tag="data_saver", kw_only=True):
    """The month's bytes run out, or do not any more."""

    level: Annotated[Literal[0, 1, 2], meaning("As in the status: 0 is as usual.")]


class LinkStep(Event, tag="link", kw_only=True):
    """No broker could be reached for long: what was done, maybe before a reboot."""

    step: Annotated[
        Literal["reconnect", "modem", "power", "reboot", "held", "recovered"],
        meaning(
            "What was done; held: no reboot, because it could not be counted on the disk;"
            " recovered: a broker is connected again."
        ),
    ]
    boots: Annotated[Count, meaning("How often the box had started then.")]
    age_s: Annotated[Amount, meaning("How long it had lived then, over all its starts.", "s")]


class Alarm(Event, kw_only=True):
    """A trouble of the gateway itself that a person should hear, once."""


class Denied(Alarm, tag="denied", kw_only=True):
    """The broker does not allow a stream (reason code 135). It is tried again every 5 min."""


class Refused(Alarm, tag="refused", kw_only=True):
    """A record was given up: the broker refused it again and again, or takes none of its size."""


class Quota(Alarm, tag="quota", kw_only=True):
    """The broker takes no more for now (reason code 151)."""


class BrokerLimit(Alarm, tag="broker_limit", kw_only=True):
    """The broker takes less than records need: messages that are too small, no QoS 1, or nothing
    retained. Nothing is given up; `text` says what would do."""


class Untrusted(Alarm, tag="untrusted", kw_only=True):
    """Who answers at the broker's address has no certificate that this gateway believes."""


class TakenOver(Alarm, tag="taken_over", kw_only=True):
    """Another client has connected under this gateway's name (reason code 142): a theft?"""


class WrongTime(Alarm, tag="wrong_time", kw_only=True):
    """A time that was taken for certain was wrong; the clock has been corrected."""


class OldProtocol(Alarm, tag="old_protocol", kw_only=True):
    """The site uses MQTT 3.1.1, where a refused publish looks like a success."""


class Unclaimed(Alarm, tag="unclaimed", kw_only=True):
    """An edge of a line that nobody claims."""


class Overload(Event, tag="overload", kw_only=True):
    """More was asked of this box than it can do, and something was given up (decision 34). Told at
    once, and while it lasts every 15 min, each time of what was since. The records account for all
    of it: `bad:stale` readings, `given_up` of raw records, `lost_edges`."""

    within_s: Annotated[Amount, meaning("In how long before this moment all of it was.", "s")]
    rested_s: Annotated[
        Amount, meaning("For how long questions were due and not asked, all buses together.", "s")
    ]
    readings: Annotated[Count, meaning("Sweeps that were read and dropped.")]
    raw: Annotated[Count, meaning("Sweeps that were left out of raw records.")]
    edges: Annotated[Count, meaning("Edges that were read from the kernel and dropped.")]


class StageFull(Alarm, tag="stage", kw_only=True):
    """The stage is full: a kill would lose what is not in it."""


class Journal(Alarm, tag="journal", kw_only=True):
    """What is lost cannot be written down: the journal of drops gives trouble."""


class Bus(Alarm, tag="bus", kw_only=True):
    """A bus hung: its thread was abandoned, or the gateway's process starts again."""


class Configuration(Alarm, tag="configuration", kw_only=True):
    """The configuration failed again and again: the last good one runs."""


BOX_EVENTS: tuple[type[Event], ...] = (
    Gap, ClockCut, Drop, Storage, Start, Board, DataSaver, LinkStep, Denied, Refused, Quota,
    BrokerLimit, Untrusted, TakenOver, WrongTime, OldProtocol, Unclaimed, Overload, StageFull,
    Journal, Bus, Configuration,
)  # fmt: skip
