"""All that the verbs of the control socket read, with real parts, for the tests of these verbs."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import drivers
from edge.acquire.clock import SystemClock
from edge.acquire.stage import Stage
from edge.config import load_site, outdated_keys
from edge.control.protocol import ControlVerb
from edge.core import Draft, Stamp
from edge.core.release import RELEASED_NS
from edge.gateway.boxmonitor import BoxFacts, BoxMonitor
from edge.gateway.busworkers import BusWorkers
from edge.gateway.calibrationsetup import expired_findings
from edge.gateway.commissionexams import ExaminedGateway
from edge.gateway.commissionfiles import CommissionFiles
from edge.gateway.commissionhooks import CommissionHooks
from edge.gateway.commissioning import Commissioning
from edge.gateway.datasaver import DataSaver
from edge.gateway.gatewaystatus import StatusSources
from edge.gateway.healthsources import HealthSources
from edge.gateway.ingest import Ingest
from edge.gateway.issuewatch import IssueSources, IssueWatch
from edge.gateway.linkfindings import budget_findings
from edge.gateway.uplinksetup import receipt_patience_s
from edge.gateway.urgentevents import UrgentEvents
from edge.gateway.verbs import control_verbs
from edge.gateway.wiring import Wiring
from edge.health.boxalarms import BoxReadings
from edge.health.openissues import OpenIssues
from edge.health.progress import Progress
from edge.health.reboot import Cause, Reboot
from edge.kernelclock import Discipline
from edge.outbox import Epoch, OutboxCounts
from edge.uplink.broker import make_broker
from edge.uplink.certificatedates import CertificateFile
from edge.uplink.delivery import ConnectionState, LinkFacts
from edge.wire.contract.health import Health
from tests.kit.clock import NONE
from tests.kit.ports import CountedRetained

S = 1_000_000_000
WALL_NS = RELEASED_NS + 30 * 86_400 * S  # no earlier time is believed
SITE = """
[site]
id = "quay"
gateway = "gw-1"
[uplink]
url = "mqtt://a"
confirm = "platform"
[bus.air]
kind = "i2c"
path = "/dev/i2c-1"
[bus.loops]
kind = "gpio"
[device.hut]
driver = "sht4x"
bus = "air"
[device.green]
driver = "contact"
bus = "loops"
line = "g"
phase = { approach = "north", colour = "green" }
[lane.north_1]
approach = "north"
bus = "loops"
lead = "a"
[bay.bakery]
bus = "loops"
line = "b"
kind = "loading"
"""


@dataclass
class OpenOutbox:
    """Its counts are told; None: its disk hangs."""

    known: OutboxCounts | None
    epoch: Epoch = field(default_factory=lambda: Epoch(7 << 32, 7, False, None, False))

    async def counts(self) -> OutboxCounts:
        while self.known is None:
            await asyncio.Event().wait()
        return self.known

    async def details(self) -> Mapping[str, Any]:
        return {"undeclared": [], "letters": []}


@dataclass
class StandingLink:
    """A link that is up since 40 s of this boot."""

    connected: bool = True
    connection: ConnectionState = field(
        default_factory=lambda: ConnectionState(40 * S, "mqtts://a:8883", confirmed_ns=97 * S)
    )
    unconfirmed: int = 12
    facts: LinkFacts = field(
        default_factory=lambda: LinkFacts(status_arrived=True, round_trip_s=0.04)
    )


class StatusGateway:
    """All that the verbs read: real parts, but for the outbox, the link and the kernel. It is 100 s
    after the boot; the box was looked at 10 s ago, and the clock was synchronised then."""

    def __init__(self, folder: Path, counts: OutboxCounts | None, more: str = "") -> None:
        self.mono_ns, self.synced = 90 * S, True
        self.outbox, self.link = OpenOutbox(counts), StandingLink()
        file = folder / "site.toml"
        file.write_text(SITE + more, "utf-8")
        site = load_site(file, drivers.catalogue())
        self.clock = SystemClock(
            root=folder,
            wall_ns=lambda: WALL_NS + self.mono_ns - 100 * S,
            mono_ns=lambda: self.mono_ns,
            kernel=lambda: Discipline(self.synced, 250),
        )
        self.clock.resume(WALL_NS - 100 * S)  # it need not be watched before it is believed
        wiring, urgent, retained = Wiring.of(site), UrgentEvents(self.clock), CountedRetained()
        pipeline, stage = wiring.pipeline(), Stage(folder, "boot")
        self.ingest = Ingest(wiring, pipeline, stage, self.clock, urgent, retained)
        self.buses = BusWorkers(wiring, self.clock, self.ingest, Progress())
        self.monitor = BoxMonitor(
            BoxFacts("quay", "gw-1", Reboot(Cause.POWER, "The power was cut.")),
            HealthSources(self._queue, dict, lambda: Health(sent=5)),
            folder,
            Stamp(80 * S, 0, NONE),
            read_box=lambda _: BoxReadings(),
        )
        self.urgent, self.data_saver = urgent, DataSaver(self.clock, retained, urgent)
        self.drafts: list[Draft] = []
        self.commissioning = Commissioning(
            ExaminedGateway(
                site=site,
                lanes=pipeline.engine.setup.lanes,
                clock=self.clock,
                buses=self.buses,
                points=wiring.points(),
                corrections={},
                published=pipeline.engine.published,
                lines=self.ingest.lines,
                growth=self.ingest.energy.growth,
                serials=dict,
                connection=lambda: (self.link.connection, self.link.connected),
            ),
            CommissionFiles(folder),
            CommissionHooks(
                publish=self.drafts.append,
                watch_drive=self.ingest.watch_drive,
                changed=retained.publish_status,
                board="Raspberry Pi 4 Model B",
                board_serial="",
                sign=None,
            ),
        )
        self.sources = StatusSources(
            site=site,
            brokers=[make_broker("mqtt://a:1883", "gw-1")],
            clock=self.clock,
            started_ns=80 * S,
            outbox=self.outbox,
            uplink=self.link,
            buses=self.buses,
            ingest=self.ingest,
            pipeline=pipeline,
            stage=stage,
            box_monitor=self.monitor,
            data_saver=self.data_saver,
            watch=IssueWatch(
                IssueSources(
                    outbox=self.outbox,
                    connection=lambda: (self.link.connection, self.link.connected),
                    receipt_s=receipt_patience_s(site),
                    brokers=("mqtts://a:8883", "mqtts://b:8883"),
                    budget=lambda: budget_findings(
                        self.data_saver.level,
                        counted=site.link.budget_mb > 0,
                        billing_day=site.link.billing_day,
                    ),
                    calibrations=partial(expired_findings, site),
                    buses=self.buses.devices_by_bus,
                    problems=lambda: self.ingest.problems,
                    alarms=self.monitor.alarms.snapshot,
                    health=self.monitor.health,
                    start=self.monitor.start,
                    models=pipeline.judge.models,
                    model_failures=pipeline.judge.model_failures,
                    known_faults=tuple,
                    unmatched_edges=lambda: self.ingest.unmatched_edges,
                    journal=lambda: None,
                    certificate=CertificateFile(None),
                    outdated=tuple(outdated_keys(site)),
                    acceptance=lambda: self.commissioning.stale(),
                    box=lambda: None,
                ),
                OpenIssues(),
                7,
                changed=lambda: None,
            ),
            commissioning=self.commissioning,
        )
        self.points = wiring.points()

    async def _queue(self) -> Health:
        """What the box monitor counted minutes ago."""
        return OutboxCounts(rows=1, oldest=(7, 81 * S)).health(7, 90 * S)

    async def verbs(self) -> Mapping[str, ControlVerb]:
        await self.monitor.observe(self.clock.now())
        self.mono_ns = 100 * S
        return control_verbs(self.sources, self.points, self.buses, self.data_saver, self.urgent)

    async def status(self) -> Mapping[str, Any]:
        return await (await self.verbs())["status"]({})
