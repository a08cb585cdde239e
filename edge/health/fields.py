"""The health record, field by field: one table for the record, the contract and OpenMetrics.

Names of the record have their unit last; those of OpenMetrics have base units, so some values
are scaled. A field that nobody could measure is left out, never 0.
"""

from dataclasses import dataclass
from typing import Final, Literal

from edge.health.board import THROTTLE_BITS
from edge.health.boxalarms import ALARM_WORDS
from edge.health.reboot import Cause

Kind = Literal["gauge", "counter", "word", "words", "ratios"]


@dataclass(frozen=True, slots=True)
class Field:
    """One key of the record; `metric` with `unit` last, times `scale`, is its OpenMetrics form.

    A `word` is one of some, `words` a list of those in `among`, `ratios` a map from devices.
    """

    key: str
    kind: Kind
    help: str
    metric: str = ""  # the same as `key` when it is empty
    unit: str = ""
    scale: float = 1.0
    among: tuple[str, ...] = ()


MB_DAY: Final = 1e6 / 86_400  # megabytes (10**6) a day in bytes a second
YEAR_S: Final = 365.25 * 86_400

FIELDS: Final = (
    Field("uptime_s", "gauge", "Since the daemon started.", "uptime_seconds", "seconds"),
    Field("reboot_cause", "word", "Why the daemon was started.",
          among=tuple(str(cause) for cause in Cause)),
    Field("clock_synchronised", "gauge", "1 while the wall clock follows a time server."),
    # the outbox
    Field("queue_rows", "gauge", "Records waiting in the outbox."),
    Field("queue_bytes", "gauge", "Size of all outbox files.", unit="bytes"),
    Field("queue_limit_bytes", "gauge", "Size limit of the outbox.", unit="bytes"),
    Field("queue_age_s", "gauge", "Age of the oldest waiting record.",
          "queue_age_seconds", "seconds"),
    Field("queue_forecast_s", "gauge", "How long the outbox has room at the present rate.",
          "queue_forecast_seconds", "seconds"),
    Field("queue_forecast_downsampled_s", "gauge", "The same, with downsampling.",
          "queue_forecast_downsampled_seconds", "seconds"),
    Field("dropped", "counter", "Records that were declared lost."),
    Field("downsampled", "counter", "Records that were merged into coarser ones to save room."),
    Field("damaged", "counter", "Records that could not be read back."),
    Field("dead_letters", "counter", "Records that the broker refused for good."),
    Field("quarantined", "counter", "Files of the outbox that were set aside."),
    Field("in_memory", "gauge", "1 while records are kept in memory, because the disk failed."),
    # the link
    Field("connected", "gauge", "1 while connected to a broker."),
    Field("connections", "counter", "Connections made to a broker."),
    Field("connection_failures", "counter", "Failed attempts to connect."),
    Field("sent", "counter", "Records published."),
    Field("sent_redelivered", "counter", "Sent records that may have been sent before."),
    Field("sent_backfilled", "counter", "Sent records from the backlog."),
    Field("confirmed", "counter", "Records confirmed."),
    Field("refused", "counter", "Records that the broker refused."),
    Field("no_subscribers", "counter", "Records that had no matching subscriber (reason code 16)."),
    Field("unacknowledged", "counter", "Records not acknowledged when a connection ended."),
    Field("receipts", "counter", "Receipts from the platform."),
    Field("receipts_unknown", "counter", "Numbers in receipts for which no record was waiting."),
    Field("receipts_overdue", "counter", "Records whose receipt did not arrive in time."),
    Field("commands", "counter", "Commands from the platform."),
    Field("malformed_messages", "counter", "Invalid messages to the gateway."),
    # devices
    Field("device_error_ratio", "ratios", "Share of failed reads in the last hour."),
    Field("reads", "counter", "Reads of all devices."),
    Field("errors", "counter", "Reads of all devices that failed."),
    Field("bus_restarts", "counter", "Bus threads that were abandoned and replaced."),
    Field("overload_dropped", "counter", "Sweeps and edges dropped: the main loop was too busy."),
    Field("stage_overflow", "counter", "Entries for which the stage had no room."),
    # the card
    Field("flash_written_mb_day", "gauge", "Written to the disk, all processes, over the last day.",
          "flash_written_bytes_per_second", "bytes_per_second", MB_DAY),
    Field("flash_own_mb_day", "gauge", "Written by the daemon, over the last day.",
          "flash_own_bytes_per_second", "bytes_per_second", MB_DAY),
    Field("card_life_years", "gauge", "How long a new card lasts at this rate.",
          "card_life_seconds", "seconds", YEAR_S),
    Field("card_endurance_tb", "gauge", "Assumed endurance of the card (10**12 bytes).",
          "card_endurance_bytes", "bytes", 1e12),
    Field("card_life_used", "gauge", "Used part of its life, as an eMMC reports it.",
          "card_life_used_ratio", "ratio"),
    Field("card_pre_eol", "word", "State of its spare blocks, as an eMMC reports it.",
          among=("normal", "warning", "urgent")),
    Field("filesystem_errors", "gauge", "Errors that ext4 has found since the last check."),
    Field("read_only", "gauge", "1 while the file system of the outbox is read-only."),
    Field("disk_free_bytes", "gauge", "Free on the disk of the outbox.", unit="bytes"),
    Field("disk_total_bytes", "gauge", "Size of the disk of the outbox.", unit="bytes"),
    # the board
    Field("cpu_temperature", "gauge", "Hottest zone of the board, in Cel.",
          "cpu_temperature_celsius", "celsius"),
    Field("cpu_frequency_hz", "gauge", "Clock frequency of the first core.",
          "cpu_frequency_hertz", "hertz"),
    Field("load_1min", "gauge", "Processes that run or wait, mean of a minute."),
    Field("memory_available_bytes", "gauge", "Memory available.", unit="bytes"),
    Field("memory_total_bytes", "gauge", "Memory of the board.", unit="bytes"),
    Field("swap_used_bytes", "gauge", "Memory swapped out.", unit="bytes"),
    Field("rss_bytes", "gauge", "Memory of the daemon.", "resident_memory_bytes", "bytes"),
    Field("oom_kills", "counter", "Processes killed by the OOM killer since the boot."),
    Field("memory_high", "counter", "How often this unit was throttled at its memory limit."),
    Field("throttled", "words", "Throttling of the board now.", among=THROTTLE_BITS),
    Field("throttled_seen", "words", "Throttling of the board since the daemon started.",
          among=THROTTLE_BITS),
    # what is said
    Field("log_lines", "counter", "Lines written to the log."),
    Field("log_suppressed", "counter", "Lines suppressed from the log."),
    Field("log_bytes", "counter", "Bytes written to the log.", unit="bytes"),
    Field("alarms", "words", "Alarms of the gateway itself that are on.", among=ALARM_WORDS),
)  # fmt: skip

BY_KEY: Final = {field.key: field for field in FIELDS}
