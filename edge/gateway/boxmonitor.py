"""How the box itself fares: gathered from all parts, sent as health records, alarms and numbers.

The kernel is asked every CHECK, counters are taken every SAMPLE or oftener, a record is made at the
first end of a window after `health_s`.
"""

import logging
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, cast

from msgspec import UNSET
from msgspec.structs import asdict

from edge.core import Draft, Stamp, Stream
from edge.gateway.healthsources import HealthSources
from edge.health.board import Board
from edge.health.boxalarms import AlarmChange, BoxAlarms, BoxReadings, alarm_findings, read_box
from edge.health.countergrowth import HOUR_NS, ErrorRates
from edge.health.flash import ENDURANCE_TB, FlashMeter
from edge.health.loglimit import LogCounts
from edge.health.openissues import OpenIssue, issue_family
from edge.health.openmetrics import families, render
from edge.health.reboot import Reboot
from edge.wire.contract.body import body_map, known
from edge.wire.contract.boxevent import Board as BoardEvent
from edge.wire.contract.boxevent import Start
from edge.wire.contract.health import Health, RebootCause, Throttle

LOG: Final = logging.getLogger("kerbstone")
BOX_SOURCE: Final = "gateway"
CHECK_NS: Final = 60_000_000_000
SAMPLE_NS: Final = 300_000_000_000
MIN_WATCHED_NS: Final = 6 * HOUR_NS  # before a card is said not to last
DEVICES_LIMIT: Final = 64  # listed in one record, the worst first


@dataclass(frozen=True, slots=True)
class BoxFacts:
    """What does not change while the daemon runs."""

    site: str
    gateway: str
    reboot: Reboot
    board: Board = field(default_factory=Board)


class BoxMonitor:
    """Belongs to the main loop: `observe` at each tick, `due` when a window ends."""

    def __init__(
        self,
        facts: BoxFacts,
        sources: HealthSources,
        folder: Path,
        now: Stamp,
        health_s: float = 900.0,
        endurance_tb: float = ENDURANCE_TB,
        read_box: Callable[[Path], BoxReadings] = read_box,
    ) -> None:
        self._facts, self._sources, self._folder, self._read_box = facts, sources, folder, read_box
        self._every_ns = int(health_s * 1e9)
        self._started_ns = self._reported_ns = self._synced_ns = now.mono_ns
        self._check_ns, self._sample_ns = (
            min(each, self._every_ns) for each in (CHECK_NS, SAMPLE_NS)
        )
        self._checked_ns, self._sampled_ns = now.mono_ns - CHECK_NS, now.mono_ns - SAMPLE_NS
        self._started = False
        self._readings = BoxReadings()
        self._queue = Health()
        self._oom_kills: int | None = None
        self._seen: set[Throttle] = set()  # what the board held back since the start
        self._flash, self._rates, self.alarms = FlashMeter(endurance_tb), ErrorRates(), BoxAlarms()
        self._tq = now.tq

    # -- as time passes ----------------------------------------------------------------------------

    async def observe(self, now: Stamp) -> list[Draft]:
        """Events that do not wait for a window's end: nearly always none."""
        if now.mono_ns - self._checked_ns < self._check_ns:
            return []
        self._checked_ns = now.mono_ns
        self._tq = now.tq
        drafts = [] if self._started else [self._start(now.mono_ns)]
        self._started = True
        drafts += [_event(now.mono_ns, change) for change in self._check(now)]
        if now.mono_ns - self._sampled_ns >= self._sample_ns:
            self._sampled_ns = now.mono_ns
            self._flash.see(now.mono_ns, self._readings.disk_written, self._readings.own_written)
            self._rates.see(now.mono_ns, self._sources.devices())
            self._queue = await self._sources.queue()
        return drafts

    def due(self, now: Stamp) -> list[Draft]:
        """The record of the last `health_s`, when they are over: it rides in a window's commit."""
        if now.mono_ns - self._reported_ns < self._every_ns:
            return []
        from_ns, self._reported_ns = self._reported_ns, now.mono_ns
        return [Draft(Stream.HEALTH, BOX_SOURCE, from_ns, now.mono_ns, self.health(now.mono_ns))]

    def _check(self, now: Stamp) -> list[AlarmChange]:
        before = self._oom_kills
        self._readings = self._read_box(self._folder)
        vitals = self._readings.vitals
        self._oom_kills = before if vitals.oom_kills is None else vitals.oom_kills
        self._seen |= {*(vitals.throttled or ()), *(vitals.seen or ())}
        if now.tq.is_synchronised:
            self._synced_ns = now.mono_ns
        log = self._sources.log()
        found = alarm_findings(
            self._readings,
            self.alarms,
            oom_kills_before=before,
            card_years=self._flash.years(MIN_WATCHED_NS),
            unsynced_ns=now.mono_ns - self._synced_ns,
            log_flood=None if log is None else log.flood,
        )
        return list(self.alarms.see(now.mono_ns, found))

    def _start(self, now_ns: int) -> Draft:
        reboot = self._facts.reboot
        LOG.info("%s", reboot.text)
        body = Start(reason=cast("RebootCause", str(reboot.cause)), text=reboot.text)
        return Draft(Stream.EVENT, BOX_SOURCE, now_ns, now_ns, body)

    # -- when somebody asks ------------------------------------------------------------------------

    def health(self, now_ns: int) -> Health:
        """A health record, as of now but for the outbox: that was asked at the last sample."""
        devices, vitals = self._sources.devices(), self._readings.vitals
        own = Health(
            uptime_s=round((now_ns - self._started_ns) / 1e9, 1),
            reboot_cause=cast("RebootCause", str(self._facts.reboot.cause)),
            clock_synchronised=self._tq.is_synchronised,
            device_error_ratio=self._ratios() or UNSET,
            reads=sum(reads for reads, _ in devices.values()),
            errors=sum(errors for _, errors in devices.values()),
            throttled_seen=UNSET if vitals.throttled is None else sorted(self._seen),
            alarms=list(self.alarms.on),
        )
        return _joined(
            own,
            self._queue,
            self._sources.link(),
            self._sources.losses(),
            self._card(),
            vitals.health(),
            _log(self._sources.log()),
        )

    @property
    def start(self) -> tuple[RebootCause, str]:
        """Why the daemon was started, and the same for people."""
        reboot = self._facts.reboot
        return cast("RebootCause", str(reboot.cause)), reboot.text

    @property
    def synced_ns(self) -> int:
        """When the clock was synchronised last; the start, when it never was."""
        return self._synced_ns

    def status(self, now_ns: int) -> dict[str, Any]:
        """For people, and for the retained status."""
        facts = self._facts
        return {
            "model": facts.board.model,
            "serial": facts.board.serial,
            "start": {"cause": str(facts.reboot.cause), "text": facts.reboot.text},
            "alarms": self.alarms.snapshot(),
            "health": self.health(now_ns),
        }

    def metrics(self, now_ns: int, issues: Iterable[OpenIssue] = ()) -> str:
        """The same as OpenMetrics, and what is open."""
        facts = {"site": self._facts.site, "gateway": self._facts.gateway}
        if self._facts.board.model:
            facts["model"] = self._facts.board.model
        known = families(body_map(self.health(now_ns)), facts)
        return render([*known, issue_family(issues)])

    def _ratios(self) -> dict[str, float]:
        rates = {name: rate.ratio for name, rate in self._rates.rates().items()}
        worst = sorted(
            ((ratio, name) for name, ratio in rates.items() if ratio is not None),
            key=lambda each: -each[0],
        )
        return {name: round(ratio, 4) for ratio, name in worst[:DEVICES_LIMIT]}

    def _card(self) -> Health:
        readings, flash = self._readings, self._flash
        disk_day, own_day, years = flash.disk_day(), flash.own_day(), flash.years()
        return Health(
            flash_written_mb_day=UNSET if disk_day is None else round(disk_day / 1e6, 2),
            flash_own_mb_day=UNSET if own_day is None else round(own_day / 1e6, 2),
            card_life_years=UNSET if years is None else round(years, 1),
            card_endurance_tb=UNSET if years is None else flash.endurance_tb,
            card_life_used=known(readings.wear.life_used),
            card_pre_eol=known(readings.wear.pre_eol),
            filesystem_errors=known(readings.filesystem_errors),
            read_only=known(readings.read_only),
            disk_free_bytes=UNSET if readings.space is None else readings.space.free,
            disk_total_bytes=UNSET if readings.space is None else readings.space.total,
        )


def _log(log: LogCounts | None) -> Health:
    if log is None:
        return Health()
    return Health(log_lines=log.lines, log_suppressed=log.suppressed, log_bytes=log.bytes)


def _joined(*parts: Health) -> Health:
    """No two of them fill the same field."""
    filled = (pair for part in parts for pair in asdict(part).items())
    return Health(**{name: value for name, value in filled if value is not UNSET})


def _event(now_ns: int, change: AlarmChange) -> Draft:
    body = BoardEvent(
        condition=change.word,
        state="on" if change.on else "off",
        text=change.text,
    )
    return Draft(Stream.EVENT, BOX_SOURCE, now_ns, now_ns, body)
