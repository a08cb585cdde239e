"""Recorded traffic of a scenario, of each kind that a `[[trace]]` may be."""

import gzip
import zlib
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
from edge.rig.recordedcontacts import (
    EVERY_CONTACT,
    LoopSpell,
    RecordedChange,
    contact_lines,
    loop_lines,
    whole_spells,
)
from edge.rig.recordedinput import recorded_changes
from edge.rig.scenario import Scenario, Trace
from edge.rig.values import ROWS_LIMIT, read_rows
from edge.rig.vehicles import Passage

SLOWEST_KMH: Final = 1.0
FASTEST_KMH: Final = 1000.0
SHORTEST_M: Final = 0.5
LONGEST_M: Final = 1000.0
LATEST_S: Final = 1e9
LOOPS: Final = ("lead", "trail")
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
    """When loops of its recorded edges and logs were closed, in their order, as far as that began
    in the time of the scenario. Raises ConfigError."""
    found: list[LoopSpell] = []
    for trace in scenario.traces:
        lanes = site.lanes if trace.lanes is None else trace.lanes
        loops = {EVERY_CONTACT, *(f"{lane}.{role}" for lane in lanes for role in LOOPS)}
        changes = (one for one in _changes(trace, scenario, site) if one.source in loops)
        for loop, on_s, off_s in whole_spells(changes):
            found.append(LoopSpell(loop, on_s - trace.skip_s, off_s - trace.skip_s))
    within = (one for one in found if 0 <= one.on_s < scenario.about.duration_s)
    return sorted(within, key=lambda spell: spell.on_s)


def recorded_contacts(scenario: Scenario, site: Site) -> list[RecordedChange]:
    """How other contacts stood: pulses, signals, doors, bays, in the order of time; at 0 s each one
    as it stood then. Those of traces of which no lanes are chosen. Raises ConfigError."""
    sources = {one.source for one in contact_lines(site).values()}
    found: list[RecordedChange] = []
    at_begin: dict[str, bool] = {}
    for trace in scenario.traces:
        if trace.lanes is not None:
            continue
        for change in _changes(trace, scenario, site):
            t_s = change.t_s - trace.skip_s
            if change.source not in sources or change.closed is None:
                continue
            if t_s <= 0:
                at_begin[change.source] = change.closed
                continue
            # before its first edge it was otherwise
            at_begin.setdefault(change.source, change.closed is change.found)
            if t_s < scenario.about.duration_s:
                found.append(change._replace(t_s=t_s))
    begin = [RecordedChange(source, closed, 0.0, True) for source, closed in at_begin.items()]
    return begin + sorted(found, key=lambda change: change.t_s)


def _changes(trace: Trace, scenario: Scenario, site: Site) -> Iterator[RecordedChange]:
    """In the order of time, in seconds of its file; nothing of a trace of vehicles."""
    path = Path(scenario.file).parent / trace.file
    match trace.kind:
        case "edges":
            return _edge_changes(path, site)
        case "recording":
            return recorded_changes(path)
        case "indiana" | "iris":
            return logged_changes(path, trace, site)
    return iter(())


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
        yield _possible(one, f"{path} row {number}")


def _sumo(path: Path) -> Iterator[Passage]:
    """`instantOut` of instant induction loops, which are called as lanes are (or `LANE.lead`): a
    vehicle enters one when its front reaches it."""
    number, root = 0, None
    try:
        for what, row in ElementTree.iterparse(path, ("start", "end")):
            if root is None:
                root = row
            if what == "start":
                continue
            if row.tag == "instantOut" and row.get("state") == "enter":
                lane, _, loop = row.get("id", "").partition(".")
                number += 1
                if number > ROWS_LIMIT:
                    raise ConfigError(f"{path} has more than {ROWS_LIMIT} vehicles")
                if loop in ("", "lead"):
                    speed_kmh = max(SLOWEST_KMH, float(row.get("speed", "")) * 3.6)
                    one = Passage(
                        lane, float(row.get("time", "")), speed_kmh, float(row.get("length", ""))
                    )
                    yield _possible(one, f"{path}: instantOut {number} that enters")
            root.clear()  # else it has all of them at the end
    except (OSError, LookupError, ValueError, ElementTree.ParseError) as error:
        raise ConfigError(f"{path} cannot be read: {error}") from error


def _possible(one: Passage, where: str) -> Passage:
    """Raises ConfigError for what no vehicle is; not a number is none, either."""
    for name, value, low, high in (
        ("t_s", one.t_s, 0.0, LATEST_S),
        ("speed_kmh", one.speed_kmh, SLOWEST_KMH, FASTEST_KMH),
        ("length_m", one.length_m, SHORTEST_M, LONGEST_M),
    ):
        if not low <= value <= high:
            raise ConfigError(f"{where}: {name} is {value:g}; write {low:g} to {high:g}")
    return one


def _edge_changes(path: Path, site: Site) -> Iterator[RecordedChange]:
    lines = contact_lines(site) | loop_lines(site)
    with ExitStack() as stack:
        try:
            opened = gzip.open if path.suffix == ".gz" else open
            file = stack.enter_context(opened(path, "rt", encoding="utf-8", newline=""))
            for row in read_edge_rows(file):
                if row.error:
                    raise ConfigError(f"{path} row {row.number}: {row.error}")
                if row.unwatched is not None and row.unwatched.line in lines:
                    source = lines[row.unwatched.line].source
                    yield RecordedChange(source, None, row.unwatched.mono_ns / 1e9)
                edge = row.edge
                if edge is None or edge.line not in lines:
                    continue
                source, active_high = lines[edge.line]
                closed, found = edge.high is active_high, edge.seqno == 0
                yield RecordedChange(source, closed, edge.mono_ns / 1e9, found)
        except (OSError, EOFError, UnicodeError, zlib.error) as error:
            raise ConfigError(f"{path} cannot be read: {error}") from error
