"""What the daemon tells the city about itself, and the sender that tells it."""

from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edge.app.calibrating import record
from edge.app.sealing import signer
from edge.app.told import Told
from edge.config import Site, password
from edge.core import Quantity
from edge.uplink.broker import Broker, broker_of
from edge.uplink.manifests import Sign
from edge.uplink.sender import Hooks, Sender, Terms
from edge.uplink.wire import Topics

if TYPE_CHECKING:
    from edge.app.daemon import Daemon


def brokers_for(site: Site, floor_ns: Callable[[], int | None] | None = None) -> list[Broker]:
    """The site's brokers, in order. Reads the files that are named. Raises ConfigError.

    `floor_ns` says when the wall clock cannot be right: see `Broker`.
    """
    uplink = site.uplink
    return [
        broker_of(
            url,
            site.place.gateway,
            ca=_path(uplink.ca),
            cert=_path(uplink.cert),
            key=_path(uplink.key),
            username=uplink.username,
            password=password(uplink),
            keepalive_s=uplink.keepalive_s,
            window=uplink.window,
            protocol=uplink.protocol,
            floor_ns=floor_ns,
        )
        for url in uplink.urls
    ]


def signer_for(site: Site) -> Sign | None:
    """What signs manifests: the key that the broker knows this box by. Raises ConfigError."""
    return signer(_path(site.uplink.key), _path(site.uplink.cert))


def sender_for(daemon: "Daemon") -> Sender:
    """The link to the site's broker. Touches no network yet."""
    site = daemon.site
    return Sender(
        daemon.brokers,
        Topics(site.uplink.prefix, site.place.id, site.place.gateway),
        site.place.gateway,
        daemon.writer,
        daemon.clock,
        boot=daemon.epoch.boot,
        epoch=daemon.epoch.epoch,
        terms=Terms(
            encoding=site.uplink.encoding,
            receipt_s=site.uplink.receipt_s if site.uplink.confirm == "platform" else None,
        ),
        hooks=Hooks(
            status=daemon.status,
            meta=lambda: meta(daemon),
            alarm=daemon.intake.alarm,
            beat=partial(daemon.beat, "sender"),
            sealed=daemon.sealing.manifests.handed,
            passed=daemon.passed,
        ),
    )


def meta(daemon: "Daemon") -> Mapping[str, Any]:
    """Retained: what each number means. Points with units and ranges, lanes, models."""
    site = daemon.site
    devices = {
        d.name: {
            "driver": site.devices[d.name].driver,
            "stream": str(d.stream),
            "every_s": d.every_s,
            "points": _points(daemon, d.name),
            **_serial(daemon.intake.devices.get(d.name)),
        }
        for group in daemon.wiring.polled.values()
        for d in group
    }
    lanes = {
        name: {
            "approach": lane.approach,
            "position": lane.position,
            "mode": lane.mode,
            "loops": 2 if lane.trail else 1,
            "spacing_m": lane.spacing_m if lane.trail else None,
            "loop_m": lane.loop_m,
        }
        for name, lane in site.lanes.items()
    }
    return {
        "site": site.place.id,
        "zone": site.place.zone,
        "period_s": site.period_ns / 1e9,
        "units": {q.label: q.unit for q in Quantity},
        "devices": devices,
        "lanes": lanes,
        "models": daemon.pipeline.judge.status(),
    }


def _points(daemon: "Daemon", device: str) -> dict[str, dict[str, Any]]:
    """What is published of a device, each point with the record of its calibration, if any."""
    calibrations = record(daemon.site, device)
    return {
        point.key: _point(point)
        | ({"calibration": calibrations[point.key]} if point.key in calibrations else {})
        for point in daemon.pipeline.engine.points(device)
    }


def _serial(told: Told | None) -> dict[str, str]:
    return {"serial": told.identity} if told is not None and told.identity else {}


def _path(text: str | None) -> Path | None:
    return None if text is None else Path(text)


def _point(point: Any) -> dict[str, Any]:
    finite = {k: v for k, v in (("low", point.low), ("high", point.high)) if abs(v) < float("inf")}
    return {
        "quantity": point.quantity.label,
        "unit": point.quantity.unit,
        "step": point.step,
        "kind": point.kind.value,
        **finite,
    }
