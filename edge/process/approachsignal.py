"""The signal of an approach: its contacts, and what the traffic of its lanes did with green."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from edge.core.record import Draft
from edge.process.debounce import LineChange, LineEvent
from edge.process.phase import PhaseSetup, PhaseTracker
from edge.process.signalmeasures import SignalLane, SignalMeasures, lane_measures
from edge.wire.contract.signal import Signal


@dataclass(frozen=True, slots=True)
class SignalSetup:
    """The contacts of one approach's signal, and where its lanes have their loops.

    `lanes` are (name, position); figures are made for advance, mid and stop.
    """

    approach: str
    contacts: tuple[PhaseSetup, ...]
    lanes: tuple[tuple[str, str], ...] = ()

    def __post_init__(self) -> None:
        PhaseTracker(self.approach, self.contacts)  # raises ValueError


class ApproachSignal:
    """The state of one signal. `lines` are its contacts' sources."""

    def __init__(self, setup: SignalSetup, sites: Iterable[SignalLane]) -> None:
        self.setup = setup
        self._phase = PhaseTracker(setup.approach, setup.contacts)
        self._cycles = {site.lane: SignalMeasures(site) for site in sites}
        self.lines = self._phase.lines

    def begin(self, at_ns: int) -> None:
        """A first window, with nothing known."""
        self._phase.begin(at_ns)
        for cycles in self._cycles.values():
            cycles.begin()

    def mark_unobserved(self, at_ns: int, source: str | None = None) -> None:
        """From this moment on nobody watched this line, or any."""
        self._phase.mark_unobserved(at_ns, source)

    def run(self, start_ns: int, end_ns: int) -> list[Draft]:
        """Play a window, before its lanes are closed; gives the faults that began or ended."""
        return self._phase.run(start_ns, end_ns)

    def green(self, start_ns: int, end_ns: int) -> Sequence[tuple[int, int]] | None:
        """The spans of green in a part of the window that was run; None: nobody knows."""
        return self._phase.green(start_ns, end_ns)

    def figures(
        self, start_ns: int, end_ns: int, changes: Mapping[str, Sequence[LineEvent]]
    ) -> dict[str, Signal]:
        """Lane -> `signal` of its record, from what its lead loop told in the window that was run.

        A lane without figures is left out. To be called once for each window.
        """
        rises = (each.what is LineChange.RISE for name in self._cycles for each in changes[name])
        self._phase.passed(sum(rises))
        played = {
            name: cycles.play(start_ns, end_ns, changes[name], self._phase.shown)
            for name, cycles in self._cycles.items()
        }
        return lane_measures([cycles.site for cycles in self._cycles.values()], played)

    def snapshot(self) -> dict[str, object]:
        """For a snapshot, between windows."""
        return {
            "phase": self._phase.snapshot(),
            "never_changed": self._phase.snapshot_never_changed(),
            "cycles": {name: cycles.snapshot() for name, cycles in self._cycles.items()},
        }

    def restore(self, state: Mapping[str, Any], start_ns: int) -> None:
        """Back from `snapshot`, at the start of a window."""
        self._phase.restore(state["phase"], start_ns, state["never_changed"])
        for name, cycles in self._cycles.items():
            if name in state["cycles"]:
                cycles.restore(state["cycles"][name])
