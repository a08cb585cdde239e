"""A scenario made of what came into a gateway, and of what the gateway said meanwhile.

Pure: from a recording and its site to the texts of files. What was on the wires becomes a trace of
edges and series of points. What the box said becomes expectations: nobody has looked yet whether it
was right, and the file says so.
"""

import json
import math
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Final

import msgpack

from drivers.sim.simdevice import measured_values
from edge.cabinet.simrequest import device_request
from edge.core import ConfigError, Stream, Sweep
from edge.core.printable import printable
from edge.rig.recordedcontacts import RecordedChange, contact_lines, loop_lines
from edge.rig.recordedinput import RecordedInput, entry_changes
from edge.rig.scenario import DAY_S
from edge.rig.scenariosite import ScenarioSite
from edge.rig.vocabulary import EVENT_WORDS, FLAGS

EDGES: Final = "edges.csv"
SITE: Final = "site.toml"
VALUES: Final = "values"
"""Names of files beside the scenario: of a folder with one file for each device."""
SETTLE_S: Final = 120.0
BUSY_S: Final = 1.0
"""Somebody who was on a lane so shortly before the begin or the end may count on either side."""
TOLERANCE: Final = 0.02  # of a value, and of the range in which it was
STEPS: Final = 2  # of its resolution at least
DIGITS: Final = 6
HEADER: Final = "t_ms,line,level"


@dataclass(slots=True)
class RecordedBox:
    """What a recording has: changes of contacts, samples by device, and records in words of the
    wire. Times are seconds from its begin."""

    duration_s: float
    changes: list[RecordedChange] = field(default_factory=list)
    samples: dict[str, list[tuple[float, Sequence[float | None]]]] = field(
        default_factory=lambda: defaultdict(list)
    )
    records: list[tuple[str, str, Mapping[str, Any]]] = field(default_factory=list)
    """Stream, source, body."""

    @classmethod
    def of(cls, recorded: RecordedInput) -> "RecordedBox":
        """Raises ConfigError for a segment or a record that cannot be read."""
        zero_ns = recorded.head.from_ns
        found = cls((recorded.to_ns - zero_ns) / 1e9)
        if found.duration_s > DAY_S:
            raise ConfigError(f"{recorded.name}: it is longer than a day")
        for entry in recorded.entries():
            found.changes += entry_changes(entry, zero_ns)
            if isinstance(entry, list):
                for one in entry:
                    if isinstance(one, Sweep):
                        t_s = (one.mono_ns - zero_ns) / 1e9
                        found.samples[one.source].append((t_s, [*map(_number, one.values)]))
        found.changes.sort(key=lambda change: change.t_s)
        for window in recorded.windows:
            for packed in window.records:
                stream, source, _, _, body = msgpack.unpackb(packed, strict_map_key=False)
                found.records.append((str(stream), str(source), body))
        return found

    def bodies(self, stream: Stream) -> dict[str, list[Mapping[str, Any]]]:
        """Of a stream, by source, in their order."""
        found: dict[str, list[Mapping[str, Any]]] = defaultdict(list)
        for name, source, body in self.records:
            if name == stream:
                found[source].append(body)
        return found


def recorded_files(recorded: RecordedInput, site: ScenarioSite, title: str) -> dict[str, str]:
    """Name -> text: the scenario, its edges and its series; not the site file. Raises ConfigError
    for a recording that cannot be read, or that has no lane and no point of this site."""
    box = RecordedBox.of(recorded)
    series = {name: _series(name, box, site) for name in sorted(site.points)}
    series = {name: text for name, text in series.items() if text}
    edges = edge_rows(box, site)
    if not box.records or not (series or site.site.lanes):
        raise ConfigError(f"{recorded.name}: nothing in it is of this site")
    lines = [
        *_head(recorded, box, title), *_stimulus(box, site, series), *_expectations(box, site),
    ]  # fmt: skip
    files = {"scenario.toml": "\n".join(lines) + "\n", EDGES: "\n".join(edges) + "\n"}
    return files | {f"{VALUES}/{name}.csv": text for name, text in series.items()}


def edge_rows(box: RecordedBox, site: ScenarioSite) -> Iterator[str]:
    """The file of edges. Each line begins as it stood before its first change; of a line without
    one nobody knows that, and it is open. A loop that is closed at the end is opened there."""
    lines = {one.source: (line, one.active_high) for line, one in loop_lines(site.site).items()}
    loops = set(lines)
    for line, one in contact_lines(site.site).items():
        lines[one.source] = line, one.active_high
    first: dict[str, RecordedChange] = {}
    for each in box.changes:
        if each.closed is not None:
            first.setdefault(each.source, each)
    yield HEADER
    for source, (line, high) in lines.items():
        change = first.get(source)
        closed = change is not None and change.closed is change.found
        yield f"0,{line},={_level(closed, high)}"
    closed_now: dict[str, bool] = {}
    for change in box.changes:
        if change.source not in lines or not 0 <= change.t_s <= box.duration_s:
            continue
        line, high = lines[change.source]
        at_ms = _ms(change.t_s)
        if change.closed is None:
            yield f"{at_ms},{line},?"
            closed_now.pop(change.source, None)
        elif not change.found or at_ms != "0":
            mark = "=" if change.found else ""
            yield f"{at_ms},{line},{mark}{_level(change.closed, high)}"
            closed_now[change.source] = change.closed
    for source in sorted(loops):
        if closed_now.get(source):
            line, high = lines[source]
            yield f"{_ms(box.duration_s)},{line},{_level(False, high)}"


def _head(recorded: RecordedInput, box: RecordedBox, title: str) -> Iterator[str]:
    head = recorded.head
    yield f"# {printable(title)}"
    yield "#"
    yield from (
        f"# Made by `kerbstone rig record` of {printable(head.gateway)} at {printable(head.site)}, "
        f"version {printable(head.program)}.",
        f"# {_when(head.wall_offset_ns, head.from_ns)} to "
        f"{_when(head.wall_offset_ns, recorded.to_ns)}.",
        "# It tells when single vehicles have passed: treat it as personal data.",
    )
    yield ""
    yield "[scenario]"
    yield f"name = {_quoted(title)}"
    yield f"site = {_quoted(SITE)}"
    yield f"duration_s = {_plain(math.ceil(box.duration_s * 1000) / 1000)}"
    yield f"settle_s = {_plain(SETTLE_S)}"


def _stimulus(box: RecordedBox, site: ScenarioSite, series: Mapping[str, str]) -> Iterator[str]:
    yield from ("", _rule("what came in on the wires"), "")
    yield from ("[[trace]]", f"file = {_quoted(EDGES)}", 'kind = "edges"')
    for name, text in series.items():
        for key in text.partition("\n")[0].split(",")[1:]:
            yield from ("", "[[value]]", f"device = {_quoted(name)}", f"point = {_quoted(key)}",
                        f"series = {_quoted(f'{VALUES}/{name}.csv')}")  # fmt: skip
    unplayed = [name for name in site.points if name not in series]
    if unplayed:
        yield from ("", f"# Nothing was read of {', '.join(unplayed)}, or nothing simulates it.")


def _expectations(box: RecordedBox, site: ScenarioSite) -> Iterator[str]:
    yield from (
        "", _rule("what the box said: look at each whether it was right"), "",
        "# These are no wishes of anybody. They pass with a box that says the same again.",
    )  # fmt: skip
    yield from _volumes(box, site)
    yield from _values(box, site)
    yield from _events(box, site)
    yield from ("", "[[expect]]", 'name = "The box said: nothing else"', 'what = "nothing_else"')
    yield from ("", "[[expect]]", 'name = "Every record arrives, once"', 'what = "complete"')


def _volumes(box: RecordedBox, site: ScenarioSite) -> Iterator[str]:
    for lane, bodies in box.bodies(Stream.TRAFFIC).items():
        if lane not in site.site.lanes:
            continue
        counts = [body.get("volume") for body in bodies]
        known = [count for count in counts if isinstance(count, int)]
        if len(known) < len(counts):
            yield from ("", f"# {lane} had no count in {len(counts) - len(known)} of {len(counts)} "
                        "records: nothing is expected of it.")  # fmt: skip
            continue
        yield from ("", "[[expect]]")
        yield f'name = "The box said: {sum(known)} vehicles on {lane}"'
        yield from ('what = "volume"', f"source = {_quoted(lane)}", f"equals = {sum(known)}")
        if doubtful := _doubtful(box, lane):
            yield f"tolerance = {doubtful} # on the loops when it began or ended"


def _doubtful(box: RecordedBox, lane: str) -> int:
    """At how many ends of the recording somebody was on the lane's loops, or just had been."""
    found = 0
    loops = (f"{lane}.lead", f"{lane}.trail")
    changes = [change for change in box.changes if change.source in loops]
    for from_s, to_s in ((-BUSY_S, BUSY_S), (box.duration_s - BUSY_S, box.duration_s + BUSY_S)):
        closed: dict[str, bool | None] = {}
        for change in changes:
            if change.t_s <= from_s or change.source not in closed:
                closed[change.source] = change.closed if change.t_s <= from_s else not change.closed
        near = any(from_s <= change.t_s <= to_s for change in changes)
        found += near or any(closed.values())
    return found


def _values(box: RecordedBox, site: ScenarioSite) -> Iterator[str]:
    for stream in (Stream.AIR, Stream.ENERGY):
        for device, bodies in box.bodies(stream).items():
            for key, point in site.points.get(device, {}).items():
                rows = [body["points"][key] for body in bodies if key in body.get("points", {})]
                yield from _value(device, key, point.quantity.unit, rows)


def _value(device: str, key: str, unit: str, rows: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    words = {word for row in rows for word in row.get("quality", {}) if word != "good"}
    if words:
        yield from ("", f"# {device}.{key} was {', '.join(sorted(words))} at times: nothing is "
                    "expected of it, and no fault here makes it so.")  # fmt: skip
        return
    total = any("delta" in row for row in rows)
    low, high = _range(rows, total=total)
    if low is None or high is None:
        return
    middle, spread = (low + high) / 2, (high - low) / 2
    step = max((_number(row.get("step")) or 0.0 for row in rows), default=0.0)
    share = TOLERANCE * abs(middle)
    if total:  # it has counted for years; windows may end sooner or later than these
        share = max((_number(row.get("delta")) or 0.0 for row in rows), default=0.0)
    tolerance = spread + max(share, TOLERANCE * spread, STEPS * step)
    yield from ("", "[[expect]]")
    said = f"{device}.{key} was {_plain(low)} to {_plain(high)} {unit}".rstrip()
    yield f"name = {_quoted(f'The box said: {said}')}"
    yield from ('what = "value"', f"source = {_quoted(device)}", f"key = {_quoted(key)}")
    if total:
        yield 'field = "last"'
    yield from (f"equals = {_plain(middle)}", f"tolerance = {_plain(tolerance)}")
    if unit:
        yield f"unit = {_quoted(unit)}"


def _range(rows: Sequence[Mapping[str, Any]], *, total: bool) -> tuple[float | None, float | None]:
    """From the smallest to the largest value that records tell."""
    lows = [_number(row.get("first" if total else "min")) for row in rows]
    highs = [_number(row.get("last" if total else "max")) for row in rows]
    if total:
        lows += [
            last - delta
            for row in rows
            if (last := _number(row.get("last"))) is not None
            and (delta := _number(row.get("delta"))) is not None
        ]
    return (
        min((one for one in lows if one is not None), default=None),
        max((one for one in highs if one is not None), default=None),
    )


def _events(box: RecordedBox, site: ScenarioSite) -> Iterator[str]:
    told: set[tuple[str, str, str]] = set()
    for source, bodies in box.bodies(Stream.EVENT).items():
        for body in bodies:
            kind, state = str(body.get("event")), body.get("state")
            if state not in (None, "on"):
                continue  # it went off
            what = "flag" if kind in FLAGS and state == "on" else "event"
            if kind not in EVENT_WORDS or source not in site.sources:
                yield from ("", f"# The box said, too: {printable(kind)} of {printable(source)}.")
            elif (what, source, kind) not in told:
                told.add((what, source, kind))
                yield from ("", "[[expect]]", f'name = "The box said: {kind} of {source}"')
                yield from (f'what = "{what}"', f"source = {_quoted(source)}")
                yield f"key = {_quoted(kind)}"


def _series(name: str, box: RecordedBox, site: ScenarioSite) -> str:
    """A CSV of all points that a simulator can show; "" where there is none. A value that was bad
    is that before it, or the first good one."""
    samples = box.samples.get(name, ())
    try:
        known = measured_values(device_request(site.site, name))
    except (ConfigError, ImportError, ValueError):
        return ""
    keys = list(site.points[name])
    columns = {}
    for place, key in enumerate(keys):
        column = [row[place] if place < len(row) else None for _, row in samples]
        last = next((value for value in column if value is not None), None)
        if key not in known or last is None:
            continue
        filled = []
        for value in column:
            last = last if value is None else value
            filled.append(last)
        columns[key] = filled
    if not columns:
        return ""
    rows = [",".join(("t_s", *columns))]
    before_s = -math.inf
    for number, (t_s, _) in enumerate(samples):
        shown_s = round(max(t_s, 0.0), DIGITS)
        if shown_s > before_s:
            before_s = shown_s
            cells = (_plain(column[number]) for column in columns.values())
            rows.append(",".join((_plain(shown_s), *cells)))
    return "\n".join(rows) + "\n"


def _when(offset_ns: int | None, mono_ns: int) -> str:
    """A moment of the real world, in UTC; without a clock that is right there is none."""
    if offset_ns is None:
        return "at a time that the box did not know"
    moment = datetime.fromtimestamp((mono_ns + offset_ns) // 1_000_000_000, UTC)
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")


def _level(closed: bool, active_high: bool) -> int:
    return int(closed is active_high)


def _ms(t_s: float) -> str:
    return _plain(t_s * 1000, 3)


def _number(value: Any) -> float | None:
    """None for what is no number."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        return None
    return float(value)


def _plain(number: float, digits: int = DIGITS) -> str:
    text = f"{number:.{digits}f}".rstrip("0").rstrip(".")
    return "0" if text == "-0" else text


def _quoted(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)


def _rule(text: str) -> str:
    return f"# -- {text} ".ljust(100, "-")
