"""The engine's state between two windows, as maps and lists that any encoding carries."""

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final, NamedTuple

from msgspec import UNSET

from edge.process.enginesetup import EngineSetup
from edge.process.enginesources import EngineSources
from edge.process.plausibility import faults_over
from edge.process.traffic.activitycheck import ACTIVITY_FAULTS
from edge.process.traffic.lanewindow import LaneWindow
from edge.process.traffic.loopselection import PARTS
from edge.wire.contract.body import body_map
from edge.wire.contract.event import Event, Overstay, SensorFault
from edge.wire.contract.points import read_body
from edge.wire.contract.terms import Fault, LoopPart

SNAPSHOT_VERSION: Final = 1
SOURCE_KINDS: Final = ("lanes", "devices", "pulses", "bays", "signals")

FaultsOver = tuple[str, Event]
"""The source and the event: what was up at a source that is not there any more ends."""


class RestoredEngine(NamedTuple):
    """What a snapshot says besides the sources' states."""

    at_ns: int
    slot_ns: int  # begin of the open slot
    gaps: list[tuple[int, int]]
    dropped: tuple[str, ...]  # names that fit nobody
    over: list[FaultsOver]  # still to be reported
    fresh: tuple[str, ...]  # sources of records over time that the snapshot does not know


def snapshot_engine(
    at_ns: int,
    slot_ns: int,
    gaps: Sequence[tuple[int, int]],
    sources: EngineSources,
    over: Sequence[FaultsOver] = (),
) -> dict[str, object]:
    """All that the next window needs to know of the ones before."""
    return {
        "version": SNAPSHOT_VERSION,
        "at": at_ns,
        "slot": slot_ns,
        "gaps": [list(gap) for gap in gaps],
        "over": [[name, body_map(event)] for name, event in over],
        "lanes": {
            name: [_geometry_print(each), each.snapshot()] for name, each in sources.lanes.items()
        },
        "devices": {name: each.snapshot() for name, each in sources.devices.items()},
        "pulses": {name: each.snapshot() for name, each in sources.pulses.items()},
        "bays": {name: each.snapshot() for name, each in sources.bays.items()},
        "signals": {name: each.snapshot() for name, each in sources.signals.items()},
        "plausibility": {
            name: each.plausibility.snapshot()
            for name, each in sources.devices.items()
            if each.plausibility is not None
        },
        "inputs": sources.inputs.snapshot(at_ns),
    }


def restore_engine(state: Mapping[str, Any], sources: EngineSources) -> RestoredEngine:
    """Fill fresh sources from a state.

    Raises ValueError for another version, a damaged state, or one in which nothing fits.
    """
    if not isinstance(state, Mapping) or state.get("version") != SNAPSHOT_VERSION:
        raise ValueError("this state is of another version")
    try:
        at = int(state["at"])
        slot = min(at, int(state["slot"]))
        gaps = [(int(begin), int(end)) for begin, end in state["gaps"]]
        fits = _fill(state, at, sources)
        over = [(str(name), _read_over(body)) for name, body in state["over"]]
        over += _over(state, sources)
        saved_names = [name for kind in SOURCE_KINDS for name in state[kind]]
    except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError) as error:
        raise ValueError(f"this state is damaged: {error!r}") from error
    if saved_names and not fits:
        raise ValueError("this state is of another site: nothing in it is known here")
    here = (sources.lanes, sources.devices, sources.pulses, sources.bays)
    fresh = tuple(name for kind in here for name in kind if name not in fits)
    dropped = tuple(name for name in saved_names if name not in fits)
    return RestoredEngine(at, slot, gaps, dropped, over, fresh)


def _read_over(body: Mapping[str, Any]) -> Event:
    return read_body(Overstay if body.get("event") == "overstay" else SensorFault, body)


def _fill(state: Mapping[str, Any], at_ns: int, sources: EngineSources) -> set[str]:
    sources.begin(at_ns)
    fits: set[str] = set()
    for name, lane in sources.lanes.items():
        lane_state = state["lanes"].get(name)
        if lane_state is not None and lane_state[0] == _geometry_print(lane):
            lane.restore(lane_state[1], at_ns)
            fits.add(name)
    for name, device in sources.devices.items():
        if name in state["devices"]:
            device.restore(state["devices"][name])
            fits.add(name)
        if device.plausibility is not None:
            device.plausibility.restore(state["plausibility"].get(name, {}))
    sources.inputs.restore(state["inputs"])
    for name, meter in sources.pulses.items():
        if name in state["pulses"]:
            meter.restore(state["pulses"][name], at_ns)
            fits.add(name)
    for kind, owners in (("bays", sources.bays), ("signals", sources.signals)):
        lane_state = state[kind]
        for name, owner in owners.items():
            if name in lane_state:
                owner.restore(lane_state[name], at_ns)
                fits.add(name)
    return fits


def faults_up(state: Mapping[str, Any]) -> list[FaultsOver]:
    """The end of each fault that a state of `snapshot_engine` has up."""
    return list(_over(state, EngineSources(EngineSetup())))


def _over(state: Mapping[str, Any], sources: EngineSources) -> Iterator[FaultsOver]:
    """The ends of what a state has up at sources that fit nobody; else it would be up for ever."""
    for name, (geometry, lane) in state["lanes"].items():
        if name in sources.lanes and geometry == _geometry_print(sources.lanes[name]):
            continue
        for part, loop in zip(PARTS, lane["loops"], strict=False):
            if loop[3]:
                yield _fault_over(name, "stuck_on", part)
        trail = lane["trail"]
        for part, rate in zip(PARTS, (lane["rate"], *(trail or ())[:1]), strict=False):
            *_, chatter, silent = rate
            for fault, up in zip(ACTIVITY_FAULTS, (chatter, silent), strict=True):
                if up:
                    yield _fault_over(name, fault, part)
    for name, checks in state["plausibility"].items():
        device = sources.devices.get(name)
        for contradiction in faults_over(checks, device.plausibility if device else None):
            yield _fault_over(name, contradiction, by="plausibility")
    for name, meter in state["pulses"].items():
        if name not in sources.pulses:
            if meter["loop"][3]:
                yield _fault_over(name, "stuck_on")
            if _chatters(meter):
                yield _fault_over(name, "chatter")
    for name, bay in state["bays"].items():
        if name not in sources.bays and _chatters(bay):
            yield _fault_over(name, "chatter")
        # the end of one may have been waiting to be told
        if name not in sources.bays and (bay["stay"][5] or bay["stay"][8]):
            text = f"{name}: the bay is no longer watched, so the event is closed."
            limit = bay["limit"]
            yield name, Overstay(state="off", by="rule overstay", max_stay_min=limit, text=text)
    for approach, signal in state["signals"].items():
        owner = sources.signals.get(approach)
        fits = {each.name: each.colour for each in owner.setup.contacts} if owner else {}
        for name, (colour, _, _, silent, _) in signal["phase"].items():
            if silent and fits.get(name) != colour:
                what = f"the contact for {colour} of {approach}"
                text = f"{name}: {what} is no longer watched, so the fault is closed."
                yield name, SensorFault(state="off", by="rule phase", fault="phase", text=text)


def _chatters(source: Mapping[str, Any]) -> bool:
    return "chatter" in source and bool(source["chatter"][2])


def _fault_over(
    name: str, fault: Fault, part: LoopPart | None = None, by: str | None = None
) -> FaultsOver:
    what = f"{part} loop" if part else "sensor"
    return name, SensorFault(
        state="off",
        by=f"rule {by or fault}",
        fault=fault,
        part=part or UNSET,
        text=f"{name}: the {what} is no longer watched, so the fault is closed.",
    )


def _geometry_print(lane: LaneWindow) -> str:
    """A lane with another geometry is another lane; with other limits it is not."""
    setup = lane.setup
    geometry = (setup.kind, setup.mode, setup.spacing_m, setup.loop_m)
    return hashlib.sha256(repr(geometry).encode()).hexdigest()[:16]
