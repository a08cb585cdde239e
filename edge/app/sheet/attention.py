"""What needs a person: short for the first line, and a sentence each with what to do."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from edge.app.sheet.outbox import lasts
from edge.app.sheet.words import (
    DAY,
    Section,
    counted,
    fitted,
    mapping,
    megabytes,
    percent,
    plain,
    sentence,
    span,
)
from edge.app.verdict import MILD, REMEDIES, YET
from edge.core import Reason

FULL: Final = 0.9  # of the outbox: from there on it is thinned, then dropped
FAILING: Final = 0.1  # of a device's reads of the last hour
FRESH_S: Final = DAY  # so long a start that was no ordinary one is worth a word
CAUSES: Final = {  # of the last start
    "crash": "the daemon had crashed",
    "watchdog": "the watchdog had reset the board",
    "panic": "the kernel had panicked",
    "undervoltage": "the supply had failed",
}
OURS: Final = "configuration"  # the problem that edge.app.probation tells


@dataclass(frozen=True, slots=True)
class Matter:
    """One thing to attend to. `short` is some three words, `text` says what to do."""

    short: str
    text: str


def matters(status: Mapping[str, Any]) -> list[Matter]:
    """All of them, what loses data first."""
    return [
        *_outbox(mapping(status.get("outbox"))),
        *_link(status),
        *_wires(status),
        *_loops(mapping(status.get("loops"))),
        *_box(status),
        *_daemon(status),
        *_models(mapping(status.get("models"))),
    ]


def verdict(found: list[Matter], who: str) -> str:
    """The first line, never longer than one."""
    if not found:
        return fitted(f"OK: {who}: nothing needs attention")
    more = f" (and {len(found) - 1} more)" if len(found) > 1 else ""
    return fitted(f"ATTENTION: {who}: {found[0].short}", more)


def to_do(found: list[Matter]) -> Section:
    """The sentences."""
    return Section("to do", tuple(f"- {matter.text}" for matter in found))


def _outbox(counts: Mapping[str, Any]) -> Iterator[Matter]:
    if counts.get("ram"):
        yield Matter(
            "records are only in memory",
            f"Records are kept in memory, and a power cut loses them: {sentence(counts['ram'])} "
            "Replace the card.",
        )
    if dropped := counts.get("dropped"):
        yield Matter(
            f"{dropped:,} records lost",
            f"{counted(dropped, 'record')} lost for good since the start, and declared so to the "
            "platform: `kerbstone outbox` says of which streams waits how much. Mend the link, or "
            "give the outbox more room (store.limit_mb).",
        )
    size, limit = counts.get("size"), counts.get("limit")
    if size and limit and size / limit >= FULL:
        yield Matter(
            f"outbox {percent(size / limit)} full",
            f"The outbox holds {megabytes(size)} of {megabytes(limit)}: the oldest records are "
            "merged, then dropped. Mend the link, or raise store.limit_mb.",
        )
    if dead := counts.get("dead"):
        yield Matter(
            counted(dead, "dead letter"),
            f"The broker refused {counted(dead, 'record')} for good: `kerbstone outbox` says why. "
            "Mostly its access rules or its size limit are wrong.",
        )
    if aside := counts.get("quarantined"):
        yield Matter(
            "damaged outbox put aside",
            f"{counted(aside, 'file')} of a damaged outbox put aside in the folder quarantine: "
            "`kerbstone outbox rescue FILE` sends what can be read of it; then remove it. The card "
            "may be failing.",
        )
    for path in counts.get("kept") or ():
        yield Matter(
            "outbox of another version",
            f"An outbox that another version of this program has written is kept, {path}: install "
            f"that version again, or let `kerbstone outbox rescue` send what it holds; then remove "
            "it.",
        )


def _link(status: Mapping[str, Any]) -> Iterator[Matter]:
    link, counts = mapping(status.get("link")), mapping(status.get("outbox"))
    health = mapping(mapping(status.get("box")).get("health"))
    if link.get("connected") is False:
        since = "" if link.get("for_s") is None else f" for {span(link['for_s'])}"
        why = f" ({plain(link['failure'])})" if link.get("failure") else ""
        yield Matter(
            "no link to the broker",
            f"No link to the broker{since}{why}: check modem, antenna and cable, then uplink.url."
            + _meanwhile(counts),
        )
    if trouble := link.get("trouble"):
        yield Matter("broker takes too little", sentence(plain(trouble)))
    if link.get("confirm") == "broker" and (unheard := health.get("unheard")):
        yield Matter(
            "nobody subscribes",
            f"The broker took {counted(unheard, 'record')} that nobody had subscribed to: they are "
            'gone. Start the platform\'s side, or set uplink.confirm = "platform".',
        )


def _meanwhile(counts: Mapping[str, Any]) -> str:
    if counts.get("dropped") != 0 or counts.get("forecast_s") is None:
        return ""
    return f" Nothing is lost meanwhile: there is space for {lasts(counts)}."


def _wires(status: Mapping[str, Any]) -> Iterator[Matter]:
    devices = mapping(status.get("devices"))
    ratios = mapping(mapping(mapping(status.get("box")).get("health")).get("device_error_ratio"))
    told_devices = set()
    for what, text in mapping(status.get("problems")).items():
        told_devices.add(what)
        if what == OURS:
            yield Matter("last good configuration", f"{sentence(str(text))} Mend the file.")
            continue
        state = str(mapping(devices.get(what)).get("state", ""))
        yield _failing(what, state, str(text), what if what in devices else "")
    for name, device in devices.items():
        state, ratio = str(mapping(device).get("state", "ok")), ratios.get(name) or 0
        if name not in told_devices and state != "ok" and state not in YET:
            text = str(mapping(device).get("text") or f"it is {state}")
            yield _failing(name, state, text, name)
        elif name not in told_devices and ratio >= FAILING:
            yield Matter(
                f"{name} fails often",
                f"{name}: {percent(ratio)} of its reads of the last hour failed: `kerbstone doctor "
                f"{name}` says more.",
            )
        for word, text in mapping(mapping(device).get("health")).items():
            if word not in MILD:
                yield Matter(f"{name} {word}", f"{name} reports: {sentence(str(text))}")


def _loops(models: Mapping[str, Any]) -> Iterator[Matter]:
    for name, text in models.items():
        yield Matter(f"loop {name}", sentence(str(text)))


def _failing(name: str, state: str, text: str, device: str) -> Matter:
    """A text with a remedy of its own (behind `; `) says it; else the reason alone suggests one."""
    known = ""
    if state in {*Reason} and "; " not in text:
        known = REMEDIES.get(Reason(state), "")
        if state == Reason.SILENT:  # whatever it was before: look at the same things
            known = "check its supply, its plug and its wires"
    remedy = sentence(known[:1].upper() + known[1:])
    sentence_text = " ".join(part for part in (f"{name}: {sentence(text)}", remedy) if part)
    hint = f"`kerbstone doctor {device}`" if device else "`kerbstone doctor`"
    return Matter(f"{name} {state}".rstrip(), f"{sentence_text} {hint} says more.")


def _box(status: Mapping[str, Any]) -> Iterator[Matter]:
    box = mapping(status.get("box"))
    alarms, health, start = (mapping(box.get(key)) for key in ("alarms", "health", "start"))
    for word, text in alarms.items():
        yield Matter(str(word).replace("_", " "), sentence(str(text)))
    seen = health.get("throttled_seen") or ()
    if "undervoltage" in seen and "undervoltage" not in alarms:
        yield Matter(
            "undervoltage seen",
            "The board's supply was too low at some time since the start: check the power supply, "
            "its cable and what else hangs on it.",
        )
    cause, up_s = str(start.get("cause")), status.get("uptime_s") or 0
    if cause in CAUSES and up_s < FRESH_S:
        text = sentence(str(start.get("text", "")))
        yield Matter(CAUSES[cause], f"Started {span(up_s)} ago, because {CAUSES[cause]}: {text}")


def _daemon(status: Mapping[str, Any]) -> Iterator[Matter]:
    busy = "find out what else runs on this machine, or read less often (every_s)"
    health = mapping(mapping(status.get("box")).get("health"))
    if count := status.get("dropped"):
        yield Matter(
            "too busy",
            f"{counted(count, 'piece')} of news dropped, the gateway is too busy: {busy}.",
        )
    if count := status.get("stage_overflow"):
        yield Matter("stage full", f"{counted(count, 'entry', 'entries')} found the stage full: "
                     f"{busy}.")  # fmt: skip
    if count := status.get("unclaimed_edges"):
        yield Matter(
            "edges nobody claims",
            f"{counted(count, 'edge')} came from lines that no lane or device claims: compare the "
            "site file with the wiring.",
        )
    if count := health.get("bus_restarts"):
        yield Matter(
            "a bus hung",
            f"The thread of a bus hung and was begun anew {counted(count, 'time')}: look at the "
            "adapter, its cable and its driver.",
        )
    for name, model_status in mapping(status.get("models")).items():
        if (
            isinstance(model_status, Mapping)
            and model_status.get("answers") != "model"
            and model_status.get("why")
        ):
            yield Matter(
                f"model {name} fails",
                f"The model {name} does not answer, its rule stands in: "
                f"{sentence(model_status['why'])}",
            )


def _models(status: Mapping[str, Any]) -> Iterator[Matter]:
    for name, one in status.items():
        if not isinstance(one, Mapping):
            continue
        if instead := one.get("instead"):
            yield Matter(
                f"model {name} was taken back",
                f"The former model {name} answers: {sentence(instead)} "
                "`kerbstone models check` says what is wrong with the new one.",
            )
        drift = mapping(one.get("drift"))
        if drift.get("psi") is not None and (text := drift.get("text")):
            yield Matter(
                f"model {name} sees other input",
                f"Model {name}: {sentence(text)} Look at its sensors.",
            )
        if dropped := mapping(one.get("shadow")).get("dropped"):
            yield Matter(
                f"candidate {name} was dropped",
                f"The candidate for model {name} was dropped: {sentence(dropped)}",
            )
