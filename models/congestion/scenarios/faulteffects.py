"""What each fault does to the stays of a loop, from its cause.

A dead card shows presence all the time, a cut wire none; a loose splice toggles the contact
whatever lies on the loop; two loops on one frequency answer together within milliseconds; a loop
that is too wide hears the next lane's vehicles as they pass, weaker and not at the same instant.
The ranges lie on both sides of the limits by which agencies find such loops (more than 37 vehicles
in 30 s, locked on for 2 min, on-times of a pair that do not agree). Each change takes the stays of
the time of the fault, and gives how bad it is and what is left of them.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import numpy as np

from models.congestion.scenarios.simstreet import Floats, contact_stays

_LONG: Final = 1.5  # of the usual on-time: a long vehicle
_AROUND: Final = 15  # stays from which the usual on-time is taken


def usual_on_time(stays: Floats) -> Floats:
    """The usual on-time about each stay: the median of the _AROUND nearest, in seconds."""
    on = stays[:, 1] - stays[:, 0]
    if not len(on):
        return on
    padded = np.pad(on, _AROUND // 2, mode="reflect" if len(on) > _AROUND // 2 else "edge")
    view = np.lib.stride_tricks.sliding_window_view(padded, _AROUND)
    return np.asarray(np.median(view, axis=1))


Change = Callable[[Floats, tuple[float, float], np.random.Generator], tuple[float, Floats]]


def _stuck_on(
    stays: Floats, when: tuple[float, float], random: np.random.Generator
) -> tuple[float, Floats]:
    return 1.0, np.array([when])


def _stuck_off(
    stays: Floats, when: tuple[float, float], random: np.random.Generator
) -> tuple[float, Floats]:
    return 1.0, stays[:0]


def _chatter(
    stays: Floats, when: tuple[float, float], random: np.random.Generator
) -> tuple[float, Floats]:
    """A loose splice toggles the contact in bursts, with and without a vehicle on the loop."""
    rate = 10.0 * 30.0 ** random.random()  # a minute, over the whole fault
    busy = random.uniform(0.15, 1.0)  # share of the time with bursts
    ghosts = []
    at = when[0]
    while at < when[1]:
        burst = min(random.exponential(40.0), when[1] - at)
        count = random.poisson(burst / 60 * rate / busy)
        on = at + np.sort(random.random(count)) * burst
        ghosts.append(np.stack([on, on + _short(random, count)], axis=1))
        at += burst + random.exponential(40.0 * (1 - busy) / busy)
    ghost = np.concatenate([*ghosts, np.zeros((0, 2))])
    ghost = contact_stays(ghost[:, 0], np.minimum(ghost[:, 1], when[1]))
    # Where both are on, the contact opens: each edge of either toggles it.
    return rate, np.sort(np.concatenate([stays.ravel(), ghost.ravel()])).reshape(-1, 2)


def _short(random: np.random.Generator, count: int) -> Floats:
    """Lengths of ghosts in seconds: most are shorter than any vehicle, some are not."""
    return np.clip(random.lognormal(np.log(0.05), 0.8, count), 0.012, 0.8)


def _breakup(
    stays: Floats, when: tuple[float, float], random: np.random.Generator
) -> tuple[float, Floats]:
    """High beds of trucks and trailers: what is long falls into two to four."""
    share = random.uniform(0.5, 1.0)
    on = stays[:, 1] - stays[:, 0]
    long = (on > _LONG * usual_on_time(stays)) & (random.random(len(stays)) < share)
    parts = [stays[~long]]
    for begin, end in stays[long].tolist():
        count = int(random.integers(2, 5))
        # Axles and beds: parts and gaps of random size, gaps a fifth of the whole in all.
        lengths = random.uniform(0.5, 1.5, 2 * count - 1)
        lengths[1::2] *= random.uniform(0.15, 0.5)
        edges = begin + np.concatenate([[0], np.cumsum(lengths)]) * (end - begin) / lengths.sum()
        parts.append(edges.reshape(-1, 2))
    out = np.concatenate(parts)
    return share, out[np.argsort(out[:, 0])]


def _undercount(
    stays: Floats, when: tuple[float, float], random: np.random.Generator
) -> tuple[float, Floats]:
    """Too little sensitivity: a share of the vehicles is missed."""
    share = random.uniform(0.1, 0.6)
    return share, stays[random.random(len(stays)) >= share]


def _late_release(
    stays: Floats, when: tuple[float, float], random: np.random.Generator
) -> tuple[float, Floats]:
    """A relay that sticks: after some vehicles the contact stays on, and joins what comes then."""
    share = random.uniform(0.15, 0.9)
    longest = random.uniform(1.0, 4.0)
    late = random.uniform(0.5, longest, len(stays)) * (random.random(len(stays)) < share)
    return share, np.stack([stays[:, 0], stays[:, 1] + late], axis=1)


def _mismatch(
    stays: Floats, when: tuple[float, float], random: np.random.Generator
) -> tuple[float, Floats]:
    """One loop of a pair feels a longer or shorter stretch: as many metres for each vehicle."""
    change = random.uniform(0.15, 0.5) * (1 if random.random() < 0.5 else -1)
    on = stays[:, 1] - stays[:, 0]
    # Of a vehicle that stands on the loop, only the way on and off takes longer.
    grow = change * np.minimum(on, usual_on_time(stays)) * random.normal(1.0, 0.05, len(on))
    return change, np.stack([stays[:, 0] - grow / 2, stays[:, 1] + grow / 2], axis=1)


CHANGES: Final[dict[str, Change]] = {
    "stuck_on": _stuck_on,
    "stuck_off": _stuck_off,
    "chatter": _chatter,
    "breakup": _breakup,
    "undercount": _undercount,
    "mismatch": _mismatch,
    "late_release": _late_release,
}


def crosstalk(stays: Floats, source: Floats, random: np.random.Generator) -> tuple[float, Floats]:
    """The neighbour's card pulls this one along: milliseconds late, and gone with it."""
    share = 0.1 * 9.0 ** random.random()
    hit = source[random.random(len(source)) < share]
    on = hit[:, 0] + random.uniform(0.0, 0.03, len(hit))
    length = (hit[:, 1] - hit[:, 0]) * random.uniform(0.7, 1.0, len(hit))
    ghosts = np.stack([on, on + np.maximum(length, 0.02)], axis=1)
    return share, np.concatenate([stays, ghosts])


def splashover(stays: Floats, source: Floats, random: np.random.Generator) -> tuple[float, Floats]:
    """A loop that reaches into the next lane: vehicles there that drive near it lie on both."""
    share = random.uniform(0.1, 0.5)
    hit = source[random.random(len(source)) < share]
    on = hit[:, 1] - hit[:, 0]
    middle = hit.mean(axis=1) + random.normal(0.0, 0.12, len(hit)) * on
    half = on * random.uniform(0.35, 1.15, len(hit)) / 2
    return share, np.concatenate([stays, np.stack([middle - half, middle + half], axis=1)])
