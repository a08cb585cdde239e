"""What the inputs of a site mean: contacts and sweeps that were kept under another configuration
belong to a source only if it is the same one still."""

from collections.abc import Mapping
from typing import Final

from edge.process.enginesetup import EngineSetup, LaneSetup

DEVICE: Final = "device"  # what follows it are the keys of its points, in the order of its sweeps

InputMeanings = Mapping[str, tuple[str, ...]]
"""By the source of a contact or of a sweep: two that are equal mean the same."""


def input_meanings(setup: EngineSetup) -> dict[str, tuple[str, ...]]:
    """Of everything that is turned into records. Limits and thresholds are no part of a meaning."""
    found: dict[str, tuple[str, ...]] = {}
    for lane in setup.lanes:
        geometry = _geometry(lane)
        found[lane.lead] = ("lead", *geometry)
        if lane.doubled:
            found[lane.trail] = ("trail", *geometry)
    for device in setup.devices:
        found[device.name] = (DEVICE, *(point.key for point in device.points))
    for meter in setup.pulses:
        found[meter.name] = ("pulses", repr(meter.imp_per_kwh))
    for bay in setup.bays:
        found[bay.name] = ("bay",)
    for contact in setup.contacts:
        found[contact.name] = ("contact", contact.kind)
    for signal in setup.signals:
        for phase in signal.contacts:
            found[phase.name] = ("phase", phase.approach, phase.colour)
    return found


def point_keys(meanings: InputMeanings) -> dict[str, tuple[str, ...]]:
    """The keys of the points of each polled device."""
    return {source: means[1:] for source, means in meanings.items() if means[0] == DEVICE}


def record_source(source: str) -> str:
    """Under which name the records of an input go: `north_1` for the contacts of its loops."""
    return source.partition(".")[0]


def _geometry(lane: LaneSetup) -> tuple[str, ...]:
    return lane.kind, lane.mode, repr(lane.spacing_m), repr(lane.loop_m)
