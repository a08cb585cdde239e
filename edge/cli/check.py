"""`kerbstone check FILE`: list all errors of a site file, and what the gateway will read."""

import argparse
from collections.abc import Iterator, Sequence
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
    show_option,
)
from edge.core import Polled
from edge.core.displayname import with_name
from edge.gateway.sitecheck import built_devices, site_errors, site_remarks
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
    built, _ = built_devices(site)
    points = {
        name: [point.key for point in one.points] if isinstance(one, Polled) else []
        for name, one in built.items()
    }
    if wrong := site_errors(site):
        return _report_refused(args, wrong)
    remarks = site_remarks(site, SystemClock().now(), built)
    if args.json:
        echo_json(_report(str(args.file), [], remarks, _facts(site, points)), indent=2)
        return 0
    echo(*(f"warning: {remark}" for remark in remarks), err=True)
    echo(*_summary(site, points))
    echo(f"{args.file} is in order" + (f"; {_count(remarks, 'warning')}" if remarks else ""))
    return 0


def _report_refused(args: argparse.Namespace, problems: Sequence[Problem]) -> int:
    if args.json:
        echo_json(_report(str(args.file), problems, [], None), indent=2)
        return 2
    echo(*Problems(problems).lines, err=True)
    echo(f"{args.file} cannot be used: {_count(problems, 'error')}", err=True)
    return 2


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
