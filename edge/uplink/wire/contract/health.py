"""Health: how the gateway itself fares, as a record of its own stream.

A field that nobody could measure is left out, never 0. More fields may be there: what a board tells
is not known beforehand.
"""

from typing import Annotated, Literal

from msgspec import UNSET, UnsetType

from edge.core import Quantity
from edge.uplink.wire.contract.header import Sourced
from edge.uplink.wire.contract.terms import Amount, Count, Name, Share, meaning

RebootCause = Literal[
    "first", "clean", "restart", "crash", "power", "watchdog", "panic", "undervoltage", "unknown"
]
CAUSE = (
    "first: no start is known before. clean: the machine was shut down in order. restart, crash: of"
    " the daemon alone."
)
BoardCondition = Literal[
    "undervoltage", "throttled", "hot", "disk_full", "read_only", "memory", "card_worn",
    "clock_unsynchronised", "log_flood",
]  # fmt: skip
Throttle = Literal[
    "undervoltage", "frequency_capped", "throttled", "soft_temperature_limit"
]  # fmt: skip


class Health(Sourced, forbid_unknown_fields=False, kw_only=True):
    """What the gateway counts and measures of itself, every 15 min. Counters run since the start
    of the daemon; the source is `gateway`.
    """

    stream: Annotated[Literal["health"], meaning("The stream.")]
    uptime_s: Annotated[Amount, meaning("Since the daemon started.", "s")] | UnsetType = UNSET
    reboot_cause: Annotated[RebootCause, meaning(CAUSE)] | UnsetType = UNSET
    clock_synchronised: (
        Annotated[bool, meaning("True while the wall clock follows a time server.")] | UnsetType
    ) = UNSET
    queue_rows: Annotated[Count, meaning("Records that wait in the outbox.")] | UnsetType = UNSET
    queue_bytes: Annotated[Count, meaning("Bytes of all files of the outbox.", "B")] | UnsetType = (
        UNSET
    )
    queue_limit_bytes: (
        Annotated[Count, meaning("The most the outbox may take.", "B")] | UnsetType
    ) = UNSET
    queue_age_s: (
        Annotated[
            Amount, meaning("Age of the oldest record that waits, if it is of this boot.", "s")
        ]
        | UnsetType
    ) = UNSET
    queue_forecast_s: (
        Annotated[Amount, meaning("How long the outbox has room for at the present rate.", "s")]
        | UnsetType
    ) = UNSET
    queue_forecast_downsampled_s: (
        Annotated[Amount, meaning("The same, with downsampling.", "s")] | UnsetType
    ) = UNSET
    dropped: Annotated[Count, meaning("Records that were declared lost.")] | UnsetType = UNSET
    downsampled: (
        Annotated[Count, meaning("Records that were merged into coarser ones to save room.")]
        | UnsetType
    ) = UNSET
    damaged: Annotated[Count, meaning("Records that could not be read back.")] | UnsetType = UNSET
    dead_letters: (
        Annotated[Count, meaning("Records that the broker refused for good.")] | UnsetType
    ) = UNSET
    quarantined: (
        Annotated[Count, meaning("Files of the outbox that were set aside.")] | UnsetType
    ) = UNSET
    in_memory: (
        Annotated[bool, meaning("True while records are kept in memory, because the disk failed.")]
        | UnsetType
    ) = UNSET
    connected: Annotated[bool, meaning("True while the link to the broker stands.")] | UnsetType = (
        UNSET
    )
    connections: Annotated[Count, meaning("Connections made to a broker.")] | UnsetType = UNSET
    connection_failures: (
        Annotated[Count, meaning("Attempts to connect that failed.")] | UnsetType
    ) = UNSET
    sent: Annotated[Count, meaning("Records handed to the network.")] | UnsetType = UNSET
    sent_redelivered: (
        Annotated[Count, meaning("Of the sent: they may have been sent before.")] | UnsetType
    ) = UNSET
    sent_backfilled: Annotated[Count, meaning("Of the sent: from the backlog.")] | UnsetType = UNSET
    confirmed: Annotated[Count, meaning("Records confirmed.")] | UnsetType = UNSET
    refused: Annotated[Count, meaning("Records that the broker refused.")] | UnsetType = UNSET
    no_subscribers: (
        Annotated[Count, meaning("Records that nobody had subscribed to (reason code 16).")]
        | UnsetType
    ) = UNSET
    unacknowledged: (
        Annotated[Count, meaning("Records without an answer when a connection ended.")] | UnsetType
    ) = UNSET
    receipts: Annotated[Count, meaning("Receipts that came from the platform.")] | UnsetType = UNSET
    receipts_unknown: (
        Annotated[Count, meaning("Numbers in receipts that nothing had waited for.")] | UnsetType
    ) = UNSET
    receipts_overdue: (
        Annotated[Count, meaning("Records whose receipt did not come in time.")] | UnsetType
    ) = UNSET
    commands: Annotated[Count, meaning("Commands that came from the platform.")] | UnsetType = UNSET
    malformed_messages: (
        Annotated[Count, meaning("Messages to us that are not what they should be.")] | UnsetType
    ) = UNSET
    device_error_ratio: (
        Annotated[
            dict[Name, Share],
            meaning(
                "Part of the reads of the last hour that failed, by device; the worst 64.", "/"
            ),
        ]
        | UnsetType
    ) = UNSET
    reads: Annotated[Count, meaning("Reads of all devices.")] | UnsetType = UNSET
    errors: Annotated[Count, meaning("Reads of all devices that failed.")] | UnsetType = UNSET
    bus_restarts: (
        Annotated[Count, meaning("Threads of buses that were abandoned and begun anew.")]
        | UnsetType
    ) = UNSET
    overload_dropped: (
        Annotated[Count, meaning("Sweeps and edges dropped, the main loop was too busy.")]
        | UnsetType
    ) = UNSET
    stage_overflow: Annotated[Count, meaning("Entries that found the stage full.")] | UnsetType = (
        UNSET
    )
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
        Annotated[Amount, meaning("Assumed: what a card bears (10**12 bytes).", "TB")] | UnsetType
    ) = UNSET
    card_life_used: (
        Annotated[Amount, meaning("What an eMMC says of its life: the used part.", "/")] | UnsetType
    ) = UNSET
    card_pre_eol: (
        Annotated[
            Literal["normal", "warning", "urgent"],
            meaning("What an eMMC says of its spare blocks."),
        ]
        | UnsetType
    ) = UNSET
    filesystem_errors: (
        Annotated[Count, meaning("Errors that ext4 has found since it was checked.")] | UnsetType
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
        Annotated[float, meaning("Hottest zone of the board.", Quantity.TEMPERATURE)] | UnsetType
    ) = UNSET
    cpu_frequency_hz: Annotated[Amount, meaning("Clock of the first core.", "Hz")] | UnsetType = (
        UNSET
    )
    load_1min: (
        Annotated[Amount, meaning("Processes that run or wait, over a minute.")] | UnsetType
    ) = UNSET
    memory_available_bytes: (
        Annotated[Count, meaning("Memory that can be had.", "B")] | UnsetType
    ) = UNSET
    memory_total_bytes: Annotated[Count, meaning("Memory of the board.", "B")] | UnsetType = UNSET
    swap_used_bytes: Annotated[Count, meaning("Memory that was swapped out.", "B")] | UnsetType = (
        UNSET
    )
    rss_bytes: Annotated[Count, meaning("Memory of the daemon.", "B")] | UnsetType = UNSET
    oom_kills: (
        Annotated[Count, meaning("Processes killed for want of memory since the boot.")] | UnsetType
    ) = UNSET
    memory_high: (
        Annotated[Count, meaning("Times this unit was held back for its memory.")] | UnsetType
    ) = UNSET
    throttled: Annotated[list[Throttle], meaning("What the board holds back now.")] | UnsetType = (
        UNSET
    )
    throttled_seen: (
        Annotated[list[Throttle], meaning("What the board has held back since the daemon started.")]
        | UnsetType
    ) = UNSET
    log_lines: Annotated[Count, meaning("Lines written to the log.")] | UnsetType = UNSET
    log_suppressed: Annotated[Count, meaning("Lines kept out of the log.")] | UnsetType = UNSET
    log_bytes: Annotated[Count, meaning("Bytes written to the log.", "B")] | UnsetType = UNSET
    alarms: (
        Annotated[list[BoardCondition], meaning("Alarms of the gateway itself that are on.")]
        | UnsetType
    ) = UNSET
