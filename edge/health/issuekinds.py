"""What can be wrong with a gateway that needs a person: one row for each kind, and its remedy.

The names are stable: they stand in metrics, in the status and in what a technician reads out on
the telephone. `docs/issues.md` is made from this table.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Literal, get_args

from edge.wire.contract.issues import IssueName, Severity

Area = Literal[
    "outbox",
    "link",
    "identity",
    "configuration",
    "devices",
    "box",
    "daemon",
    "models",
    "events",
    "alarms",
]
"""Who looks: all kinds of an area are looked at together. Those of `events` (of sensors) and of
`alarms` (of the gateway) come and go as the city is told of them."""

DAY_S: Final = 86_400.0
BUSY: Final = "Find out what else runs on this machine, or read less often (every_s)."


@dataclass(frozen=True, slots=True)
class IssueKind:
    """What is the same for all issues of a kind.

    `short` is for one line, with `{about}` where it is about one of several. `remedy` says what to
    do where the finding knows nothing better. `lasts_s`: of what happens and does not last, so
    long after the last time it still needs a person; 0: as long as it is found.
    """

    area: Area
    severity: Severity
    short: str
    remedy: str
    lasts_s: float = 0.0


ISSUE_KINDS: Final[Mapping[IssueName, IssueKind]] = {
    # what loses data stands first: the list is shown in this order
    "records_in_memory": IssueKind(
        "outbox", "fault", "records are only in memory",
        "A power cut loses them: replace the card.",
    ),
    "records_lost": IssueKind(
        "outbox", "fault", "records were lost",
        "A `drop` event reports which; `kerbstone outbox` shows what waits in each stream. Repair "
        "the link, or give the outbox more room (store.limit_mb).", DAY_S,
    ),
    "outbox_full": IssueKind(
        "outbox", "fault", "outbox nearly full",
        "The oldest records are merged, then dropped. Repair the link, or raise store.limit_mb.",
    ),
    "dead_letters": IssueKind(
        "outbox", "warning", "the broker refused records",
        "`kerbstone outbox` says why. The usual cause: the broker's access rules or its size "
        "limit.",
    ),
    "outbox_quarantined": IssueKind(
        "outbox", "warning", "damaged outbox put aside",
        "`kerbstone outbox rescue FILE` sends the records that can be read; then remove the file. "
        "The card may be failing.",
    ),
    "outbox_foreign": IssueKind(
        "outbox", "warning", "outbox of another version or gateway",
        "The same version and name use it again. Or send its records with `kerbstone outbox rescue "
        "FILE`, then remove the file.",
    ),
    "no_broker": IssueKind(
        "link", "fault", "no link to the broker",
        "Check modem, antenna and cable, then uplink.url.",
    ),
    "on_fallback": IssueKind(
        "link", "warning", "on the fallback broker",
        "Check the broker of uplink.url and the way to it. `kerbstone doctor` says more.",
    ),
    "data_budget": IssueKind(
        "link", "warning", "data budget used up",
        "Find out what needs so many bytes, or raise link.budget_mb if the contract allows it.",
    ),
    "broker_limits": IssueKind(
        "link", "warning", "broker's limits too low",
        "Raise them at the broker.",
    ),
    "retained_refused": IssueKind(
        "link", "warning", "the broker does not keep our status",
        "Give this gateway the right to publish there, and to have messages retained, or raise the "
        "broker's limit of size.",
    ),
    "no_subscribers": IssueKind(
        "link", "fault", "nobody subscribes",
        'Start the platform\'s side, or set uplink.confirm = "platform".',
    ),
    "no_receipts": IssueKind(
        "link", "fault", "nothing is confirmed",
        "Look whether the platform's program runs (`kerbstone receipts`), hears this gateway's "
        "topics, and may send receipts, and whether the broker's access rules let this gateway "
        "read its topics `down/#`. Until then records are kept here.",
    ),
    "broker_denies": IssueKind(
        "link", "fault", "the broker denies a topic",
        "Give this gateway's name its rights in the access rules of the broker. It is tried again "
        "every 5 min.",
    ),
    "broker_refuses": IssueKind(
        "alarms", "fault", "the broker refuses records",
        "`kerbstone outbox` says why. The usual cause: the broker's access rules or its size "
        "limit.", DAY_S,
    ),
    "broker_quota": IssueKind(
        "link", "warning", "the broker's quota is used up",
        "Raise the quota of this gateway at the broker. Once raised, this closes within minutes.",
    ),
    "broker_untrusted": IssueKind(
        "link", "fault", "a broker without a trusted certificate",
        "Compare uplink.ca, uplink.url and the clock of this box with the broker's certificate.",
    ),
    "name_taken": IssueKind(
        "link", "fault", "somebody else uses this name",
        "Find the other box: the card was copied, or two boxes have one name. If none is known, "
        "withdraw the certificate. This closes when the link has stood for 15 min.",
    ),
    "old_protocol": IssueKind(
        "link", "warning", "MQTT 3.1.1", "Let the broker speak MQTT 5, and remove "
        "uplink.protocol.",
    ),
    "certificate_expired": IssueKind(
        "identity", "fault", "certificate expired",
        "Enrol this box again, or put a new certificate where uplink.cert says.",
    ),
    "certificate_expires": IssueKind(
        "identity", "warning", "certificate expires soon",
        "`journalctl -u kerbstone-renew` says why it is not renewed.",
    ),
    "configuration_refused": IssueKind(
        "configuration", "fault", "last good configuration",
        "`kerbstone check` and `kerbstone config status` say what is wrong with the file: correct "
        "it, then `kerbstone config apply FILE`.",
    ),
    "configuration_unusable": IssueKind(
        "configuration", "fault", "signed configuration not taken",
        "Sign a site file without what it names, or update Kerbstone on this box.",
    ),
    "configuration_on_trial": IssueKind(
        "configuration", "warning", "configuration on trial",
        "`kerbstone config status` says what is missing; `kerbstone config confirm` or `kerbstone "
        "config rollback` ends it.",
    ),
    "configuration_outdated": IssueKind(
        "configuration", "warning", "{about} is outdated",
        "`kerbstone check` says what to write instead.",
    ),
    "acceptance_stale": IssueKind(
        "configuration", "warning", "acceptance is out of date",
        "Test these steps again and sign: `kerbstone commission`.",
    ),
    "bus_fails": IssueKind(
        "devices", "fault", "{about} fails",
        "Check first what its devices share: supply, cable, settings.",
    ),
    "device_fails": IssueKind(
        "devices", "fault", "{about} does not answer",
        "`kerbstone doctor {about}` says more.",
    ),
    "device_errors": IssueKind(
        "devices", "warning", "{about} fails often",
        "Check its cable, its plug and its supply. Once mended, this closes within an hour. "
        "`kerbstone doctor {about}` says more.",
    ),
    "device_unsettled": IssueKind(
        "devices", "fault", "{about} does not settle",
        "Switch {about} off and on again. If it stays so, check its supply voltage, then replace "
        "it.",
    ),
    "values_bad": IssueKind(
        "devices", "warning", "{about} has bad values",
        "`kerbstone doctor {about}` says more.",
    ),
    "calibration_expired": IssueKind(
        "devices", "warning", "calibration of {about} expired",
        "Have it calibrated again, and write the new certificate into the site file.",
    ),
    "device_reports": IssueKind(
        "devices", "warning", "{about} reports a fault",
        "See the manual of the device.",
    ),
    "line_closed": IssueKind(
        "devices", "fault", "{about} is not open",
        "`kerbstone doctor` says more.",
    ),
    "values_contradict": IssueKind(
        "events", "warning", "{about} contradicts itself",
        "Check wiring, direction and configuration of the device.",
    ),
    "loop_fault": IssueKind(
        "events", "fault", "loop {about}",
        "Measure the loop and its card.",
    ),
    "signal_fault": IssueKind(
        "events", "warning", "signal contact {about}",
        "Check the contact and its wiring to the controller.",
    ),
    "contact_fault": IssueKind(
        "events", "fault", "contact {about}",
        "Check the contact, its terminals and its cable.",
    ),
    "undervoltage": IssueKind(
        "box", "fault", "undervoltage",
        "Check the power supply, its cable and what else it feeds.",
    ),
    "undervoltage_seen": IssueKind(
        "box", "warning", "undervoltage seen",
        "Check the power supply, its cable and what else it feeds.",
    ),
    "throttled": IssueKind(
        "box", "warning", "throttled",
        "Check fan, filter and sunshade of the cabinet, and the power supply.",
    ),
    "hot": IssueKind("box", "warning", "hot", "Check fan, filter and sunshade of the cabinet."),
    "disk_full": IssueKind(
        "box", "fault", "disk full",
        "Remove what does not belong there, or lower store.limit_mb.",
    ),
    "read_only": IssueKind("box", "fault", "read only", "Replace the card."),
    "memory": IssueKind(
        "box", "warning", "memory", "Stop what does not belong on this box.",
    ),
    "card_worn": IssueKind("box", "warning", "card worn", "Replace the card at the next visit."),
    "clock_unsynchronised": IssueKind(
        "box", "warning", "clock unsynchronised", "Check the time server and the network.",
    ),
    "clock_was_wrong": IssueKind(
        "alarms", "warning", "clock was wrong", "Check the time servers of this box.", DAY_S,
    ),
    "journal_fails": IssueKind(
        "daemon", "fault", "journal cannot be written",
        "After a power cut records may be sent twice: the card may be failing.",
    ),
    "log_flood": IssueKind(
        "box", "warning", "log flood", "Find out what fills the log: `journalctl -u kerbstone`.",
    ),
    "unexpected_start": IssueKind(
        "box", "warning", "{about}",
        "If it comes again, read the log: of a daemon that ended `journalctl -u kerbstone`, of a "
        "board that was reset `journalctl -b -1`.", DAY_S,
    ),
    "too_busy": IssueKind("daemon", "fault", "too busy", BUSY, DAY_S),
    "stage_full": IssueKind("daemon", "fault", "stage full", BUSY, DAY_S),
    "unmatched_edges": IssueKind(
        "daemon", "warning", "edges of unknown lines",
        "Compare the site file with the wiring.", DAY_S,
    ),
    "bus_hung": IssueKind(
        "daemon", "warning", "a bus hung", "Look at the adapter, its cable and its driver.", DAY_S,
    ),
    "model_fails": IssueKind(
        "models", "warning", "model {about} fails",
        "Its rule is used meanwhile. `kerbstone models check` says what is wrong.",
    ),
    "model_withdrawn": IssueKind(
        "models", "warning", "model {about} was withdrawn",
        "`kerbstone models check` says what is wrong with the new one.",
    ),
    "model_drift": IssueKind(
        "models", "warning", "model {about} sees other input",
        "Check the sensors that feed this model.",
    ),
    "candidate_dropped": IssueKind(
        "models", "warning", "candidate {about} was dropped",
        "Correct the candidate, or remove it.",
    ),
}  # fmt: skip
ORDER: Final = {name: place for place, name in enumerate(ISSUE_KINDS)}
assert set(ISSUE_KINDS) == set(get_args(IssueName)), "each kind of the contract has its row"
