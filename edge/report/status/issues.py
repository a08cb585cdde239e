"""What needs a person: short for the first line, and a sentence each with what to do."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from edge.core import Reason
from edge.diagnose.exam import MILD_CONDITIONS, REMEDIES, TEMPORARY_REASONS
from edge.report.status.outbox import forecast_text
from edge.report.status.textform import (
    DAY,
    Section,
    as_mapping,
    as_sentence,
    count_text,
    fit_line,
    megabytes_text,
    percent_text,
    span_text,
    without_errno,
)

FULL_SHARE: Final = 0.9  # of the outbox: from there on it is downsampled, then dropped
FAILING_SHARE: Final = 0.1  # of a device's reads of the last hour
FRESH_S: Final = DAY  # so long a start that was no ordinary one is worth a word
CAUSES: Final = {  # of the last start
    "crash": "the daemon had crashed",
    "watchdog": "the watchdog had reset the board",
    "panic": "the kernel had panicked",
    "undervoltage": "the supply had failed",
}
CONFIGURATION_KIND: Final = "configuration"  # the problem that edge.gateway.lastgood reports


@dataclass(frozen=True, slots=True)
class Issue:
    """One thing to attend to. `short` is some three words, `text` says what to do."""

    short: str
    text: str


def find_issues(status: Mapping[str, Any]) -> list[Issue]:
    """All of them, what loses data first."""
    return [
        *_outbox(as_mapping(status.get("outbox"))),
        *_link(status),
        *_wires(status),
        *_loops(as_mapping(status.get("loops"))),
        *_box(status),
        *_daemon(status),
        *_models(as_mapping(status.get("models"))),
    ]


def verdict_line(found: list[Issue], who: str) -> str:
    """The first line, never longer than one."""
    if not found:
        return fit_line(f"OK: {who}: nothing needs attention")
    more = f" (and {len(found) - 1} more)" if len(found) > 1 else ""
    return fit_line(f"ATTENTION: {who}: {found[0].short}", more)


def issue_texts(found: list[Issue]) -> Section:
    """The sentences."""
    return Section("to do", tuple(f"- {issue.text}" for issue in found))


def _outbox(counts: Mapping[str, Any]) -> Iterator[Issue]:
    if counts.get("in_memory"):
        yield Issue(
            "records are only in memory",
            "Records are kept in memory, and a power cut loses them: "
            f"{as_sentence(counts['in_memory'])} Replace the card.",
        )
    if dropped := counts.get("dropped"):
        yield Issue(
            f"{dropped:,} records lost",
            f"{count_text(dropped, 'record')} lost for good since the start; a `drop` event "
            "reports which. `kerbstone outbox` shows what waits in each stream. Repair the link, "
            "or give the outbox more room (store.limit_mb).",
        )
    size, limit = counts.get("size"), counts.get("limit")
    if size and limit and size / limit >= FULL_SHARE:
        yield Issue(
            f"outbox {percent_text(size / limit)} full",
            f"The outbox holds {megabytes_text(size)} of {megabytes_text(limit)}: the oldest "
            "records are merged, then dropped. Repair the link, or raise store.limit_mb.",
        )
    if dead := counts.get("dead_letters"):
        yield Issue(
            count_text(dead, "dead letter"),
            f"The broker refused {count_text(dead, 'record')} for good: `kerbstone outbox` says "
            "why. The usual cause: the broker's access rules or its size limit.",
        )
    if aside := counts.get("quarantined"):
        yield Issue(
            "damaged outbox put aside",
            f"{count_text(aside, 'file')} of a damaged outbox put aside in the folder quarantine: "
            "`kerbstone outbox rescue FILE` sends the records that can be read; then remove the "
            "file. The card may be failing.",
        )
    for path in counts.get("foreign_files") or ():
        yield Issue(
            "outbox of another version or gateway",
            f"The outbox {path} was written by another version of this program, or under another "
            "gateway's name, and is kept: the same version and name use it again. Or send its "
            "records with `kerbstone outbox rescue FILE`, then remove the file.",
        )


def _link(status: Mapping[str, Any]) -> Iterator[Issue]:
    link, counts = as_mapping(status.get("link")), as_mapping(status.get("outbox"))
    health = as_mapping(as_mapping(status.get("box")).get("health"))
    if link.get("connected") is False:
        since = "" if link.get("for_s") is None else f" for {span_text(link['for_s'])}"
        why = f" ({without_errno(link['failure'])})" if link.get("failure") else ""
        yield Issue(
            "no link to the broker",
            f"No link to the broker{since}{why}: check modem, antenna and cable, then uplink.url."
            + _forecast_hint(counts),
        )
    if trouble := link.get("trouble"):
        yield Issue("broker's limits too low", as_sentence(without_errno(trouble)))
    if link.get("confirm") == "broker" and (count := health.get("no_subscribers")):
        yield Issue(
            "nobody subscribes",
            f"The broker took {count_text(count, 'record')} without a subscriber: they are "
            'lost. Start the platform\'s side, or set uplink.confirm = "platform".',
        )


def _forecast_hint(counts: Mapping[str, Any]) -> str:
    if counts.get("dropped") != 0 or counts.get("forecast_s") is None:
        return ""
    return f" Nothing is lost yet: there is space for {forecast_text(counts)}."


def _wires(status: Mapping[str, Any]) -> Iterator[Issue]:
    devices = as_mapping(status.get("devices"))
    ratios = as_mapping(
        as_mapping(as_mapping(status.get("box")).get("health")).get("device_error_ratio")
    )
    listed_devices = set()
    for what, text in as_mapping(status.get("problems")).items():
        listed_devices.add(what)
        if what == CONFIGURATION_KIND:
            yield Issue("last good configuration", f"{as_sentence(str(text))} Correct the file.")
            continue
        state = str(as_mapping(devices.get(what)).get("state", ""))
        yield _failing(what, state, str(text), what if what in devices else "")
    for name, device in devices.items():
        state, ratio = str(as_mapping(device).get("state", "ok")), ratios.get(name) or 0
        if name not in listed_devices and state != "ok" and state not in TEMPORARY_REASONS:
            text = str(as_mapping(device).get("text") or f"it is {state}")
            yield _failing(name, state, text, name)
        elif name not in listed_devices and ratio >= FAILING_SHARE:
            yield Issue(
                f"{name} fails often",
                f"{name}: {percent_text(ratio)} of its reads of the last hour failed: `kerbstone "
                f"doctor {name}` says more.",
            )
        for word, text in as_mapping(as_mapping(device).get("health")).items():
            if word not in MILD_CONDITIONS:
                yield Issue(f"{name} {word}", f"{name} reports: {as_sentence(str(text))}")


def _loops(doubts: Mapping[str, Any]) -> Iterator[Issue]:
    for name, text in doubts.items():
        yield Issue(f"loop {name}", as_sentence(str(text)))


def _failing(name: str, state: str, text: str, device: str) -> Issue:
    """A text with a remedy of its own (behind `; `) says it; else the reason alone suggests one."""
    known = ""
    if state in {*Reason} and "; " not in text:
        known = REMEDIES.get(Reason(state), "")
        if state == Reason.SILENT:  # whatever it was before: look at the same things
            known = "check its supply, its plug and its wires"
    remedy = as_sentence(known[:1].upper() + known[1:])
    sentence_text = " ".join(part for part in (f"{name}: {as_sentence(text)}", remedy) if part)
    hint = f"`kerbstone doctor {device}`" if device else "`kerbstone doctor`"
    return Issue(f"{name} {state}".rstrip(), f"{sentence_text} {hint} says more.")


def _box(status: Mapping[str, Any]) -> Iterator[Issue]:
    box = as_mapping(status.get("box"))
    alarms, health, start = (as_mapping(box.get(key)) for key in ("alarms", "health", "start"))
    for word, text in alarms.items():
        yield Issue(str(word).replace("_", " "), as_sentence(str(text)))
    seen = health.get("throttled_seen") or ()
    if "undervoltage" in seen and "undervoltage" not in alarms:
        yield Issue(
            "undervoltage seen",
            "The board's supply was too low at some time since the start: check the power supply, "
            "its cable and what else it feeds.",
        )
    cause, up_s = str(start.get("cause")), status.get("uptime_s") or 0
    if cause in CAUSES and up_s < FRESH_S:
        text = as_sentence(str(start.get("text", "")))
        yield Issue(CAUSES[cause], f"Started {span_text(up_s)} ago: {text}")


def _daemon(status: Mapping[str, Any]) -> Iterator[Issue]:
    busy = "find out what else runs on this machine, or read less often (every_s)"
    health = as_mapping(as_mapping(status.get("box")).get("health"))
    if count := status.get("dropped"):
        yield Issue(
            "too busy",
            f"The gateway is too busy and dropped {count_text(count, 'internal message')}: {busy}.",
        )
    if count := status.get("stage_overflow"):
        entries = count_text(count, "entry", "entries")
        yield Issue("stage full", f"{entries} did not fit into the stage: {busy}.")
    if count := status.get("unmatched_edges"):
        yield Issue(
            "edges of unknown lines",
            f"{count_text(count, 'edge')} came from lines that belong to no lane or device: "
            "compare the site file with the wiring.",
        )
    if count := health.get("bus_restarts"):
        yield Issue(
            "a bus hung",
            f"The thread of a bus hung and was restarted {count_text(count, 'time')}: look at the "
            "adapter, its cable and its driver.",
        )
    for name, model_status in as_mapping(status.get("models")).items():
        if (
            isinstance(model_status, Mapping)
            and model_status.get("answers") != "model"
            and model_status.get("why")
        ):
            yield Issue(
                f"model {name} fails",
                f"The model {name} does not answer, so its rule is used: "
                f"{as_sentence(model_status['why'])}",
            )


def _models(status: Mapping[str, Any]) -> Iterator[Issue]:
    for name, one in status.items():
        if not isinstance(one, Mapping):
            continue
        if instead := one.get("instead"):
            yield Issue(
                f"model {name} was withdrawn",
                f"The previous model {name} is used: {as_sentence(instead)} "
                "`kerbstone models check` says what is wrong with the new one.",
            )
        drift = as_mapping(one.get("drift"))
        if drift.get("psi") is not None and (text := drift.get("text")):
            yield Issue(
                f"model {name} sees other input",
                f"Model {name}: {as_sentence(text)} Check the sensors that feed this model.",
            )
        if dropped := as_mapping(one.get("shadow")).get("dropped"):
            yield Issue(
                f"candidate {name} was dropped",
                f"The candidate for model {name} was dropped: {as_sentence(dropped)}",
            )
