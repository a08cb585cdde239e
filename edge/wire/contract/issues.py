"""The open issues of a gateway, as its status tells them: what needs a person, and since when."""

from typing import Annotated, Literal

from msgspec import UNSET, Meta, UnsetType

from edge.wire.contract.terms import GROWS, DisplayName, Time, WireStruct, meaning

Severity = Literal["fault", "warning"]
IssueName = Literal[
    "records_in_memory", "records_lost", "outbox_full", "dead_letters", "outbox_quarantined",
    "outbox_foreign", "no_broker", "on_fallback", "data_budget", "broker_limits",
    "retained_refused", "no_subscribers", "no_receipts", "broker_denies", "broker_refuses",
    "broker_quota", "broker_untrusted", "name_taken", "old_protocol", "certificate_expired",
    "certificate_expires", "configuration_refused", "configuration_unusable",
    "configuration_outdated", "configuration_on_trial", "acceptance_stale", "bus_fails",
    "device_fails",
    "device_errors", "device_unsettled", "values_bad", "calibration_expired", "device_reports",
    "line_closed", "values_contradict", "loop_fault", "signal_fault", "contact_fault",
    "undervoltage", "undervoltage_seen", "throttled", "hot", "disk_full", "read_only", "memory",
    "card_worn", "clock_unsynchronised", "clock_was_wrong", "journal_fails", "log_flood",
    "unexpected_start", "too_busy", "stage_full", "unmatched_edges", "bus_hung", "model_fails",
    "model_withdrawn", "model_drift", "candidate_dropped",
]  # fmt: skip


class OpenIssueStatus(WireStruct, kw_only=True):
    """One thing that needs a person. It is in the list until it is over."""

    kind: Annotated[IssueName, Meta(extra_json_schema=GROWS, description="What is wrong.")]
    about: Annotated[
        str, meaning("The device, loop, line, file, model or broker; empty: the gateway.")
    ]
    name: Annotated[DisplayName, meaning("Its display name.")] | UnsetType = UNSET
    severity: Annotated[
        Severity, meaning("fault: data are lost, missing or wrong. warning: they may be soon.")
    ]
    since: Annotated[Time | None, meaning("When it was opened; null: not known.")]
    cause: Annotated[str, meaning("What was found, as a sentence; empty: there was no room.")]
    remedy: Annotated[str, meaning("What to do, as a sentence; empty: as the cause.")]
