"""Steps from one level to another that a series takes again and again, as of what is switched.

A lamp that goes on at dusk is odd by every measure, each day anew, as it happens twice in 1,440
minutes. So the model keeps the levels of the last large steps, and how often each was seen: what
has come twice is no news. A window that the switch falls into has a mean between the levels.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from models.anomaly.layout import STEPS, Params

FADE: Final = 0.97  # what is left of a step's count when another one is seen
PULL: Final = 0.3  # how far the levels follow those that are seen
PART: Final = 0.06  # of a step: levels that differ by less are the same
LARGE: Final = 15.0  # scales of a residual: what only wanders has no levels
NOTABLE: Final = 0.08  # of the range: smaller steps are no other level
COUNTS: Final = 2.0  # quanta
OFTEN: Final = 15.0  # samples an hour: among fewer a step of each day is not so rare


def is_known_step(o: Any, v: Any, s: Mapping[str, Any], p: Params) -> Any:
    """1 where this sample takes, or is on its way along, a step that came often enough."""
    begin, end = s["step_from"], s["step_to"]
    room = _room(o, v, s)
    last, before = o.columns(v.lags, 0, 1), o.columns(v.lags, 1, 2)
    there = o.number(o.abs(v.x - end) <= room)
    on_way = o.number((v.x - begin) * (end - v.x) >= 0.0)
    was_on_way = o.number((last - begin) * (end - last) >= 0.0)
    at_once = o.number(o.abs(last - begin) <= room) * o.maximum(there, on_way)
    in_two = o.number(o.abs(before - begin) <= room) * there * was_on_way
    often = o.number(s["step_times"] >= p.step_times) * o.number(v.an_hour > OFTEN)
    return o.highest(o.maximum(at_once, in_two) * often)


def learn_steps(o: Any, v: Any, s: Mapping[str, Any]) -> dict[str, Any]:
    """A step counts once, when its level has held for two samples."""
    last, one, two, three = (o.columns(v.lags, i, i + 1) for i in range(4))
    step = v.x - two
    size = o.abs(step)
    near = PART * size
    taken = (
        o.number(o.abs(v.x - last) <= near)
        * o.number(o.abs(v.x - one) > near)
        * o.number(o.abs(two - three) <= near)
        * o.number(size > o.maximum(LARGE * v.error, NOTABLE * v.width))
        * o.number(v.n > 3.0)
    )
    begin, end, times = s["step_from"], s["step_to"], s["step_times"]
    room = _room(o, v, s)
    same = (
        o.number(o.abs(two - begin) <= room)
        * o.number(o.abs(v.x - end) <= room)
        * o.number(times > 0.0)
    )
    # of equals the one on the left, by a lead that no count makes up for
    order = o.const([[1e-4 * i for i in range(STEPS)]])
    rank = same * (times + 1.0) - order
    which = same * o.number(rank >= o.highest(rank))
    seen = o.highest(which)
    rare = -times - order
    place = o.where(seen > 0.5, which, o.number(rare >= o.highest(rare))) * taken
    pull = o.where(seen > 0.5, PULL, 1.0) * place
    fresh = o.where(seen > 0.5, times, 0.0) + 1.0
    return {
        "step_from": begin + pull * (two - begin),
        "step_to": end + pull * (v.x - end),
        "step_times": o.where(
            place > 0.5, o.minimum(fresh, 20.0), times * o.where(taken > 0.5, FADE, 1.0)
        ),
    }


def _room(o: Any, v: Any, s: Mapping[str, Any]) -> Any:
    """How far from a level is still that level."""
    return PART * o.abs(s["step_to"] - s["step_from"]) + COUNTS * v.tiny
