"""What the box of the layer `sim` itself shows of a fault of its own: that it says nothing, that it
speaks again, what time it has. That the rig has done something to it is no evidence.
"""

from dataclasses import dataclass, field
from typing import Final

from edge.rig.runlog import Evidence, Seen
from edge.rig.scenario import Fault

SILENT: Final = "the box does not answer"
BACK: Final = "the box answers again"
FINEST_S: Final = 2.0
"""A box tells its wall clock in whole seconds: a smaller jump is not seen for sure."""
NEAR_S: Final = 1.5


@dataclass(slots=True)
class _Watched:
    before_s: float  # how far its wall clock was beside the run's time, when the fault began
    told: list[Evidence] = field(default_factory=list)


class BoxWitness:
    """Given each look at the box from `begin` on."""

    def __init__(self) -> None:
        self._watched: dict[str, _Watched] = {}

    def begin(self, fault: Fault, beside_s: float) -> None:
        """`beside_s`: how far its wall clock is beside the time of the run."""
        self._watched[fault.name] = _Watched(beside_s)

    def look(self, fault: Fault, amount: float, seen: Seen, beside_s: float | None) -> None:
        """`beside_s` None: it says nothing of its clock."""
        one = self._watched[fault.name]
        if fault.kind == "jump":
            self._look_at_clock(one, amount, seen.t_s, beside_s)
        elif seen.queue is None:
            if not one.told:
                one.told.append(Evidence(t_s=seen.t_s, text=SILENT))
        elif one.told and one.told[-1].text == SILENT:
            one.told.append(Evidence(t_s=seen.t_s, text=BACK))

    def evidence(self, fault: Fault) -> list[Evidence]:
        return list(self._watched[fault.name].told)

    def _look_at_clock(
        self, one: _Watched, amount: float, t_s: float, beside_s: float | None
    ) -> None:
        if one.told or beside_s is None:
            return
        moved_s = beside_s - one.before_s
        if abs(amount) < FINEST_S:
            text = f"its clock was set by {amount:+g} s, and it answers"
        elif abs(moved_s - amount) <= NEAR_S:
            text = f"the clock that the box tells has moved by {moved_s:+.0f} s"
        else:
            return
        one.told.append(Evidence(t_s=t_s, text=text))
