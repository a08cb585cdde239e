"""What a scenario lets happen on the wires, compared with its site and with files that it names."""

from collections.abc import Iterator, Mapping
from itertools import pairwise
from pathlib import Path
from typing import Any, Final

from edge.config.draft import FileDraft
from edge.config.keylines import KeyPath
from edge.config.problem import show_value, suggest
from edge.core import ConfigError
from edge.durable.readfile import read_beginning
from edge.gateway.recordingfile import RecordingError, read_head
from edge.recordings.controllerlog import COLUMNS as LOG_COLUMNS
from edge.recordings.irisvlog import SUFFIX, log_day
from edge.recordings.tablefile import read_table
from edge.rig.recordedcontacts import full_loop, loop_lines
from edge.rig.scenario import About, Signal, Trace, Traffic, Value, Vehicle
from edge.rig.scenariosite import ScenarioSite

Rows = Mapping[str, tuple[tuple[KeyPath, Any], ...]]
HEAD_LIMIT: Final = 4096  # bytes of a file's first line
COLUMNS: Final[Mapping[str, tuple[str, ...]]] = {
    "edges": ("t_ms", "line", "level"),
    "vehicles": ("t_s", "lane", "speed_kmh", "length_m"),
}
"""What the first line of a trace has to be, of kinds that are tables of ours."""
TRACE_KEYS: Final[Mapping[str, tuple[str, ...]]] = {
    "detectors": ("indiana", "iris"),
    "signal": ("indiana",),
}
PACKED: Final = b"\x1f\x8b"  # gzip
TIME: Final = "t_s"
CURVE_ENDS: Final = "its times have to grow from pair to pair"


def check_stimuli(
    draft: FileDraft, folder: Path, about: About, site: ScenarioSite | None, rows: Rows
) -> None:
    """`folder`: where files of the scenario are. Without a site only what stands in the file."""
    for path, traffic in rows["traffic"]:
        _traffic(draft, path, traffic, about)
    for path, vehicle in rows["vehicle"]:
        _vehicle(draft, path, vehicle, about)
    for path, trace in rows["trace"]:
        _trace(draft, path, trace)
        _trace_file(draft, path, trace, folder)
    for path, value in rows["value"]:
        _value(draft, path, value, folder)
    _lanes_of_traces(draft, rows)
    _twice(draft, rows["signal"], ("approach",))
    _twice(draft, rows["value"], ("device", "point"))
    if site is None:
        return
    for path, lane in _named_lanes(rows):
        if lane not in site.site.lanes:
            draft.report(path, f"no lane is called {show_value(lane)}; "
                         + suggest(lane, site.site.lanes))  # fmt: skip
    for path, trace in rows["trace"]:
        _trace_loops(draft, path, trace, site)
    for path, signal in rows["signal"]:
        _signal(draft, path, signal, site)
    for path, value in rows["value"]:
        _point(draft, path, value, site)


def _traffic(draft: FileDraft, path: KeyPath, traffic: Traffic, about: About) -> None:
    end_s = about.duration_s
    check_span(draft, path, "from_s", traffic.from_s, "until_s", traffic.until_s, end_s)
    spread, speed = traffic.spread_kmh, traffic.speed_kmh
    if spread and speed and spread > speed / 2:
        draft.report((*path, "spread_kmh"), f"{spread:g} is more than half of the mean, {speed:g}: "
                     "some would drive backwards; write less")  # fmt: skip


def _vehicle(draft: FileDraft, path: KeyPath, vehicle: Vehicle, about: About) -> None:
    if vehicle.at_s >= about.duration_s:
        draft.report((*path, "at_s"), f"{vehicle.at_s:g} is not before the end of the street, "
                     f"scenario.duration_s = {about.duration_s:g}")  # fmt: skip
    gap, length = vehicle.gap_m, vehicle.length_m
    if gap and length and gap > length - 1:
        draft.report((*path, "gap_m"), f"{gap:g} leaves less than 1 m of the vehicle: length_m is "
                     f"{length:g} from front to end, the drawbar among it")  # fmt: skip


def check_span(
    draft: FileDraft, path: KeyPath, first: str, from_s: float | None, last: str,
    until_s: float | None, end_s: float,
) -> None:  # fmt: skip
    """A time within the run, and its end after its begin. None: not said, or wrong already."""
    if from_s is not None and from_s >= end_s:
        draft.report((*path, first), f"{from_s:g} is not before the end, {end_s:g} s")
    if until_s is None:
        return
    if until_s > end_s:
        draft.report((*path, last), f"{until_s:g} is after the end, {end_s:g} s")
    if from_s is not None and until_s <= from_s:
        draft.report((*path, last), f"{until_s:g} is not after {first}, {from_s:g}")


def _named_lanes(rows: Rows) -> Iterator[tuple[KeyPath, str]]:
    for name in ("traffic", "trace"):
        for path, row in rows[name]:
            for lane in row.lanes or ():
                yield (*path, "lanes"), lane
    for path, vehicle in rows["vehicle"]:
        yield (*path, "lane"), vehicle.lane


def _lanes_of_traces(draft: FileDraft, rows: Rows) -> None:
    """A lane is driven by one trace, or by tables."""
    made = {lane for path, lane in _named_lanes(rows) if path[0] != "trace"}
    taken: set[str] = set()
    for path, trace in rows["trace"]:
        if trace.lanes is None:
            if (made or len(rows["trace"]) > 1) and not draft.written(*path, "lanes"):
                draft.report(path, "other tables drive lanes, too: say with `lanes` which lanes "
                             "this trace drives")  # fmt: skip
            continue
        for lane in trace.lanes:
            if lane in made:
                draft.report((*path, "lanes"), f"{lane} has [[traffic]] or [[vehicle]], too: a "
                             "lane is driven by a trace, or by tables")  # fmt: skip
            if lane in taken:
                draft.report((*path, "lanes"), f"{lane} is driven by another trace already")
        taken |= set(trace.lanes)


def _trace(draft: FileDraft, path: KeyPath, trace: Trace) -> None:
    """Keys that belong to some kinds only."""
    for key, kinds in TRACE_KEYS.items():
        if draft.written(*path, key) and trace.kind not in kinds:
            draft.report((*path, key), f"belongs to kind = {' or '.join(kinds)}; leave it out")
    seen: set[str] = set()
    for number, one in enumerate(trace.detectors or ()):
        loop = full_loop(one.loop)
        if loop in seen:
            draft.report((*path, "detectors", number), f"{one.loop} is another detector already")
        seen.add(loop)


def _trace_loops(draft: FileDraft, path: KeyPath, trace: Trace, site: ScenarioSite) -> None:
    loops = [one.source for one in loop_lines(site.site).values()]
    for number, one in enumerate(trace.detectors or ()):
        if full_loop(one.loop) not in loops:
            draft.report((*path, "detectors", number), f"no loop is called {show_value(one.loop)}; "
                         + suggest(one.loop, loops))  # fmt: skip


def _trace_file(draft: FileDraft, path: KeyPath, trace: Trace, folder: Path) -> None:
    """As far as its beginning tells; the whole file is read when it is played."""
    place, where = folder / trace.file, (*path, "file")
    if trace.kind == "iris" and place.is_dir():  # of a day, with a file for each detector
        if not any(place.glob(f"*{SUFFIX}")):
            draft.report(where, f"{place} has no {SUFFIX} file in it")
        return
    head = _head(draft, where, place)
    if head is None:
        return
    try:
        match trace.kind:
            case "iris":
                log_day(place)
                if place.suffix.lower() != SUFFIX:
                    draft.report(where, f"{place}: logs of IRIS are called DETECTOR{SUFFIX}")
            case "indiana":
                next(read_table(place, LOG_COLUMNS), None)
            case "recording":
                read_head(place)
    except ConfigError as error:
        draft.report(where, str(error))
    except (OSError, RecordingError) as error:
        draft.report(where, f"{place}: {error}")
    wanted = COLUMNS.get(trace.kind)
    if wanted is None or head.startswith(PACKED):
        return
    if _columns(head) != list(wanted):
        draft.report(where, f"{place}: its first line is not {','.join(wanted)}")


def _value(draft: FileDraft, path: KeyPath, value: Value, folder: Path) -> None:
    given = [key for key in ("constant", "curve", "series") if draft.written(*path, key)]
    if len(given) != 1:
        found = " and ".join(given) or "none of them"
        draft.report(path, f"one of constant, curve, series belongs here, and there is {found}")
    if value.curve is not None:
        times = [at_s for at_s, _ in value.curve]
        for number, (one, other) in enumerate(pairwise(times), 1):
            if other <= one:
                draft.report((*path, "curve", number), f"{other:g} s comes after {one:g} s: "
                             + CURVE_ENDS)  # fmt: skip
        if times[0] < 0:
            draft.report((*path, "curve", 0), f"{times[0]:g} s is before the start, 0 s")
    if value.series is None:
        return
    place = folder / value.series
    head = _head(draft, (*path, "series"), place)
    if head is None:
        return
    for column in (TIME, value.point):
        if column not in _columns(head):
            draft.report((*path, "series"), f"{place} has no column {column}; its first line has "
                         "to be t_s and names of points, with commas between")  # fmt: skip


def _head(draft: FileDraft, path: KeyPath, place: Path) -> bytes | None:
    """The first line of a file; None when it cannot be read, and that is reported."""
    try:
        return read_beginning(place, HEAD_LIMIT).partition(b"\n")[0]
    except (OSError, ValueError) as error:
        why = getattr(error, "strerror", None) or "it is no file"
        draft.report(path, f"{place} cannot be read: {why}; its name counts from the folder of the "
                     "scenario")  # fmt: skip
        return None


def _columns(head: bytes) -> list[str]:
    text = head.decode("utf-8-sig", errors="replace")
    return [cell.strip() for cell in text.split(",")]


def _twice(draft: FileDraft, rows: tuple[tuple[KeyPath, Any], ...], keys: tuple[str, ...]) -> None:
    seen: dict[tuple[Any, ...], int] = {}
    for path, row in rows:
        what = tuple(getattr(row, key) for key in keys)
        if what in seen:
            name = ".".join(map(str, what))
            draft.report((*path, keys[-1]), f"{name} has a table [[{path[0]}]] before this one; "
                         "leave one of them out")  # fmt: skip
        seen.setdefault(what, 1)


def _signal(draft: FileDraft, path: KeyPath, signal: Signal, site: ScenarioSite) -> None:
    approaches = site.site.approaches
    where = (*path, "approach")
    if signal.approach not in approaches:
        draft.report(where, f"no approach is called {show_value(signal.approach)}; "
                     + suggest(signal.approach, approaches))  # fmt: skip
    elif signal.approach not in site.site.signals:
        draft.report(where, f"no contact of the site file tells the colour of {signal.approach}: "
                     "there a contact needs `phase`")  # fmt: skip


def _point(draft: FileDraft, path: KeyPath, value: Value, site: ScenarioSite) -> None:
    points = site.points.get(value.device)
    if points is None:
        draft.report((*path, "device"), f"no polled device is called {show_value(value.device)}; "
                     + suggest(value.device, site.points))  # fmt: skip
        return
    point = points.get(value.point)
    if point is None:
        draft.report((*path, "point"), f"{value.device} has no point {show_value(value.point)}; "
                     + suggest(value.point, points))  # fmt: skip
        return
    given = [("constant", value.constant)] if value.constant is not None else []
    given += [("curve", number) for _, number in value.curve or ()]
    for key, number in given:
        if not point.low <= number <= point.high:
            draft.report((*path, key), f"{number:g} is nothing that {value.device} can measure: "
                         f"{value.point} is {point.low:g} to {point.high:g} "
                         f"{point.quantity.unit}")  # fmt: skip
