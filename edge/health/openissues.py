"""The one list of what needs a person: raised and withdrawn by who looks, kept over restarts.

    changed = issues.see("devices", findings, now)    # all that is wrong there now
    for issue in issues: ...                          # what loses data first

Who looks at an area gives everything that is wrong in it. What was known is looked at first: it is
closed when it is not found any more. What the process before had open stays open until its area is
looked at. Each is a line in the log when it opens, and one when it closes.
"""

import logging
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Final, cast

from edge.core import Stamp, TimeQuality
from edge.core.displayname import with_name
from edge.core.humanize import as_sentence, span_text
from edge.core.printable import printable
from edge.core.reportlimits import HourlyLimit
from edge.health.issuekinds import ISSUE_KINDS, ORDER, Area, IssueKind
from edge.health.openmetrics import Family
from edge.wire.contract.issues import IssueName

ISSUE_LOG: Final = logging.getLogger("kerbstone.issues")
"""Whoever runs the daemon hears of the end of each, too."""
OPEN_LIMIT: Final = 256  # issues at one time; what comes on top is counted, and may open later
LINES_PER_HOUR: Final = 12  # in the log, of one issue that comes and goes
WORDS_LIMIT: Final = 1000  # characters of a sentence
ABOUT_LIMIT: Final = 120  # characters of what it is about
NAMED_AREAS: Final = ("devices", "events")  # what is wrong there is about a device or a lane


@dataclass(frozen=True, slots=True)
class IssueFinding:
    """What is wrong now. `about` is empty where it is the gateway; `remedy` empty: its kind's.

    `count` is of what happens and does not last: how often since the start. Only that it has grown
    since it was seen last is news. `unknown`: nobody can tell yet whether it is so; what is open
    stays open as it is, and nothing opens.
    """

    kind: IssueName
    about: str = ""
    cause: str = ""
    remedy: str = ""
    count: int | None = None
    unknown: bool = False


@dataclass(frozen=True, slots=True)
class OpenIssue:
    """One thing that needs a person, since `opened`; see `since_ns`.

    `told`: the status that has it has arrived at the broker.
    """

    kind: IssueName
    about: str
    cause: str
    remedy: str
    opened: Stamp
    this_boot: bool = True  # `opened` is by the clock of this boot
    told: bool = False
    seen_ns: int = 0  # monotonic; when it happened last, or was found last
    number: int = 0  # of the change that opened it, in this process

    @property
    def of_kind(self) -> IssueKind:
        return ISSUE_KINDS[self.kind]

    @property
    def short(self) -> str:
        """Some three words."""
        return self.of_kind.short.format(about=self.about)

    def since_ns(self, now: Stamp) -> int | None:
        """Wall time at which it was opened; None where no clock knew it."""
        if self.this_boot:
            wall_ns = now.wall_ns - (now.mono_ns - self.opened.mono_ns)
            return wall_ns if now.tq.is_synchronised else None
        return self.opened.wall_ns if self.opened.tq.is_synchronised else None

    def for_s(self, now: Stamp) -> float | None:
        """How long it has been open; None: since before this boot, and no clock knows how long."""
        if self.this_boot:
            return max(0, now.mono_ns - self.opened.mono_ns) / 1e9
        if not (self.opened.tq.is_synchronised and now.tq.is_synchronised):
            return None
        return max(0, now.wall_ns - self.opened.wall_ns) / 1e9


Key = tuple[IssueName, str]


@dataclass(slots=True)
class OpenIssues:
    """Belongs to the main loop. `changes` grows whenever one opens or closes. `names`: display
    names by id, which stand in sentences beside the id."""

    changes: int = 0
    left_out: int = 0  # found, but there was no room
    names: Mapping[str, str] = field(default_factory=dict)
    _open: dict[Key, OpenIssue] = field(default_factory=dict)
    _counts: dict[Key, int] = field(default_factory=dict)  # as they were seen last
    _lines: dict[Key, HourlyLimit] = field(default_factory=dict)

    def __iter__(self) -> Iterator[OpenIssue]:
        """What loses data first; of one kind, by what they are about."""
        return iter(sorted(self._open.values(), key=lambda each: (ORDER[each.kind], each.about)))

    def __len__(self) -> int:
        return len(self._open)

    def see(self, area: Area, findings: Iterable[IssueFinding], now: Stamp) -> bool:
        """All that is wrong there now; whether an issue has opened or closed."""
        found: dict[Key, IssueFinding] = {}
        for each in findings:
            if ISSUE_KINDS[each.kind].area != area:
                raise ValueError(f"{each.kind} is no kind of {area}")
            key = _key(each)
            if self._is_there(key, each.count):
                found.setdefault(key, each)
        before = self.changes
        for key, issue in [*self._open.items()]:
            if issue.of_kind.area != area:
                continue
            if (finding := found.pop(key, None)) is not None:
                if finding.unknown:
                    continue
                cause, remedy = self._sentences(finding)
                self._open[key] = replace(issue, cause=cause, remedy=remedy, seen_ns=now.mono_ns)
            elif not self._lasts(issue, now):
                self._close(key, now)
        for key, finding in found.items():
            if not finding.unknown:
                self._put(key, finding, now)
        return self.changes != before

    def put(self, finding: IssueFinding, now: Stamp) -> None:
        """It was told to be so: open until `close` is told."""
        key = _key(finding)
        if key in self._open:
            cause, remedy = self._sentences(finding)
            self._open[key] = replace(
                self._open[key], cause=cause, remedy=remedy, seen_ns=now.mono_ns
            )
        else:
            self._put(key, finding, now)

    def go_on(self, area: Area, up: Iterable[IssueFinding], now: Stamp) -> None:
        """After a start, all that is up there, by those who will tell its end: what is open keeps
        its words, and what they do not know is over."""
        found = {_key(each): each for each in up}
        for key, issue in [*self._open.items()]:
            if issue.of_kind.area == area and key not in found:
                self._close(key, now)
        for key in found.keys() - self._open.keys():
            self._put(key, found[key], now)

    def close(self, finding: IssueFinding, now: Stamp) -> None:
        """It was told to be over. What is not open is none."""
        if (key := _key(finding)) in self._open:
            self._close(key, now)

    def expire(self, area: Area, now: Stamp) -> bool:
        """What was told to have happened there, and did not happen again for its time, is over."""
        before = self.changes
        for key, issue in [*self._open.items()]:
            kind = issue.of_kind
            if kind.area == area and kind.lasts_s and not self._lasts(issue, now):
                self._close(key, now)
        return self.changes != before

    def _is_there(self, key: Key, count: int | None) -> bool:
        """Whether it is found, or, of what is counted, has happened again."""
        if count is None:
            return True
        before = self._counts.get(key, 0)
        self._counts[key] = count
        return count > (before if count >= before else 0)

    def _lasts(self, issue: OpenIssue, now: Stamp) -> bool:
        lasts_s = issue.of_kind.lasts_s
        return lasts_s > 0 and now.mono_ns - issue.seen_ns < lasts_s * 1e9

    def _put(self, key: Key, finding: IssueFinding, now: Stamp) -> None:
        if key[1] and len(self._open) >= OPEN_LIMIT:  # of the gateway itself there are few
            self.left_out += 1
            return
        self.changes += 1
        words = self._sentences(finding)
        issue = OpenIssue(*key, *words, now, seen_ns=now.mono_ns, number=self.changes)
        self._open[key] = issue
        text = f"{issue.short}: {issue.cause} {issue.remedy}"
        self._log(logging.WARNING, "issue %s %s", issue, text, now)

    def _close(self, key: Key, now: Stamp) -> None:
        issue = self._open.pop(key)
        self.changes += 1
        self._log(logging.INFO, "issue %s is over: %s", issue, issue.short, now)

    def name_of(self, issue: OpenIssue) -> str:
        """The display name of what it is about; empty where that has none."""
        return self.names.get(source_of_issue(issue.kind, issue.about), "")

    def _sentences(self, finding: IssueFinding) -> tuple[str, str]:
        """Its cause, and its remedy: devices, brokers and files have their word in them."""
        kind, about = _key(finding)
        remedy = finding.remedy or ISSUE_KINDS[kind].remedy.format(about=about)
        cause, remedy = (as_sentence(" ".join(each.split())) for each in (finding.cause, remedy))
        if lasts_s := ISSUE_KINDS[kind].lasts_s:  # nobody sees that it is over
            remedy += f" This stays in the list until {span_text(lasts_s)} after the last time."
        if (source := source_of_issue(kind, about)) in self.names:
            id_ = re.compile(rf"(?<![\w/-]){re.escape(source)}(?![\w/-])")
            cause = id_.sub(lambda _: with_name(source, self.names), cause, count=1)
        return printable(cause, WORDS_LIMIT), printable(remedy, WORDS_LIMIT)

    def _log(self, level: int, form: str, issue: OpenIssue, text: str, now: Stamp) -> None:
        """The log's own limit counts by `form`."""
        limit = self._lines.setdefault((issue.kind, issue.about), HourlyLimit(LINES_PER_HOUR))
        if limit.room(now.mono_ns) < 1:
            return
        limit.add(1, now.mono_ns)
        more = "" if limit.room(now.mono_ns) else " (it comes and goes: no more lines this hour)"
        ISSUE_LOG.log(level, form, issue.kind, " ".join(text.split()) + more)

    # -- the city ----------------------------------------------------------------------------------

    def mark_told(self, changes: int) -> None:
        """A status that was made at so many `changes` has arrived at the broker."""
        self._open = {
            key: replace(each, told=each.told or each.number <= changes)
            for key, each in self._open.items()
        }

    # -- over a restart ----------------------------------------------------------------------------

    def snapshot(self, boot: int, now: Stamp) -> dict[str, object]:
        """For the outbox; JSON-like."""
        return {
            "boot": boot,
            "mono_ns": now.mono_ns,
            "open": [
                [
                    each.kind, each.about, each.cause, each.remedy, each.told, each.this_boot,
                    *_opened(each, now), each.seen_ns,
                ]
                for each in self._open.values()
            ],
        }  # fmt: skip

    def restore(self, saved: Mapping[str, Any], boot: int, now: Stamp) -> None:
        """What was open when the process before ended. Kinds that are not known are left out.

        Raises KeyError, TypeError or ValueError for what is no snapshot.
        """
        same = int(saved["boot"]) == boot
        # by another boot's clock only how old it was is known, and not how long the box was off
        ago_ns = 0 if same else now.mono_ns - int(saved["mono_ns"])
        for name, about, cause, remedy, told, here, mono_ns, wall_ns, tq, seen_ns in saved["open"]:
            if name not in ISSUE_KINDS:
                continue
            kind = cast("IssueName", name)
            self._open[kind, str(about)] = OpenIssue(
                kind, str(about), str(cause), str(remedy),
                Stamp(int(mono_ns), int(wall_ns), TimeQuality(tq)),
                same and bool(here), bool(told), min(int(seen_ns) + ago_ns, now.mono_ns),
            )  # fmt: skip


def _opened(issue: OpenIssue, now: Stamp) -> tuple[int, int, str]:
    """When, as the clocks know it now: by a clock that was synchronised later, too."""
    if issue.this_boot and now.tq.is_synchronised:
        return issue.opened.mono_ns, issue.since_ns(now) or 0, str(now.tq)
    return issue.opened.mono_ns, issue.opened.wall_ns, str(issue.opened.tq)


def _key(finding: IssueFinding) -> Key:
    """Names are mostly ours; those of files are not."""
    return finding.kind, printable(finding.about, ABOUT_LIMIT)


def whose_issue(kind: str, about: str) -> str:
    """The bus, device, lane or contact that it is about: `north_1` of `north_1 lead stuck_on`. Of
    a model it is none, though a lane may be called `congestion`, too; nor of a line, or of a kind
    that only a newer gateway knows."""
    row = ISSUE_KINDS.get(cast("IssueName", kind))
    if row is None or row.area not in NAMED_AREAS or kind == "line_closed":
        return ""
    return about.removeprefix("bus ") if kind == "bus_fails" else about.partition(" ")[0]


def source_of_issue(kind: str, about: str) -> str:
    """The same, but of a bus: that has no values, and may be called as one of its devices."""
    return "" if kind == "bus_fails" else whose_issue(kind, about)


def issue_family(issues: Iterable[OpenIssue]) -> Family:
    """The metric: 1 for each that is open."""
    return Family(
        "open_issue",
        "gauge",
        "1 for each open issue; see docs/issues.md.",
        [
            ({"kind": one.kind, "about": one.about, "severity": one.of_kind.severity}, 1.0)
            for one in issues
        ],
    )
