"""Recorded traffic of a scenario, of each kind that a `[[trace]]` may be."""

import gzip
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Final
from xml.etree import ElementTree

from edge.config import Site
from edge.core import ConfigError
from edge.recordings.edgefile import read_edge_rows
from edge.rig.loggedtraces import logged_changes
from edge.rig.loopspells import LoopChange, LoopSpell, loop_lines, whole_spells
from edge.rig.recordedinput import recorded_changes
from edge.rig.scenario import Scenario, Trace
from edge.rig.values import read_rows
from edge.rig.vehicles import Passage

SLOWEST_KMH: Final = 1.0
SHORTEST_M: Final = 0.5
VEHICLE_COLUMNS: Final = ("t_s", "lane", "speed_kmh", "length_m")


def recorded_passages(scenario: Scenario, site: Site) -> list[Passage]:
    """Vehicles of its traces, those of the time of the scenario. Raises ConfigError for a file that
    cannot be used."""
    found: list[Passage] = []
    for trace in scenario.traces:
        path = Path(scenario.file).parent / trace.file
        if trace.kind == "vehicles":
            found += _chosen(_table(path), trace, site, path)
        elif trace.kind == "sumo":
            found += _chosen(_sumo(path), trace, site, path)
    return [one for one in found if 0 <= one.t_s < scenario.about.duration_s]


def recorded_spells(scenario: Scenario, site: Site) -> list[LoopSpell]:
    """Contacts of its recorded edges and logs, in their order, those that begin in the time of the
    scenario. Raises ConfigError."""
    found: list[LoopSpell] = []
    for trace in scenario.traces:
        path = Path(scenario.file).parent / trace.file
        match trace.kind:
            case "edges":
                changes = _edge_changes(path, site)
            case "recording":
                changes = recorded_changes(path)
            case "indiana" | "iris":
                changes = logged_changes(path, trace, site)
            case _:
                continue
        found += _wanted(whole_spells(changes), trace, site)
    within = (one for one in found if 0 <= one.on_s < scenario.about.duration_s)
    return sorted(within, key=lambda spell: spell.on_s)


def _wanted(spells: Iterator[LoopSpell], trace: Trace, site: Site) -> Iterator[LoopSpell]:
    """Those of its lanes, in seconds of the scenario."""
    lanes = site.lanes if trace.lanes is None else trace.lanes
    loops = {f"{lane}.{role}" for lane in lanes for role in ("lead", "trail")}
    for loop, on_s, off_s in spells:
        if loop in loops:
            yield LoopSpell(loop, on_s - trace.skip_s, off_s - trace.skip_s)


def _chosen(found: Iterator[Passage], trace: Trace, site: Site, path: Path) -> Iterator[Passage]:
    for one in found:
        if one.lane not in site.lanes:
            raise ConfigError(f"{path} names a lane {one.lane}, which the site has not")
        if trace.lanes is None or one.lane in trace.lanes:
            yield replace(one, t_s=one.t_s - trace.skip_s)


def _table(path: Path) -> Iterator[Passage]:
    for number, (t_s, lane, speed_kmh, length_m) in read_rows(path, VEHICLE_COLUMNS):
        try:
            one = Passage(lane, float(t_s), float(speed_kmh), float(length_m))
        except ValueError:
            raise ConfigError(
                f"{path} row {number}: t_s, speed_kmh, length_m: write numbers"
            ) from None
        if not (one.t_s >= 0 and one.speed_kmh >= SLOWEST_KMH and one.length_m >= SHORTEST_M):
            raise ConfigError(f"{path} row {number}: t_s from 0, speed_kmh from {SLOWEST_KMH:g}, "
                              f"length_m from {SHORTEST_M:g}")  # fmt: skip
        yield one


def _sumo(path: Path) -> Iterator[Passage]:
    """`instantOut` of instant induction loops, which are called as lanes are (or `LANE.lead`): a
    vehicle enters one when its front reaches it."""
    try:
        for _, row in ElementTree.iterparse(path):
            if row.tag == "instantOut" and row.get("state") == "enter":
                lane, _, loop = row.get("id", "").partition(".")
                if loop in ("", "lead"):
                    speed_kmh = max(SLOWEST_KMH, float(row.get("speed", "")) * 3.6)
                    yield Passage(lane, float(row.get("time", "")), speed_kmh,
                                  float(row.get("length", "")))  # fmt: skip
            row.clear()
    except (OSError, ValueError, ElementTree.ParseError) as error:
        raise ConfigError(f"{path} cannot be read: {error}") from error


def _edge_changes(path: Path, site: Site) -> Iterator[LoopChange]:
    loops = loop_lines(site)
    with ExitStack() as stack:
        try:
            opened = gzip.open if path.suffix == ".gz" else open
            file = stack.enter_context(opened(path, "rt", encoding="utf-8", newline=""))
            for row in read_edge_rows(file):
                if row.error:
                    raise ConfigError(f"{path} row {row.number}: {row.error}")
                if row.unwatched is not None and row.unwatched.line in loops:
                    loop, _ = loops[row.unwatched.line]
                    yield LoopChange(loop, None, row.unwatched.mono_ns / 1e9)
                edge = row.edge
                if edge is None or edge.line not in loops:
                    continue
                loop, active_high = loops[edge.line]
                closed, found = edge.high is active_high, edge.seqno == 0
                yield LoopChange(loop, closed, edge.mono_ns / 1e9, found)
        except (OSError, EOFError, UnicodeError) as error:
            raise ConfigError(f"{path} cannot be read: {error}") from error
