"""What the daemon answers on its control socket, and its status for the platform."""

import dataclasses
import resource
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from edge.app.places import of_site
from edge.control.protocol import Verb, VerbError
from edge.core import Point, Sweep

if TYPE_CHECKING:
    from edge.app.daemon import Daemon


def verbs(daemon: "Daemon") -> Mapping[str, Verb]:
    """Verb -> what answers it."""

    async def status(request: Mapping[str, Any]) -> Mapping[str, Any]:
        return {**daemon.status(), "buses": of_site(daemon.site)}  # what `scan` leaves alone

    async def read(request: Mapping[str, Any]) -> Mapping[str, Any]:
        name = str(request.get("device"))
        points = daemon.wiring.points()
        if name not in points:
            raise VerbError(not_there(name, points))
        return {"readings": readings(await daemon.buses.read(name), points[name])}

    async def outbox(request: Mapping[str, Any]) -> Mapping[str, Any]:
        return dataclasses.asdict(await daemon.writer.counts())

    return {"status": status, "read": read, "outbox": outbox}


def readings(sweep: Sweep, points: Sequence[Point]) -> list[dict[str, Any]]:
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


def not_there(name: str, points: Mapping[str, Any]) -> str:
    return (
        f"no device that can be asked is called {name!r}; there are {', '.join(points) or 'none'}"
    )


def status(daemon: "Daemon") -> dict[str, Any]:
    """How the gateway fares, in one map: for `status`, and for people on the box."""
    now = daemon.clock.now()
    return {
        "uptime_s": round((now.mono_ns - daemon.started_ns) / 1e9, 1),
        "boot": daemon.epoch.boot,
        "epoch": daemon.epoch.epoch,
        "tq": now.tq,
        "problems": dict(daemon.intake.problems),
        "box": daemon.observer.status(now.mono_ns),
        "devices": {
            device.name: {
                "reads": device.reads,
                "errors": device.errors,
                "missed": device.missed,
                "state": "ok" if device.reason is None else str(device.reason),
                **({"text": device.text} if device.text else {}),
                **({"serial": device.identity} if device.identity else {}),
                **(
                    {"health": {str(k): v for k, v in device.health.items()}}
                    if device.health
                    else {}
                ),
            }
            for poller in daemon.buses.pollers.values()
            for device in poller.devices.values()
        },
        "dropped": daemon.buses.dropped,
        "unclaimed_edges": daemon.intake.unclaimed,
        "strangers": daemon.pipeline.engine.strangers,
        "stage_overflow": daemon.stage.overflow,
        "models": daemon.pipeline.judge.status(),
        "rss_kib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss,
    }
