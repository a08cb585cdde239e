"""Recorded traffic of a scenario: edges of loops, tables of vehicles, and what SUMO writes.

Logs of signal controllers and of IRIS become edges by `kerbstone import` first: which detector is
which loop is written there, by hand.
"""

import gzip
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Final, NamedTuple
from xml.etree import ElementTree

from edge.config import Site
from edge.core import ConfigError
from edge.recordings.edgefile import read_edge_rows
from edge.rig.scenario import Scenario, Trace
from edge.rig.values import read_rows
from edge.rig.vehicles import Passage

IMPORTED: Final = ("indiana", "iris")
SLOWEST_KMH: Final = 1.0
SHORTEST_M: Final = 0.5
VEHICLE_COLUMNS: Final = ("t_s", "lane", "speed_kmh", "length_m")


class LoopSpell(NamedTuple):
    """A recorded contact of a loop (`north_1.lead`): closed from, to, in seconds."""

    loop: str
    on_s: float
    off_s: float


def recorded_passages(scenario: Scenario, site: Site) -> list[Passage]:
    """Vehicles of its traces. Raises ConfigError for a file that cannot be used."""
    found: list[Passage] = []
    for trace in scenario.traces:
        path = Path(scenario.file).parent / trace.file
        if trace.kind in IMPORTED:
            raise ConfigError(
                f"{path}: make edges of it with `kerbstone import`, and name them with "
                'kind = "edges"'
            )
        if trace.kind == "vehicles":
            found += _chosen(_table(path), trace, site, path)
        elif trace.kind == "sumo":
            found += _chosen(_sumo(path), trace, site, path)
    return found


def recorded_spells(scenario: Scenario, site: Site) -> list[LoopSpell]:
    """Contacts of its recorded edges, in their order. Raises ConfigError."""
    found: list[LoopSpell] = []
    for trace in scenario.traces:
        if trace.kind == "edges":
            path = Path(scenario.file).parent / trace.file
            found += _edges(path, _loops(site, trace.lanes))
    return sorted(found, key=lambda spell: spell.on_s)


def _chosen(found: Iterator[Passage], trace: Trace, site: Site, path: Path) -> Iterator[Passage]:
    for one in found:
        if one.lane not in site.lanes:
            raise ConfigError(f"{path} names a lane {one.lane}, which the site has not")
        if trace.lanes is None or one.lane in trace.lanes:
            yield one


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


def _loops(site: Site, lanes: Sequence[str] | None) -> dict[str, tuple[str, bool]]:
    """Line -> the loop on it, and its level while the contact is closed."""
    found = {}
    for name, lane in site.lanes.items():
        if lanes is None or name in lanes:
            for role, line in (("lead", lane.lead), ("trail", lane.trail)):
                if line is not None:
                    shown = f"GPIO{int(line)}" if line.isdecimal() else line
                    found[shown] = (f"{name}.{role}", lane.active == "high")
    return found


def _edges(path: Path, loops: Mapping[str, tuple[str, bool]]) -> Iterator[LoopSpell]:
    """A contact that is closed when the recording begins or ends is left out: nobody knows how
    long it was."""
    began: dict[str, float] = {}
    with ExitStack() as stack:
        try:
            opened = gzip.open if path.suffix == ".gz" else open
            file = stack.enter_context(opened(path, "rt", encoding="utf-8", newline=""))
            for row in read_edge_rows(file):
                if row.error:
                    raise ConfigError(f"{path} row {row.number}: {row.error}")
                if row.unwatched is not None:
                    began.pop(row.unwatched.line, None)
                edge = row.edge
                if edge is None or edge.line not in loops:
                    continue
                loop, active_high = loops[edge.line]
                if edge.high is active_high:
                    began[edge.line] = edge.mono_ns / 1e9
                elif edge.line in began:
                    yield LoopSpell(loop, began.pop(edge.line), edge.mono_ns / 1e9)
        except (OSError, EOFError, UnicodeError) as error:
            raise ConfigError(f"{path} cannot be read: {error}") from error
