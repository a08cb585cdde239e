"""A site file for a log: a lane for each detector, a contact for the green of each phase.

It is a draft. What a log does not tell stands in it as a remark: without a table of detectors,
which loops lie beside each other.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping
from typing import Final

from edge.core.printable import printable
from edge.recordings.actuations import phase_line
from edge.recordings.detectorroles import DetectorPlace

BUS: Final = "log"
UNPLACED: Final = """\
# No table of detectors places these: each is an approach of its own, and is compared with no other.
# Give lanes that lie beside each other one approach, in the order in which they lie."""


def site_name(text: str) -> str:
    """As the name of a site may be."""
    return re.sub(r"[^a-z0-9_-]+", "_", text.lower()).strip("_")[:64] or "signal"


def draft_site(
    name: str,
    zone: str,
    places: Mapping[str, DetectorPlace],
    greens: Mapping[str, str],
    source: str,
    *,
    placed: Collection[str],
) -> str:
    """The text of a site file. `places` by line, `greens` (see `green_lines`), and which lines
    a table has placed."""
    return "\n".join(printable(line) for line in _lines(name, zone, places, greens, source, placed))


def green_lines(places: Mapping[str, DetectorPlace], lines: Collection[str]) -> dict[str, str]:
    """Approach by the line of the phase that gives it green, where `lines` has that line."""
    found: dict[str, str] = {}
    for phase, approach in sorted(
        {p.phase: p.approach for p in places.values() if p.phase is not None}.items()
    ):
        if phase_line(phase) in lines and approach not in found.values():
            found[phase_line(phase)] = approach
    return found


def _lines(
    name: str,
    zone: str,
    places: Mapping[str, DetectorPlace],
    greens: Mapping[str, str],
    source: str,
    placed: Collection[str],
) -> Iterator[str]:
    yield f"# {name}: a draft by `kerbstone import`, made of {source}, for `kerbstone replay`."
    yield "# Its lines are those of the recorded edges: there is no such bus on any box."
    yield from ("", "[site]", f'id = "{site_name(name)}"', 'gateway = "replay"', f'zone = "{zone}"')
    yield from ("", "[uplink]", 'url = "mqtt://127.0.0.1" # a replay sends nothing')
    yield from ("", f"[bus.{BUS}]", 'kind = "gpio"', "")
    for line, approach in greens.items():
        yield f"[device.green_{site_name(line)}]"
        yield from ('driver = "contact"', f'bus = "{BUS}"', f'line = "{line}"')
        yield from ('active = "high"', 'bias = "none"', "debounce_ms = 0")
        yield f'phase = {{ approach = "{approach}", colour = "green" }}'
        yield ""
    names: set[str] = set()
    order = sorted(places, key=lambda line: (line not in placed, _natural(line)))
    unplaced = next((line for line in order if line not in placed), None)
    for line in order:
        place = places[line]
        if line == unplaced:
            yield from UNPLACED.splitlines()
        yield f"[lane.{_lane(line, names)}]"
        yield from (f'approach = "{place.approach}"', f'bus = "{BUS}"', f'lead = "{line}"')
        yield from ('active = "high"', 'bias = "none"', f'position = "{place.position}"')
        if place.role == "bicycle":
            yield 'kind = "bicycle"'
        elif place.role != "mainline":
            yield f'role = "{place.role}"'
        yield ""


def _lane(line: str, names: set[str]) -> str:
    plain = site_name(line)
    name, n = plain, 1
    while name in names:
        n += 1
        name = f"{plain}_{n}"
    names.add(name)
    return name


def _natural(line: str) -> tuple[tuple[int, int, str], ...]:
    """D2 before D10."""
    return tuple(
        (0, int(part), "") if part.isdigit() else (1, 0, part)
        for part in re.split(r"(\d+)", line)
        if part
    )
