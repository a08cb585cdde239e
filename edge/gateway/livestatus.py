"""What the daemon holds at this moment: last values with their age, lanes, link, queue, issues.

The answer to the control verb `live`. No bus is asked for it. However many look on, it is made anew
at most every FRESH_NS, and the outbox is counted every COUNT_NS.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Final

from edge.acquire.poll import PollState
from edge.config import Site
from edge.control.protocol import VerbError
from edge.core import Point, Reading, Sweep
from edge.gateway.gatewaystatus import StatusSources, clock_status, link_status, outbox_status
from edge.gateway.issuewatch import issues_for_people

FRESH_NS: Final = 500_000_000
COUNT_NS: Final = 5_000_000_000
Published = Callable[[Sweep], Iterable[Reading]]  # what was measured, as the city gets it
QUEUE_KEYS: Final = ("rows", "confirmed", "size", "limit", "age_s", "dropped", "in_memory")


def reading_rows(readings: Iterable[Reading]) -> list[dict[str, Any]]:
    """Of a device, for people: point, value, unit, quality."""
    return [
        {
            "point": reading.point.key,
            "value": reading.value,
            "unit": reading.point.quantity.unit,
            "quality": str(reading.quality),
        }
        for reading in readings
    ]


def device_status(
    device: PollState, site: Site, published: Published, now_ns: int
) -> dict[str, Any]:
    """A polled device: `readings` are of the last time at which it had a value."""
    last = device.latest
    return {
        "name": device.name,
        "driver": site.devices[device.name].driver,
        "bus": site.devices[device.name].bus,
        "every_s": device.every_ns / 1e9,
        "state": "ok" if device.reason is None else str(device.reason),
        "text": device.text,
        "reads": device.reads,
        "errors": device.errors,
        "unsettled": None if device.unsettled is None else str(device.unsettled),
        "unsettled_age_s": _age_s(now_ns, device.unsettled_since_ns),
        "age_s": _age_s(now_ns, None if last is None else last.mono_ns),
        "readings": [] if last is None else reading_rows(published(last)),
        "health": {str(word): text for word, text in device.health.items()},
    }


def _age_s(now_ns: int, then_ns: int | None) -> float | None:
    return None if then_ns is None else round(max(0, now_ns - then_ns) / 1e9, 1)


class LiveStatus:
    """Belongs to the main loop. `points` are those of every polled device."""

    def __init__(self, sources: StatusSources, points: Mapping[str, Sequence[Point]]) -> None:
        self._sources, self._points = sources, points
        self._made_ns: int | None = None
        self._made: dict[str, Any] = {}
        self._counted_ns: int | None = None
        self._queue: dict[str, Any] | None = None

    async def answer(self, request: Mapping[str, Any]) -> Mapping[str, Any]:
        """All, or with `names` only these devices, lanes and contacts; the link and the issues are
        always there. Raises VerbError for a name that is nobody's.
        """
        names = request.get("names")
        if names is not None:
            self._check(names)
        now_ns = self._sources.clock.now().mono_ns
        if self._counted_ns is None or now_ns - self._counted_ns >= COUNT_NS:
            self._counted_ns = now_ns
            counts = await outbox_status(self._sources)
            self._queue = None if counts is None else {key: counts.get(key) for key in QUEUE_KEYS}
        if self._made_ns is None or now_ns - self._made_ns >= FRESH_NS:
            self._made_ns, self._made = now_ns, self._make(now_ns)
        return self._made if names is None else _only(self._made, set(names))

    def _make(self, now_ns: int) -> dict[str, Any]:
        sources, lines = self._sources, self._sources.ingest.lines
        return {
            "site": sources.site.place.id,
            "gateway": sources.site.place.gateway,
            "site_name": sources.site.place.name or "",
            "names": sources.site.names,  # by id: for `edge.core.displayname.with_name`
            "uptime_s": round((now_ns - sources.started_ns) / 1e9, 1),
            "devices": [
                device_status(each, sources.site, sources.pipeline.engine.published, now_ns)
                for each in sources.buses.devices()
                if each.name in sources.site.devices  # it may be removed at this moment
            ],
            "lanes": [lines.lane_status(name, now_ns) for name in lines.lanes],
            "contacts": [lines.contact_status(name, now_ns) for name in lines.contacts],
            "link": link_status(sources),
            "queue": self._queue,
            "issues": issues_for_people(sources.watch.issues, sources.clock.now()),
            "clock": clock_status(sources.clock, sources.box_monitor.synced_ns),
        }

    def _check(self, names: Any) -> None:
        lines = self._sources.ingest.lines
        known = (*self._points, *lines.lanes, *lines.contacts)
        if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
            raise VerbError("names is a list of devices, lanes and contacts")
        for name in names:
            if name not in known:
                raise VerbError(not_known(name, known))


def not_known(name: str, known: Sequence[str]) -> str:
    """Which name is meant?"""
    return f"nothing here is called {name!r}; there are {', '.join(known) or 'none'}"


def _only(answer: Mapping[str, Any], names: set[str]) -> dict[str, Any]:
    kinds = ("devices", "lanes", "contacts")
    return {
        key: [each for each in value if each["name"] in names] if key in kinds else value
        for key, value in answer.items()
    }
