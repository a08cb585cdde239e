"""The description of a gateway, retained by the broker: what each number of its records means."""

from collections.abc import Mapping
from typing import Any

from edge.config import Lane, Site
from edge.core import Point, Quantity
from edge.gateway.calibrationsetup import calibration_record
from edge.gateway.deviceconditions import DeviceConditions
from edge.gateway.pipeline import Pipeline
from edge.gateway.wiring import Wiring, lane_setup
from edge.process.engine import Engine


def gateway_meta(
    wiring: Wiring, pipeline: Pipeline, conditions: Mapping[str, DeviceConditions]
) -> Mapping[str, Any]:
    """Retained: what each number means. Points with units and ranges, lanes, bays, models.
    `conditions` have the serial numbers of devices."""
    site = wiring.site
    devices = {
        d.name: {
            "driver": site.devices[d.name].driver,
            "stream": str(d.stream),
            "every_s": d.every_s,
            "points": _points(site, pipeline.engine, d.name),
            **({"reversed": True} if site.devices[d.name].reversed else {}),
            **_serial(conditions.get(d.name)),
        }
        for group in wiring.polled.values()
        for d in group
    }
    return {
        "site": site.place.id,
        "zone": site.place.zone,
        "period_s": site.period_ns / 1e9,
        "units": {q.label: q.unit for q in Quantity},
        "devices": devices,
        **street_meta(site),
        "models": pipeline.judge.status(),
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
    setup = lane_setup(name, lane)
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


def _points(site: Site, engine: Engine, device: str) -> dict[str, dict[str, Any]]:
    """What is published of a device, each point with the record of its calibration, if any."""
    calibrations = calibration_record(site, device)
    return {
        point.key: _point(point)
        | ({"calibration": calibrations[point.key]} if point.key in calibrations else {})
        for point in engine.points(device)
    }


def _serial(conditions: DeviceConditions | None) -> dict[str, str]:
    return {"serial": conditions.identity} if conditions is not None and conditions.identity else {}


def _point(point: Point) -> dict[str, Any]:
    finite = {k: v for k, v in (("low", point.low), ("high", point.high)) if abs(v) < float("inf")}
    return {
        "quantity": point.quantity.label,
        "unit": point.quantity.unit,
        "step": point.step,
        "kind": point.kind.value,
        **finite,
    }
