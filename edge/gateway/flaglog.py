"""Flags that are up, with their reasons, and the last that have turned: the control verb `flags`.

Events that go to the city are seen on their way. Nothing is kept on disk: of a flag that was raised
before the daemon's start only the judge knows, and it has no words then.
"""

from collections import deque
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final

from msgspec import UNSET, to_builtins

from edge.core import Draft
from edge.wire.contract.event import Anomaly, Congestion, Incident, Overstay, SensorFault

LAST: Final = 64  # turns that are remembered
UP: Final = 256  # flags that are remembered as up
FLAGS: Final = (Congestion, Incident, Anomaly, SensorFault, Overstay)
SHOWN: Final = (
    *("state", "approach", "upstream", "downstream", "point", "points", "part", "fault", "cause"),
    *("meant", "score", "p", "p5", "p15", "by", "reason", "text"),
)
Key = tuple[str, str, str]  # event, source, what of it


class FlagLog:
    """Belongs to the main loop. `raised` are the flags that the judge has up: event, source and,
    of a series, its point."""

    def __init__(self, raised: Callable[[], Iterable[Key]], now_ns: Callable[[], int]) -> None:
        self._raised, self._now_ns = raised, now_ns
        self._up: dict[Key, tuple[int, dict[str, Any]]] = {}
        self._turned: deque[tuple[int, dict[str, Any]]] = deque(maxlen=LAST)

    def see_events(self, drafts: Iterable[Draft]) -> None:
        """What goes to the city."""
        for draft in drafts:
            if isinstance(draft.body, FLAGS):
                self._see(draft, draft.body)

    async def answer(self, request: Mapping[str, Any]) -> Mapping[str, Any]:
        """`up`: flags that are up now, the newest first; `turned`: the last turns. Each has event,
        source, age_s and what SHOWN names; `age_s` is null for one from before the start."""
        now_ns = self._now_ns()
        up = [_row(at_ns, row, now_ns) for at_ns, row in self._up.values()]
        for event, source, what in self._raised():
            if (event, source, what) not in self._up:
                found = {"event": event, "source": source, "state": "on", "age_s": None}
                up.append({**found, "point": what} if what else found)
        turned = [_row(at_ns, row, now_ns) for at_ns, row in reversed(self._turned)]
        return {"up": up[::-1], "turned": turned}

    def _see(self, draft: Draft, body: Any) -> None:
        kept: dict[str, Any] = to_builtins(body)
        row = {key: kept[key] for key in SHOWN if kept.get(key) is not None}
        row |= {"event": type(body).__struct_config__.tag, "source": draft.source}
        key = (str(row["event"]), draft.source, _what(body))
        self._turned.append((draft.to_ns, row))
        if body.state == "on":
            self._up.pop(key, None)
            if len(self._up) < UP:
                self._up[key] = draft.to_ns, row
        else:
            self._up.pop(key, None)


def _what(body: Any) -> str:
    if isinstance(body, Anomaly):
        return body.point
    if isinstance(body, Incident):
        return body.downstream
    if isinstance(body, SensorFault):
        part = "" if body.part is UNSET else body.part
        return f"{part} {'' if body.fault is UNSET else body.fault}".strip()
    return ""


def _row(at_ns: int, row: Mapping[str, Any], now_ns: int) -> dict[str, Any]:
    return {**row, "age_s": round(max(0, now_ns - at_ns) / 1e9, 1)}
