"""Events of the gateway itself: gaps in observation, lost records, and faults."""

from collections.abc import Mapping
from typing import Annotated, Final, Literal

from msgspec import UNSET, Meta, UnsetType

from edge.wire.contract.acceptance import AcceptedState, SignerName, StepName, VerdictWord
from edge.wire.contract.body import Text
from edge.wire.contract.event import Event
from edge.wire.contract.health import CAUSE, BoardCondition, RebootCause
from edge.wire.contract.terms import (
    GROWS,
    NAME_PATTERN,
    Algorithm,
    Amount,
    Count,
    Epoch,
    OnOff,
    Positive,
    Seq,
    Sha256,
    Time,
    WireStruct,
    meaning,
)
from edge.wire.topics import STREAMS

StreamName = Annotated[
    str, Meta(pattern=NAME_PATTERN, extra_json_schema={"enum": sorted(STREAMS), **GROWS})
]
StreamOrAll = Annotated[
    str,
    Meta(pattern=r"^(\*|[a-z]+)$", extra_json_schema={"enum": ["*", *sorted(STREAMS)], **GROWS}),
]


class PreviousEpoch(WireStruct, kw_only=True):
    """The previous epoch, as far as the outbox knows it."""

    epoch: Annotated[Epoch, meaning("The epoch.")]
    last: Annotated[
        dict[StreamName, Count],
        meaning("The last number of each stream; empty: its numbers are lost with its outbox."),
    ]


GapReason = Literal["start", "restart", "power"]
SwapWay = Literal["restored", "card"]


class Gap(Event, tag="gap", kw_only=True):
    """Time in which the gateway observed nothing. The first event after each start is a gap."""

    reason: Annotated[
        GapReason,
        meaning(
            "start: no earlier start is known. restart: the daemon did not run. power: the box was"
            " off; the open window and uncommitted data are lost. After a swap of the box it is"
            " restart, or start."
        ),
    ]
    sources: Annotated[list[str], meaning("The sources concerned; `*` is all.")]
    gap: Annotated[
        tuple[Count | None, Count],
        meaning("Start (clock of `boot_before`; null: unknown) and end (clock of `boot`).", "us"),
    ]
    boot_before: Annotated[Count | None, meaning("The boot in which the gap began.")]
    text: Text
    former: (
        Annotated[
            PreviousEpoch, meaning("The previous epoch. Left out: unknown, as on a new card.")
        ]
        | UnsetType
    ) = UNSET
    swap: (
        Annotated[
            SwapWay,
            meaning(
                "Another box goes on here, and this is the time between the two: `how` of the event"
                " `box_swap` beside this one."
            ),
        ]
        | UnsetType
    ) = UNSET


CutReason = Literal["synchronised", "step"]


class ClockCut(Event, tag="clock", kw_only=True):
    """The open window ended here, because the time became known or jumped."""

    reason: Annotated[
        CutReason,
        meaning("synchronised: the time is known now. step: a trusted clock was set."),
    ]
    text: Text


DropReason = Literal["full", "size", "refused", "damage", "memory"]


class Drop(Event, tag="drop", kw_only=True):
    """Numbers that will never be delivered."""

    epoch_of: Annotated[Epoch, meaning("The epoch of these numbers.")]
    stream_of: Annotated[
        StreamOrAll, meaning("The stream of these numbers; `*`: all streams of the epoch.")
    ]
    reason: Annotated[
        DropReason,
        meaning(
            "full: no room. size: too large to be sent. refused: the broker refused it repeatedly."
            " damage: not readable from the disk. memory: the disk failed and memory was full."
        ),
    ]
    range: Annotated[
        tuple[Seq, Seq | None],
        meaning("First and last number; some between may be delivered. Last null: not known."),
    ]
    count: Annotated[Count | None, meaning("How many numbers are lost; null: not known.")]
    text: Text


class Storage(Event, tag="storage", kw_only=True):
    """The disk fails (records are kept in memory), or works again."""

    state: Annotated[OnOff, meaning("On or off.")]
    text: Text


class Start(Event, tag="start", kw_only=True):
    """Why the daemon was started, as far as the board reports it."""

    reason: Annotated[RebootCause, meaning(CAUSE)]
    text: Text


class Board(Event, tag="board", kw_only=True):
    """A condition of the box itself goes on or off; `text` says what to do."""

    condition: Annotated[BoardCondition, meaning("The condition.")]
    state: Annotated[OnOff, meaning("On or off.")]
    text: Text


SavingLevel = Literal[0, 1, 2]
Step = Literal["reconnect", "modem", "power", "reboot", "held", "recovered"]


class DataSaver(Event, tag="data_saver", kw_only=True):
    """The level of data saving changed, according to the month's data budget."""

    level: Annotated[SavingLevel, meaning("As in the status: 0 is normal operation.")]
    text: Text


class LinkStep(Event, tag="link", kw_only=True):
    """A step that was taken because no broker was reached for long, possibly before a reboot."""

    step: Annotated[
        Step,
        meaning(
            "The step. held: no reboot, because it could not be counted on the disk."
            " recovered: a broker is connected again."
        ),
    ]
    text: Text
    boots: Annotated[Count, meaning("How often the box had booted at that time.")]
    age_s: Annotated[Amount, meaning("How long it had run at that time, over all its boots.", "s")]


class Acceptance(Event, tag="acceptance", kw_only=True):
    """A technician has signed the acceptance sheet of this site. The sheet itself stays on the box;
    digest and signature prove a copy of it (decision 74). It may come twice after a power cut, with
    the same number and digest."""

    state: Annotated[
        AcceptedState,
        meaning("accepted: all steps have passed. reservations: those in `open` have not."),
    ]
    by: Annotated[SignerName, meaning("Who has signed.")]
    number: Annotated[Positive, meaning("Number of the sheet on this box.")]
    sheet_sha256: Annotated[Sha256, meaning("SHA-256 of the sheet.")]
    configuration_sha256: Annotated[
        Sha256, meaning("SHA-256 of what was accepted: buses, devices, lanes, bays.")
    ]
    counts: Annotated[dict[VerdictWord, Count], meaning("How many steps came to what.")]
    open: Annotated[
        dict[StepName, VerdictWord],
        meaning("Steps that have not passed, the worst first; at most 64."),
    ]
    text: Text
    alg: (
        Annotated[Algorithm, meaning("Algorithm of the signature; left out: not signed.")]
        | UnsetType
    ) = UNSET
    cert_sha256: (
        Annotated[Sha256, meaning("SHA-256 of the certificate (DER) whose key signed.")] | UnsetType
    ) = UNSET
    sig: Annotated[str, meaning("Signature of the sheet, in base64.")] | UnsetType = UNSET


class Alarm(Event, kw_only=True):
    """A problem of the gateway itself that a person should know about, reported once."""

    text: Text


class Denied(Alarm, tag="denied", kw_only=True):
    """The broker does not allow a stream (reason code 135). It is retried every 5 min."""


class Refused(Alarm, tag="refused", kw_only=True):
    """A record was given up: the broker refused it repeatedly, or it is too large."""


class Quota(Alarm, tag="quota", kw_only=True):
    """The broker accepts no more messages for now (reason code 151)."""


class BrokerLimit(Alarm, tag="broker_limit", kw_only=True):
    """The broker's limits are too small for the records: the maximum packet size is too small, or
    QoS 1 or retained messages are not available. Records are kept; `text` says what to change."""


class Untrusted(Alarm, tag="untrusted", kw_only=True):
    """The server at the broker's address has no certificate that this gateway trusts."""


class TakenOver(Alarm, tag="taken_over", kw_only=True):
    """Another client has connected under this gateway's name (reason code 142): possible theft."""


class WrongTime(Alarm, tag="wrong_time", kw_only=True):
    """A time that was considered certain was wrong; the clock has been corrected."""


class OldProtocol(Alarm, tag="old_protocol", kw_only=True):
    """The site uses MQTT 3.1.1, where a refused publish looks like a success."""


class UnmatchedEdges(Alarm, tag="unmatched_edges", kw_only=True):
    """An edge on a line that the configuration does not use."""


class Overload(Event, tag="overload", kw_only=True):
    """The load exceeded what this box can handle, and data was dropped (decision 34). Reported at
    once, then every 15 min while it lasts, each time for the time since the last report. The
    records account for all of it: `bad:stale` readings, `given_up` of raw records, `lost_edges`."""

    text: Text
    within_s: Annotated[Amount, meaning("How much time before this event it reports.", "s")]
    rested_s: Annotated[
        Amount, meaning("How long due polls were not made, all buses together.", "s")
    ]
    readings: Annotated[Count, meaning("Sweeps that were read and dropped.")]
    raw: Annotated[Count, meaning("Sweeps that were left out of raw records.")]
    edges: Annotated[Count, meaning("Edges that were read from the kernel and dropped.")]


class StageFull(Alarm, tag="stage", kw_only=True):
    """The stage is full: a kill would lose the input that no longer fits in it."""


class Journal(Alarm, tag="journal", kw_only=True):
    """Losses cannot be recorded: the journal of drops cannot be written."""


class Bus(Alarm, tag="bus", kw_only=True):
    """A bus hung: its thread was abandoned, or the gateway's process restarts."""


ConfigChange = Literal["trial", "confirmed", "rolled_back", "replaced"]
ConfigReason = Literal["deaf", "blind", "bad_start", "refused", "unconfirmed", "by_hand"]


class Configuration(Alarm, tag="configuration", kw_only=True):
    """The configuration failed, and the last good one is in use; or it was changed as a
    transaction, and this says how far that is."""

    outcome: (
        Annotated[
            ConfigChange,
            Meta(extra_json_schema=GROWS),
            meaning(
                "trial: a changed one runs, and is watched. confirmed: it has run well, and "
                "stays. rolled_back: the last good one runs. replaced: its trial is over without a "
                "verdict, because another file was put in its place. Absent: a file that was "
                "edited by hand failed."
            ),
        ]
        | UnsetType
    ) = UNSET
    reason: (
        Annotated[
            ConfigReason,
            Meta(extra_json_schema=GROWS),
            meaning(
                "Why it was rolled back. deaf: the broker is not reached, and the former one "
                "answers. blind: devices that were read are not read any more. bad_start: the "
                "process was killed or failed. refused: the file cannot be used. unconfirmed: "
                "nobody confirmed it in time. by_hand: a person did it."
            ),
        ]
        | UnsetType
    ) = UNSET
    digest: (
        Annotated[
            str,
            Meta(pattern=r"^[0-9a-f]{12}$"),
            meaning("The beginning of the SHA-256 of the changed file."),
        ]
        | UnsetType
    ) = UNSET


class BoxSwap(Event, tag="box_swap", kw_only=True):
    """Another box goes on in this gateway's place: a backup was restored on it, or the card of the
    former box was put into it. The former epoch is in `former` of the gap event beside this one."""

    how: Annotated[
        SwapWay,
        meaning("restored: from a backup. card: the card was put into another box."),
    ]
    counting: Annotated[
        Literal["continues", "anew"],
        meaning(
            "continues: the backup was the last act of the former box, or its own card is here, so"
            " registers count on. anew: the former box, or this one, may have counted after the"
            " backup was made; the growth of registers up to this start is in no record of this"
            " epoch."
        ),
    ]
    serial_before: (
        Annotated[str, meaning("Serial number of the former board. Left out: not known.")]
        | UnsetType
    ) = UNSET
    serial: (
        Annotated[str, meaning("Serial number of this board. Left out: not known.")] | UnsetType
    ) = UNSET
    epoch_before: (
        Annotated[
            Epoch,
            meaning("The last epoch that was numbered on the former box. Left out: none is known."),
        ]
        | UnsetType
    ) = UNSET
    backup: (
        Annotated[str, meaning("The backup's own number. Left out: without a backup.")] | UnsetType
    ) = UNSET
    backup_at: (
        Annotated[
            Time,
            meaning("When the backup was begun, by the clock of who made it; it may be wrong."),
        ]
        | UnsetType
    ) = UNSET
    restored_at: (
        Annotated[Time, meaning("When it was restored, by that machine's clock; it may be wrong.")]
        | UnsetType
    ) = UNSET
    by: Annotated[str, meaning("Who restored it, as he said it.")] | UnsetType = UNSET
    set_aside: (
        Annotated[
            PreviousEpoch,
            meaning(
                "The last epoch that this box had numbered under this name before the backup was"
                " restored; it has no successor. `kerbstone outbox rescue` sends what it holds."
            ),
        ]
        | UnsetType
    ) = UNSET
    text: Text


BOX_EVENTS: tuple[type[Event], ...] = (
    Gap, ClockCut, Drop, Storage, Start, Board, DataSaver, LinkStep, Acceptance, Denied, Refused,
    Quota, BrokerLimit, Untrusted, TakenOver, WrongTime, OldProtocol, UnmatchedEdges, Overload,
    StageFull, Journal, Bus, Configuration, BoxSwap,
)  # fmt: skip
AlarmKind = Literal[
    "denied",
    "refused",
    "quota",
    "broker_limit",
    "untrusted",
    "taken_over",
    "wrong_time",
    "old_protocol",
    "unmatched_edges",
    "stage",
    "journal",
    "bus",
    "configuration",
]
ALARMS: Final[Mapping[AlarmKind, type[Alarm]]] = {
    "denied": Denied,
    "refused": Refused,
    "quota": Quota,
    "broker_limit": BrokerLimit,
    "untrusted": Untrusted,
    "taken_over": TakenOver,
    "wrong_time": WrongTime,
    "old_protocol": OldProtocol,
    "unmatched_edges": UnmatchedEdges,
    "stage": StageFull,
    "journal": Journal,
    "bus": Bus,
    "configuration": Configuration,
}
"""By what they are called."""
