"""The engine's state between two windows, as maps and lists that any encoding carries."""

import hashlib
from collections.abc import Mapping, Sequence
from typing import Any, Final, NamedTuple

from edge.process.sources import Sources
from edge.process.traffic.lane import Lane

VERSION: Final = 1
KINDS: Final = ("lanes", "devices", "pulses", "bays", "signals")


class Loaded(NamedTuple):
    """What a snapshot says besides the sources' states."""

    at_ns: int
    slot_ns: int  # begin of the open slot
    gaps: list[tuple[int, int]]
    dropped: tuple[str, ...]  # names that fit nobody


def save(
    at_ns: int, slot_ns: int, gaps: Sequence[tuple[int, int]], sources: Sources
) -> dict[str, Any]:
    """All that the next window needs to know of the ones before."""
    return {
        "version": VERSION,
        "at": at_ns,
        "slot": slot_ns,
        "gaps": [list(gap) for gap in gaps],
        "lanes": {name: [_print(each), each.state()] for name, each in sources.lanes.items()},
        "devices": {name: each.state() for name, each in sources.devices.items()},
        "pulses": {name: each.state() for name, each in sources.pulses.items()},
        "bays": {name: each.state() for name, each in sources.bays.items()},
        "signals": {name: each.state() for name, each in sources.signals.items()},
        "inputs": sources.inputs.state(at_ns),
    }


def load(state: Mapping[str, Any], sources: Sources) -> Loaded:
    """Fill fresh sources from a state.

    Raises ValueError for another version, a damaged state, or one in which nothing fits.
    """
    if not isinstance(state, Mapping) or state.get("version") != VERSION:
        raise ValueError("this state is of another version")
    try:
        at = int(state["at"])
        slot = min(at, int(state.get("slot", at)))
        gaps = [(int(begin), int(end)) for begin, end in state["gaps"]]
        fits = _fill(state, at, sources)
        told = [name for kind in KINDS for name in state.get(kind, ())]
    except (KeyError, TypeError, IndexError, AttributeError, ValueError) as error:
        raise ValueError(f"this state is damaged: {error!r}") from error
    if told and not fits:
        raise ValueError("this state is of another site: nothing in it is known here")
    return Loaded(at, slot, gaps, tuple(name for name in told if name not in fits))


def _fill(state: Mapping[str, Any], at_ns: int, sources: Sources) -> set[str]:
    sources.begin(at_ns)
    fits: set[str] = set()
    for name, lane in sources.lanes.items():
        told = state["lanes"].get(name)
        if told is not None and told[0] == _print(lane):
            lane.load(told[1], at_ns)
            fits.add(name)
    for name, device in sources.devices.items():
        if name in state["devices"]:
            device.load(state["devices"][name])
            fits.add(name)
    sources.inputs.load(state.get("inputs", ()))
    for name, meter in sources.pulses.items():
        if name in state["pulses"]:
            meter.load(state["pulses"][name], at_ns)
            fits.add(name)
    for kind, owners in (("bays", sources.bays), ("signals", sources.signals)):
        told = state.get(kind, {})
        for name, owner in owners.items():
            if name in told:
                owner.load(told[name], at_ns)
                fits.add(name)
    return fits


def _print(lane: Lane) -> str:
    """A lane with another geometry is another lane; with other limits it is not."""
    setup = lane.setup
    said = (setup.kind, setup.mode, setup.spacing_m, setup.loop_m)
    return hashlib.sha256(repr(said).encode()).hexdigest()[:16]
