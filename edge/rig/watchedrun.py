"""A run while it lasts: faults begin and heal, the box is looked at, and all of it is written down.

Who lets time pass is another matter: `edge.rig.runner` follows a scenario, `edge.rig.steppedrun` a
test.
"""

from msgspec.structs import replace

from edge.rig.faultcatalogue import FAULT_KINDS
from edge.rig.layer import NO_BOUND_S, Layer, RealTime
from edge.rig.observed import ObservedBox
from edge.rig.runlog import FaultSpan, Heard, RunLog, Seen, Stall
from edge.rig.scenario import Fault


class WatchedRun:
    """`log` is filled as it goes. The layer is open."""

    def __init__(self, layer: Layer, log: RunLog) -> None:
        self.layer, self.log = layer, log
        self.observed = ObservedBox()
        self._spans: dict[str, tuple[Fault, FaultSpan]] = {}

    def begin(self, fault: Fault) -> FaultSpan:
        """From now on. Raises LayerError for one that this layer cannot do."""
        began_s = self.layer.now_s()
        self.layer.begin_fault(fault)
        span = FaultSpan(name=fault.name, began_s=began_s)
        self._spans[fault.name] = fault, span
        self.log.faults.append(span)
        if is_over_at_once(fault):
            span.ended_s = began_s
        return span

    def heal(self, fault: Fault) -> FaultSpan:
        """One that has begun."""
        _, span = self._spans[fault.name]
        self._read_evidence(fault, span)
        self.layer.end_fault(fault)
        span.ended_s = self.layer.now_s()
        return span

    def look(self) -> Seen:
        """At what has come, at what the box says of itself, and at faults that are in force."""
        heard = self.layer.new_heard()
        self.log.heard += heard
        self.observed.hear(heard)
        seen = self.layer.look()
        self.log.seen.append(seen)
        self.observed.look(seen)
        self._read_all_evidence()
        return seen

    def take_rest(self) -> None:
        """What there is at its end. Raises LayerError."""
        log, layer = self.log, self.layer
        log.lasted_s = layer.now_s()
        log.heard += layer.new_heard()
        log.driven = layer.driven()
        log.stalls = self._stalls()
        self._read_all_evidence()
        self._set_times(log)

    def so_far(self) -> RunLog:
        """As if it ended now; what it has become is not changed. Raises LayerError."""
        log, layer = self.log, self.layer
        found = replace(log, lasted_s=layer.now_s(), driven=layer.driven(), stalls=self._stalls())
        self._set_times(found)
        return found

    def _set_times(self, log: RunLog) -> None:
        """By the rig's clock. Of the list that `log` holds nothing changes."""
        offset_s, log.clock_bound_s = self.layer.box_clock()
        if offset_s or log.clock_bound_s:
            log.heard = [_moved(one, offset_s, log.clock_bound_s) for one in log.heard]

    def _stalls(self) -> list[Stall]:
        return [*self.layer.stalls()] if isinstance(self.layer, RealTime) else []

    def _read_all_evidence(self) -> None:
        for fault, span in self._spans.values():
            self._read_evidence(fault, span)

    def _read_evidence(self, fault: Fault, span: FaultSpan) -> None:
        if span.ended_s is None or is_over_at_once(fault):
            span.through, found = self.layer.evidence(fault)
            span.evidence = list(found)


def is_over_at_once(fault: Fault) -> bool:
    """Nothing of it is left to heal."""
    wanted = fault.target, fault.kind
    return any((row.target, row.name) == wanted and not row.heals for row in FAULT_KINDS)


def _moved(one: Heard, offset_s: float, bound_s: float) -> Heard:
    """With times of the rig's clock; without a bound it has none."""
    if bound_s >= NO_BOUND_S:
        return replace(one, from_s=None, to_s=None)
    from_s, to_s = (None if t is None else t - offset_s for t in (one.from_s, one.to_s))
    return replace(one, from_s=from_s, to_s=to_s, error_s=bound_s)
