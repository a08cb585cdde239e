"""The outbox as answers of the doctor: read from its files, or as the running gateway counts it."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from edge.config import Site
from edge.core.humanize import count_text, megabytes_text, percent_text
from edge.diagnose.checks import CheckId, CheckResult, fault, passed, unchecked
from edge.diagnose.issueresults import finding_result
from edge.durable.timelimit import GLANCE_S
from edge.gateway.issuefindings import outbox_findings
from edge.outbox import OutboxBusyError, OutboxCounts, inspect_outbox

OUTBOX: Final[tuple[CheckId, ...]] = ("store_free", "outbox_room", "outbox_losses", "outbox_kept")


@dataclass(frozen=True, slots=True)
class OutboxFacts:
    """The outbox as it was read: by us, or by the gateway. `why` it could not be."""

    counts: OutboxCounts | None = None
    busy: str = ""
    why: str = ""


def read_outbox(site: Site) -> OutboxFacts:
    """While no daemon runs; in a process of its own."""
    try:
        found = inspect_outbox(Path(site.store.dir), site.store.limit_mb << 20, GLANCE_S)
    except OutboxBusyError as error:
        return OutboxFacts(busy=str(error))
    except FileNotFoundError:
        return OutboxFacts(why="there is none yet")
    except TimeoutError as error:
        return OutboxFacts(why=f"{site.store.dir}: {error.strerror}")
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
