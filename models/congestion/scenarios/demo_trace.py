"""Makes the demo's trace with Eclipse SUMO: two lanes towards a light, an incident, and the truth.

    pip install eclipse-sumo        # 1.28; half a gigabyte, in an environment of its own
    python models/congestion/scenarios/demo_trace.py edge/demo

Writes `trace.csv.gz` (t_ms,line,level) and `trace.json`. Each lane has a pair of loops in
mid-block. A loop is the stretch between two points: on when a vehicle's front reaches the first,
off when its rear leaves the second. The incident is a vehicle with a `<stop>` downstream of the
loops; in the other lane some drivers stop beside it for a moment, so that the queue crawls. The
truth comes from the whole link, never from a loop: congested from where mean density is at least
28 vehicles/km/lane and mean speed below 0.3 of the limit (both over a minute), until the speed is
above 0.4 of the limit again.
"""

from __future__ import annotations

import gzip
import json
import subprocess
import sys
import tempfile
import xml.etree.ElementTree as ElementTree
from collections import defaultdict
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Final

LINK_M: Final = 450.0
LEAD_M: Final = 225.0  # where the first loop of each lane begins
LOOP_M: Final = 2.0
SPACING_M: Final = 4.0  # leading edge to leading edge
LIMIT: Final = 13.9  # m/s
BEFORE_S: Final = 600  # to fill the road; not kept
END_S: Final = 3000
INCIDENT_S: Final = 1775
INCIDENT_END_S: Final = 2130
INCIDENT_M: Final = 300.0
GAZE_EVERY_S: Final = 14  # in the other lane a driver stops beside it, this often
GAZE_S: Final = 9  # for so long
DENSE: Final = 28.0  # vehicles/km/lane
SLOW: Final = 0.3  # of the limit: congested below
FREE: Final = 0.4  # of the limit: over above

NODES: Final = """<nodes>
  <node id="w" x="0" y="0"/> <node id="light" x="450" y="0" type="traffic_light"/>
  <node id="e" x="800" y="0"/> <node id="s" x="450" y="-300"/> <node id="n" x="450" y="300"/>
</nodes>"""
EDGES: Final = """<edges>
  <edge id="in" from="w" to="light" numLanes="2" speed="13.9"/>
  <edge id="out" from="light" to="e" numLanes="2" speed="13.9"/>
  <edge id="cross_in" from="s" to="light" numLanes="1" speed="13.9"/>
  <edge id="cross_out" from="light" to="n" numLanes="1" speed="13.9"/>
</edges>"""
VEHICLES: Final = """
  <vType id="car" length="4.6" minGap="2.2" speedFactor="normc(1,0.12,0.6,1.4)" probability="0.82"/>
  <vType id="van" length="6.2" vClass="delivery" speedFactor="normc(0.97,0.1,0.6,1.3)"
         probability="0.09"/>
  <vType id="truck" length="11.5" vClass="truck" maxSpeed="22" probability="0.06"/>
  <vType id="motorcycle" length="2.2" vClass="motorcycle" probability="0.03"/>
  <vType id="wreck" length="4.6" speedFactor="1"/>
  <vTypeDistribution id="mix" vTypes="car van truck motorcycle"/>
  <route id="through" edges="in out"/> <route id="cross" edges="cross_in cross_out"/>"""


@dataclass(frozen=True)
class SumoTrace:
    """Edges (ms, line, level), vehicles over the lead loops, and true congestion in seconds."""

    edges: list[tuple[float, str, int]]
    vehicles: int
    congested: list[tuple[float, float]]


def simulate_trace(folder: Path, flow: float, seed: int) -> SumoTrace:
    """Run SUMO in `folder`; `flow` is vehicles a second on the link."""
    home = Path(import_module("sumo").SUMO_HOME)  # eclipse-sumo: at a desk, in no lock
    binaries = home / "bin"
    _scene(folder, flow)
    net = ["-n", "nod.xml", "-e", "edg.xml", "-o", "net.xml", "--tls.default-type", "static"]
    _call(folder, binaries / "netconvert", *net, "--no-warnings")
    _call(
        folder, binaries / "sumo", "-n", "net.xml", "-r", "rou.xml", "-a", "add.xml",
        "-b", "0", "-e", str(BEFORE_S + END_S), "--step-length", "0.1",
        "--step-method.ballistic", "--seed", str(seed), "--time-to-teleport", "-1",
        "--no-step-log", "--precision", "4", "--no-warnings", "--duration-log.disable",
    )  # fmt: skip
    edges, vehicles = _edges(folder)
    return SumoTrace(edges, vehicles, _truth(folder))


def _call(folder: Path, *command: object) -> None:
    subprocess.run([str(part) for part in command], cwd=folder, check=True, stdout=sys.stderr)


def _scene(folder: Path, flow: float) -> None:
    stops = (
        f'<vehicle id="wreck" type="wreck" route="through" depart="{_at(INCIDENT_S) - 24}" '
        f'departLane="0" departSpeed="max"><stop lane="in_0" endPos="{INCIDENT_M}" '
        f'until="{_at(INCIDENT_END_S)}"/></vehicle>'
        f'<flow id="gazer" type="car" route="through" begin="{_at(INCIDENT_S) - 20}" '
        f'end="{_at(INCIDENT_END_S) - 60}" period="{GAZE_EVERY_S}" departLane="1" '
        f'departSpeed="max"><stop lane="in_1" endPos="{INCIDENT_M}" duration="{GAZE_S}"/></flow>'
    )
    flows = (
        f'<flow id="calm" type="mix" route="through" begin="0" end="{_at(END_S)}" '
        f'probability="{flow}" departLane="random" departSpeed="max"/>'
        f'<flow id="cross" type="mix" route="cross" begin="0" end="{_at(END_S)}" '
        'probability="0.08"/>'
    )
    points = "".join(
        f'<instantInductionLoop id="{lane}.{role}.{side}" lane="in_{lane}" '
        f'pos="{start + offset}" file="loops.xml"/>'
        for lane in (0, 1)
        for role, start in (("lead", LEAD_M), ("trail", LEAD_M + SPACING_M))
        for side, offset in (("on", 0.0), ("off", LOOP_M))
    )
    texts = {
        "nod.xml": NODES,
        "edg.xml": EDGES,
        "rou.xml": f"<routes>{VEHICLES}{flows}{stops}</routes>",
        "add.xml": f'<additional>{points}<laneData id="link" file="link.xml" freq="10"/>'
        "</additional>",
    }
    for name, text in texts.items():
        (folder / name).write_text(text, encoding="utf-8")


def _at(seconds: float) -> float:
    """From the trace's time to SUMO's."""
    return BEFORE_S + seconds


def _edges(folder: Path) -> tuple[list[tuple[float, str, int]], int]:
    enters: dict[tuple[str, str], float] = {}
    spans: dict[str, list[list[float]]] = defaultdict(list)
    for event in ElementTree.parse(folder / "loops.xml").getroot().iter("instantOut"):
        lane, role, side = event.attrib["id"].split(".")
        line, vehicle = f"north_{int(lane) + 1}_{role}", event.attrib["vehID"]
        now = (float(event.attrib["time"]) - BEFORE_S) * 1000
        if side == "on" and event.attrib["state"] == "enter":
            enters[line, vehicle] = now
        elif side == "off" and event.attrib["state"] == "leave":
            begin = enters.pop((line, vehicle), None)
            if begin is not None and begin >= 0:
                spans[line].append([begin, now])
    rows: list[tuple[float, str, int]] = []
    for line, found in spans.items():
        until = float("-inf")
        for begin, end in sorted(found):
            if begin < until + 1.0:  # bumper to bumper: the loop never saw a gap
                rows[-1] = (end, line, 0)
            else:
                rows += [(begin, line, 1), (end, line, 0)]
            until = end
    vehicles = sum(len(found) for line, found in spans.items() if line.endswith("lead"))
    return sorted((round(t, 1), line, level) for t, line, level in rows), vehicles


def _truth(folder: Path) -> list[tuple[float, float]]:
    moments = []
    for interval in ElementTree.parse(folder / "link.xml").getroot().iter("interval"):
        lanes = [lane for lane in interval.iter("lane") if lane.attrib["id"].startswith("in_")]
        driven = sum(float(lane.attrib.get("sampledSeconds", 0)) for lane in lanes)
        metres = sum(
            float(lane.attrib.get("sampledSeconds", 0)) * float(lane.attrib.get("speed", 0))
            for lane in lanes
        )
        moments.append((float(interval.attrib["end"]) - BEFORE_S, driven, metres))
    spans: list[tuple[float, float]] = []
    since: float | None = None
    for i in range(5, len(moments)):
        minute = moments[i - 5 : i + 1]
        driven = sum(m[1] for m in minute)
        speed = sum(m[2] for m in minute) / driven if driven else LIMIT
        density = driven / 60 / 2 / (LINK_M / 1000)
        now = moments[i][0]
        if since is None and density >= DENSE and speed < SLOW * LIMIT:
            since = now
        elif since is not None and speed > FREE * LIMIT:
            spans.append((since, now))
            since = None
    if since is not None:
        spans.append((since, moments[-1][0]))
    return [span for span in spans if span[1] >= 0]


def write_trace(trace: SumoTrace, out: Path) -> None:
    """The edges as CSV in gzip (the same bytes each time), and the truth beside it."""
    text = "t_ms,line,level\n" + "".join(f"{t:.1f},{line},{lv}\n" for t, line, lv in trace.edges)
    (out / "trace.csv.gz").write_bytes(gzip.compress(text.encode(), 9, mtime=0))
    (begin, end), *_ = trace.congested
    truth = {
        "onset_s": begin,
        "end_s": end,
        "vehicles": trace.vehicles,
        "length_s": END_S,
        "loop_m": LOOP_M,
        "spacing_m": SPACING_M,
        "position": "mid",
        "made_by": "models/congestion/scenarios/demo_trace.py with Eclipse SUMO 1.28",
    }
    (out / "trace.json").write_text(json.dumps(truth, indent=2) + "\n", encoding="utf-8")


def main() -> None:
    out = Path(sys.argv[1])
    with tempfile.TemporaryDirectory() as folder:
        trace = simulate_trace(Path(folder), flow=0.26, seed=11)
    write_trace(trace, out)
    size = (out / "trace.csv.gz").stat().st_size
    print(f"{len(trace.edges)} edges, {trace.vehicles} vehicles, {trace.congested}, {size} bytes")


if __name__ == "__main__":
    main()
