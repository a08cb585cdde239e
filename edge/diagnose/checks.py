"""What `kerbstone doctor` asks: one row for each check, and what an answer looks like.

Ids are stable, and one that is given up is never used again: people grep for them, and read them
out on the telephone. `docs/doctor.md` has this table; `tests/diagnose` causes the fault of each.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, Literal, cast, get_args

from edge.core.humanize import as_sentence
from edge.gateway.issuefindings import as_instruction
from edge.wire.contract.issues import IssueName

Outcome = Literal["ok", "warning", "fault", "not checked"]
Group = Literal[
    "configuration", "gateway", "rights", "broker", "outbox", "box", "clock", "models", "lanes",
    "wires",
]  # fmt: skip
CheckId = Literal[
    "site_file", "site_in_use",
    "gateway_runs", "gateway_load", "last_start", "log_volume",
    "bus_rights", "store_rights", "secret_files",
    "uplink_files", "dns", "egress", "tcp", "proxy", "tls_protocol", "tls_authority", "tls_name",
    "tls_dates", "client_certificate", "mqtt_protocol", "login", "name_taken", "broker_limits",
    "right_subscribe", "right_publish", "right_will", "quota", "subscribers", "round_trip",
    "link_up", "data_budget", "receipt",
    "store_free", "outbox_room", "outbox_losses", "outbox_kept",
    "power", "throttled", "temperature", "memory", "disk_room", "disk_writable", "card",
    "clock_synced", "clock_source", "clock_right",
    "models",
    "lane_edges", "lane_verdict",
    "bus_port", "bus_line", "gpio_lines", "device_answers", "device_values", "device_reports",
    "device_pace",
]  # fmt: skip


@dataclass(frozen=True, slots=True)
class Check:
    """One question. `kinds` are the open issues of the gateway that answer it. `daemon`: only the
    running gateway knows the answer."""

    group: Group
    asks: str
    kinds: tuple[IssueName, ...] = ()
    daemon: bool = False


CHECKS: Final[Mapping[CheckId, Check]] = {
    "site_file": Check(
        "configuration", "Does the site file hold nothing outdated or doubtful?",
        ("configuration_outdated", "acceptance_stale"),
    ),
    "site_in_use": Check(
        "configuration", "Does the gateway run with this site file?",
        ("configuration_refused", "configuration_unusable", "configuration_on_trial"), daemon=True,
    ),
    "gateway_runs": Check("gateway", "Does the gateway run, and answer?"),
    "gateway_load": Check(
        "gateway", "Does the gateway keep up, with no bus hanging?",
        ("too_busy", "stage_full", "bus_hung"), daemon=True,
    ),
    "last_start": Check(
        "gateway", "Was the last end an orderly one?", ("unexpected_start",), daemon=True,
    ),
    "log_volume": Check(
        "gateway", "Is the log within its bytes a day?", ("log_flood",), daemon=True,
    ),
    "bus_rights": Check(
        "rights", "May the gateway's user open the ports of its buses (groups)?",
    ),
    "store_rights": Check(
        "rights", "May the gateway's user write its folders?", ("journal_fails",),
    ),
    "secret_files": Check(
        "rights", "May the gateway's user, and nobody else, read the key and the password?",
    ),
    "uplink_files": Check(
        "broker", "Can certificates, key and password be used, and do they belong together?",
    ),
    "dns": Check("broker", "Has the broker's name an address?"),
    "egress": Check("broker", "May the gateway's service reach these addresses?"),
    "tcp": Check("broker", "Does the port accept a connection?"),
    "proxy": Check("broker", "Does the proxy let us through to the broker?"),
    "tls_protocol": Check("broker", "Do both sides agree on TLS?"),
    "tls_authority": Check(
        "broker", "Has an authority that we trust signed the broker's certificate?",
        ("broker_untrusted",),
    ),
    "tls_name": Check("broker", "Is the broker's certificate for the name in uplink.url?"),
    "tls_dates": Check("broker", "Is the broker's certificate valid now, by this box's clock?"),
    "client_certificate": Check(
        "broker", "Is this box's certificate valid, and does the broker take it?",
        ("certificate_expired", "certificate_expires"),
    ),
    "mqtt_protocol": Check("broker", "Does the broker speak MQTT 5?", ("old_protocol",)),
    "login": Check("broker", "Does the broker let this gateway in?"),
    "name_taken": Check(
        "broker", "Is this gateway the only one with its name?", ("name_taken",),
    ),
    "broker_limits": Check(
        "broker", "Does the broker take what a gateway sends (size, QoS 1, retained)?",
        ("broker_limits",),
    ),
    "right_subscribe": Check(
        "broker", "May this gateway read its topics (receipts, commands)?",
    ),
    "right_publish": Check("broker", "May this gateway publish?", ("broker_denies",)),
    "right_will": Check(
        "broker", "May this gateway publish its status, which is its will?",
        ("retained_refused",),
    ),
    "quota": Check("broker", "Is the broker's quota not used up?", ("broker_quota",)),
    "subscribers": Check("broker", "Does anybody subscribe?", ("no_subscribers",)),
    "round_trip": Check("broker", "Does the broker confirm a message within 5 s?"),
    "link_up": Check(
        "broker", "Is the gateway connected to its first broker?", ("no_broker", "on_fallback"),
        daemon=True,
    ),
    "data_budget": Check(
        "broker", "Is the month's budget of bytes not used up?", ("data_budget",), daemon=True,
    ),
    "receipt": Check(
        "broker", "Are records confirmed (by receipts of the platform, or by the broker)?",
        ("no_receipts",), daemon=True,
    ),
    "store_free": Check("outbox", "Is the outbox free for the gateway, or in its hands?"),
    "outbox_room": Check("outbox", "Is there room in the outbox?", ("outbox_full",)),
    "outbox_losses": Check(
        "outbox", "Were no records lost, and is none only in memory?",
        ("records_in_memory", "records_lost"),
    ),
    "outbox_kept": Check(
        "outbox", "Was nothing put aside: refused records, damaged or foreign files?",
        ("dead_letters", "outbox_quarantined", "outbox_foreign", "broker_refuses"),
    ),
    "power": Check(
        "box", "Is the supply voltage high enough, and was it?",
        ("undervoltage", "undervoltage_seen"),
    ),
    "throttled": Check("box", "Does the board run at its full speed?", ("throttled",)),
    "temperature": Check("box", "Is the board below 80 Cel?", ("hot",)),
    "memory": Check("box", "Is there memory left?", ("memory",)),
    "disk_room": Check("box", "Is there room on the outbox's file system?", ("disk_full",)),
    "disk_writable": Check("box", "Can that file system be written?", ("read_only",)),
    "card": Check(
        "box", "Is the card sound, by its own account and the file system's?", ("card_worn",),
    ),
    "clock_synced": Check(
        "clock", "Is the clock synchronised?", ("clock_unsynchronised",),
    ),
    "clock_source": Check("clock", "Does a time service run, or is there a battery clock?"),
    "clock_right": Check("clock", "Is the time one that can be?", ("clock_was_wrong",)),
    "models": Check(
        "models", "Do the models answer, and reproduce their golden cases here?",
        ("model_fails", "model_withdrawn", "model_drift", "candidate_dropped"),
    ),
    "lane_edges": Check(
        "lanes", "Do the loops change: the last edge, and edges an hour?", daemon=True,
    ),
    "lane_verdict": Check(
        "lanes", "What does the gateway say of the loops and signal contacts?",
        ("loop_fault", "signal_fault"), daemon=True,
    ),
    "bus_port": Check("wires", "Is the port there, is it free, and may it be opened?"),
    "bus_line": Check(
        "wires", "Is the bus itself sound: levels, rate, other masters?", ("bus_fails",),
    ),
    "gpio_lines": Check(
        "wires", "Are the GPIO lines there, held by nobody else, and their contacts sound?",
        ("line_closed", "unmatched_edges", "contact_fault"),
    ),
    "device_answers": Check(
        "wires", "Does the device answer?", ("device_fails", "device_errors"),
    ),
    "device_values": Check(
        "wires", "Has each of its points a value, and do they fit?",
        ("device_unsettled", "values_bad", "calibration_expired", "values_contradict"),
    ),
    "device_reports": Check(
        "wires", "Does the device report no fault of itself?", ("device_reports",),
    ),
    "device_pace": Check("wires", "Is the bus fast enough for every_s?"),
}  # fmt: skip
assert tuple(CHECKS) == get_args(CheckId), "each id has its row, in this order"
ISSUE_CHECKS: Final[Mapping[IssueName, CheckId]] = {
    kind: check for check, row in CHECKS.items() for kind in row.kinds
}
assert set(ISSUE_CHECKS) == set(get_args(IssueName)), "each kind of issue answers one check"
GROUPS: Final[tuple[Group, ...]] = get_args(Group)
ORDER: Final = {check: place for place, check in enumerate(CHECKS)}
ALONE: Final = "the gateway does not run"  # why only it could answer
NO_ANSWER: Final = "the gateway does not answer"
BADNESS: Final[Mapping[Outcome, int]] = {"fault": 0, "warning": 1, "ok": 2, "not checked": 3}


@dataclass(frozen=True, slots=True)
class CheckResult:
    """One answer. `about` is the broker, lane, bus or device; empty: the gateway or the box.

    `cause` is what was found, or seen where it is ok, or why nobody looked. `remedy` is empty where
    nothing is wrong. `whose` is the bus, device or lane of an open issue; None: it is none.
    """

    check: CheckId
    about: str
    outcome: Outcome
    cause: str
    remedy: str = ""
    whose: str | None = field(default=None, compare=False)

    @property
    def is_wrong(self) -> bool:
        return self.outcome in ("fault", "warning")


def as_outcome(severity: str) -> Outcome:
    """Of a finding on a wire: a note is nothing wrong."""
    return "fault" if severity == "fault" else "warning" if severity == "warning" else "ok"


def passed(check: CheckId, seen: str, about: str = "") -> CheckResult:
    """All is well, as far as `seen` says."""
    return CheckResult(check, about, "ok", seen)


def fault(check: CheckId, cause: str, remedy: str, about: str = "") -> CheckResult:
    """Data are lost, missing or wrong."""
    return CheckResult(check, about, "fault", as_sentence(cause), as_instruction(remedy))


def warn(check: CheckId, cause: str, remedy: str, about: str = "") -> CheckResult:
    """They may be soon."""
    return CheckResult(check, about, "warning", as_sentence(cause), as_instruction(remedy))


def unchecked(check: CheckId, why: str, about: str = "") -> CheckResult:
    """Nobody looked, or could."""
    return CheckResult(check, about, "not checked", why)


def checks_of(group: Group) -> list[CheckId]:
    """Those of a group, in the order of the table."""
    return [check for check, row in CHECKS.items() if row.group == group]


def pick_checks(words: Sequence[str]) -> frozenset[CheckId]:
    """The checks that are meant by ids and names of groups; all of them without a word.

    Raises ValueError for a word that is neither.
    """
    picked: set[CheckId] = set() if words else set(CHECKS)
    for word in words:
        found = {check for check, row in CHECKS.items() if word in (check, row.group)}
        if not found:
            raise ValueError(f"no check is called {word!r}; `kerbstone doctor --list` has them all")
        picked |= found
    return frozenset(picked)


def sort_results(results: Iterable[CheckResult]) -> list[CheckResult]:
    """What is wrong first, the worst before; else in the order of the table."""
    return sorted(results, key=lambda each: (BADNESS[each.outcome], ORDER[each.check]))


def check_of_issue(kind: str) -> CheckId | None:
    """Which check an open issue answers; None for one of a newer gateway."""
    return ISSUE_CHECKS.get(cast("IssueName", kind))
