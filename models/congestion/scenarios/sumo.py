"""Drives a scene with Eclipse SUMO, in a folder of its own, and reads what came out.

A loop is the stretch between two points: on when a vehicle's front reaches the first, off when its
rear leaves the second, or when it leaves the lane before. SUMO interpolates both within its step.
"""

from __future__ import annotations

import subprocess
import xml.etree.ElementTree as ElementTree
from collections.abc import Iterable
from importlib import import_module
from pathlib import Path
from typing import Final
from xml.sax.saxutils import quoteattr

from models.congestion.scenarios.scene import BEFORE_S, STEP_S, Flow, Scene

STEP_LENGTH_S: Final = 0.5
GIVE_UP_S: Final = 120  # a vehicle that finds no room to begin for so long stays at home
YELLOW_S: Final = 3
LOG: Final = "sumo.log"


class SumoError(Exception):
    """SUMO did not do it; the text says where its own words are."""


def find_sumo() -> Path:
    """Where netconvert and sumo are. ModuleNotFoundError without `pip install eclipse-sumo`."""
    return Path(import_module("sumo").SUMO_HOME) / "bin"  # at a desk, in no lock


def run_sumo(scene: Scene, folder: Path) -> None:
    """Leaves loops.csv, link.csv, and with signals tls.xml in `folder`. SumoError if it fails."""
    home = find_sumo()
    write = {"nod.xml": _nodes(scene), "edg.xml": _edges(scene), "rou.xml": _routes(scene)}
    if scene.links:
        write["con.xml"] = _connections(scene)
    for name, text in write.items():
        (folder / name).write_text(text, encoding="utf-8")
    joins = ["-x", "con.xml"] if scene.links else []
    _call(
        folder, home / "netconvert", "-n", "nod.xml", "-e", "edg.xml", *joins, "-o", "net.xml",
        "--no-turnarounds", "--tls.default-type", "static", "--no-internal-links", "false",
    )  # fmt: skip
    (folder / "add.xml").write_text(_additional(scene, folder / "net.xml"), encoding="utf-8")
    _call(
        folder, home / "sumo", "-n", "net.xml", "-r", "rou.xml", "-a", "add.xml",
        "-b", "0", "-e", str(int(BEFORE_S + scene.hours * 3600)),
        "--step-length", str(STEP_LENGTH_S), "--step-method.ballistic", "--seed",
        str(scene.seed % 2**31), "--time-to-teleport", "-1", "--no-step-log", "--precision", "4",
        "--max-depart-delay", str(GIVE_UP_S), "--extrapolate-departpos",
    )  # fmt: skip


def _call(folder: Path, *command: object) -> None:
    with (folder / LOG).open("a", encoding="utf-8") as log:
        done = subprocess.run(
            [str(part) for part in command], cwd=folder, stdout=log, stderr=log, check=False
        )
    if done.returncode:
        raise SumoError(f"{Path(str(command[0])).name} failed; what it said is in {folder / LOG}")


def _nodes(scene: Scene) -> str:
    lit = {signal.node for signal in scene.signals}
    return _all(
        "nodes",
        (
            f'<node id="{name}" x="{x:.1f}" y="{y:.1f}"'
            f"{' type=' + quoteattr('traffic_light') if name in lit else ''}/>"
            for name, (x, y) in scene.nodes.items()
        ),
    )


def _edges(scene: Scene) -> str:
    # The length is told, because netconvert cuts roads short for the area of the crossing.
    return _all(
        "edges",
        (
            f'<edge id="{road.name}" from="{road.begin}" to="{road.end}" numLanes="{road.lanes}" '
            f'speed="{road.limit_ms:.3f}" length="{road.length_m}"/>'
            for road in scene.roads
        ),
    )


def _connections(scene: Scene) -> str:
    return _all(
        "connections",
        (
            f'<connection from="{a}" fromLane="{i}" to="{b}" toLane="{j}"/>'
            for a, i, b, j in scene.links
        ),
    )


def _routes(scene: Scene) -> str:
    items: list[tuple[float, str]] = []
    for k, flow in enumerate(scene.flows):
        items += _flow(k, flow, scene.start)
    for k, incident in enumerate(scene.incidents):
        begin = incident.from_s + BEFORE_S
        items.append(
            (
                begin,
                f'<vehicle id="incident{k}" type="wreck" depart="{begin:.1f}" departSpeed="avg" '
                f'departLane="{incident.lane}" departPos="{max(incident.at_m - 40, 1):.1f}">'
                f'<route edges="{" ".join(incident.roads)}"/><stop '
                f'lane="{incident.roads[0]}_{incident.lane}" endPos="{incident.at_m:.1f}" '
                f'duration="{incident.length_s:.0f}"/></vehicle>',
            )
        )
    wreck = '<vType id="wreck" length="4.6"/>'
    return _all("routes", (scene.mix, wreck, *(text for _, text in sorted(items))))


def _flow(k: int, flow: Flow, start: str) -> list[tuple[float, str]]:
    roads = " ".join(flow.roads)
    return [
        (
            float(STEP_S * i),
            f'<flow id="f{k}_{i}" type="mix" begin="{STEP_S * i}" end="{STEP_S * (i + 1)}" '
            f'period="exp({rate:.6f})" departLane="{start}" departSpeed="desired" '
            f'departPos="base"><route edges="{roads}"/></flow>',
        )
        for i, rate in enumerate(flow.rates)
        if rate > 1e-5
    ]


def _additional(scene: Scene, net: Path) -> str:
    points = [
        f'<instantInductionLoop id="{i}.{side}" lane="{loop.link}_{loop.index}" '
        f'pos="{at:.2f}" file="loops.csv"/>'
        for i, (loop, reach) in enumerate(zip(scene.loops, scene.reach_m, strict=True))
        for side, at in (
            ("on", loop.at_m - reach / 2),
            ("off", loop.at_m + loop.loop_m + reach / 2),
        )
    ]
    watched = " ".join(road.name for road in scene.roads if road.watched)
    slows = []
    lanes = {road.name: road.lanes for road in scene.roads}
    limits = {road.name: road.limit_ms for road in scene.roads}
    for k, slow in enumerate(scene.slows):
        names = " ".join(f"{slow.road}_{n}" for n in range(lanes[slow.road]))
        steps = ((slow.from_s, slow.limit_ms), (slow.to_s, limits[slow.road]))
        inner = "".join(f'<step time="{BEFORE_S + t:.0f}" speed="{v:.2f}"/>' for t, v in steps)
        slows.append(f'<variableSpeedSign id="slow{k}" lanes="{names}">{inner}</variableSpeedSign>')
    events = [
        f'<timedEvent type="SaveTLSSwitchTimes" source="{signal.node}" dest="tls.xml"/>'
        for signal in scene.signals
    ]
    measure = f'<laneData id="link" file="link.csv" freq="10" edges="{watched}"/>'
    return _all("additional", (*_programs(scene, net), *points, *slows, *events, measure))


def _programs(scene: Scene, net: Path) -> list[str]:
    """The signals that netconvert made, with the cycle, the shares and the offset of the scene."""
    root = ElementTree.parse(net).getroot()
    straight: dict[str, list[tuple[int, str]]] = {}
    for one in root.iter("connection"):
        if one.get("tl") is not None and one.get("dir") == "s":
            index = int(one.get("linkIndex", "0"))
            straight.setdefault(one.get("tl", ""), []).append((index, one.get("from", "")))
    programs = {one.get("id", ""): one for one in root.iter("tlLogic")}
    out = []
    for signal in scene.signals:
        phases = [
            (float(p.get("duration", "0")), p.get("state", ""))
            for p in programs[signal.node].iter("phase")
        ]
        groups = []
        for _, state in phases:
            green = {road for i, road in straight[signal.node] if state[i] in "Gg"}
            whose = "main" if green & signal.main else "side" if green else "rest"
            groups.append("yellow" if "y" in state else whose)
        fixed = {"yellow": float(YELLOW_S), "rest": 5.0}
        left = signal.cycle_s - sum(fixed.get(group, 0.0) for group in groups)
        share = {"main": signal.share, "side": 1 - signal.share}
        inner = "".join(
            f'<phase duration="{length:.0f}" state="{state}"/>'
            for group, (_, state) in zip(groups, phases, strict=True)
            for length in [fixed.get(group, left * share.get(group, 0) / groups.count(group))]
        )
        out.append(
            f'<tlLogic id="{signal.node}" type="static" programID="drawn" '
            f'offset="{signal.offset_s}">{inner}</tlLogic>'
        )
    return out


def _all(tag: str, items: Iterable[str]) -> str:
    return f"<{tag}>\n" + "\n".join(items) + f"\n</{tag}>\n"
