"""Records for a picture of a replay, and what is found in it."""

import json
import re
import xml.etree.ElementTree as ET
from typing import Any

from edge.core import Record, RecordKey, Stream
from edge.report.plot import Heading, PlotData, draw_page

S = 1_000_000_000
SVG = "{http://www.w3.org/2000/svg}"


def lane(name: str, at_s: int, period_s: int = 60, **body: Any) -> Record:
    reported = {
        "lane": name, "approach": "north", "covered_s": float(period_s), "volume": 10,
        "occupancy": 0.1, "health": "ok", "p_congested": 0.25,
        "speed": {"n": 10, "mean": 50.0}, **body,
    }  # fmt: skip
    key = RecordKey(0, Stream.TRAFFIC, 1)
    return Record(key, name, 0, at_s * S, (at_s + period_s) * S, reported)


def event(source: str, at_s: float, **body: Any) -> Record:
    return Record(RecordKey(0, Stream.EVENT, 1), source, 0, int(at_s * S), int(at_s * S), body)


def taken(*records: Record, period_s: int = 60) -> PlotData:
    made = PlotData(period_s * S)
    for record in records:
        made.take(record)
    return made


def hour(**bodies: dict[str, Any]) -> list[Record]:
    """Sixty windows of north_1; `m5` is the body of the sixth."""
    return [lane("north_1", 60 * m, **bodies.get(f"m{m}", {})) for m in range(60)]


VOID = {"volume": None, "occupancy": None, "speed": None}
STUCK = {**VOID, "health": "stuck_on"}
UNSEEN = {**VOID, "covered_s": 0.0, "health": "unobserved"}
EMPTY = {"volume": 0, "occupancy": 0.0, "speed": {"n": 0, "mean": None}}


def svg(made: PlotData, **words: Any) -> ET.Element:
    return ET.fromstring(draw_page(made, Heading("t", **words), ".svg"))


def path(root: ET.Element, kind: str, css: str = "line") -> str:
    (found,) = (p for p in root.iter(f"{SVG}path")
                if p.get("data-kind") == kind and css in str(p.get("class")))  # fmt: skip
    return str(found.get("d"))


def data(page: str) -> dict[str, Any]:
    found = re.search(r'<script type="application/json" id="data">(.*?)</script>', page)
    assert found
    whole: dict[str, Any] = json.loads(found[1])
    return whole
