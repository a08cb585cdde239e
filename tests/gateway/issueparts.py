"""A gateway as its watch of issues looks at it: well, and each part as a test wants it."""

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding

from edge.acquire.badpoints import BadPoint
from edge.config import Problem
from edge.core import Condition, Draft, Reason, Stamp, TimeQuality
from edge.gateway.datasaver import SaverLevel
from edge.gateway.issuefindings import event_finding
from edge.gateway.issuewatch import (
    IssueSources,
    IssueWatch,
)
from edge.gateway.linkfindings import budget_findings
from edge.health.openissues import IssueFinding, OpenIssues
from edge.identity.runfiles import BoxNames
from edge.outbox import OutboxCounts
from edge.uplink.certificatedates import CertificateFile
from edge.uplink.delivery import ConnectionState
from edge.wire.contract.health import BoardCondition, Health, RebootCause
from edge.wire.contract.models import Model, ModelName
from tests.kit.certificates import gateway_certificate

S, DAY = 1_000_000_000, 86_400
WALL = 1_795_000_000 * S


@dataclass(frozen=True)
class Polled:
    """A device as its poller knows it."""

    name: str
    reason: Reason | None = None
    text: str = ""
    health: Mapping[Condition, str] = field(default_factory=dict)
    failures: int = 6
    failed_ns: int = 90 * S
    returns: tuple[int, ...] = ()
    every_ns: int = S
    unsettled: Reason | None = None
    unsettled_since_ns: int | None = None
    settle_limit_ns: int = 60 * S
    reads: int = 9
    point_count: int = 2
    bad: Mapping[str, BadPoint] = field(default_factory=dict)


@dataclass
class Parts:
    """All that is looked at, of a gateway that is well."""

    counts: OutboxCounts = field(default_factory=lambda: OutboxCounts(size=1, limit=100))
    link: ConnectionState = field(
        default_factory=lambda: ConnectionState(-1000 * S, confirmed_ns=0)
    )
    receipt_s: float | None = None
    connected: bool = True
    disk_s: float = 0.0  # so long the outbox takes to count
    device: Polled = field(default_factory=lambda: Polled("hut"))
    neighbours: tuple[Polled, ...] = ()  # on its bus
    problems: dict[str, str] = field(default_factory=dict)
    alarms: dict[BoardCondition, str] = field(default_factory=dict)
    health: Health = field(default_factory=lambda: Health(device_error_ratio={"hut": 0.0}))
    start: tuple[RebootCause, str] = ("clean", "It was shut down.")
    model: Model = field(
        default_factory=lambda: Model(
            model="anomaly 2.1.0", sha256="ab", answers="model", why="", instead="", ms=1.0,
            mb=1.0, drift=None,
        )
    )  # fmt: skip
    failures: int = 0
    unmatched: int = 0
    journal: str | None = None
    outdated: tuple[Problem, ...] = ()
    stale: tuple[str, ...] = ()
    box: BoxNames | None = field(default_factory=lambda: BoxNames("s", "gw-1"))
    trial: str = ""
    ends_in_s: int = 300 * DAY  # the certificate, from WALL on
    saver: SaverLevel = field(default_factory=lambda: SaverLevel(1, 80, 100, "2026-12", S))
    calibrations: tuple[IssueFinding, ...] = ()
    events: list[Draft] = field(default_factory=list)  # that go to the city now
    up: list[IssueFinding] = field(default_factory=list)  # of those of the process before

    @property
    def told(self) -> list[IssueFinding]:
        """What judge and processing would know of it after a start."""
        return [told[0] for each in self.events if (told := event_finding(each)) and told[1]]

    def watch(
        self, folder: Path, boot: int = 3, changed: Callable[[], None] = lambda: None
    ) -> IssueWatch:
        file = folder / "own.pem"
        file.write_bytes(made_certificate(WALL // S + self.ends_in_s))

        def models() -> Mapping[ModelName, Model | None]:
            return {"anomaly": self.model}

        sources = IssueSources(
            outbox=CountedParts(self),
            connection=lambda: (self.link, self.connected),
            receipt_s=self.receipt_s,
            brokers=("mqtts://a:8883", "mqtts://b:8883"),
            budget=lambda: budget_findings(self.saver, counted=True, billing_day=1),
            calibrations=lambda _: self.calibrations,
            buses=lambda: {"air": [self.device, *self.neighbours]},
            problems=lambda: self.problems,
            alarms=lambda: self.alarms,
            health=lambda _: self.health,
            start=self.start,
            models=models,
            model_failures=lambda: {"anomaly": self.failures},
            known_faults=lambda: self.up,
            unmatched_edges=lambda: self.unmatched,
            journal=lambda: self.journal,
            certificate=CertificateFile(file),
            outdated=self.outdated,
            acceptance=lambda: self.stale,
            box=lambda: self.box,
            trial=lambda: self.trial,
        )
        return IssueWatch(sources, OpenIssues(), boot, changed=changed)


@dataclass(frozen=True)
class CountedParts:
    """Their outbox, on a disk that may be slow."""

    parts: Parts

    async def counts(self) -> OutboxCounts:
        await asyncio.sleep(self.parts.disk_s)
        return self.parts.counts


@cache
def made_certificate(ends_s: int) -> bytes:
    key = ec.generate_private_key(ec.SECP256R1())
    end = datetime.fromtimestamp(ends_s, UTC)
    made = gateway_certificate(key, "gw-1", end - timedelta(400), end)
    return made.public_bytes(Encoding.PEM)


def at(seconds: float) -> Stamp:
    return Stamp(int(seconds * S), WALL + int(seconds * S), TimeQuality.NTP)
