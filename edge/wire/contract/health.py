"""Health: the state of the gateway itself, as a record of its own stream.

Each field is declared here and nowhere else, its metric too: `edge/health/fields.py` makes name,
unit and help of that from it. CONTRIBUTING.md ("Add a metric") has the other steps.

A field that could not be measured is left out, never 0. There may be more fields: which values a
board reports is not known beforehand.
"""

from dataclasses import dataclass
from typing import Annotated, Literal

from msgspec import UNSET, UnsetType

from edge.core import Quantity
from edge.wire.contract.body import RecordBody
from edge.wire.contract.terms import Amount, Count, Name, Share, meaning

RebootCause = Literal[
    "first", "clean", "restart", "crash", "power", "watchdog", "panic", "undervoltage", "unknown"
]
CAUSE = (
    "first: no earlier start is known, or it was on another box. clean: the machine was shut down"
    " properly. restart, crash: only the daemon was started again, not the machine."
)
BoardCondition = Literal[
    "undervoltage", "throttled", "hot", "disk_full", "read_only", "memory", "card_worn",
    "clock_unsynchronised", "log_flood",
]  # fmt: skip
Throttle = Literal[
    "undervoltage", "frequency_capped", "throttled", "soft_temperature_limit"
]  # fmt: skip
PreEol = Literal["normal", "warning", "urgent"]


@dataclass(frozen=True, slots=True)
class Metric:
    """What the metric of a field does not have from its declaration. `name` is without a unit."""

    counts: bool = False  # it only grows, from 0 at the start
    name: str = ""
    help: str = ""


Counter = Annotated[Count, Metric(counts=True)]


class Health(RecordBody, forbid_unknown_fields=False, kw_only=True):
    """Counters and measurements of the gateway itself, every 15 min. Counters run since the start
    of the daemon; the source is `gateway`.
    """

    uptime_s: Annotated[Amount, meaning("Since the daemon started.", "s")] | UnsetType = UNSET
    reboot_cause: (
        Annotated[RebootCause, meaning(CAUSE), Metric(help="Why the daemon was started.")]
        | UnsetType
    ) = UNSET
    clock_synchronised: (
        Annotated[bool, meaning("True while the wall clock follows a time server.")] | UnsetType
    ) = UNSET
    queue_rows: Annotated[Count, meaning("Records waiting in the outbox.")] | UnsetType = UNSET
    queue_bytes: Annotated[Count, meaning("Size of all outbox files.", "B")] | UnsetType = UNSET
    queue_limit_bytes: Annotated[Count, meaning("Size limit of the outbox.", "B")] | UnsetType = (
        UNSET
    )
    queue_age_s: (
        Annotated[
            Amount,
            meaning("Age of the oldest waiting record, if it is of this boot.", "s"),
            Metric(help="Age of the oldest waiting record."),
        ]
        | UnsetType
    ) = UNSET
    queue_forecast_s: (
        Annotated[Amount, meaning("How long the outbox has room at the present rate.", "s")]
        | UnsetType
    ) = UNSET
    queue_forecast_downsampled_s: (
        Annotated[Amount, meaning("The same, with downsampling.", "s")] | UnsetType
    ) = UNSET
    dropped: Annotated[Counter, meaning("Records that were declared lost.")] | UnsetType = UNSET
    downsampled: (
        Annotated[Counter, meaning("Records that were merged into coarser ones to save room.")]
        | UnsetType
    ) = UNSET
    damaged: Annotated[Counter, meaning("Records that could not be read back.")] | UnsetType = UNSET
    dead_letters: (
        Annotated[Counter, meaning("Records that the broker refused for good.")] | UnsetType
    ) = UNSET
    quarantined: (
        Annotated[Counter, meaning("Files of the outbox that were set aside.")] | UnsetType
    ) = UNSET
    in_memory: (
        Annotated[bool, meaning("True while records are kept in memory, because the disk failed.")]
        | UnsetType
    ) = UNSET
    connected: Annotated[bool, meaning("True while connected to a broker.")] | UnsetType = UNSET
    connections: Annotated[Counter, meaning("Connections made to a broker.")] | UnsetType = UNSET
    connection_failures: Annotated[Counter, meaning("Failed attempts to connect.")] | UnsetType = (
        UNSET
    )
    sent: Annotated[Counter, meaning("Records published.")] | UnsetType = UNSET
    sent_redelivered: (
        Annotated[Counter, meaning("Sent records that may have been sent before.")] | UnsetType
    ) = UNSET
    sent_backfilled: Annotated[Counter, meaning("Sent records from the backlog.")] | UnsetType = (
        UNSET
    )
    confirmed: Annotated[Counter, meaning("Records confirmed.")] | UnsetType = UNSET
    refused: Annotated[Counter, meaning("Records that the broker refused.")] | UnsetType = UNSET
    no_subscribers: (
        Annotated[Counter, meaning("Records that had no matching subscriber (reason code 16).")]
        | UnsetType
    ) = UNSET
    unacknowledged: (
        Annotated[Counter, meaning("Records not acknowledged when a connection ended.")] | UnsetType
    ) = UNSET
    receipts: Annotated[Counter, meaning("Receipts from the platform.")] | UnsetType = UNSET
    receipts_unknown: (
        Annotated[Counter, meaning("Numbers in receipts for which no record was waiting.")]
        | UnsetType
    ) = UNSET
    receipts_overdue: (
        Annotated[Counter, meaning("Records whose receipt did not arrive in time.")] | UnsetType
    ) = UNSET
    commands: Annotated[Counter, meaning("Commands from the platform.")] | UnsetType = UNSET
    malformed_messages: (
        Annotated[Counter, meaning("Invalid messages to the gateway.")] | UnsetType
    ) = UNSET
    device_error_ratio: (
        Annotated[
            dict[Name, Share],
            meaning("Share of failed reads in the last hour, by device; the worst 64.", "/"),
            Metric(help="Share of failed reads in the last hour."),
        ]
        | UnsetType
    ) = UNSET
    reads: Annotated[Counter, meaning("Reads of all devices.")] | UnsetType = UNSET
    errors: Annotated[Counter, meaning("Reads of all devices that failed.")] | UnsetType = UNSET
    bus_restarts: (
        Annotated[Counter, meaning("Bus threads that were abandoned and replaced.")] | UnsetType
    ) = UNSET
    overload_dropped: (
        Annotated[Counter, meaning("Sweeps and edges dropped: the main loop was too busy.")]
        | UnsetType
    ) = UNSET
    stage_overflow: (
        Annotated[Counter, meaning("Entries for which the stage had no room.")] | UnsetType
    ) = UNSET
    flash_written_mb_day: (
        Annotated[Amount, meaning("Written to the disk, all processes, over the last day.", "MB/d")]
        | UnsetType
    ) = UNSET
    flash_own_mb_day: (
        Annotated[Amount, meaning("Written by the daemon, over the last day.", "MB/d")] | UnsetType
    ) = UNSET
    card_life_years: (
        Annotated[Amount, meaning("How long a new card lasts at this rate.", "a")] | UnsetType
    ) = UNSET
    card_endurance_tb: (
        Annotated[Amount, meaning("Assumed endurance of the card (10**12 bytes).", "TB")]
        | UnsetType
    ) = UNSET
    card_life_used: (
        Annotated[Amount, meaning("Used part of its life, as an eMMC reports it.", "/")] | UnsetType
    ) = UNSET
    card_pre_eol: (
        Annotated[
            PreEol,
            meaning("State of its spare blocks, as an eMMC reports it."),
        ]
        | UnsetType
    ) = UNSET
    filesystem_errors: (
        Annotated[Count, meaning("Errors that ext4 has found since the last check.")] | UnsetType
    ) = UNSET
    read_only: (
        Annotated[bool, meaning("True while the file system of the outbox is read-only.")]
        | UnsetType
    ) = UNSET
    disk_free_bytes: (
        Annotated[Count, meaning("Free on the disk of the outbox.", "B")] | UnsetType
    ) = UNSET
    disk_total_bytes: (
        Annotated[Count, meaning("Size of the disk of the outbox.", "B")] | UnsetType
    ) = UNSET
    cpu_temperature: (
        Annotated[
            float,
            meaning("Hottest zone of the board.", Quantity.TEMPERATURE),
            Metric(help="Hottest zone of the board, in Cel."),
        ]
        | UnsetType
    ) = UNSET
    cpu_frequency_hz: (
        Annotated[Amount, meaning("Clock frequency of the first core.", "Hz")] | UnsetType
    ) = UNSET
    load_1min: (
        Annotated[Amount, meaning("Processes that run or wait, mean of a minute.")] | UnsetType
    ) = UNSET
    memory_available_bytes: Annotated[Count, meaning("Memory available.", "B")] | UnsetType = UNSET
    memory_total_bytes: Annotated[Count, meaning("Memory of the board.", "B")] | UnsetType = UNSET
    swap_used_bytes: Annotated[Count, meaning("Memory swapped out.", "B")] | UnsetType = UNSET
    rss_bytes: (
        Annotated[Count, meaning("Memory of the daemon.", "B"), Metric(name="resident_memory")]
        | UnsetType
    ) = UNSET
    oom_kills: (
        Annotated[Counter, meaning("Processes killed by the OOM killer since the boot.")]
        | UnsetType
    ) = UNSET
    memory_high: (
        Annotated[Counter, meaning("How often this unit was throttled at its memory limit.")]
        | UnsetType
    ) = UNSET
    throttled: Annotated[list[Throttle], meaning("Throttling of the board now.")] | UnsetType = (
        UNSET
    )
    throttled_seen: (
        Annotated[list[Throttle], meaning("Throttling of the board since the daemon started.")]
        | UnsetType
    ) = UNSET
    log_lines: Annotated[Counter, meaning("Lines written to the log.")] | UnsetType = UNSET
    log_suppressed: Annotated[Counter, meaning("Lines suppressed from the log.")] | UnsetType = (
        UNSET
    )
    log_bytes: Annotated[Counter, meaning("Bytes written to the log.", "B")] | UnsetType = UNSET
    alarms: (
        Annotated[list[BoardCondition], meaning("Alarms of the gateway itself that are on.")]
        | UnsetType
    ) = UNSET
