"""The site file, and what nobody but the running gateway knows of itself. Pure."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from edge.config import Problem, Site
from edge.core.humanize import count_text
from edge.diagnose.checks import ALONE, CheckId, CheckResult, fault, passed, unchecked, warn
from edge.gateway.scantargets import site_targets

RESTART: Final = "Restart the gateway: `systemctl restart kerbstone`"
CHECK: Final = "`kerbstone check` says more"
OWN_WORD: Final[tuple[CheckId, ...]] = ("gateway_load", "last_start", "log_volume", "data_budget")


def site_results(warnings: Sequence[Problem], outdated: Sequence[Problem]) -> Iterator[CheckResult]:
    """What `kerbstone check` would say of the file. One with an error is not even read."""
    for one in (*outdated, *warnings):
        cause, _, remedy = one.text.partition("; ")
        line = f"line {one.line}" if one.line else ""
        yield warn("site_file", f"{one.key}: {cause}", remedy or CHECK, line)
    if not warnings and not outdated:
        yield passed("site_file", "`kerbstone check` finds nothing in it")


def in_use_result(site: Site, status: Mapping[str, Any] | None, why: str = ALONE) -> CheckResult:
    """Whether the running gateway has read what stands in the file now. `why` nobody can say."""
    check: CheckId = "site_in_use"
    if status is None:
        return unchecked(check, why)
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


def own_word_results(status: Mapping[str, Any] | None, why: str = ALONE) -> Iterator[CheckResult]:
    """What nobody but the running gateway can know; its open issues say what is wrong. `why` it
    says nothing."""
    if status is None:
        for check in OWN_WORD:
            yield unchecked(check, why)
        return
    yield passed("gateway_load", f"{count_text(status.get('dropped'), 'message')} dropped")
    start = status.get("box", {}).get("start", {})
    yield passed("last_start", str(start.get("text", "")) or "nothing is known of it")
    lines = status.get("box", {}).get("health", {}).get("log_lines")
    saver = status.get("data_saver", {})
    used = f"{saver.get('used', 0) / 1e6:,.0f} of {saver.get('budget', 0) / 1e6:,.0f} MB are used"
    yield passed("data_budget", used if saver.get("budget") else "nobody counts bytes here")
    yield passed("log_volume", count_text(lines, "line") + " since the start")
