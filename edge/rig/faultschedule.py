"""When each fault of a scenario begins and heals. Pure: it is told what is seen, and says what is
due.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final, Literal

from edge.rig.scenario import Condition, Fault

Holds = Callable[[Condition], bool | None]
"""Whether a condition is true now; None: nobody knows."""
LONG: Final = float("inf")


@dataclass(frozen=True, slots=True)
class FaultStep:
    """A fault begins or heals, at `t_s`."""

    t_s: float
    what: Literal["begin", "heal"]
    fault: Fault


@dataclass(slots=True)
class _Plan:
    """One fault. `begin_s` is known from the start, or once its conditions hold."""

    fault: Fault
    begin_s: float | None
    armed: bool
    begun: bool = False
    heal_s: float = LONG


class FaultSchedule:
    """All faults of a scenario. Each begins once."""

    def __init__(self, faults: Sequence[Fault]) -> None:
        self._plans = [
            _Plan(one, None if one.when is not None else one.at_s or 0.0, one.edge == "none")
            for one in faults
        ]

    def next_s(self) -> float:
        """The next moment that is known, infinite if there is none."""
        return min((_due_s(plan) for plan in self._plans), default=LONG)

    def in_force(self) -> list[Fault]:
        """Those that have begun and not healed."""
        return [plan.fault for plan in self._plans if plan.begun and plan.heal_s > 0]

    def observe(self, t_s: float, holds: Holds) -> list[Fault]:
        """Look at all conditions; gives faults whose conditions have come true just now.

        `rising` needs to have seen them false, `falling` to have seen them true; as long as nobody
        knows one of them, nothing follows.
        """
        triggered = []
        for plan in self._plans:
            fault = plan.fault
            if fault.when is None or plan.begin_s is not None:
                continue
            now = _all([holds(one) for one in fault.when])
            if now is None:
                continue
            wanted = not now if fault.edge == "falling" else now
            if wanted and plan.armed:
                plan.begin_s = t_s + fault.after_s
                triggered.append(fault)
            plan.armed = plan.armed or not wanted
        return triggered

    def due(self, t_s: float) -> Iterator[FaultStep]:
        """What is to be done up to now, in the order of its moments. Each step is given once."""
        while (plan := min(self._plans, key=_due_s, default=None)) is not None:
            at_s = _due_s(plan)
            if at_s > t_s:
                return
            if plan.begun:
                plan.heal_s = -LONG
                yield FaultStep(at_s, "heal", plan.fault)
            else:
                plan.begun = True
                if plan.fault.for_s is not None:
                    plan.heal_s = t_s + plan.fault.for_s  # from when it really begins
                yield FaultStep(at_s, "begin", plan.fault)


def _due_s(plan: _Plan) -> float:
    if not plan.begun:
        return LONG if plan.begin_s is None else plan.begin_s
    return LONG if plan.heal_s < 0 else plan.heal_s


def _all(found: Sequence[bool | None]) -> bool | None:
    if any(one is False for one in found):
        return False
    return None if any(one is None for one in found) else True
