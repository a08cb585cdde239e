"""All sources of a site, each with its state."""

from edge.process.calibration import Inputs
from edge.process.device import Device
from edge.process.pulses import Pulses
from edge.process.setup import Setup
from edge.process.traffic.lane import Lane


class Sources:
    """Fresh sources for a setup. `lines` tells who owns the contacts of a source."""

    def __init__(self, setup: Setup) -> None:
        self.lanes = {each.name: Lane(each) for each in setup.lanes}
        self.inputs = Inputs(
            (one for each in setup.devices for one in each.inputs),
            {each.name: each.points for each in setup.devices},
            {each.name: each.corrections for each in setup.devices},
        )
        self.devices = {each.name: Device(each, self.inputs) for each in setup.devices}
        self.pulses = {each.name: Pulses(each) for each in setup.pulses}
        self.lined: tuple[Lane | Pulses, ...] = (*self.lanes.values(), *self.pulses.values())
        self.lines: dict[str, Lane | Pulses] = {
            source: owner for owner in self.lined for source in owner.lines
        }

    def begin(self, at_ns: int) -> None:
        """First windows, with nothing known but totals."""
        for owner in self.lined:
            owner.begin(at_ns)
        self.inputs.clear()
        for device in self.devices.values():
            device.begin()
