"""What the daemon answers on its control socket, and its status for the platform."""

import asyncio
import dataclasses
import resource
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

from edge.control.protocol import ControlVerb, VerbError
from edge.core import Condition, Point, Sweep
from edge.gateway import datasaver
from edge.gateway.healthcounts import queue_fields
from edge.gateway.scantargets import site_targets

if TYPE_CHECKING:
    from edge.gateway.daemon import Daemon


COUNTING_S: Final = 3.0  # a disk that hangs does not keep a person from the rest


def control_verbs(daemon: "Daemon") -> Mapping[str, ControlVerb]:
    """Verb -> what answers it."""

    async def status(request: Mapping[str, Any]) -> Mapping[str, Any]:
        return status_for_people(daemon, await outbox_status(daemon))

    async def read(request: Mapping[str, Any]) -> Mapping[str, Any]:
        name = str(request.get("device"))
        points = daemon.wiring.points()
        if name not in points:
            raise VerbError(not_there(name, points))
        rows = reading_rows(await daemon.buses.read(name), points[name])
        return {"readings": rows, "health": condition_texts(daemon.buses.health(name))}

    async def outbox(request: Mapping[str, Any]) -> Mapping[str, Any]:
        found = await outbox_status(daemon)
        if found is None:
            raise VerbError(f"the outbox has not answered for {COUNTING_S:g} s: its disk may hang")
        return found

    async def link_facts(request: Mapping[str, Any]) -> Mapping[str, Any]:
        return datasaver.link_facts(daemon)

    async def spare(request: Mapping[str, Any]) -> Mapping[str, Any]:
        daemon.data_saver.set_level(request)
        return {}

    async def link_step(request: Mapping[str, Any]) -> Mapping[str, Any]:
        daemon.ingest.add_events([datasaver.link_step_event(request, daemon.clock.now().mono_ns)])
        return {}

    return {
        "status": status, "read": read, "outbox": outbox,
        "link_facts": link_facts, "data_saver": spare, "link_step": link_step,
    }  # fmt: skip


async def outbox_status(daemon: "Daemon") -> dict[str, Any] | None:
    """How full it is at this moment, and how long its oldest row waits. None: no answer in time."""
    try:
        async with asyncio.timeout(COUNTING_S):
            counts = await daemon.writer.counts()
            details = getattr(daemon.writer, "details", None)
            more = {} if details is None else await details()
    except TimeoutError:
        return None
    boot, now_ns = daemon.epoch.boot, daemon.clock.now().mono_ns
    age_s = queue_fields(counts, boot, now_ns)["queue_age_s"]
    return {**dataclasses.asdict(counts), **more, "boot": boot, "age_s": age_s}


def status_for_people(daemon: "Daemon", outbox: Mapping[str, Any] | None) -> dict[str, Any]:
    """The status as of this moment, with what the platform's does not need: places, link, clock.

    What the box monitor counted up to five minutes ago gives way to `outbox`.
    """
    site, found = daemon.site, daemon.status()
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
    for name, device in found["devices"].items():
        device["bus"] = site.devices[name].bus
    return {
        **found,
        "site": site.place.id,
        "gateway": site.place.gateway,
        "buses": site_targets(site),  # what `scan` leaves alone
        "lanes": {name: {"bus": lane.bus} for name, lane in site.lanes.items()},
        "loops": daemon.pipeline.judge.loop_faults(),
        "bays": {name: {"bus": bay.bus, "kind": bay.kind} for name, bay in site.bays.items()},
        "signals": {
            name: {"bus": site.devices[name].bus, "approach": approach}
            for approach, contacts in site.signals.items()
            for name in contacts
        },
        "outbox": outbox,
        "link": link_status(daemon),
        "clock": clock_status(daemon),
    }


def link_status(daemon: "Daemon") -> dict[str, Any]:
    """To whom, since when, and what is under way. Seconds ago."""
    sender, now_ns = daemon.sender, daemon.clock.now().mono_ns
    found: dict[str, Any] = {
        "connected": sender.connected,
        "brokers": [str(broker) for broker in daemon.brokers],
        "confirm": daemon.site.uplink.confirm,
    }
    connection = getattr(sender, "connection", None)
    if connection is not None:
        found |= {
            "broker": connection.broker or None,
            "for_s": _ago_s(now_ns, connection.since_ns),
            "failure": connection.failure or None,
            "trouble": connection.limit_notice or None,
            "confirmed_s": _ago_s(now_ns, connection.confirmed_ns),
            "unconfirmed": getattr(sender, "outstanding", None),
        }
    return found


def clock_status(daemon: "Daemon") -> dict[str, Any]:
    """How far the wall clock can be trusted, and since when not."""
    now = daemon.clock.now()
    found: dict[str, Any] = {"tq": now.tq, "wall_s": now.wall_ns // 1_000_000_000}
    for key in ("max_error_us", "steps"):  # of the system's clock; others know nothing of them
        if (value := getattr(daemon.clock, key, None)) is not None:
            found[key] = value
    synced_ns = getattr(daemon.box_monitor, "synced_ns", None)
    if synced_ns is not None:
        found["unsynced_s"] = _ago_s(now.mono_ns, synced_ns)
    return found


def _ago_s(now_ns: int, then_ns: int | None) -> float | None:
    return None if then_ns is None else round(max(0, now_ns - then_ns) / 1e9, 1)


def reading_rows(sweep: Sweep, points: Sequence[Point]) -> list[dict[str, Any]]:
    """A sweep for people: point, value, unit, quality."""
    return [
        {
            "point": reading.point.key,
            "value": reading.value,
            "unit": reading.point.quantity.unit,
            "quality": str(reading.quality),
        }
        for reading in sweep.readings(points)
    ]


def condition_texts(health: Mapping[Condition, str]) -> dict[str, str]:
    """What a device says of itself: word -> sentence."""
    return {str(word): text for word, text in health.items()}


def not_there(name: str, points: Mapping[str, Any]) -> str:
    return (
        f"no device that can be asked is called {name!r}; there are {', '.join(points) or 'none'}"
    )


def gateway_status(daemon: "Daemon") -> dict[str, Any]:
    """The health of the gateway, in one map: for `status`, and for people on the box."""
    now = daemon.clock.now()
    return {
        "uptime_s": round((now.mono_ns - daemon.started_ns) / 1e9, 1),
        "boot": daemon.epoch.boot,
        "epoch": daemon.epoch.epoch,
        "tq": now.tq,
        "problems": dict(daemon.ingest.problems),
        "box": daemon.box_monitor.status(now.mono_ns),
        "devices": {
            device.name: {
                "reads": device.reads,
                "errors": device.errors,
                "missed": device.missed,
                "state": "ok" if device.reason is None else str(device.reason),
                **({"text": device.text} if device.text else {}),
                **({"serial": device.identity} if device.identity else {}),
                **({"health": condition_texts(device.health)} if device.health else {}),
            }
            for poller in daemon.buses.pollers.values()
            for device in poller.devices.values()
        },
        "dropped": daemon.buses.dropped,
        "unmatched_edges": daemon.ingest.unmatched_edges,
        "unmatched_inputs": daemon.pipeline.engine.unmatched_inputs,
        "stage_overflow": daemon.stage.overflow,
        "models": daemon.pipeline.judge.status(),
        "data_saver": daemon.data_saver.level.status(),
        "rss_kib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss,
    }
