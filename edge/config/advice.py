"""What works, and may still not be what was meant. `kerbstone check` shows it."""

import os
from collections.abc import Iterator
from pathlib import Path as FilePath
from typing import Final

from edge.config.brokerchecks import broker_warnings
from edge.config.certificateadvice import certificate_warnings
from edge.config.headerlines import header_warnings
from edge.config.placechecks import place_warnings
from edge.config.positionchecks import position_warnings
from edge.config.problem import Problem, show_value
from edge.config.site import Site
from edge.config.storechecks import store_warnings
from edge.config.zonechecks import zone_warnings

LOOPS_LONGER: Final = 2.0  # a detection zone than its loop; fields reach some decimetres out
WALK_KMH: Final = 7.0  # the least that a sign says


def site_warnings(site: Site) -> list[Problem]:
    """All remarks about a site, in the order of the file. Looks for the files it names."""
    found = [
        *zone_warnings(site), *broker_warnings(site), *_uplink(site), *store_warnings(site),
        *_streams(site), *_wires(site), *place_warnings(site), *header_warnings(site),
        *_turned(site), *_lanes(site), *_signals(site), *_names(site), *position_warnings(site),
        *certificate_warnings(site),
    ]  # fmt: skip
    return sorted(found, key=lambda problem: (problem.line, problem.key))


def _uplink(site: Site) -> Iterator[Problem]:
    uplink = site.uplink
    if not site.written("uplink", "confirm"):
        yield site.remark(
            ("uplink", "confirm"),
            'is not set, so "broker" applies: a record is deleted when the broker has taken it, '
            'and a broker that keeps it only in memory can still lose it. Write confirm = "broker" '
            "if that is intended",
        )
    if uplink.confirm == "broker" and site.written("uplink", "receipt_s"):
        yield site.remark(
            ("uplink", "receipt_s"), 'has no effect with confirm = "broker": nobody sends receipts'
        )
    if uplink.protocol == "3.1.1":
        yield site.remark(
            ("uplink", "protocol"),
            "in MQTT 3.1.1 a refused record looks like a success, and a payload does not say "
            'how it is encoded; "5" does both',
        )
    if uplink.encoding == "json":
        yield site.remark(
            ("uplink", "encoding"), 'json takes more bytes than "msgpack"; it is meant for people'
        )
    broker = uplink.endpoint
    if not broker.tls and not broker.local:
        password = ", the password too" if uplink.password_file else ""
        yield site.remark(
            ("uplink", "url"), f"everything is sent unencrypted{password}; mqtts:// encrypts"
        )
    for key in ("ca", "cert", "key", "password_file"):
        name = getattr(uplink, key)
        if name and not os.access(name, os.R_OK):
            yield site.remark(
                ("uplink", key),
                f"{name} is not there, or not readable for you; the gateway will need it",
            )


def _streams(site: Site) -> Iterator[Problem]:
    if site.streams.raw:
        yield site.remark(
            ("streams", "raw"),
            "every single reading is sent; this is for test rigs",
        )
    if site.models.dir and not FilePath(site.models.dir).is_dir():
        yield site.remark(
            ("models", "dir"), f"{site.models.dir} is not there; the published rules would be used"
        )
    if site.models.shadow and not FilePath(site.models.shadow).is_dir():
        yield site.remark(
            ("models", "shadow"), f"{site.models.shadow} is not there; no candidate would run"
        )
    if site.models.shadow and site.models.shadow == site.models.dir:
        yield site.remark(
            ("models", "shadow"), "is the same as dir; a model would be compared with itself"
        )


def _wires(site: Site) -> Iterator[Problem]:
    if not site.devices and not site.lanes and not site.bays:
        yield site.remark((), "nothing is read; add a table [device.NAME] or [lane.NAME]")
    for name in site.buses:
        if not (site.devices_on(name) or site.lanes_on(name) or site.bays_on(name)):
            yield site.remark(("bus", name), "no device is on this bus")


def _turned(site: Site) -> Iterator[Problem]:
    """Two keys for a meter that seems to count backwards: mostly one of them fits."""
    for name, device in site.devices.items():
        if device.reversed and device.options.get("positive") == "export":
            yield site.remark(
                ("device", name, "reversed"),
                'with positive = "export" the sign of power changes twice, and only registers are '
                'exchanged; if only the sign of power is wrong, write positive = "export" alone; '
                "if the wrong register grows, too, write reversed = true alone",
            )


def _lanes(site: Site) -> Iterator[Problem]:
    for name, lane in site.lanes.items():
        if lane.spacing_m is not None and lane.spacing_m <= lane.loop_m:
            touch = "touch" if lane.spacing_m == lane.loop_m else "overlap"
            yield site.remark(
                ("lane", name, "spacing_m"),
                f"the loops would {touch}: {lane.spacing_m:g} m between front edges, and each is "
                f"{lane.loop_m:g} m long",
            )
        if lane.effective_m is not None and lane.effective_m > lane.loop_m * LOOPS_LONGER:
            yield site.remark(
                ("lane", name, "effective_m"),
                f"a detection zone of {lane.effective_m:g} m is far longer than its loop of "
                f"{lane.loop_m:g} m; it is mostly some decimetres longer",
            )
        if lane.limit_kmh is not None and lane.limit_kmh < WALK_KMH and lane.kind == "vehicle":
            yield site.remark(
                ("lane", name, "limit_kmh"),
                f"{lane.limit_kmh:g} km/h is slower than people walk; a limit of "
                f"{lane.limit_kmh:g}0 km/h is {lane.limit_kmh:g}0",
            )
        if lane.classes and (lane.trail is None or lane.mode == "pulse"):
            yield site.remark(
                ("lane", name, "classes"),
                "has no effect: lengths need a pair of loops in presence mode",
            )
        if lane.classes and lane.kind == "bicycle":
            yield site.remark(
                ("lane", name, "classes"), "has no effect: a lane of bicycles counts bicycles"
            )
        if lane.mode == "pulse" and site.written("lane", name, "tailgate_s"):
            yield site.remark(
                ("lane", name, "tailgate_s"),
                "has no effect: a pulse does not show where a vehicle ends",
            )


def _names(site: Site) -> Iterator[Problem]:
    """Two that are told apart by their ids only."""
    for table, ones in (
        ("approach", site.ways),
        ("lane", site.lanes),
        ("device", site.devices),
        ("bay", site.bays),
    ):
        seen: dict[str, str] = {}
        for id_, one in ones.items():
            if one.name and (other := seen.setdefault(one.name, id_)) != id_:
                yield site.remark(
                    (table, id_, "name"), f"{table}.{other} is called {show_value(one.name)}, too"
                )


def _signals(site: Site) -> Iterator[Problem]:
    for approach, contacts in site.signals.items():
        lanes = {name: site.lanes[name] for name in site.approaches.get(approach, ())}
        path = ("device", contacts[0], "phase")
        if all(lane.position == "corridor" for lane in lanes.values()):
            yield site.remark(
                path,
                f"no lane of {approach} has a position near a signal, so the signal is not judged; "
                'write position = "stop", "mid" or "advance" in lane.' + next(iter(lanes), "NAME"),
            )
        elif all(lane.position != "stop" or lane.mode == "pulse" for lane in lanes.values()):
            yield site.remark(
                path,
                f"no lane of {approach} has a loop in presence mode at the stop line: queues and "
                "split failures are not reported",
            )
