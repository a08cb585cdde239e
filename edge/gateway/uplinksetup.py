"""What the daemon publishes about itself, the sender that publishes it, with what it makes itself
known, and whom it believes: its own files, or its identity.

For the renewal a line in the run folder says whether the broker takes our certificate: `connected
SHA256` or `refused SHA256`, of the certificate in DER, in hex; `uses SHA256` before either is
known. `kerbstone-enrol renew` removes the identity before this one once it reads the first, and
goes back to it with the second. It is root without any capability, so the group kerbstone may read.
"""

import hashlib
import logging
import os
import ssl
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from edge.config import Lane, Site, uplink_password
from edge.core import Quantity
from edge.core.boxfiles import find_identity_files
from edge.durable.atomicwrite import replace_file
from edge.gateway import wiring
from edge.gateway.calibrationsetup import calibration_record
from edge.gateway.deviceconditions import DeviceConditions
from edge.gateway.manifestschedule import first_certificate, make_signer
from edge.uplink.broker import Broker, make_broker
from edge.uplink.manifests import Sign
from edge.uplink.sender import Sender, SenderHooks, SenderOptions
from edge.wire import Topics

LOG = logging.getLogger("kerbstone")
MARKER_NAME: Final = "identity"


def make_certificate_marker(cert: Path | None, run_dir: Path) -> Callable[[bool], None]:
    """What to call when the broker has let us in (True), or refuses the certificate (False)."""
    if cert is None:
        return lambda known: None
    try:
        der = ssl.PEM_cert_to_DER_cert(first_certificate(cert.read_text(encoding="ascii")))
    except (OSError, ValueError) as error:  # the broker's own part has said so already
        LOG.debug("%s: %s", cert, error)
        return lambda known: None
    name, path, last_word = hashlib.sha256(der).hexdigest(), run_dir / MARKER_NAME, ""

    def write_word(word: str) -> None:
        nonlocal last_word
        if word == last_word:
            return
        line = f"{word} {name}\n".encode("ascii")
        try:
            replace_file(path, line, 0o640, exact_mode=True, sync=False)
            last_word = word
        except OSError as error:
            LOG.warning("%s: %s; a renewed certificate will not replace the former", path, error)

    write_word("uses")
    return lambda known: write_word("connected" if known else "refused")


@dataclass(frozen=True, slots=True)
class TlsFiles:
    """Files in PEM; None where there is none. Without `ca` the system's authorities count."""

    ca: Path | None = None
    cert: Path | None = None
    key: Path | None = None
    enrolled: bool = False  # it is what enrolment has brought


def find_tls_files(site: Site, environ: Mapping[str, str] = os.environ) -> TlsFiles:
    """What the site's file names; where it names nothing, what enrolment has brought."""
    uplink = site.uplink
    named = uplink.ca, uplink.cert, uplink.key
    if any(named) or uplink.username or not uplink.url.startswith("mqtts:"):
        ca, cert, key = (None if name is None else Path(name) for name in named)
        return TlsFiles(ca, cert, key)
    found = find_identity_files(environ)
    return TlsFiles() if found is None else TlsFiles(found.ca, found.cert, found.key, enrolled=True)


if TYPE_CHECKING:
    from edge.gateway.daemon import Daemon


def make_brokers(site: Site, floor_ns: Callable[[], int | None] | None = None) -> list[Broker]:
    """The site's brokers, in order. Reads the files that are named. Raises ConfigError.

    `floor_ns` says when the wall clock cannot be right: see `Broker`.
    """
    uplink, known = site.uplink, find_tls_files(site)
    return [
        make_broker(
            url,
            site.place.gateway,
            ca=known.ca,
            cert=known.cert,
            key=known.key,
            username=uplink.username,
            password=uplink_password(uplink),
            keepalive_s=uplink.keepalive_s,
            window=uplink.window,
            protocol=uplink.protocol,
            proxy=uplink.proxy,
            floor_ns=floor_ns,
        )
        for url in uplink.urls
    ]


def find_signer(site: Site) -> Sign | None:
    """What signs manifests: the key that the broker knows this box by. Raises ConfigError."""
    known = find_tls_files(site)
    return make_signer(known.key, known.cert)


def make_sender(daemon: "Daemon") -> Sender:
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
        options=SenderOptions(
            encoding=site.uplink.encoding,
            receipt_s=site.uplink.receipt_s if site.uplink.confirm == "platform" else None,
        ),
        hooks=SenderHooks(
            status=daemon.status,
            meta=lambda: gateway_meta(daemon),
            alarm=daemon.ingest.alarm,
            watchdog=partial(daemon.beat, "sender"),
            sealed=daemon.manifest_schedule.manifests.handed,
            time_passed=daemon.passed,
            certificate_accepted=_voucher(site),
        ),
    )


def _voucher(site: Site) -> Callable[[bool], None]:
    """A certificate that a technician has put here is not renewed by enrolment."""
    known = find_tls_files(site)
    return make_certificate_marker(known.cert if known.enrolled else None, Path(site.store.run_dir))


def gateway_meta(daemon: "Daemon") -> Mapping[str, Any]:
    """Retained: what each number means. Points with units and ranges, lanes, bays, models."""
    site = daemon.site
    devices = {
        d.name: {
            "driver": site.devices[d.name].driver,
            "stream": str(d.stream),
            "every_s": d.every_s,
            "points": _points(daemon, d.name),
            **({"reversed": True} if site.devices[d.name].reversed else {}),
            **_serial(daemon.ingest.devices.get(d.name)),
        }
        for group in daemon.wiring.polled.values()
        for d in group
    }
    return {
        "site": site.place.id,
        "zone": site.place.zone,
        "period_s": site.period_ns / 1e9,
        "units": {q.label: q.unit for q in Quantity},
        "devices": devices,
        **street_meta(site),
        "models": daemon.pipeline.judge.status(),
    }


def street_meta(site: Site) -> dict[str, dict[str, Any]]:
    """Lanes, approaches and bays of the description: what their numbers rest on."""
    return {
        "lanes": {name: _lane(name, lane) for name, lane in site.lanes.items()},
        "approaches": {name: _approach(site, name) for name in site.approaches},
        "bays": {
            name: {
                "kind": bay.kind,
                "max_stay_min": bay.max_stay_min or None,
                "min_stay_s": bay.min_stay_s,
            }
            for name, bay in site.bays.items()
        },
    }


def _lane(name: str, lane: Lane) -> dict[str, Any]:
    setup = wiring.lane_setup(name, lane)
    optional: dict[str, Any] = {"effective_m": lane.effective_m, "limit_kmh": lane.limit_kmh}
    if setup.paired and setup.kind == "vehicle":
        *closed, (last, _) = setup.classes
        limits = [(each, limit / 100) for each, limit in closed]
        optional["classes"] = [
            {"name": each, "to_m": to_m} for each, to_m in [*limits, (last, None)]
        ]
    return {
        "approach": lane.approach,
        "position": lane.position,
        "mode": lane.mode,
        "loops": 2 if lane.trail else 1,
        "spacing_m": setup.spacing_m,
        "loop_m": lane.loop_m,
        "tailgate_s": lane.tailgate_s,
        "stopped_s": lane.stopped_s,
        **{key: value for key, value in optional.items() if value is not None},
    }


def _approach(site: Site, name: str) -> dict[str, Any]:
    """What lies after it, and what shows the colour of its signal."""
    way = site.ways.get(name)
    phases = {contact: site.devices[contact].phase for contact in site.signals.get(name, ())}
    signal = {phase.colour: contact for contact, phase in phases.items() if phase is not None}
    return {
        "downstream": way.downstream if way else None,
        "distance_m": way.distance_m if way else None,
        **({"signal": signal} if signal else {}),
    }


def _points(daemon: "Daemon", device: str) -> dict[str, dict[str, Any]]:
    """What is published of a device, each point with the record of its calibration, if any."""
    calibrations = calibration_record(daemon.site, device)
    return {
        point.key: _point(point)
        | ({"calibration": calibrations[point.key]} if point.key in calibrations else {})
        for point in daemon.pipeline.engine.points(device)
    }


def _serial(conditions: DeviceConditions | None) -> dict[str, str]:
    return {"serial": conditions.identity} if conditions is not None and conditions.identity else {}


def _point(point: Any) -> dict[str, Any]:
    finite = {k: v for k, v in (("low", point.low), ("high", point.high)) if abs(v) < float("inf")}
    return {
        "quantity": point.quantity.label,
        "unit": point.quantity.unit,
        "step": point.step,
        "kind": point.kind.value,
        **finite,
    }
