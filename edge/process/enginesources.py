"""All sources of a site, each with its state."""

from collections.abc import Collection, Iterator, Mapping, Sequence

from edge.core.looptick import LoopTick
from edge.core.reading import Reading, Sweep
from edge.process.approachsignal import ApproachSignal, SignalSetup
from edge.process.baywindow import BayWindow
from edge.process.calibration import CalibrationInputs
from edge.process.debounce import Debouncer
from edge.process.devicewindow import DeviceWindow
from edge.process.enginesetup import EngineSetup
from edge.process.pulsewindow import PulseWindow
from edge.process.signalmeasures import SignalLane
from edge.process.traffic.lanewindow import LaneWindow
from edge.wire.contract.signal import Signal

ContactOwner = LaneWindow | PulseWindow | BayWindow | ApproachSignal


class EngineSources:
    """Fresh sources for a setup. `lines` has who owns a source of contacts, `debouncers` who takes
    them."""

    def __init__(self, setup: EngineSetup) -> None:
        self.lanes = {each.name: LaneWindow(each) for each in setup.lanes}
        self.inputs = CalibrationInputs(
            (one for each in setup.devices for one in each.inputs),
            {each.name: each.points for each in setup.devices},
            {each.name: each.corrections for each in setup.devices},
        )
        self.devices = {each.name: DeviceWindow(each, self.inputs) for each in setup.devices}
        self.pulses = {each.name: PulseWindow(each) for each in setup.pulses}
        self.bays = {each.name: BayWindow(each) for each in setup.bays}
        self.signals = {
            each.approach: ApproachSignal(each, self._sites(each)) for each in setup.signals
        }
        self.lined: tuple[ContactOwner, ...] = (
            *self.lanes.values(),
            *self.pulses.values(),
            *self.bays.values(),
            *self.signals.values(),
        )
        self.lines: dict[str, ContactOwner] = {
            source: owner for owner in self.lined for source in owner.lines
        }
        self.debouncers: dict[str, Debouncer] = {
            source: line for owner in self.lined for source, line in owner.lines.items()
        }

    def published(self, measured: Sweep) -> Iterator[Reading]:
        """A sweep of a device for people, as the city gets it."""
        device = self.devices[measured.source]
        return device.published(measured).readings(device.points)

    def take_devices(self, other: "EngineSources") -> None:
        """Its polled devices, and what they are corrected with, in place of ours."""
        self.inputs, self.devices = other.inputs, other.devices

    def expired(self, points: Mapping[str, Collection[str]]) -> None:
        """Device -> keys of its points whose calibration is out of date, from here on."""
        self.inputs.expired = points
        for name, device in self.devices.items():
            device.expired = points.get(name, ())

    def begin(self, at_ns: int) -> None:
        """First windows, with nothing known but totals."""
        for owner in self.lined:
            owner.begin(at_ns)
        self.inputs.clear()
        for device in self.devices.values():
            device.begin()

    def ticks(self) -> tuple[LoopTick, ...]:
        """Of the slots that ended with the last close: by time, then by lane, lead before trail."""
        loops = [ticks for lane in self.lanes.values() for ticks in lane.ticks]
        return tuple(tick for slot in zip(*loops, strict=True) for tick in slot)

    def green(self, start_ns: int, end_ns: int) -> dict[str, Sequence[tuple[int, int]] | None]:
        """Lane -> when its signal was green, of a window that the signals have run."""
        return {
            lane: signal.green(start_ns, end_ns)
            for signal in self.signals.values()
            for lane, _ in signal.setup.lanes
        }

    def figures(self, start_ns: int, end_ns: int) -> dict[str, Signal]:
        """Lane -> what its traffic did with green, after the lanes have closed that window."""
        changes = {name: lane.changes for name, lane in self.lanes.items()} if self.signals else {}
        measures: dict[str, Signal] = {}
        for signal in self.signals.values():
            measures |= signal.figures(start_ns, end_ns, changes)
        return measures

    def _sites(self, setup: SignalSetup) -> list[SignalLane]:
        lanes = [(self.lanes[name].setup, position) for name, position in setup.lanes]
        return [
            SignalLane(lane.name, position, lane.mode == "presence", round(lane.merge_ms * 1e6))
            for lane, position in lanes
            if position != "corridor"  # no signal is near
        ]
