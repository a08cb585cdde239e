"""The open issues in words: short for the first line, and a sentence each with what to do."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, cast

from edge.core.humanize import as_sentence, span_text
from edge.health.issuekinds import ISSUE_KINDS
from edge.report.status.textform import WIDTH, Section, as_mapping, fit_line
from edge.wire.contract.issues import IssueName

NEW_S: Final = 60.0  # so long nobody need be told since when


@dataclass(frozen=True, slots=True)
class Issue:
    """One thing to attend to. `short` is some three words, `text` says what to do."""

    short: str
    text: str


def listed_issues(status: Mapping[str, Any]) -> list[Issue]:
    """Those that the daemon has open, what loses data first."""
    rows = issue_rows(status)
    linked = all(row.get("kind") != "no_broker" for row in rows)  # else nobody can know
    return [_issue(row, linked) for row in rows]


def issue_rows(status: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """The list as the daemon gave it; of what is none, nothing."""
    found = status.get("issues")
    return [as_mapping(each) for each in found] if isinstance(found, list) else []


def _issue(one: Mapping[str, Any], linked: bool) -> Issue:
    kind, about = str(one.get("kind", "")), str(one.get("about", ""))
    short = kind.replace("_", " ")
    if kind in ISSUE_KINDS:  # else a newer daemon's
        short = ISSUE_KINDS[cast("IssueName", kind)].short.format(about=about)
    cause, remedy = (as_sentence(str(one.get(key, ""))) for key in ("cause", "remedy"))
    for_s = one.get("for_s")
    since = f"Since {span_text(for_s)}." if isinstance(for_s, float) and for_s >= NEW_S else ""
    known = "The city does not know it yet." if linked and one.get("told") is False else ""
    return Issue(short, " ".join(part for part in (cause, remedy, since, known) if part))


def verdict_line(found: Sequence[Issue], who: str, width: int = WIDTH) -> str:
    """The first line, never longer than one."""
    if not found:
        return fit_line(f"OK: {who}: nothing needs attention", width=width)
    more = f" (and {len(found) - 1} more)" if len(found) > 1 else ""
    return fit_line(f"ATTENTION: {who}: {found[0].short}", more, width)


def issue_texts(found: Sequence[Issue]) -> Section:
    """The sentences."""
    return Section("to do", tuple(f"- {issue.text}" for issue in found))
