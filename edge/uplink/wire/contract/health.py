"""Health: how the gateway itself fares, as a record of its own stream.

A field that nobody could measure is left out, never 0. More fields may be there: what a board tells
is not known beforehand.
"""

from typing import Annotated, Literal

from msgspec import UNSET, UnsetType

from edge.core import Quantity
from edge.uplink.wire.contract.header import Sourced
from edge.uplink.wire.contract.terms import Amount, Count, Name, Share, told

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

    stream: Annotated[Literal["health"], told("The stream.")]
    uptime_s: Annotated[Amount, told("Since the daemon started.", "s")] | UnsetType = UNSET
    reboot_cause: Annotated[RebootCause, told(CAUSE)] | UnsetType = UNSET
    clock_synchronised: (
        Annotated[bool, told("True while the wall clock follows a time server.")] | UnsetType
    ) = UNSET
    queue_rows: Annotated[Count, told("Records that wait in the outbox.")] | UnsetType = UNSET
    queue_bytes: Annotated[Count, told("Bytes of all files of the outbox.", "B")] | UnsetType = (
        UNSET
    )
    queue_limit_bytes: Annotated[Count, told("The most the outbox may take.", "B")] | UnsetType = (
        UNSET
    )
    queue_age_s: (
        Annotated[Amount, told("Age of the oldest record that waits, if it is of this boot.", "s")]
        | UnsetType
    ) = UNSET
    queue_forecast_s: (
        Annotated[Amount, told("How long the outbox has room for at the present rate.", "s")]
        | UnsetType
    ) = UNSET
    queue_forecast_thinned_s: (
        Annotated[Amount, told("The same, with thinning.", "s")] | UnsetType
    ) = UNSET
    dropped: Annotated[Count, told("Records that were declared lost.")] | UnsetType = UNSET
    thinned: (
        Annotated[Count, told("Records that were merged into coarser ones to save room.")]
        | UnsetType
    ) = UNSET
    damaged: Annotated[Count, told("Records that could not be read back.")] | UnsetType = UNSET
    dead: Annotated[Count, told("Records that the broker refused for good.")] | UnsetType = UNSET
    quarantined: Annotated[Count, told("Files of the outbox that were set aside.")] | UnsetType = (
        UNSET
    )
    ram: (
        Annotated[bool, told("True while records are kept in memory, because the disk failed.")]
        | UnsetType
    ) = UNSET
    connected: Annotated[bool, told("True while the link to the broker stands.")] | UnsetType = (
        UNSET
    )
    connections: Annotated[Count, told("Connections made to a broker.")] | UnsetType = UNSET
    connection_failures: Annotated[Count, told("Attempts to connect that failed.")] | UnsetType = (
        UNSET
    )
    sent: Annotated[Count, told("Records handed to the network.")] | UnsetType = UNSET
    sent_again: (
        Annotated[Count, told("Of the sent: they may have been sent before.")] | UnsetType
    ) = UNSET
    sent_late: Annotated[Count, told("Of the sent: from the backlog.")] | UnsetType = UNSET
    confirmed: Annotated[Count, told("Records confirmed.")] | UnsetType = UNSET
    refused: Annotated[Count, told("Records that the broker refused.")] | UnsetType = UNSET
    unheard: (
        Annotated[Count, told("Records that nobody had subscribed to (reason code 16).")]
        | UnsetType
    ) = UNSET
    unanswered: (
        Annotated[Count, told("Records without an answer when a connection ended.")] | UnsetType
    ) = UNSET
    receipts: Annotated[Count, told("Receipts that came from the platform.")] | UnsetType = UNSET
    receipts_unknown: (
        Annotated[Count, told("Numbers in receipts that nothing had waited for.")] | UnsetType
    ) = UNSET
    receipts_overdue: (
        Annotated[Count, told("Records whose receipt did not come in time.")] | UnsetType
    ) = UNSET
    commands: Annotated[Count, told("Commands that came from the platform.")] | UnsetType = UNSET
    strange_messages: (
        Annotated[Count, told("Messages to us that are not what they should be.")] | UnsetType
    ) = UNSET
    device_error_ratio: (
        Annotated[
            dict[Name, Share],
            told("Part of the reads of the last hour that failed, by device; the worst 64.", "/"),
        ]
        | UnsetType
    ) = UNSET
    reads: Annotated[Count, told("Reads of all devices.")] | UnsetType = UNSET
    errors: Annotated[Count, told("Reads of all devices that failed.")] | UnsetType = UNSET
    bus_restarts: (
        Annotated[Count, told("Threads of buses that were abandoned and begun anew.")] | UnsetType
    ) = UNSET
    overload_dropped: (
        Annotated[Count, told("Sweeps and edges dropped, the main loop was too busy.")] | UnsetType
    ) = UNSET
    stage_overflow: Annotated[Count, told("Entries that found the stage full.")] | UnsetType = UNSET
    flash_written_mb_day: (
        Annotated[Amount, told("Written to the disk, all processes, over the last day.", "MB/d")]
        | UnsetType
    ) = UNSET
    flash_own_mb_day: (
        Annotated[Amount, told("Written by the daemon, over the last day.", "MB/d")] | UnsetType
    ) = UNSET
    card_life_years: (
        Annotated[Amount, told("How long a new card lasts at this rate.", "a")] | UnsetType
    ) = UNSET
    card_endurance_tb: (
        Annotated[Amount, told("Assumed: what a card bears (10**12 bytes).", "TB")] | UnsetType
    ) = UNSET
    card_life_used: (
        Annotated[Amount, told("What an eMMC says of its life: the used part.", "/")] | UnsetType
    ) = UNSET
    card_pre_eol: (
        Annotated[
            Literal["normal", "warning", "urgent"], told("What an eMMC says of its spare blocks.")
        ]
        | UnsetType
    ) = UNSET
    filesystem_errors: (
        Annotated[Count, told("Errors that ext4 has found since it was checked.")] | UnsetType
    ) = UNSET
    read_only: (
        Annotated[bool, told("True while the file system of the outbox is read-only.")] | UnsetType
    ) = UNSET
    disk_free_bytes: Annotated[Count, told("Free on the disk of the outbox.", "B")] | UnsetType = (
        UNSET
    )
    disk_total_bytes: Annotated[Count, told("Size of the disk of the outbox.", "B")] | UnsetType = (
        UNSET
    )
    cpu_temperature: (
        Annotated[float, told("Hottest zone of the board.", Quantity.TEMPERATURE)] | UnsetType
    ) = UNSET
    cpu_frequency_hz: Annotated[Amount, told("Clock of the first core.", "Hz")] | UnsetType = UNSET
    load_1min: Annotated[Amount, told("Processes that run or wait, over a minute.")] | UnsetType = (
        UNSET
    )
    memory_available_bytes: Annotated[Count, told("Memory that can be had.", "B")] | UnsetType = (
        UNSET
    )
    memory_total_bytes: Annotated[Count, told("Memory of the board.", "B")] | UnsetType = UNSET
    swap_used_bytes: Annotated[Count, told("Memory that was swapped out.", "B")] | UnsetType = UNSET
    rss_bytes: Annotated[Count, told("Memory of the daemon.", "B")] | UnsetType = UNSET
    oom_kills: (
        Annotated[Count, told("Processes killed for want of memory since the boot.")] | UnsetType
    ) = UNSET
    memory_high: (
        Annotated[Count, told("Times this unit was held back for its memory.")] | UnsetType
    ) = UNSET
    throttled: Annotated[list[Throttle], told("What the board holds back now.")] | UnsetType = UNSET
    throttled_seen: (
        Annotated[list[Throttle], told("What the board has held back since the daemon started.")]
        | UnsetType
    ) = UNSET
    log_lines: Annotated[Count, told("Lines written to the log.")] | UnsetType = UNSET
    log_suppressed: Annotated[Count, told("Lines kept out of the log.")] | UnsetType = UNSET
    log_bytes: Annotated[Count, told("Bytes written to the log.", "B")] | UnsetType = UNSET
    alarms: (
        Annotated[list[BoardCondition], told("Alarms of the gateway itself that are on.")]
        | UnsetType
    ) = UNSET
