"""What `kerbstone live` has seen so far: the course of each value, loops as they are driven over.

It is kept by the program that shows it; the daemon keeps nothing for it.
"""

from collections import deque
from collections.abc import Mapping
from typing import Any, Final

from edge.platform.messagelines import shown_number
from edge.report.live.lanetext import rows_of

VALUES_KEPT: Final = 60
LOOKS_KEPT: Final = 60
FREE, PASSED, OCCUPIED, UNKNOWN = range(4)  # of a line, at one look


class LiveHistory:
    """`values` by device and point, one for each read; `looks` by line, one for each answer."""

    def __init__(self) -> None:
        self.values: dict[tuple[str, str], deque[float | None]] = {}
        self.looks: dict[str, deque[int]] = {}
        self._reads: dict[str, Any] = {}
        self._edges: dict[str, Any] = {}

    def take(self, answer: Mapping[str, Any]) -> None:
        """An answer. What is not in it any more is forgotten."""
        values, looks = {}, {}
        for device in rows_of(answer, "devices"):
            name, reads = str(device.get("name")), device.get("reads")
            is_new = self._reads.get(name) != reads
            self._reads[name] = reads
            for reading in rows_of(device, "readings"):
                key = (name, str(reading.get("point")))
                kept = values[key] = self.values.get(key) or deque(maxlen=VALUES_KEPT)
                if is_new:
                    kept.append(shown_number(reading.get("value")))
        lines = [loop for lane in rows_of(answer, "lanes") for loop in rows_of(lane, "loops")]
        for line in (*lines, *rows_of(answer, "contacts")):
            name = str(line.get("name"))
            seen = looks[name] = self.looks.get(name) or deque(maxlen=LOOKS_KEPT)
            seen.append(self._look(name, line))
        self.values, self.looks = values, looks

    def _look(self, name: str, line: Mapping[str, Any]) -> int:
        edges, on = line.get("edges"), line.get("on")
        before = self._edges.get(name, edges)
        self._edges[name] = edges
        if on is None:
            return UNKNOWN
        if on:
            return OCCUPIED
        return PASSED if edges != before else FREE
