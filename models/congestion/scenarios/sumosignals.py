"""Writes the programs of a scene's signals; their phases are those that netconvert made."""

from __future__ import annotations

import xml.etree.ElementTree as ElementTree
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Final, Literal, NamedTuple

from models.congestion.scenarios.scene import (
    BEFORE_S,
    ActuatedSignal,
    CoordinatedSignal,
    FixedTimeSignal,
    Scene,
    ShuttleSignal,
    Signal,
)

YELLOW_S: Final = 3
REST_S: Final = 5.0  # of a phase for turns alone
REST_MOST_S: Final = 12.0  # where it is actuated

Group = Literal["main", "side", "yellow", "rest"]


class ProgramPhase(NamedTuple):
    """A state of all signals of a crossing, and whose green it is."""

    group: Group
    state: str


def signal_programs(scene: Scene, net: Path) -> list[str]:
    """Programs with the times of the scene, and when they change."""
    if not scene.signals:
        return []
    root = ElementTree.parse(net).getroot()
    straight: dict[str, list[tuple[int, str]]] = {}
    for one in root.iter("connection"):
        if one.get("tl") is not None and one.get("dir") == "s":
            index = int(one.get("linkIndex", "0"))
            straight.setdefault(one.get("tl", ""), []).append((index, one.get("from", "")))
    made = {one.get("id", ""): one for one in root.iter("tlLogic")}
    out: list[str] = []
    for signal in scene.signals:
        states = [each.get("state", "") for each in made[signal.node].iter("phase")]
        if isinstance(signal, ShuttleSignal):
            out.append(_shuttle(signal, len(states[0])))
        else:
            out += _program(signal, list(_phases(signal, states, straight)))
    return out


def _phases(
    signal: FixedTimeSignal | ActuatedSignal | CoordinatedSignal,
    states: Sequence[str],
    straight: Mapping[str, Sequence[tuple[int, str]]],
) -> Iterator[ProgramPhase]:
    for state in states:
        green = {road for i, road in straight[signal.node] if state[i] in "Gg"}
        whose: Group = "main" if green & signal.main else "side" if green else "rest"
        yield ProgramPhase("yellow" if "y" in state else whose, state)


def _program(
    signal: FixedTimeSignal | ActuatedSignal | CoordinatedSignal, phases: Sequence[ProgramPhase]
) -> list[str]:
    if isinstance(signal, FixedTimeSignal):
        return [_fixed(signal.node, "drawn", phases, signal.cycle_s, signal.share, signal.offset_s)]
    if isinstance(signal, ActuatedSignal):
        return [_actuated(signal, phases)]
    plans = [
        _fixed(signal.node, f"plan{i}", phases, plan.cycle_s, plan.share, plan.offset_s)
        for i, plan in enumerate(signal.plans)
    ]
    return [*plans, _timetable(signal)] if len(plans) > 1 else plans


def _fixed(
    node: str, name: str, phases: Sequence[ProgramPhase], cycle_s: int, share: float, offset_s: int
) -> str:
    groups = [phase.group for phase in phases]
    fixed = {"yellow": float(YELLOW_S), "rest": REST_S}
    left = cycle_s - sum(fixed.get(group, 0.0) for group in groups)
    shares = {"main": share, "side": 1 - share}
    inner = "".join(
        f'<phase duration="{length:.0f}" state="{state}"/>'
        for group, state in phases
        for length in [fixed.get(group, left * shares.get(group, 0) / groups.count(group))]
    )
    return (
        f'<tlLogic id="{node}" type="static" programID="{name}" '
        f'offset="{offset_s}">{inner}</tlLogic>'
    )


def _actuated(signal: ActuatedSignal, phases: Sequence[ProgramPhase]) -> str:
    (main_least, side_least), (main_most, side_most) = signal.least_s, signal.most_s
    times = {
        "main": (main_least, main_most),
        "side": (side_least, side_most),
        "rest": (REST_S, REST_MOST_S),
    }
    inner = "".join(
        f'<phase duration="{YELLOW_S}" state="{state}"/>'
        if group == "yellow"
        else f'<phase duration="{times[group][0]:.1f}" minDur="{times[group][0]:.1f}" '
        f'maxDur="{times[group][1]:.1f}" state="{state}"/>'
        for group, state in phases
    )
    return (
        f'<tlLogic id="{signal.node}" type="actuated" programID="drawn" offset="0">'
        f'<param key="max-gap" value="{signal.gap_s}"/>'
        f'<param key="detector-gap" value="{signal.ahead_s}"/>{inner}</tlLogic>'
    )


def _timetable(signal: CoordinatedSignal) -> str:
    """From when which plan runs. Without it the last of them would run all the time."""
    changes = "".join(
        f'<wautSwitch time="{BEFORE_S + plan.from_s:.0f}" to="plan{i}"/>'
        for i, plan in enumerate(signal.plans)
        if i
    )
    return (
        f'<WAUT refTime="0" id="day_{signal.node}" startProg="plan0">{changes}</WAUT>'
        f'<wautJunction wautID="day_{signal.node}" junctionID="{signal.node}"/>'
    )


def _shuttle(signal: ShuttleSignal, lanes: int) -> str:
    phases = (("G", signal.green_s), ("y", YELLOW_S), ("r", signal.red_s))
    inner = "".join(f'<phase duration="{s}" state="{light * lanes}"/>' for light, s in phases)
    return (
        f'<tlLogic id="{signal.node}" type="static" programID="drawn" '
        f'offset="{signal.offset_s}">{inner}</tlLogic>'
    )


def signal_cycle_s(signal: Signal) -> float | None:
    """How long a cycle lasts; None where it depends on the traffic or on the time of the day."""
    if isinstance(signal, FixedTimeSignal):
        return float(signal.cycle_s)
    if isinstance(signal, ShuttleSignal):
        return float(signal.green_s + YELLOW_S + signal.red_s)
    return None
