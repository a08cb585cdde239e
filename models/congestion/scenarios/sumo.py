"""Drives a scene with Eclipse SUMO, in a folder of its own, and reads what came out.

A loop is the stretch between two points: on when a vehicle's front reaches the first, off when its
rear leaves the second, or when it leaves the lane before. SUMO interpolates both within its step.
"""

from __future__ import annotations

import subprocess
from collections.abc import Iterable
from importlib import import_module
from pathlib import Path
from typing import Final
from xml.sax.saxutils import quoteattr

from models.congestion.scenarios.scene import BEFORE_S, STEP_S, BusRun, Flow, Road, Scene
from models.congestion.scenarios.sumosignals import signal_programs

STEP_LENGTH_S: Final = 0.5
GIVE_UP_S: Final = 120  # a vehicle that finds no room to begin for so long stays at home
BESIDE_M: Final = "0.8"  # how finely vehicles may lie beside each other within a lane
MISSED_S: Final = (
    15  # until one on a lane that ends elsewhere than wanted gives up; else it is for ever
)
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
    more = ["--lateral-resolution", BESIDE_M] if scene.beside else []
    if scene.missed_exits:
        more += ["--time-to-teleport.highways", str(MISSED_S)]
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
        "--max-depart-delay", str(GIVE_UP_S), "--extrapolate-departpos", *more,
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
    rings = (
        f'<roundabout nodes="{" ".join(ring.nodes)}" edges="{" ".join(ring.roads)}"/>'
        for ring in scene.rings
    )
    return _all("edges", (*map(_edge, scene.roads), *rings))


def _edge(road: Road) -> str:
    wide = "" if road.lane_m is None else f' width="{road.lane_m}"'
    head = (
        f'<edge id="{road.name}" from="{road.begin}" to="{road.end}" numLanes="{road.lanes}" '
        f'speed="{road.limit_ms:.3f}" length="{road.length_m}"{wide}'
    )
    lanes = "".join(f'<lane index="{i}" allow="{who}"/>' for i, who in enumerate(road.uses) if who)
    return f"{head}>{lanes}</edge>" if lanes else f"{head}/>"


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
    items += [(bus.from_s, _bus(k, bus)) for k, bus in enumerate(scene.buses)]
    wreck = '<vType id="wreck" length="4.6"/>'
    return _all("routes", (scene.mix, wreck, *(text for _, text in sorted(items))))


def _flow(k: int, flow: Flow, start: str) -> list[tuple[float, str]]:
    roads = " ".join(flow.roads)
    return [
        (
            float(STEP_S * i),
            f'<flow id="{flow.prefix}{k}_{i}" type="{flow.who}" begin="{STEP_S * i}" '
            f'end="{STEP_S * (i + 1)}" '
            f'period="exp({rate:.6f})" departLane="{start}" departSpeed="desired" '
            f'departPos="base"><route edges="{roads}"/></flow>',
        )
        for i, rate in enumerate(flow.rates)
        if rate > 1e-5
    ]


def _bus(k: int, bus: BusRun) -> str:
    stops = "".join(f'<stop busStop="{name}" duration="{wait}"/>' for name, wait in bus.stops)
    return (
        f'<vehicle id="bus{k}" type="bus" depart="{bus.from_s}" departLane="best" '
        f'departSpeed="desired"><route edges="{" ".join(bus.roads)}"/>{stops}</vehicle>'
    )


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
    stops = [
        f'<busStop id="{stop.name}" lane="{stop.road}_0" startPos="{stop.from_m}" '
        f'endPos="{stop.to_m}" friendlyPos="true"/>'
        for stop in scene.stops
    ]
    who = f' vTypes="{" ".join(scene.counted)}"' if scene.counted else ""
    measure = f'<laneData id="link" file="link.csv" freq="10" edges="{watched}"{who}/>'
    programs = signal_programs(scene, net)
    return _all("additional", (*programs, *stops, *points, *slows, *events, measure))


def _all(tag: str, items: Iterable[str]) -> str:
    return f"<{tag}>\n" + "\n".join(items) + f"\n</{tag}>\n"
