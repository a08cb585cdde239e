"""The description of a gateway, retained by the broker: what each number of its records means."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, cast

from msgspec import UNSET, UnsetType, to_builtins

from edge.config import Approach, Lane, Site
from edge.core import Point, Quantity
from edge.gateway.calibrationsetup import calibration_record
from edge.gateway.deviceconditions import DeviceConditions
from edge.gateway.pipeline import Pipeline
from edge.gateway.streetsetup import lane_setup
from edge.gateway.wiring import Wiring
from edge.process.engine import Engine
from edge.wire.contract.bay import BayMeta
from edge.wire.contract.body import known
from edge.wire.contract.meta import (
    ApproachMeta,
    BoxMeta,
    Certificate,
    ClassMeta,
    DeviceMeta,
    DeviceStream,
    LaneMeta,
    PointMeta,
    SignalMeta,
)

NO_TABLE: Final = Approach()


def gateway_meta(
    wiring: Wiring,
    pipeline: Pipeline,
    conditions: Mapping[str, DeviceConditions],
    box: BoxMeta,
) -> Mapping[str, Any]:
    """Retained: what each number means. Points with units and ranges, lanes, bays, models.
    `conditions` have the serial numbers of devices; `box`: what it is made of."""
    site = wiring.site
    devices = {
        d.name: DeviceMeta(
            driver=site.devices[d.name].driver,
            stream=cast("DeviceStream", str(d.stream)),
            every_s=d.every_s,
            points=_points(site, pipeline.engine, d.name),
            reversed=True if site.devices[d.name].reversed else UNSET,
            serial=_serial(conditions.get(d.name)),
        )
        for group in wiring.polled.values()
        for d in group
    }
    street = street_meta(site)
    place = site.place
    found: Mapping[str, Any] = to_builtins(
        {
            "site": place.id,
            **_given(site_name=place.name, latitude=place.latitude, longitude=place.longitude),
            **({"names": names} if (names := source_names(site)) else {}),
            "zone": place.zone,
            "period_s": site.period_ns / 1e9,
            "units": {q.label: q.unit for q in Quantity},
            "devices": devices,
            "lanes": street.lanes,
            "approaches": street.approaches,
            "bays": street.bays,
            "box": box,
            "models": pipeline.judge.models(),
        }
    )
    return found


def source_names(site: Site) -> dict[str, str]:
    """Display names of all sources of records; an approach tells its own."""
    tables = (site.lanes, site.devices, site.bays)
    return {id_: one.name for table in tables for id_, one in table.items() if one.name}


def _given(**values: str | float | None) -> dict[str, str | float]:
    """What is configured of it."""
    return {key: value for key, value in values.items() if value is not None}


@dataclass(frozen=True, slots=True)
class StreetMeta:
    """What the numbers of a street rest on, by name."""

    lanes: dict[str, LaneMeta]
    approaches: dict[str, ApproachMeta]
    bays: dict[str, BayMeta]


def street_meta(site: Site) -> StreetMeta:
    """Lanes, approaches and bays of the description."""
    return StreetMeta(
        {name: _lane(name, lane) for name, lane in site.lanes.items()},
        {name: _approach(site, name) for name in site.approaches},
        {
            name: BayMeta(
                kind=bay.kind, max_stay_min=bay.max_stay_min or None, min_stay_s=bay.min_stay_s
            )
            for name, bay in site.bays.items()
        },
    )


def _lane(name: str, lane: Lane) -> LaneMeta:
    setup = lane_setup(name, lane)
    found = LaneMeta(
        approach=lane.approach,
        position=lane.position,
        mode=lane.mode,
        loops=2 if lane.trail else 1,
        spacing_m=setup.spacing_m,
        loop_m=lane.loop_m,
        tailgate_s=lane.tailgate_s,
        stopped_s=lane.stopped_s,
        effective_m=UNSET if lane.effective_m is None else lane.effective_m,
        limit_kmh=UNSET if lane.limit_kmh is None else lane.limit_kmh,
    )
    if setup.paired and setup.kind == "vehicle":
        *closed, (last, _) = setup.classes
        found.classes = [ClassMeta(name=each, to_m=limit / 100) for each, limit in closed]
        found.classes.append(ClassMeta(name=last, to_m=None))
    return found


def _approach(site: Site, name: str) -> ApproachMeta:
    """What lies after it, and what shows the colour of its signal."""
    way = site.ways.get(name, NO_TABLE)
    phases = {contact: site.devices[contact].phase for contact in site.signals.get(name, ())}
    signal = {phase.colour: contact for contact, phase in phases.items() if phase is not None}
    return ApproachMeta(
        name=known(way.name),
        road=known(way.road),
        bearing_deg=known(way.bearing_deg),
        latitude=known(way.latitude),
        longitude=known(way.longitude),
        downstream=way.downstream,
        distance_m=way.distance_m,
        signal=SignalMeta(
            red=signal.get("red", UNSET),
            amber=signal.get("amber", UNSET),
            green=signal.get("green", UNSET),
        )
        if signal
        else UNSET,
    )


def _points(site: Site, engine: Engine, device: str) -> dict[str, PointMeta]:
    """What is published of a device, each point with the record of its calibration, if any."""
    calibrations = calibration_record(site, device)
    found = {point.key: _point(point) for point in engine.points(device)}
    for key, calibration in calibrations.items():
        if key in found:
            found[key].calibration = cast("Certificate", calibration)
    return found


def _serial(conditions: DeviceConditions | None) -> str | UnsetType:
    return UNSET if conditions is None else conditions.identity or UNSET


def _point(point: Point) -> PointMeta:
    return PointMeta(
        quantity=point.quantity.label,
        unit=point.quantity.unit,
        step=point.step,
        kind=point.kind.value,
        low=point.low if abs(point.low) < float("inf") else UNSET,
        high=point.high if abs(point.high) < float("inf") else UNSET,
    )
