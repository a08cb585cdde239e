"""What there is to do at a site, step by step, and by what each step would be another one.

A step that was done counts as long as what it was done with is the same: its tables in the site
file, and the serial number of its device. Otherwise it is stale. A site that has more steps than a
sheet has room for has a last one that stands for the others, and nobody can do it.
"""

import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final, Literal

from msgspec import to_builtins

from edge.config import Site

StepKind = Literal[
    "scan", "device", "lane", "loop", "contact", "pulses", "bay", "signal", "record", "left_out"
]
SCAN: Final = "scan"
RECORD: Final = "record"
LEFT_OUT: Final = "left_out"
STEPS_LIMIT: Final = 512  # of a site; more have no place on a sheet, and are said to be left out


@dataclass(frozen=True, slots=True)
class CommissionStep:
    """`id` is kind and subject (`lane:north_1`, `loop:north_1.lead`); `name` what people call it.

    `configured` is a digest of what the step depends on in the site file. `left_out` are the ids of
    the steps that this one stands for.
    """

    id: str
    kind: StepKind
    subject: str
    name: str
    configured: str
    left_out: tuple[str, ...] = ()


def site_steps(site: Site) -> dict[str, CommissionStep]:
    """All steps by their ids, in the order in which they are done."""
    found = {step.id: step for step in _steps(site)}
    if len(found) <= STEPS_LIMIT:
        return found
    *others, record = found.values()
    kept, left = others[: STEPS_LIMIT - 2], others[STEPS_LIMIT - 2 :]
    digest = _digest({step.id: step.configured for step in left})
    rest = CommissionStep(LEFT_OUT, "left_out", "", "", digest, tuple(step.id for step in left))
    return {step.id: step for step in (*kept, record, rest)}


def _steps(site: Site) -> Iterator[CommissionStep]:
    buses = {name: to_builtins(bus) for name, bus in site.buses.items()}
    devices = {name: (buses[one.bus], to_builtins(one)) for name, one in site.devices.items()}
    polled = {name: one for name, one in site.devices.items() if site.buses[one.bus].kind != "gpio"}
    yield CommissionStep(
        SCAN, "scan", "", "", _digest(buses, {name: devices[name] for name in polled})
    )
    for name in polled:
        corrections = [
            to_builtins(each)
            for each in (*site.calibrations.values(), *site.cells.values())
            if getattr(each, "device", None) == name
        ]
        yield _step(site, "device", name, devices[name], corrections)
    for name, one in site.devices.items():
        if name not in polled:
            kind: StepKind = (
                "pulses" if one.driver == "s0" else "signal" if one.phase else "contact"
            )
            yield _step(site, kind, name, devices[name])
    for name, bay in site.bays.items():
        yield _step(site, "bay", name, buses[bay.bus], to_builtins(bay))
    for name, lane in site.lanes.items():
        yield _step(site, "lane", name, buses[lane.bus], to_builtins(lane))
    for name, lane in site.lanes.items():
        for part, line in (("lead", lane.lead), ("trail", lane.trail)):
            if line:
                yield CommissionStep(
                    f"loop:{name}.{part}", "loop", f"{name}.{part}", site.names.get(name, ""),
                    _digest(line, buses[lane.bus]),
                )  # fmt: skip
    place = (site.place.id, site.place.gateway)
    yield CommissionStep(
        RECORD, "record", "", "", _digest(place, site.uplink.urls, site.uplink.confirm)
    )


def _step(site: Site, kind: StepKind, name: str, *depends: Any) -> CommissionStep:
    return CommissionStep(f"{kind}:{name}", kind, name, site.names.get(name, ""), _digest(*depends))


def configuration_digest(site: Site) -> str:
    """SHA-256 of all that commissioning depends on, as the daemon has read it."""
    return _digest({step.id: step.configured for step in _steps(site)})


def _digest(*parts: Any) -> str:
    """Display names, comments and the order of keys change nothing of what is wired."""
    text = json.dumps(_without_names(parts), sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()


def _without_names(value: Any) -> Any:
    if isinstance(value, dict):
        return {str(k): _without_names(v) for k, v in value.items() if k != "name"}
    if isinstance(value, list | tuple):
        return [_without_names(each) for each in value]
    return value
