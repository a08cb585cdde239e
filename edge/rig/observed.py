"""What is seen of the box during a run, as far as conditions of faults ask for it."""

from collections.abc import Sequence
from typing import Any, Final

from edge.rig.runlog import Heard, Seen, number_of
from edge.rig.scenario import Condition
from edge.rig.vocabulary import DETAILS

OTHER_STREAMS: Final = frozenset({"status", "meta", "answer", "last"})
FIGURES: Final = ("last", "mean", "delta")
"""Of a point in a record, the one that is its newest value, as far as it has it."""


class ObservedBox:
    """The state of the box under test as the rig knows it now. Fed with what comes, in order."""

    def __init__(self) -> None:
        self.seen = Seen(t_s=0.0)
        self._records = 0
        self._volumes: dict[str, float] = {}
        self._values: dict[str, float] = {}
        self._flags: dict[str, bool] = {}

    def look(self, seen: Seen) -> None:
        """What the box says of itself now."""
        self.seen = seen

    def hear(self, heard: Sequence[Heard]) -> None:
        """Records and events that have come."""
        for one in heard:
            if one.stream in OTHER_STREAMS:
                continue
            self._records += 1
            body = one.body
            if (volume := number_of(body.get("volume"))) is not None:
                self._volumes[one.source] = self._volumes.get(one.source, 0.0) + volume
            if body.get("state") in ("on", "off"):
                for word in (body.get("event"), *(body.get(key) for key in DETAILS)):
                    if isinstance(word, str):
                        self._flags[f"{one.source}.{word}"] = body["state"] == "on"
            points = body.get("points")
            if isinstance(points, dict):
                self._read(one.source, points)

    def value(self, condition: Condition) -> float | None:
        """The number that a condition is about; None as long as nobody knows it."""
        of = condition.of
        match condition.state:
            case "queue":
                queue = self.seen.queue
                return None if queue is None else float(queue)
            case "connected":
                connected = self.seen.connected
                return None if connected is None else float(connected)
            case "volume":
                return self._volumes.get(of, 0.0)
            case "value":
                return self._values.get(of)
            case "flag":
                return float(self._flags.get(of, False))
            case "records":
                return float(self._records)

    def holds(self, condition: Condition) -> bool | None:
        """Whether it is true now; None as long as nobody knows."""
        value = self.value(condition)
        if value is None:
            return None
        above, below = condition.above, condition.below
        return (above is None or value >= above) and (below is None or value < below)

    def _read(self, source: str, points: dict[str, Any]) -> None:
        for key, figures in points.items():
            if not isinstance(figures, dict):
                continue
            found = next((figures[name] for name in FIGURES if name in figures), None)
            if (value := number_of(found)) is not None:
                self._values[f"{source}.{key}"] = value
