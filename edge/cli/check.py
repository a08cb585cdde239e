"""`kerbstone check FILE`: list all errors of a site file, and what the gateway will read."""

import argparse
import os
from collections.abc import Iterator, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any, Final

import drivers
from edge.acquire.clock import SystemClock
from edge.config import (
    Approach,
    Bus,
    Device,
    GpioBus,
    I2cBus,
    Lane,
    ModbusRtuBus,
    ModbusTcpBus,
    Problem,
    Problems,
    SerialBus,
    Site,
    load_site,
    outdated_keys,
    serial_warnings,
    show_option,
    site_warnings,
)
from edge.core import ConfigError, Polled
from edge.core.displayname import with_name
from edge.gateway.calibrationsetup import expiring_certificates
from edge.gateway.linebudget import line_warnings
from edge.gateway.uplinksetup import make_brokers
from edge.gateway.wiring import Wiring
from edge.terminal import echo, echo_json

WINDS: Final = (
    "the north", "the north-east", "the east", "the south-east", "the south", "the south-west",
    "the west", "the north-west",
)  # fmt: skip


def register(verbs: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    parser = verbs.add_parser("check", help="list all errors of a site file", description=__doc__)
    parser.add_argument("file", type=Path, metavar="FILE", help="such as deploy/site.example.toml")
    parser.add_argument("--json", action="store_true", help="one JSON object")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    try:
        catalogue = drivers.catalogue()
        site = load_site(args.file, catalogue)
    except Problems as error:
        return _report_refused(args, error.problems)
    built, _ = _built(site)
    points = {
        name: [point.key for point in one.points] if isinstance(one, Polled) else []
        for name, one in built.items()
    }
    if wrong := site_errors(site):
        return _report_refused(args, wrong)
    remarks = sorted(
        [
            *site_warnings(site),
            *serial_warnings(site, catalogue),
            *line_warnings(site, built),
            *expiring_certificates(site, SystemClock().now()),
        ],
        key=lambda p: (p.line, p.key),
    )
    if args.json:
        echo_json(_report(str(args.file), [], remarks, _facts(site, points)), indent=2)
        return 0
    echo(*(f"warning: {remark}" for remark in remarks), err=True)
    echo(*_summary(site, points))
    echo(f"{args.file} is in order" + (f"; {_count(remarks, 'warning')}" if remarks else ""))
    return 0


def site_errors(site: Site) -> list[Problem]:
    """What keeps the daemon from using a site file that could be read."""
    wrong = [*_built(site)[1], *_uplink(site), *outdated_keys(site)]
    return wrong or _join_problems(site)


def _report_refused(args: argparse.Namespace, problems: Sequence[Problem]) -> int:
    if args.json:
        echo_json(_report(str(args.file), problems, [], None), indent=2)
        return 2
    echo(*Problems(problems).lines, err=True)
    echo(f"{args.file} cannot be used: {_count(problems, 'error')}", err=True)
    return 2


def _built(site: Site) -> tuple[dict[str, object], list[Problem]]:
    """All devices. Building one touches no wire; a driver may still refuse."""
    devices: dict[str, object] = {}
    wrong: list[Problem] = []
    for name, device in site.devices.items():
        try:
            devices[name] = drivers.build(
                device.driver, None, device.options, device.points or (), backwards=device.reversed
            )
        except ConfigError as error:
            key, problem, text = str(error).partition(": ")
            keyed = (
                problem and key.isidentifier()
            )  # what the driver says of one key stands at its line
            path = ("device", name, *([key] if keyed else []))
            wrong.append(site.remark(path, text if keyed else str(error)))
    return devices, wrong


def _uplink(site: Site) -> list[Problem]:
    """Files of the uplink that are here must be of use; one that is not here is a warning."""
    uplink = site.uplink
    named = (uplink.ca, uplink.cert, uplink.key, uplink.password_file)
    if not all(os.access(name, os.R_OK) for name in named if name):
        return []
    try:
        make_brokers(site)
    except ConfigError as error:
        key, _, text = str(error).removeprefix("uplink.").partition(": ")
        return [site.remark(("uplink", key), text or key)]
    return []


def _join_problems(site: Site) -> list[Problem]:
    """What the daemon would find when it joins its parts: they are, and no wire is touched."""
    try:
        with closing(Wiring.of(site)) as wiring:
            wiring.pipeline()
    except Problems as error:
        return list(error.problems)
    except ConfigError as error:
        return [site.remark((), str(error))]
    return []


def _report(
    file: str,
    problems: Sequence[Problem],
    remarks: list[Problem],
    reads: dict[str, object] | None,
) -> dict[str, object]:
    def rows(found: Sequence[Problem]) -> list[dict[str, object]]:
        return [{"line": p.line, "key": p.key, "text": p.text} for p in found]

    return {
        "file": file,
        "ok": not problems,
        "errors": rows(problems),
        "warnings": rows(remarks),
        "reads": reads,
    }


def _facts(site: Site, points: dict[str, list[str]]) -> dict[str, object]:
    """What the summary says, for programs."""
    return {
        "site": site.place.id,
        "gateway": site.place.gateway,
        "site_name": site.place.name,
        "names": site.names,
        "positions": {name: list(at) for name, at in site.positions.items()},
        "period_s": site.place.period_s,
        "broker": site.uplink.url,
        "buses": {name: {"kind": bus.kind, "at": _at(bus)} for name, bus in site.buses.items()},
        "devices": {
            name: {"driver": device.driver, "bus": device.bus, "points": points[name]}
            for name, device in site.devices.items()
        },
        "lanes": {
            name: {"approach": lane.approach, "bus": lane.bus, "lines": _lines(lane)}
            for name, lane in site.lanes.items()
        },
        "bays": {
            name: {"kind": bay.kind, "bus": bay.bus, "lines": [bay.line]}
            for name, bay in site.bays.items()
        },
        "signals": {
            approach: {_colour(site.devices[name]): name for name in contacts}
            for approach, contacts in site.signals.items()
        },
    }


def _summary(site: Site, points: dict[str, list[str]]) -> Iterator[str]:
    uplink = site.uplink
    place, names = site.place, site.names
    shown = with_name(place.id, {place.id: place.name})
    yield f"site    {shown}, gateway {place.gateway}, zone {place.zone}"
    if at := site.positions.get(""):
        yield f"place   latitude {at.latitude:g}, longitude {at.longitude:g}"
    for approach, way in site.ways.items():
        if parts := [*_way(way)]:
            yield f"approach {with_name(approach, names)}: {', '.join(parts)}"
    yield f"uplink  {uplink.url}, MQTT {uplink.protocol}, {uplink.encoding}; a record every " + (
        f"{site.place.period_s} s, deleted when the {uplink.confirm} has confirmed it"
    )
    yield f"store   {site.store.dir}, at most {site.store.limit_mb} MB"
    for name, bus in site.buses.items():
        yield f"bus     {name}: {bus.kind} {_at(bus)}"
        for device_name, device in site.devices_on(name).items():
            options = "".join(f", {show_option(*each)}" for each in device.options.items())
            text = _device_text(device, points[device_name])
            yield f"          {with_name(device_name, names)}: {device.driver}{options}, {text}"
        for lane_name, lane in site.lanes_on(name).items():
            lane_text = f"lane, approach {lane.approach}, {_loops(lane)}"
            yield f"          {with_name(lane_name, names)}: {lane_text}"
        for bay_name, bay in site.bays_on(name).items():
            limit = f", at most {bay.max_stay_min:g} min" if bay.max_stay_min else ""
            bay_text = f"bay for {bay.kind}, {bay.line}{limit}"
            yield f"          {with_name(bay_name, names)}: {bay_text}"
    used = [name for name in ("congestion", "anomaly") if getattr(site.models, name)]
    yield f"models  {', '.join(used) or 'none'}"
    count = sum(map(len, points.values()))
    yield (
        f"reads   {_count(site.buses, 'bus', 'buses')}, {_count(site.devices, 'device')} with "
        f"{_count(range(count), 'point')}, {_count(site.lanes, 'lane')}"
        + (f", {_count(site.bays, 'bay')}" if site.bays else "")
    )


def _way(way: Approach) -> Iterator[str]:
    """Where an approach lies, and where its traffic goes."""
    if way.road:
        yield way.road
    if way.bearing_deg is not None:
        yield f"traffic to {WINDS[round(way.bearing_deg / 45) % 8]} ({way.bearing_deg:g} degrees)"
    if way.downstream is not None:
        yield f"{way.distance_m:g} m to {way.downstream}"


def _device_text(device: Device, points: list[str]) -> str:
    """What comes of a device."""
    if points:
        return f"every {device.every_s:g} s, {_count(points, 'point')}"
    if device.phase is not None:
        return f"{_colour(device)} of the signal of {device.phase.approach}"
    return "events" if device.driver == "contact" else "pulses"


def _colour(device: Device) -> str:
    return device.phase.colour if device.phase is not None else ""


def _at(bus: Bus) -> str:
    match bus:
        case GpioBus(chip=place) | I2cBus(path=place):
            return place
        case ModbusTcpBus():
            return f"{bus.host}:{bus.port}"
        case SerialBus():
            return f"{bus.port} {bus.line()}"
        case ModbusRtuBus():
            return f"{bus.port} {bus.baud} 8{bus.parity}{bus.stop}"


def _loops(lane: Lane) -> str:
    lines = " and ".join(_lines(lane))
    apart = f", {lane.spacing_m:g} m apart" if lane.spacing_m is not None else ""
    return f"{lines}{apart}, {lane.mode}"


def _lines(lane: Lane) -> list[str]:
    return [lane.lead, lane.trail] if lane.trail else [lane.lead]


def _count(items: Any, one: str, many: str = "") -> str:
    return f"{len(items)} {one if len(items) == 1 else many or one + 's'}"
