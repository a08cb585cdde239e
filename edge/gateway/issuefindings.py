"""What is wrong now, part by part: each function looks at what one part knows, and says all of it.

Nothing is kept here. `edge.health.openissues` knows what was found before.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Final, Protocol, get_args

from msgspec import UNSET

from edge.acquire.badpoints import BadPoint
from edge.config import Problem
from edge.core import Condition, Draft, Reason, Stamp, Stream
from edge.core.humanize import (
    as_sentence,
    count_text,
    megabytes_text,
    percent_text,
    span_text,
)
from edge.health.openissues import IssueFinding
from edge.identity.runfiles import BoxNames
from edge.infer.loops.loopflag import over_s
from edge.outbox import OutboxCounts
from edge.process.engineevents import CONTRADICTIONS
from edge.wire.contract import boxevent
from edge.wire.contract.event import Event, SensorFault, Switch
from edge.wire.contract.health import BoardCondition, Health, RebootCause
from edge.wire.contract.issues import IssueName
from edge.wire.contract.models import Model, ModelName
from edge.wire.contract.terms import LoopFault

COMMANDS: Final = ("chmod", "chown", "install", "ls", "modprobe", "systemctl", "usermod")
FULL_SHARE: Final = 0.9  # of the outbox: from there on it is downsampled, then dropped
MODEL_FAILURES: Final = 2  # an answer that was late once is the machine's fault
CONFIGURATION: Final = "configuration"  # the problem that edge.gateway.lastgood reports
START_TEXTS: Final[Mapping[RebootCause, str]] = {
    "crash": "the daemon had crashed",
    "watchdog": "the watchdog had reset the board",
    "panic": "the kernel had panicked",
    "undervoltage": "the supply had failed",
}
START_REMEDIES: Final[Mapping[RebootCause, str]] = {
    "crash": "`journalctl -u kerbstone -b` has its last lines; send them to support.",
    "watchdog": "If it comes again, read `journalctl -b -1`: the log of the boot before.",
    "panic": "Send the files in /sys/fs/pstore to support.",
    "undervoltage": "Check the power supply, its cable and what else it feeds.",
}
ALARM_KINDS: Final[Mapping[type[boxevent.Alarm], IssueName]] = {
    boxevent.Refused: "broker_refuses",
    boxevent.WrongTime: "clock_was_wrong",
}
"""The others are states that somebody looks at."""
PAIR_FAULTS: Final = frozenset({"swapped"})
JUDGED: Final = frozenset(get_args(LoopFault))
STALE_TOLD: Final = 8  # steps that an issue names
EXPIRES_S: Final = 14 * 86_400  # before the end of a certificate


class PolledState(Protocol):
    """A device that is polled, as its poller knows it."""

    @property
    def name(self) -> str: ...
    @property
    def reason(self) -> Reason | None: ...
    @property
    def text(self) -> str: ...
    @property
    def health(self) -> Mapping[Condition, str]: ...
    @property
    def failures(self) -> int: ...  # in a row
    @property
    def failed_ns(self) -> int: ...  # when the last attempt failed
    @property
    def returns(self) -> Sequence[int]: ...  # when it answered again after it was away; the last
    @property
    def every_ns(self) -> int: ...
    @property
    def unsettled(self) -> Reason | None: ...
    @property
    def unsettled_since_ns(self) -> int | None: ...
    @property
    def settle_limit_ns(self) -> int: ...
    @property
    def reads(self) -> int: ...  # that were answered since the start
    @property
    def point_count(self) -> int: ...  # so many it has
    @property
    def bad(self) -> Mapping[str, BadPoint]: ...  # by key


def outbox_findings(counts: OutboxCounts) -> Iterator[IssueFinding]:
    if counts.in_memory:
        yield IssueFinding("records_in_memory", cause=counts.in_memory)
    yield IssueFinding(
        "records_lost",
        cause=f"{count_text(counts.dropped, 'record')} lost for good since the start",
        count=counts.dropped,
    )
    if counts.limit and counts.size / counts.limit >= FULL_SHARE:
        used = f"{megabytes_text(counts.size)} of {megabytes_text(counts.limit)}"
        yield IssueFinding(
            "outbox_full",
            cause=f"The outbox is {percent_text(counts.size / counts.limit)} full: {used}",
        )
    if counts.dead_letters:
        letters = count_text(counts.dead_letters, "record")
        yield IssueFinding("dead_letters", cause=f"The broker refused {letters} for good")
    if counts.quarantined:
        files = count_text(counts.quarantined, "file")
        yield IssueFinding(
            "outbox_quarantined",
            cause=f"{files} of a damaged outbox put aside in the folder quarantine",
        )
    for path in counts.foreign_files:
        yield IssueFinding(
            "outbox_foreign",
            path,
            f"The outbox {path} was written by another version of this program, or under another "
            "gateway's name, and is kept",
        )


def identity_findings(ends_s: int | None, now: Stamp) -> Iterator[IssueFinding]:
    """`ends_s`: Unix time at which our certificate ends; None: there is none."""
    if ends_s is None:
        return
    if not now.tq.is_synchronised:  # after a boot, until the time is known
        yield IssueFinding("certificate_expired", unknown=True)
        yield IssueFinding("certificate_expires", unknown=True)
        return
    left_s = ends_s - now.wall_ns // 1_000_000_000
    day = datetime.fromtimestamp(ends_s, UTC).date()
    if left_s <= 0:
        yield IssueFinding(
            "certificate_expired", cause=f"The certificate of this box ended on {day}"
        )
    elif left_s < EXPIRES_S:
        yield IssueFinding(
            "certificate_expires",
            cause=f"The certificate of this box ends on {day}, in {span_text(left_s)}",
        )


def configuration_findings(
    problems: Mapping[str, str],
    devices: Iterable[PolledState],
    outdated: Iterable[Problem],
    box: BoxNames | None,
    trial: str = "",
) -> Iterator[IssueFinding]:
    """`box`: what enrolment tells of it; None after a boot, until it has looked. `trial`: why the
    configuration that runs needs a person, as a sentence."""
    if trial:
        yield IssueFinding("configuration_on_trial", cause=trial)
    if box is None:
        yield IssueFinding("configuration_unusable", unknown=True)
    elif box.refused:
        cause = f"The last good configuration stays: this version cannot use {box.refused}"
        yield IssueFinding("configuration_unusable", cause=cause)
    for one in outdated:
        cause, _, remedy = one.text.partition("; ")
        yield IssueFinding(
            "configuration_outdated", one.key, f"{one.key}: {cause}", as_instruction(remedy)
        )
    if any(device.name == CONFIGURATION and device.reason is not None for device in devices):
        return  # it is that of a device with this name
    if text := problems.get(CONFIGURATION):
        yield IssueFinding("configuration_refused", cause=text)


def acceptance_findings(stale: Sequence[str]) -> Iterator[IssueFinding]:
    """`stale`: what the acceptance sheet vouches for and is another thing by now."""
    if not stale:
        return
    more = f" and {len(stale) - STALE_TOLD} more" if len(stale) > STALE_TOLD else ""
    steps = f"{', '.join(stale[:STALE_TOLD])}{more}"
    cause = f"Devices or the site file have changed since the acceptance was signed: {steps}"
    yield IssueFinding("acceptance_stale", "", cause)


def as_instruction(text: str) -> str:
    """What to do as a sentence; what is to be typed stays as it is."""
    word = text.partition(" ")[0]
    return as_sentence(text if word in COMMANDS else text[:1].upper() + text[1:])


def box_findings(
    alarms: Mapping[BoardCondition, str], health: Health, start: RebootCause, start_text: str
) -> Iterator[IssueFinding]:
    for word, text in alarms.items():
        cause, _, remedy = text.partition(": ")
        yield IssueFinding(word, "", cause, as_instruction(remedy))
    seen = () if health.throttled_seen is UNSET else health.throttled_seen
    if "undervoltage" in seen and "undervoltage" not in alarms:
        text = "The board's supply was too low at some time since the start"
        yield IssueFinding("undervoltage_seen", cause=text)
    if start in START_TEXTS:
        remedy = START_REMEDIES[start]
        yield IssueFinding("unexpected_start", START_TEXTS[start], start_text, remedy, count=1)


def daemon_findings(
    *, dropped: int, stage_overflow: int, unmatched_edges: int, hangs: int, journal: str | None
) -> Iterator[IssueFinding]:
    """All since the start; `journal` says why it cannot be written."""
    if journal is not None:
        yield IssueFinding("journal_fails", cause=journal)
    yield IssueFinding(
        "too_busy",
        cause=f"The gateway dropped {count_text(dropped, 'internal message')}",
        count=dropped,
    )
    entries = count_text(stage_overflow, "entry", "entries")
    yield IssueFinding(
        "stage_full", cause=f"{entries} did not fit into the stage", count=stage_overflow
    )
    yield IssueFinding(
        "unmatched_edges",
        cause=f"{count_text(unmatched_edges, 'edge')} came from lines that belong to no lane or "
        "device",
        count=unmatched_edges,
    )
    yield IssueFinding(
        "bus_hung",
        cause=f"The thread of a bus hung and was restarted {count_text(hangs, 'time')}",
        count=hangs,
    )


def model_findings(
    models: Mapping[ModelName, Model | None], failures: Mapping[ModelName, int]
) -> Iterator[IssueFinding]:
    """`failures` in a row, of each. One that is not loaded yet, or was late once, is none.

    After a start none is there yet: what was open stays until it is.
    """
    for name, one in models.items():
        if one is None:
            continue
        if failures.get(name, 0) >= MODEL_FAILURES:
            yield IssueFinding("model_fails", name, f"The model {name} does not answer: {one.why}")
        elif one.answers != "model":
            yield IssueFinding("model_fails", name, unknown=True)
        if one.drift is None and one.answers != "model":
            yield IssueFinding("model_drift", name, unknown=True)
        if one.instead:
            yield IssueFinding(
                "model_withdrawn", name, f"The previous model {name} is used: {one.instead}"
            )
        if one.drift is not None and one.drift.psi is not None and one.drift.text:
            yield IssueFinding("model_drift", name, f"Model {name}: {one.drift.text}")
        if one.shadow is not UNSET and one.shadow.dropped:
            text = f"The candidate for model {name} was dropped: {one.shadow.dropped}"
            yield IssueFinding("candidate_dropped", name, text)


def event_finding(draft: Draft) -> tuple[IssueFinding, bool] | None:
    """What an event tells the city, and whether it is so from now on. None for what is no issue.

    Events of a device, a line or the box are left out: what is looked at says that.
    """
    body = draft.body
    if draft.stream is not Stream.EVENT:
        return None
    if isinstance(body, boxevent.Alarm):
        kind = ALARM_KINDS.get(type(body))
        return None if kind is None else (IssueFinding(kind, cause=str(body.text)), True)
    if isinstance(body, Switch):  # any other state than this ends it
        cause, remedy = _parted(str(body.text))
        return IssueFinding("contact_fault", f"{draft.source} chatter", cause, remedy), (
            body.state == "flicker"
        )
    if not isinstance(body, SensorFault):
        return None
    if body.fault is UNSET:
        return None
    cause, remedy = _parted(str(body.text))
    on = body.state == "on"
    if body.fault in CONTRADICTIONS:  # the end of one that is given up names no points
        return IssueFinding("values_contradict", f"{draft.source} {body.fault}", cause, remedy), on
    if body.fault == "phase":
        return IssueFinding("signal_fault", draft.source, cause, remedy), on
    if body.part is UNSET:  # of a bay, or of a pulse output
        return IssueFinding("contact_fault", f"{draft.source} {body.fault}", cause, remedy), on
    about = _loop_about(draft.source, body.part, body.fault)
    return IssueFinding("loop_fault", about, cause, _with_end(remedy, body.fault)), on


def known_faults(
    loops: Mapping[tuple[str, str, str], str], ends: Iterable[tuple[str, Event]]
) -> Iterator[IssueFinding]:
    """What was told before a start and is not over: what the judge knows, and what processing
    knows, by the events that will end it. Their words are mostly in the list that was kept."""
    yield from loop_findings(loops)
    for source, end in ends:
        if (told := event_finding(Draft(Stream.EVENT, source, 0, 0, end))) is not None:
            cause = f"{source}: found before this start, and not over"
            yield replace(told[0], cause=cause, remedy="")


def loop_findings(reported: Mapping[tuple[str, str, str], str]) -> Iterator[IssueFinding]:
    """The same, of what the judge knows to be up: by lane, part and fault, with its text."""
    for about, text in reported.items():
        cause, remedy = _parted(text)
        yield IssueFinding("loop_fault", _loop_about(*about), cause, _with_end(remedy, about[2]))


def _loop_about(lane: str, part: str, fault: str) -> str:
    """What is wrong with both loops of a pair at once is one thing."""
    return f"{lane} {fault}" if fault in PAIR_FAULTS else f"{lane} {part} {fault}"


def _with_end(remedy: str, fault: str) -> str:
    """With how it ends: who has mended the loop sees it here for some minutes more, because what
    comes and goes would be told again and again."""
    if not remedy or fault not in JUDGED:
        return remedy
    minutes = over_s(fault) / 60
    return (
        f"{as_sentence(remedy)} Once mended, this closes after {minutes:.0f} min of sound traffic."
    )


def _parted(text: str) -> tuple[str, str]:
    """Its cause, and what to do, which stands behind `; `."""
    cause, _, remedy = text.partition("; ")
    return cause, as_instruction(remedy)
