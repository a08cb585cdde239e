"""Configuration, outbox, models and lanes, from the site file and from what the running gateway
says. Pure but for `model_results` and `read_outbox`.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, cast

from edge.config import Problem, Site
from edge.core.humanize import count_text, megabytes_text, percent_text, span_text
from edge.diagnose.checks import CheckId, CheckResult, fault, passed, unchecked, warn
from edge.diagnose.issueresults import finding_result
from edge.gateway.issuefindings import outbox_findings
from edge.gateway.scantargets import site_targets
from edge.outbox import OutboxBusyError, OutboxCounts, inspect_outbox

RESTART: Final = "Restart the gateway: `systemctl restart kerbstone`"
CHECK: Final = "`kerbstone check` says more"
ALONE: Final = "the gateway does not run"
QUIET_S: Final = 600.0  # without an edge since the start: then a loop is worth a look
OUTBOX: Final[tuple[CheckId, ...]] = ("store_free", "outbox_room", "outbox_losses", "outbox_kept")
OWN_WORD: Final[tuple[CheckId, ...]] = ("gateway_load", "last_start", "log_volume")


def site_results(warnings: Sequence[Problem], outdated: Sequence[Problem]) -> Iterator[CheckResult]:
    """What `kerbstone check` would say of the file. One with an error is not even read."""
    for one in (*outdated, *warnings):
        cause, _, remedy = one.text.partition("; ")
        line = f"line {one.line}" if one.line else ""
        yield warn("site_file", f"{one.key}: {cause}", remedy or CHECK, line)
    if not warnings and not outdated:
        yield passed("site_file", "`kerbstone check` finds nothing in it")


def in_use_result(site: Site, status: Mapping[str, Any] | None) -> CheckResult:
    """Whether the running gateway has read what stands in the file now."""
    check: CheckId = "site_in_use"
    if status is None:
        return unchecked(check, ALONE)
    here = (site.place.id, site.place.gateway)
    there = (status.get("site"), status.get("gateway"))
    if there != here:
        cause = f"The gateway runs as {there[1]} at {there[0]}, and the file is of {here[1]} at "
        return fault(check, f"{cause}{here[0]}", f"{RESTART}, or name the file that it reads")
    differ = [
        what
        for what, ours in (
            ("buses", site_targets(site)),
            ("lanes", list(site.lanes)),
            ("bays", list(site.bays)),
        )
        if what in status and not _same(ours, status[what])
    ]
    if differ:
        cause = f"The gateway runs with other {' and '.join(differ)} than the file has"
        return warn(check, cause, RESTART)
    return passed(check, f"the gateway runs as {here[1]} at {here[0]}, with these buses and lanes")


def _same(ours: Any, theirs: Any) -> bool:
    if isinstance(ours, list):
        return isinstance(theirs, Mapping) and sorted(ours) == sorted(theirs)
    return bool(dict(ours) == theirs)


def own_word_results(status: Mapping[str, Any] | None) -> Iterator[CheckResult]:
    """What nobody but the running gateway can know; its open issues say what is wrong."""
    if status is None:
        for check in OWN_WORD:
            yield unchecked(check, ALONE)
        return
    yield passed("gateway_load", f"{count_text(status.get('dropped'), 'message')} dropped")
    start = status.get("box", {}).get("start", {})
    yield passed("last_start", str(start.get("text", "")) or "nothing is known of it")
    lines = status.get("box", {}).get("health", {}).get("log_lines")
    yield passed("log_volume", count_text(lines, "line") + " since the start")


# -- outbox ----------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class OutboxFacts:
    """The outbox as it was read: by us, or by the gateway. `why` it could not be."""

    counts: OutboxCounts | None = None
    busy: str = ""
    why: str = ""


def read_outbox(site: Site) -> OutboxFacts:
    """While no daemon runs; in a process of its own."""
    try:
        found = inspect_outbox(Path(site.store.dir), limit_bytes=site.store.limit_mb << 20)
    except OutboxBusyError as error:
        return OutboxFacts(busy=str(error))
    except FileNotFoundError:
        return OutboxFacts(why="there is none yet")
    except (OSError, ValueError) as error:
        return OutboxFacts(why=str(error))
    counts = OutboxCounts(
        rows=found.rows,
        size=found.size,
        limit=found.limit,
        dead_letters=found.dead_letters,
        quarantined=found.quarantined,
        foreign_files=list(found.foreign_files),
    )
    return OutboxFacts(counts)


def told_outbox(status: Mapping[str, Any]) -> OutboxFacts:
    """As the running gateway says: it has taken the outbox, and its list has what is wrong."""
    told = status.get("outbox")
    if not isinstance(told, Mapping):
        return OutboxFacts(why="the gateway could not count it within 3 s: its disk may hang")
    size, limit = told.get("size"), told.get("limit")
    if not isinstance(size, int) or not isinstance(limit, int):
        return OutboxFacts(why="the gateway does not say how full it is")
    return OutboxFacts(OutboxCounts(rows=int(told.get("rows", 0)), size=size, limit=limit))


def outbox_results(facts: OutboxFacts, *, daemon: bool) -> Iterator[CheckResult]:
    """By the gateway's own rules."""
    if facts.busy:
        remedy = "End that program; if it is a gateway, look with the same --config"
        yield fault("store_free", f"The outbox is in use: {facts.busy}", remedy)
    elif daemon:
        yield passed("store_free", "in the gateway's hands")
    elif facts.counts is not None or facts.why.startswith("there is none"):
        yield passed("store_free", "nobody has it open")
    else:
        yield unchecked("store_free", facts.why)
    if (counts := facts.counts) is None:
        why = facts.busy or facts.why
        for check in OUTBOX[1:]:
            yield unchecked(check, why)
        return
    wrong = [finding_result(each) for each in outbox_findings(counts) if each.count != 0]
    yield from wrong
    said = {each.check for each in wrong}
    share = counts.size / counts.limit if counts.limit else 0.0
    seen: dict[CheckId, str] = {
        "outbox_room": f"{megabytes_text(counts.size)}, {percent_text(share)} of its limit, "
        f"{count_text(counts.rows, 'record')}",
        "outbox_losses": "none",
        "outbox_kept": "nothing",
    }
    for check, text in seen.items():
        if check not in said:
            yield passed(check, text)


# -- models ----------------------------------------------------------------------------------------


def told_model_results(status: Mapping[str, Any]) -> Iterator[CheckResult]:
    """By what the running gateway says of each; its list has what is wrong for longer."""
    told = status.get("models")
    models = told if isinstance(told, Mapping) else {}
    for name, one in models.items():
        if not isinstance(one, Mapping):
            yield unchecked("models", "switched off in the site file", str(name))
        elif one.get("answers") == "model":
            yield passed("models", f"{one.get('model')} answers", str(name))
        else:
            why = str(one.get("why") or "it is not loaded yet")
            yield unchecked("models", f"its rule answers now: {why}", str(name))
    if not models:
        yield unchecked("models", "the gateway has none")


def model_results(site: Site) -> Iterator[CheckResult]:
    """Load each that is switched on, and let it reproduce its golden cases; some seconds."""
    from edge.infer.bundlecheck import bundles_in, check_bundle  # numpy: only who asks pays for it
    from models import BUNDLES

    switched = {
        "anomaly": site.models.anomaly,
        "congestion": site.models.congestion and site.lanes,
        "loopfault": site.models.loopfault and site.lanes,
    }
    wanted = [name for name, on in switched.items() if on]
    if not wanted:
        yield unchecked("models", "all are switched off in the site file")
        return
    folder = Path(site.models.dir) if site.models.dir else BUNDLES
    known = {path.name: path for path in bundles_in(folder)}
    for name in wanted:
        if name not in known:
            remedy = "Correct models.dir in the site file, or install the package again"
            yield warn("models", f"{folder} has no model {name}: its rule is used", remedy, name)
            continue
        report = check_bundle(known[name])
        for each in report.faults:
            if not each.mild:
                yield warn("models", f"Model {name}: {each.text}", each.do, name)
        if report.is_sound:
            seen = f"{count_text(report.golden, 'golden case')} reproduced"
            yield passed("models", seen, name)


# -- lanes -----------------------------------------------------------------------------------------


def lane_results(status: Mapping[str, Any] | None, names: Sequence[str]) -> Iterator[CheckResult]:
    """When the loops of each lane have changed last, and how often; and that nothing is said
    against them. What is said is in the list of open issues."""
    for name in names:
        if status is None:
            yield unchecked("lane_edges", ALONE, name)
            yield unchecked("lane_verdict", ALONE, name)
            continue
        yield from _lane_edges(status, name)
        yield passed("lane_verdict", "no fault of its loops is open", name)


def _lane_edges(status: Mapping[str, Any], name: str) -> Iterator[CheckResult]:
    lane = status.get("lanes", {}).get(name)
    edges = lane.get("edges") if isinstance(lane, Mapping) else None
    if not isinstance(edges, Mapping):
        yield unchecked("lane_edges", "the running gateway does not count them", name)
        return
    for part, seen in edges.items():
        about = name if len(edges) == 1 else f"{name} {part}"
        last_s, count = _number(seen.get("last_s")), int(_number(seen.get("edges")) or 0)
        over_s = _number(seen.get("over_s")) or 0.0
        if last_s is not None:
            rate = f"{count_text(count, 'edge')} in {span_text(over_s)}"
            if over_s >= 3600:
                rate = f"{count_text(count, 'edge')} in the last hour"
            yield passed("lane_edges", f"the last edge {span_text(last_s)} ago, {rate}", about)
        elif over_s < QUIET_S:
            yield unchecked("lane_edges", f"no edge yet, in {span_text(over_s)}", about)
        else:
            up_s = _number(status.get("uptime_s")) or over_s
            cause = f"{name}: its {part} loop has not changed since the start {span_text(up_s)} ago"
            remedy = (
                "Let a vehicle drive over it. If the light of the loop card changes and this does "
                "not, check the wire to the line, `active` and `bias`; if it does not, the loop"
            )
            yield warn("lane_edges", cause, remedy, about)


def _number(value: object) -> float | None:
    known = isinstance(value, int | float) and not isinstance(value, bool)
    return float(cast("float", value)) if known else None
