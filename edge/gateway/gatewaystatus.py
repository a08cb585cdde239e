"""The status of a gateway, for the platform and, with more, for people on the box.

All of it is read from `StatusSources` at the moment when somebody asks; nothing is kept here.
"""

import asyncio
import dataclasses
import resource
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Protocol

from msgspec import UNSET, to_builtins

from edge.acquire.clock import SystemClock
from edge.acquire.poll import PollState
from edge.acquire.stage import Stage
from edge.config import Site
from edge.gateway.boxmonitor import BoxMonitor
from edge.gateway.commissioning import Commissioning
from edge.gateway.datasaver import DataSaver
from edge.gateway.flightrecorder import FlightRecorder
from edge.gateway.ingest import Ingest
from edge.gateway.issuewatch import (
    STATUS_WORDS,
    IssueWatch,
    OutboxCounter,
    issue_status,
    issues_for_people,
)
from edge.gateway.linkfindings import silence_limit_s
from edge.gateway.pipeline import Pipeline
from edge.gateway.recorderverb import recorder_status
from edge.gateway.scantargets import site_targets
from edge.gateway.uplinksetup import receipt_patience_s
from edge.outbox import Epoch
from edge.uplink.broker import Broker
from edge.uplink.delivery import ConnectionState, LinkFacts
from edge.wire.contract.status import DeviceStatus

COUNTING_S: Final = 3.0  # a disk that hangs does not keep a person from the rest


class ReadOutbox(OutboxCounter, Protocol):
    """The outbox, as the status reads it."""

    @property
    def epoch(self) -> Epoch: ...
    async def details(self) -> Mapping[str, Any]: ...


class UplinkState(Protocol):
    """The link to the broker, as the status reads it."""

    @property
    def connected(self) -> bool: ...
    @property
    def connection(self) -> ConnectionState: ...
    @property
    def unconfirmed(self) -> int: ...
    @property
    def facts(self) -> LinkFacts: ...


class PolledBuses(Protocol):
    """The threads of the buses, as the status reads them."""

    def devices(self) -> Iterable[PollState]: ...
    @property
    def dropped(self) -> int: ...


@dataclass(slots=True)
class StatusSources:
    """The parts that the status is read from. `site` and `brokers` are those of the moment."""

    site: Site
    brokers: Sequence[Broker]
    clock: SystemClock
    started_ns: int
    outbox: ReadOutbox
    uplink: UplinkState
    buses: PolledBuses
    ingest: Ingest
    pipeline: Pipeline
    stage: Stage
    box_monitor: BoxMonitor
    data_saver: DataSaver
    watch: IssueWatch
    commissioning: Commissioning
    recorder: FlightRecorder | None = None  # it is off


def gateway_status(sources: StatusSources) -> dict[str, Any]:
    """The health of the gateway, in one map: for `status`, and for people on the box."""
    now = sources.clock.now()
    found = {
        "uptime_s": round((now.mono_ns - sources.started_ns) / 1e9, 1),
        "boot": sources.outbox.epoch.boot,
        "epoch": sources.outbox.epoch.epoch,
        "tq": now.tq,
        "problems": dict(sources.ingest.problems),
        "issues": issue_status(sources.watch.issues, now, STATUS_WORDS),
        "acceptance": sources.commissioning.status(),
        "box": sources.box_monitor.status(now.mono_ns),
        "devices": {
            device.name: DeviceStatus(
                reads=device.reads,
                errors=device.errors,
                missed=device.missed,
                state="ok" if device.reason is None else str(device.reason),
                text=device.text or UNSET,
                serial=device.identity or UNSET,
                health=dict(device.health) or UNSET,
            )
            for device in sources.buses.devices()
        },
        "dropped": sources.buses.dropped,
        "unmatched_edges": sources.ingest.unmatched_edges,
        "unmatched_inputs": sources.pipeline.engine.unmatched_inputs,
        "stage_overflow": sources.stage.overflow,
        "models": sources.pipeline.judge.models(),
        "data_saver": sources.data_saver.level.status(),
        "rss_kib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss,
    }
    plain: dict[str, Any] = to_builtins(found)
    return plain


async def outbox_status(sources: StatusSources) -> dict[str, Any] | None:
    """How full it is at this moment, and how long its oldest row waits. None: no answer in time."""
    outbox = sources.outbox
    try:
        async with asyncio.timeout(COUNTING_S):
            counts, details = await outbox.counts(), await outbox.details()
    except TimeoutError:
        return None
    boot, now = outbox.epoch.boot, sources.clock.now()
    sources.watch.see_outbox(counts, now)
    age_s = counts.oldest_age_s(boot, now.mono_ns)
    return {**dataclasses.asdict(counts), **details, "boot": boot, "age_s": age_s}


def status_for_people(sources: StatusSources, outbox: Mapping[str, Any] | None) -> dict[str, Any]:
    """The status as of this moment, with what the platform's does not need: places, link, clock.

    What the box monitor counted up to five minutes ago gives way to `outbox`.
    """
    sources.watch.see_parts(sources.clock.now())
    sources.watch.see_models(sources.clock.now())
    site, found = sources.site, gateway_status(sources)
    health = found["box"]["health"]
    if outbox is not None:
        fresh = {
            "queue_rows": outbox["rows"],
            "queue_bytes": outbox["size"],
            "queue_age_s": outbox["age_s"],
            "dropped": outbox["dropped"],
            "dead_letters": outbox["dead_letters"],
            "quarantined": outbox["quarantined"],
        }
        health |= {key: value for key, value in fresh.items() if value is not None}
        if outbox["age_s"] is None:
            health.pop("queue_age_s", None)
    here = {name: each for name, each in found["devices"].items() if name in site.devices}
    for name, device in here.items():
        device["bus"] = site.devices[name].bus
    now = sources.clock.now()
    return {
        **found,
        "devices": here,  # one may be removed at this moment
        "issues": issues_for_people(sources.watch.issues, now),
        "site": site.place.id,
        "gateway": site.place.gateway,
        "site_name": site.place.name or "",
        "names": site.names,  # by id: for `edge.core.displayname.with_name`
        "buses": site_targets(site),  # what `scan` leaves alone
        "lanes": {
            name: {"bus": lane.bus, "edges": sources.ingest.lines.edge_counts(name, now.mono_ns)}
            for name, lane in site.lanes.items()
        },
        "bays": {name: {"bus": bay.bus, "kind": bay.kind} for name, bay in site.bays.items()},
        "signals": {
            name: {"bus": site.devices[name].bus, "approach": approach}
            for approach, contacts in site.signals.items()
            for name in contacts
        },
        "contacts": {
            name: {"bus": (site.bays.get(name) or site.devices[name]).bus}
            for name in sources.ingest.lines.contacts
        },
        "outbox": outbox,
        "link": link_status(sources),
        "clock": clock_status(sources.clock, sources.box_monitor.synced_ns),
        "recorder": None
        if sources.recorder is None
        else recorder_status(sources.recorder, now.mono_ns),
    }


def link_status(sources: StatusSources) -> dict[str, Any]:
    """To whom, since when, and what is under way. Seconds ago."""
    uplink, now_ns = sources.uplink, sources.clock.now().mono_ns
    connection, facts = uplink.connection, uplink.facts
    silent_ns = connection.troubles.receipts.silent_ns(now_ns)
    receipt_s = receipt_patience_s(sources.site)
    return {
        "connected": uplink.connected,
        "brokers": [str(broker) for broker in sources.brokers],
        "confirm": sources.site.uplink.confirm,
        "broker": connection.broker or None,
        "for_s": _ago_s(now_ns, connection.since_ns),
        "failure": connection.failure or None,
        "failed_by": connection.failed_by,
        "remedy": connection.remedy or None,
        "trouble": connection.limit_notice or None,
        "confirmed_s": _ago_s(now_ns, connection.confirmed_ns),
        "silent_s": None if silent_ns is None else round(silent_ns / 1e9, 1),
        "silence_limit_s": None if receipt_s is None else silence_limit_s(receipt_s),
        "unconfirmed": uplink.unconfirmed,
        "unsubscribed": list(facts.unsubscribed),
        "denied": list(facts.denied),
        "status_arrived": facts.status_arrived,
        "round_trip_s": facts.round_trip_s,
    }


def clock_status(clock: SystemClock, synced_ns: int) -> dict[str, Any]:
    """How far the wall clock can be trusted, and since when not."""
    now = clock.now()
    error_us = clock.max_error_us
    return {
        "tq": now.tq,
        "wall_s": now.wall_ns // 1_000_000_000,
        **({} if error_us is None else {"max_error_us": error_us}),
        "steps": clock.steps,
        "unsynced_s": _ago_s(now.mono_ns, synced_ns),
    }


def _ago_s(now_ns: int, then_ns: int | None) -> float | None:
    return None if then_ns is None else round(max(0, now_ns - then_ns) / 1e9, 1)
