"""What the outbox keeps of a process, for the one after it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from edge.gateway.deviceconditions import DeviceConditions


@dataclass(frozen=True, slots=True)
class PreviousRun:
    """What the outbox keeps of the former process; `start_ns` is where its open window began.

    `raw` are the segment and the number of its sweeps that are in the outbox as raw records;
    `problems` what was broken, and said so, by device or line; `conditions` what each device has
    said of itself, and `flickering` what was reported of those that sent too much;
    `contacts` how plain contacts stood, and what was sent of them; `others` are devices that were
    swapped, which the totals of the last committed window do not know yet; `starting` is since
    when the lines of `closed` were not open, where no event has reported that; `epoch` is that in
    which it was kept.
    """

    boot: int
    segment: int
    start_ns: int
    raw: tuple[int, int] = (0, 0)
    problems: Mapping[str, str] = field(default_factory=dict)
    conditions: Mapping[str, DeviceConditions] = field(default_factory=dict)
    contacts: Mapping[str, Any] = field(default_factory=dict)
    flickering: Mapping[str, DeviceConditions] = field(default_factory=dict)
    others: Sequence[str] = ()
    starting: int | None = None
    closed: Sequence[str] = ()
    epoch: int = 0

    @classmethod
    def restore(cls, state: Mapping[str, Any]) -> "PreviousRun":
        """Raises KeyError, TypeError or ValueError for a state that is not one."""
        segment, count = state["raw"]
        boot, number, start_ns = (int(state[key]) for key in ("boot", "segment", "start_ns"))
        conditions, held = (
            {name: DeviceConditions.restore(each) for name, each in dict(state[key]).items()}
            for key in ("told", "held")
        )
        problems = dict(state["problems"])
        contacts = dict(state["contacts"])
        others = tuple(map(str, state["others"]))
        raw = int(segment), int(count)
        since = state["starting"]
        starting = None if since is None else int(since)
        closed = tuple(map(str, state["closed"]))
        return cls(
            boot, number, start_ns, raw, problems, conditions, contacts, held, others, starting,
            closed, int(state["epoch"]),
        )  # fmt: skip

    def snapshot(self) -> dict[str, Any]:
        """For the outbox."""
        return {
            "boot": self.boot,
            "segment": self.segment,
            "start_ns": self.start_ns,
            "raw": list(self.raw),
            "problems": dict(self.problems),
            "told": {name: each.snapshot() for name, each in self.conditions.items()},
            "contacts": dict(self.contacts),
            "held": {name: each.snapshot() for name, each in self.flickering.items()},
            "others": list(self.others),
            "starting": self.starting,
            "closed": list(self.closed),
            "epoch": self.epoch,
        }
