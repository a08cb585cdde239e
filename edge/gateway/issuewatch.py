"""Looks at every part of the gateway again and again, and keeps the one list of open issues true.

Events that go to the city are seen on their way, so the box says of its loops what the city hears.
"""

import asyncio
import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from itertools import chain
from typing import Any, Final, Protocol

from msgspec import UNSET, to_builtins

from edge.config import Problem
from edge.core import Draft, Stamp
from edge.core.reportlimits import HourlyLimit
from edge.gateway import issuefindings as find
from edge.gateway.deviceissues import device_findings
from edge.gateway.linkfindings import LinkSeen, fallback_findings, link_findings
from edge.health.openissues import IssueFinding, OpenIssues, source_of_issue
from edge.identity.runfiles import BoxNames
from edge.outbox import OutboxCounts
from edge.uplink.certificatedates import CertificateFile
from edge.uplink.delivery import ConnectionState
from edge.wire.contract.health import BoardCondition, Health, RebootCause
from edge.wire.contract.issues import OpenIssueStatus
from edge.wire.contract.models import Model, ModelName
from edge.wire.records import iso_time

LOG: Final = logging.getLogger("kerbstone")
COUNTING_S: Final = 2.0  # the main loop waits for it
LOOK_NS: Final = 5_000_000_000
STATUS_WORDS: Final = 16_000  # characters of sentences in the retained status; brokers have limits
STATUSES_PER_HOUR: Final = 20  # for issues; each is some kilobytes
SENSOR_AREAS: Final = ("devices", "events")
SELDOM_NS: Final = 60_000_000_000  # the disk is asked, and a day of inputs summed up


class OutboxCounter(Protocol):
    """The outbox, as it is looked at."""

    async def counts(self) -> OutboxCounts: ...


@dataclass(frozen=True, slots=True)
class IssueSources:
    """What is looked at, each at once and for nothing, but for the outbox."""

    outbox: OutboxCounter
    connection: Callable[[], tuple[ConnectionState, bool]]  # and whether it is connected
    receipt_s: float | None  # patience with the platform; None: the broker's answer confirms
    brokers: Sequence[str]  # those that may be used; that of uplink.url is the first
    budget: Callable[[], Iterable[IssueFinding]]  # of bytes, as kerbstone-link counts them
    calibrations: Callable[[Stamp], Iterable[IssueFinding]]  # those that have ended by then
    buses: Callable[[], Mapping[str, Sequence[find.PolledState]]]  # the devices of each
    problems: Callable[[], Mapping[str, str]]  # by device, line, or "configuration"
    alarms: Callable[[], Mapping[BoardCondition, str]]
    health: Callable[[int], Health]  # of the box, at that time
    start: tuple[RebootCause, str]
    models: Callable[[], Mapping[ModelName, Model | None]]
    model_failures: Callable[[], Mapping[ModelName, int]]  # in a row
    known_faults: Callable[[], Iterable[IssueFinding]]  # told by events, and not over
    unmatched_edges: Callable[[], int]
    journal: Callable[[], str | None]  # why it cannot be written
    certificate: CertificateFile  # ours
    outdated: Sequence[Problem]  # keys of the site file that a new one may not have
    acceptance: Callable[[], Sequence[str]]  # steps of the sheet that are stale
    box: Callable[[], BoxNames | None]  # what enrolment tells, of a box that has an identity
    trial: Callable[[], str] = lambda: ""  # why the configuration that runs needs a person


class IssueWatch:
    """Belongs to the main loop. `changed` is called when an issue has opened or closed."""

    def __init__(
        self, sources: IssueSources, issues: OpenIssues, boot: int, changed: Callable[[], None]
    ) -> None:
        self._sources, self._boot, self._changed = sources, boot, changed
        self.issues = issues
        self._looked_ns: int | None = None
        self._asked_ns: int | None = None
        self._statuses = HourlyLimit(STATUSES_PER_HOUR)
        self._untold = False  # something has changed, and no status was made for it
        self._given = 0  # `changes` when a status was made last
        self._saved = -1  # `changes` as they were kept last

    async def look(self, now: Stamp) -> None:
        """As time passes: every LOOK_NS, and what costs more every SELDOM_NS."""
        if self._looked_ns is not None and now.mono_ns - self._looked_ns < LOOK_NS:
            return
        self._looked_ns = now.mono_ns
        if self._asked_ns is None or now.mono_ns - self._asked_ns >= SELDOM_NS:
            self._asked_ns = now.mono_ns
            with suppress(TimeoutError):  # its disk hangs: what was open of it stays
                async with asyncio.timeout(COUNTING_S):
                    counts = await self._sources.outbox.counts()
                self.see_outbox(counts, now)
            self.see_models(now)
        self.see_parts(now)

    def see_outbox(self, counts: OutboxCounts, now: Stamp) -> None:
        """As it was counted just now."""
        self._tell(self.issues.see("outbox", find.outbox_findings(counts), now), now)

    def see_models(self, now: Stamp) -> None:
        """Their drift is summed up over a day each time, so this is for seldom."""
        sources = self._sources
        found = find.model_findings(sources.models(), sources.model_failures())
        self._tell(self.issues.see("models", found, now), now)

    def see_parts(self, now: Stamp) -> None:
        """All but the outbox and the models."""
        sources, see = self._sources, self.issues.see
        health, problems = sources.health(now.mono_ns), sources.problems()
        connection, connected = sources.connection()
        buses = sources.buses()
        changed = [
            see(
                "link",
                chain(
                    link_findings(
                        LinkSeen(
                            connection,
                            connected,
                            sources.brokers,
                            sources.receipt_s,
                            health.no_subscribers or 0,
                            now.mono_ns,
                        )
                    ),
                    fallback_findings(
                        connection, sources.brokers[0], connected=connected, now_ns=now.mono_ns
                    ),
                    sources.budget(),
                ),
                now,
            ),
            see(
                "devices",
                chain(
                    device_findings(buses, problems, health.device_error_ratio, now.mono_ns),
                    sources.calibrations(now),
                ),
                now,
            ),
            self.issues.expire("alarms", now),
            see("identity", find.identity_findings(sources.certificate.ends_s(), now), now),
            see(
                "configuration",
                chain(
                    find.configuration_findings(
                        problems,
                        chain(*buses.values()),
                        sources.outdated,
                        sources.box(),
                        sources.trial(),
                    ),
                    find.acceptance_findings(sources.acceptance()),
                ),
                now,
            ),
            see("box", find.box_findings(sources.alarms(), health, *sources.start), now),
            see(
                "daemon",
                find.daemon_findings(
                    dropped=health.overload_dropped or 0,
                    stage_overflow=health.stage_overflow or 0,
                    unmatched_edges=sources.unmatched_edges(),
                    hangs=health.bus_restarts or 0,
                    journal=sources.journal(),
                ),
                now,
            ),
        ]
        self._tell(any(changed), now)

    def see_events(self, drafts: Iterable[Draft], now: Stamp) -> None:
        """What goes to the city. One commit has urgent events first, though they came last."""
        before = self.issues.changes
        for draft in sorted(drafts, key=lambda each: each.to_ns):
            told = find.event_finding(draft)
            if told is None:
                continue
            finding, on = told
            if on:
                self.issues.put(finding, now)
            else:
                self.issues.close(finding, now)
        self._tell(self.issues.changes != before, now)

    @property
    def faults(self) -> int:
        """What the status LED tells beside a broker that is not reached: all of sensors, and
        whatever else is a fault."""
        return sum(
            each.of_kind.area in SENSOR_AREAS or each.of_kind.severity == "fault"
            for each in self.issues
            if each.kind != "no_broker"
        )

    def _tell(self, changed: bool, now: Stamp) -> None:
        """Now, or when there is room again: what comes and goes would cost a status each time."""
        self._untold |= changed
        if self._untold and self._statuses.room(now.mono_ns):
            self._statuses.add(1, now.mono_ns)
            self._untold = False
            self._changed()

    def status_given(self) -> None:
        """A status for the city is made now."""
        self._given, self._untold = self.issues.changes, False

    def status_arrived(self) -> None:
        """The last one that was given is at the broker."""
        self.issues.mark_told(self._given)

    def to_keep(self, now: Stamp, *, last: bool = False) -> dict[str, object]:
        """The state to be committed, by its owner; nothing when nothing has opened or closed.

        `last`: the daemon stops, so what the city knows is kept, too, and how old each is by now.
        """
        if self._saved == self.issues.changes and not last:
            return {}
        self._saved = self.issues.changes
        return {"issues": self.issues.snapshot(self._boot, now)}

    def restore(self, saved: Mapping[str, Any] | None, now: Stamp) -> None:
        """After a start: the list that was kept, and what judge and processing have up.

        Of these the list is not believed: what they do not know they would never end. And there
        may be no list, of a version without one, or a damaged one.
        """
        try:
            if saved is not None:
                self.issues.restore(saved, self._boot, now)
        except (KeyError, TypeError, ValueError) as error:
            LOG.warning("the saved list of open issues cannot be read: %r", error)
        self.issues.go_on("events", self._sources.known_faults(), now)


def issues_for_people(issues: OpenIssues, now: Stamp) -> list[dict[str, object]]:
    """The same, with how long each has been open, and whether the city knows it."""
    return [
        {**to_builtins(told), "for_s": each.for_s(now), "told": each.told}
        for each, told in zip(issues, issue_status(issues, now), strict=True)
    ]


def issues_about(issues: OpenIssues, name: str, now: Stamp) -> list[dict[str, object]]:
    """Those of a device, lane or contact."""
    told = zip(issues, issues_for_people(issues, now), strict=True)
    return [row for each, row in told if source_of_issue(each.kind, each.about) == name]


def issue_status(issues: OpenIssues, now: Stamp, words: int | None = None) -> list[OpenIssueStatus]:
    """As the status tells them; `words`: room for sentences (characters), those that stand behind
    have none."""
    told: list[OpenIssueStatus] = []
    for each in issues:
        name = issues.name_of(each)
        if words is not None:
            words -= len(each.cause) + len(each.remedy) + len(name)
        whole = words is None or words >= 0
        told.append(
            OpenIssueStatus(
                kind=each.kind,
                about=each.about,
                name=name if whole and name else UNSET,
                severity=each.of_kind.severity,
                since=None if (at_ns := each.since_ns(now)) is None else iso_time(at_ns),
                cause=each.cause if whole else "",
                remedy=each.remedy if whole else "",
            )
        )
    return told
