"""Where the detectors of a log lie, by a table of the agency: CSV or Parquet.

A row is a detector. `atspm` and Oregon call the columns DeviceId, Phase, Parameter, Function; a
table of one's own may name approach, position and role as the site file does. Detectors of which
no row speaks are each an approach of their own: who lies beside whom must be told, not guessed.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final, Literal, NamedTuple

from edge.recordings.leftout import LeftOut
from edge.recordings.tablefile import Column, read_table, whole_number, word

COLUMNS: Final = (
    Column(("Parameter", "Detector", "Channel", "DetectorChannel", "DetChannel")),
    Column(("DeviceId", "SignalId", "Device", "Signal", "Intersection"), required=False),
    Column(("Phase", "ProtectedPhaseNumber"), required=False),
    Column(("Function", "DetectionType", "DetectionHardware"), required=False),
    Column(("Approach",), required=False),
    Column(("Position",), required=False),
    Column(("Role", "LaneType"), required=False),
)
Position = Literal["corridor", "advance", "mid", "stop"]
POSITIONS: Final[Mapping[str, Position]] = {
    "corridor": "corridor", "advance": "advance", "mid": "mid", "stop": "stop",
}  # fmt: skip
ROLES: Final = ("mainline", "turn", "auxiliary", "bus", "bicycle")
TURNS: Final = (1, 3, 5, 7)  # phases of left turns, as NEMA numbers them
NOT_READ: Final = "rows of the table of detectors without a detector's number"
TWICE: Final = "rows of the table of detectors for a detector that it has already placed"
NOTHING_SAID: Final = (
    "rows of the table of detectors without a phase or approach, or of a zone across lanes"
)


class DetectorPlace(NamedTuple):
    """Where a detector lies. `zone`: it covers the lane before the stop line, and calls the green.

    `phase` is None where the table names none.
    """

    approach: str
    position: Position
    role: str
    phase: int | None
    zone: bool = False


Places = Mapping[tuple[str, str], DetectorPlace]
"""By signal and detector; a table without a column of signals has "" there."""


def read_roles(path: Path, left_out: LeftOut) -> dict[tuple[str, str], DetectorPlace]:
    """The table. Raises ConfigError for a file that cannot be read or is none."""
    found: dict[tuple[str, str], DetectorPlace] = {}
    for number, cells, error in read_table(path, COLUMNS):
        detector = "" if error else word(cells[0])
        if not detector:
            left_out.add(NOT_READ, path, number)
            continue
        place = _place(*cells[2:])
        key = word(cells[1]), detector
        if key in found:  # a detector has several functions: the first that places it counts
            left_out.note(TWICE)
        elif place is None:
            left_out.note(NOTHING_SAID)
        else:
            found[key] = place
    return found


def _place(
    phase: object, function: object, approach: object, position: object, role: object
) -> DetectorPlace | None:
    number, what = whole_number(phase), word(function).lower()
    name = _name(word(approach)) or (f"p{number}" if number is not None else "")
    if not name or ("yellow" in what and not word(approach)):
        return None  # a zone over the lanes of others is no neighbour of any
    said = word(role).lower()
    bicycle = "bik" in what or "bicyc" in what or "bik" in said
    usual = "turn" if number in TURNS else "mainline"
    return DetectorPlace(
        name,
        POSITIONS.get(word(position).lower()) or ("advance" if "advance" in what else "stop"),
        "bicycle" if bicycle else said if said in ROLES else usual,
        number,
        "presence" in what,
    )


def _name(text: str) -> str:
    return re.sub(r"[^a-z0-9_-]+", "_", text.lower()).strip("_")[:64]


def places_of(
    places: Places, signal: str, detectors: Mapping[str, str], elsewhere: Position
) -> Iterator[tuple[str, DetectorPlace]]:
    """Lines with their places. `detectors`: line by the name of the detector in the table;
    `elsewhere`: the position of those that it does not have.

    A zone lies along the counting loops of its lanes. Where a phase has both at the stop line, the
    zone is told as `mid`, so that nobody takes the two for loops of adjacent lanes.
    """
    here = {
        line: places.get((signal, detector)) or places.get(("", detector))
        for detector, line in detectors.items()
    }
    counted = {p.approach for p in here.values() if p and p.position == "stop" and not p.zone}
    for line, place in here.items():
        if place is None:
            yield line, DetectorPlace(_name(line), elsewhere, "mainline", None)
        elif place.zone and place.position == "stop" and place.approach in counted:
            yield line, place._replace(position="mid")
        else:
            yield line, place


def placed_detectors(places: Places, signal: str) -> Iterator[str]:
    """The detectors of a signal in the table."""
    yield from (detector for at, detector in places if at == signal)
