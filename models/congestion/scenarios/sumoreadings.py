"""Makes a street of what SUMO wrote: stays of loops, green of signals, truth of links."""

from __future__ import annotations

import csv
import xml.etree.ElementTree as ElementTree
import zlib
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path
from typing import Final, NamedTuple

import numpy as np

from models.congestion.scenarios import truth
from models.congestion.scenarios.drivers import CYCLE
from models.congestion.scenarios.scene import BEFORE_S, Road, Scene, ShuttleSignal
from models.congestion.scenarios.simstreet import (
    TRUTH_S,
    Floats,
    SimStreet,
    StreetLink,
    contact_stays,
    split_events,
)
from models.congestion.scenarios.sumosignals import signal_cycle_s

JITTER_S: Final = 0.002  # of a loop card: its scan takes some milliseconds
CYCLE_S: Final = (30.0, 180.0)  # between which a cycle is believed

Missed = Callable[[int, str], bool]  # whether a loop does not feel a vehicle


class LoopPass(NamedTuple):
    """A vehicle on a loop, in SUMO's seconds; its speed (m/s) as its front came, nan unknown."""

    vehicle: str
    on_s: float
    off_s: float
    speed_ms: float


def read_street(scene: Scene, folder: Path) -> SimStreet:
    """The street of a scene that was driven in `folder`."""
    greens = _greens(scene, folder / "tls.xml") if scene.signals else {}
    driven = _lane_data(scene, folder / "link.csv")
    links = tuple(
        _link(scene, road, driven[road.name], greens.get(road.name))
        for road in scene.roads
        if road.watched
    )
    return SimStreet(
        name=scene.name,
        kind=scene.kind,
        split=scene.split,
        seed=scene.seed,
        hours=scene.hours,
        links=links,
        loops=scene.loops,
        stays=tuple(_stays(scene, folder / "loops.csv")),
        about={
            **scene.about,
            "incidents": [
                [i.roads[0], i.lane, round(i.at_m, 1), round(i.from_s), round(i.length_s)]
                for i in scene.incidents
            ],
            "slow_exits": [[s.road, round(s.from_s), round(s.to_s)] for s in scene.slows],
        },
    )


def _stays(scene: Scene, path: Path) -> list[Floats]:
    random = np.random.default_rng([scene.seed, 13])
    out = []
    for i, found in enumerate(read_passes(path, len(scene.loops), _missed(scene))):
        spans = [(one.on_s, one.off_s) for one in found]
        rows = np.array(spans, np.float64).reshape(-1, 2) - BEFORE_S
        if scene.senses:
            rows[:, 0] += scene.senses[i].pick_up_s
            rows[:, 1] += scene.senses[i].drop_out_s
            rows = rows[rows[:, 1] > rows[:, 0]]
        joined = contact_stays(rows[:, 0], rows[:, 1])
        joined = joined + random.normal(0.0, JITTER_S, joined.shape).clip(-0.006, 0.006)
        joined = joined.clip(0.0, scene.hours * 3600)
        joined = joined[joined[:, 1] - joined[:, 0] >= 0.005]
        out.append(contact_stays(*joined.round(4).T))
    return out


def _nobody(loop: int, vehicle: str) -> bool:
    return False


def _missed(scene: Scene) -> Missed:
    """Which bicycles a loop does not feel: the same ones, whenever it is asked."""
    if not scene.senses:
        return _nobody

    def missed(loop: int, vehicle: str) -> bool:
        if not vehicle.startswith(CYCLE):
            return False
        chance = zlib.crc32(f"{scene.seed} {loop} {vehicle}".encode()) / 2**32
        return chance < scene.senses[loop].bicycles_missed

    return missed


def read_passes(path: Path, loops: int, missed: Missed = _nobody) -> list[list[LoopPass]]:
    """For each loop which vehicles were on it, and when; without those that it does not feel."""
    passes: list[list[LoopPass]] = [[] for _ in range(loops)]
    enters: dict[tuple[int, str], tuple[float, float]] = {}
    left: dict[tuple[int, str], float] = {}
    with path.open(encoding="utf-8", newline="") as lines:
        # Most rows say that a vehicle is still there, twice each step.
        rows = csv.DictReader((line for line in lines if ";stay;" not in line), delimiter=";")
        for row in rows:
            point, _, side = row["instantOut_id"].partition(".")
            key = (int(point), row["instantOut_vehID"])
            if missed(*key):
                continue
            now = float(row["instantOut_time"])
            if side == "on":
                if row["instantOut_state"] == "enter":
                    enters[key] = (now, float(row["instantOut_speed"]))
                else:
                    left[key] = now
            elif row["instantOut_state"] == "enter":
                # it came from the next lane, behind the first point
                enters.setdefault(key, (now, float("nan")))
            else:
                begin = enters.pop(key, None)
                left.pop(key, None)
                if begin is not None:
                    passes[key[0]].append(LoopPass(key[1], begin[0], now, begin[1]))
    for key, (on_s, speed_ms) in enters.items():
        if key in left and left[key] > on_s:  # to the next lane, before the second point
            passes[key[0]].append(LoopPass(key[1], on_s, left[key], speed_ms))
        elif key not in left:  # still there at the end
            passes[key[0]].append(LoopPass(key[1], on_s, float("inf"), speed_ms))
    return passes


def _greens(scene: Scene, path: Path) -> dict[str, Floats]:
    """When the way straight on from each watched road had green."""
    ends = {road.name: road for road in scene.roads}
    shuttles = {signal.node for signal in scene.signals if isinstance(signal, ShuttleSignal)}
    spans: dict[str, set[tuple[float, float]]] = defaultdict(set)
    for one in ElementTree.parse(path).getroot().iter("tlsSwitch"):
        begin, end = float(one.attrib["begin"]), float(one.attrib["end"])
        source = one.attrib["fromLane"].rsplit("_", 1)[0]
        target = one.attrib["toLane"].rsplit("_", 1)[0]
        road = ends.get(source)
        straight = target.rpartition("_")[0] == source.rpartition("_")[0]
        if road is not None:
            straight = straight or road.end in shuttles  # there is no other way
        if road is not None and road.watched and straight and end > BEFORE_S:
            spans[source].add((max(begin - BEFORE_S, 0.0), end - BEFORE_S))
    return {name: np.array(sorted(found)) for name, found in spans.items()}


def _lane_data(scene: Scene, path: Path) -> dict[str, tuple[Floats, Floats]]:
    """Vehicle-seconds and vehicle-metres of each watched road in each TRUTH_S."""
    count = int((BEFORE_S + scene.hours * 3600) / TRUTH_S)
    out = {r.name: (np.zeros(count), np.zeros(count)) for r in scene.roads if r.watched}
    with path.open(encoding="utf-8", newline="") as lines:
        for row in csv.DictReader(lines, delimiter=";"):
            seconds = float(row["lane_sampledSeconds"] or 0)
            at = int(float(row["interval_begin"]) / TRUTH_S)
            if seconds and at < count:
                driven, metres = out[row["lane_id"].rsplit("_", 1)[0]]
                driven[at] += seconds
                metres[at] += seconds * float(row["lane_speed"])
    return out


def usual_cycle_s(green: Floats) -> float:
    """From green to green, where that depends on the traffic or on the time of the day."""
    if len(green) < 4:
        return CYCLE_S[0]
    return float(np.clip(np.median(np.diff(green[:, 0])), *CYCLE_S))


def _link(
    scene: Scene, road: Road, driven: tuple[Floats, Floats], green: Floats | None
) -> StreetLink:
    red_s = None
    over_s = truth.MINUTE_S
    if road.signal and green is not None:
        over_s = signal_cycle_s(scene.signals[0]) or usual_cycle_s(green)
        whole = green[1:-1] if len(green) > 2 else green  # the first and the last may be cut
        red_s = max(0.0, over_s - float(np.median(whole[:, 1] - whole[:, 0])))
    elif road.give_way_s is not None:
        red_s = road.give_way_s
    lane_km = road.general_lanes * road.length_m / 1000
    density, speed = truth.smooth_state(*driven, lane_km, over_s)
    skip = BEFORE_S // TRUTH_S
    density, speed = density[skip:], speed[skip:]
    slow, free = truth.congestion_speeds(road.limit_ms * scene.pace, road.length_m, red_s)
    events, short = split_events(truth.congested_spans(density, speed, slow, free))
    return StreetLink(
        name=road.name,
        kind=scene.kind,
        lanes=road.lanes,
        length_m=road.length_m,
        limit_kmh=round(road.limit_ms * 3.6, 1),
        downstream=road.downstream,
        distance_m=road.distance_m,
        events=events,
        short=short,
        density=density,
        speed=np.nan_to_num(speed, nan=road.limit_ms),
        green=green,
    )
