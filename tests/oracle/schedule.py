"""Which fault comes when: a pure function of a seed."""

import random
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Literal

Kind = Literal[
    "broker_kill", "reset", "hole", "slow", "disk_full", "daemon_kill", "daemon_stop",
    "power_cut", "platform_kill", "clock_step",
]  # fmt: skip
# Seconds from the fault to its end (a restart, room again): from, to. None of both: a moment.
LASTS: Final[dict[Kind, tuple[float, float]]] = {
    "broker_kill": (1, 20),
    "reset": (0, 0),
    "hole": (5, 40),
    "slow": (20, 20),
    "disk_full": (4, 20),
    "daemon_kill": (0, 10),
    "daemon_stop": (5, 5),
    "power_cut": (1, 10),
    "platform_kill": (0, 15),
    "clock_step": (0, 0),
}
PARTS: Final[dict[Kind, str]] = {  # of one part only one thing breaks at a time
    "broker_kill": "broker", "reset": "link", "hole": "link", "slow": "link",
    "disk_full": "disk", "daemon_kill": "daemon", "daemon_stop": "daemon", "power_cut": "daemon",
    "platform_kill": "platform", "clock_step": "clock",
}  # fmt: skip
# An outbox that is in memory looks at a full disk each 30 s, with the next commit, which comes up
# to 5 s later and takes its time on a busy machine. A power cut until then takes what was delivered
# from memory, and the disk has older totals: that is known, and not played here.
IN_MEMORY_S: Final = 40.0
SHIFTS_S: Final = (3600, -3600, 400 * 86_400, -86_400, 90, -4, 0)
SHORT: Final[tuple[Kind, ...]] = ("broker_kill", "reset", "daemon_kill", "platform_kill")
SHORTEST_DECK_S: Final = 60.0  # a shorter run has time for SHORT only
EVERY_S: Final = (3.0, 15.0)  # from one fault's begin to the next one's
FIRST_S: Final = 8.0
QUIET_S: Final = 75.0  # at the end nothing breaks; a quarter of a short run


@dataclass(frozen=True, slots=True)
class Fault:
    """In seconds since the begin. `shift_s` is where a clock step puts the wall."""

    at_s: float
    kind: Kind
    lasts_s: float = 0.0
    shift_s: float = 0.0

    @property
    def end_s(self) -> float:
        return self.at_s + self.lasts_s


def schedule(seed: int, seconds: float, possible: Sequence[Kind]) -> list[Fault]:
    """Every kind in turn, in a random order; parts of the machine may be broken together."""
    rng = random.Random(seed)
    if seconds < SHORTEST_DECK_S:
        return _short(rng, seconds)
    found: list[Fault] = []
    busy = dict.fromkeys(PARTS.values(), 0.0)
    at_s, cut_s, last_s = FIRST_S, 0.0, seconds - min(QUIET_S, seconds / 4)
    deck: list[Kind] = []
    while True:
        if not deck:
            deck = rng.sample(list(possible), len(possible))
        kind = deck.pop()
        lasts_s = round(rng.uniform(*LASTS[kind]), 1)
        if kind == "daemon_kill" and rng.random() < 0.4:
            lasts_s = 0.0  # at once
        at_s = max(at_s, busy[PARTS[kind]] + 1.0)
        if kind == "power_cut" and busy["disk"]:
            at_s = max(at_s, busy["disk"] + IN_MEMORY_S + 0.1)  # rounded below
        if kind == "disk_full":
            at_s = max(at_s, cut_s)
        fault = Fault(round(at_s, 1), kind, lasts_s, rng.choice(SHIFTS_S))
        if fault.end_s > last_s:
            return found
        found.append(fault)
        busy[PARTS[kind]] = fault.end_s
        if kind == "power_cut":
            cut_s = fault.end_s + 1.0
        at_s += rng.uniform(*EVERY_S)


def _short(rng: random.Random, seconds: float) -> list[Fault]:
    """Four faults in the first two thirds."""
    part_s = seconds * 0.65 / len(SHORT)
    order = rng.sample(SHORT, len(SHORT))
    return [
        Fault(round(2.0 + part_s * i, 1), kind, 0.0 if kind == "reset" else 1.0)
        for i, kind in enumerate(order)
    ]
