"""What lines and lanes did a moment ago, for people at the box: `kerbstone read` and others.

It is filled by the way, and nothing is calculated until somebody asks; then once for all who ask
about the same edges. Nothing of it is kept on disk or sent. A line costs LINE_BYTES of numbers, a
lane the last VEHICLES vehicles and the record of its last window.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from edge.core import Contact, ContactLine, Draft
from edge.process.enginesetup import EngineSetup, LaneSetup
from edge.process.linehistory import LineHistory
from edge.process.traffic.lastvehicles import LastVehicle, last_vehicles
from edge.wire.contract.bay import Bay
from edge.wire.contract.body import body_map
from edge.wire.contract.traffic import Lane

VEHICLES: Final = 8  # shown of a lane
HOUR_S: Final = 3600.0
SETTLE_NS: Final = 1_000_000_000  # after its last edge nothing more becomes known of a vehicle
WINDOW_KEYS: Final = (
    *("covered_s", "volume", "occupancy", "speed", "speed_single", "quality", "health", "loops"),
    *("counted_by", "stopped", "queue_us", "wrong_way", "lost_edges", "partial", "signal"),
    *("bay", "occupied", "since_s", "arrivals", "departures", "overstays", "p_congested_15"),
)
"""What of a window's record is shown: without histograms."""


@dataclass(slots=True)
class _Played:
    """The vehicles of a lane, as of that many edges of its loops; `final`: time adds nothing."""

    edges: int = -1
    final: bool = False
    vehicles: Sequence[LastVehicle] = ()


class LineWatch:
    """All lines of a site. Belongs to the main loop, as `Ingest` does, which feeds it."""

    def __init__(self, setup: EngineSetup, lined: Mapping[str, ContactLine], start_ns: int) -> None:
        """`lined`: whose contact each line is. `start_ns`: the program began."""
        self._start_ns = start_ns
        self._lanes = {lane.name: lane for lane in setup.lanes}
        self._lines = {found.source: line for line, found in lined.items()}
        self._kinds = {
            **{each.name: each.kind for each in setup.contacts},
            **{each.name: f"{each.kind} bay" for each in setup.bays},
            **{each.name: "pulses" for each in setup.pulses},
            **{each.name: "signal" for one in setup.signals for each in one.contacts},
        }
        self._history = {source: LineHistory(source) for source in self._lines}
        self._windows: dict[str, Draft] = {}  # the last record of a lane or a bay
        self._played = {name: _Played() for name in self._lanes}

    # -- what is fed -------------------------------------------------------------------------------

    def take(self, contacts: Iterable[Contact]) -> None:
        """Changes of lines, as they come."""
        history = self._history
        for contact in contacts:
            history[contact.source].take(contact)

    def close(self, source: str, why: str) -> None:
        """A line is not watched any more; its next contact shows that it is again."""
        self._history[source].close(why)

    def see_records(self, drafts: Iterable[Draft]) -> None:
        """What a window has come to."""
        for draft in drafts:
            if isinstance(draft.body, Lane | Bay):
                self._windows[draft.source] = draft

    # -- what is asked -----------------------------------------------------------------------------

    @property
    def lanes(self) -> tuple[str, ...]:
        """In the order of the configuration."""
        return tuple(self._lanes)

    @property
    def contacts(self) -> tuple[str, ...]:
        """Lines that are no loops of a lane: doors, bays, pulses, signals; by their devices."""
        return tuple(source for source in self._lines if source in self._kinds)

    def lane_status(self, name: str, now_ns: int) -> dict[str, Any]:
        """A lane: its loops, its last window, and its last vehicles, the newest first.

        Ages in seconds. Raises KeyError.
        """
        setup = self._lanes[name]
        vehicles, since = self._last_vehicles(name, now_ns)
        return {
            "name": name,
            "approach": setup.approach,
            "kind": setup.kind,
            "loops": [self.line_status(source, now_ns) for source in _loops(setup)],
            "window": self._window(name, now_ns),
            "since_window": since,
            "vehicles": [_vehicle_row(each, now_ns) for each in reversed(vehicles[-VEHICLES:])],
        }

    def line_status(self, source: str, now_ns: int) -> dict[str, Any]:
        """One line, by its source (`north_1.lead`, `door`). Ages in seconds. Raises KeyError."""
        line = self._history[source]
        found: dict[str, Any] = {
            "name": source,
            "line": self._lines[source],
            "on": line.level,
            "edge_age_s": _age_s(now_ns, line.last_ns),
            "edges": line.edges,
            "edges_hour": line.edges_in_hour(now_ns),
            "watched_age_s": _age_s(now_ns, line.since_ns),
        }
        if line.closed:
            found["closed"] = line.closed
        if line.lost:
            found["lost_edges"] = line.lost
        return found

    def level(self, source: str) -> bool | None:
        """How a line stands; None: nobody watches it. Raises KeyError."""
        return self._history[source].level

    def level_since_ns(self, source: str, else_ns: int) -> int:
        """Since when it has stood so; `else_ns` where nobody knows. Raises KeyError."""
        line = self._history[source]
        known = line.last_ns if line.last_ns is not None else line.since_ns
        return else_ns if known is None or line.level is None else known

    def last_edges(self, source: str) -> list[Contact]:
        """Of a line, the oldest first. Raises KeyError."""
        return self._history[source].last_edges()

    def edge_counts(self, name: str, now_ns: int) -> dict[str, dict[str, Any]]:
        """Of each loop of a lane, `lead` and `trail`: seconds since its last edge (None: none since
        the start), and how many came in the last `over_s` seconds, which are an hour or since the
        start. Raises KeyError.
        """
        found = {}
        for source in _loops(self._lanes[name]):
            line = self._history[source]
            watched_s = (now_ns - self._start_ns) / 1e9
            found[source.rpartition(".")[2]] = {
                "last_s": _age_s(now_ns, line.last_ns),
                "edges": line.edges_in_hour(now_ns),
                "over_s": round(max(0.0, min(HOUR_S, watched_s)), 1),
            }
        return found

    def contact_status(self, source: str, now_ns: int) -> dict[str, Any]:
        """A line that is no loop, with what it is for and, of a bay, its last window."""
        return {
            **self.line_status(source, now_ns),
            "kind": self._kinds[source],
            "window": self._window(source, now_ns),
        }

    def _last_vehicles(
        self, name: str, now_ns: int
    ) -> tuple[Sequence[LastVehicle], dict[str, Any] | None]:
        """And how many have come since its last window; "more" of them than are remembered."""
        setup, played = self._lanes[name], self._played[name]
        loops = [self._history[source] for source in _loops(setup)]
        edges = sum(loop.edges for loop in loops)
        known_ns = max((loop.complete_from_ns or 0 for loop in loops), default=0)
        if edges != played.edges or not played.final:
            found = last_vehicles(setup, [loop.last_edges() for loop in loops], now_ns)
            # what comes before is known of one of the loops only
            played.vehicles = [one for one in found if not known_ns or one.at_ns > known_ns]
            last_ns = max((loop.last_ns or 0 for loop in loops), default=0)
            played.edges, played.final = edges, now_ns - last_ns >= SETTLE_NS
        window = self._windows.get(name)
        if window is None:
            return played.vehicles, None
        count = sum(one.at_ns >= window.to_ns for one in played.vehicles)
        return played.vehicles, {"vehicles": count, "more": known_ns > window.to_ns}

    def _window(self, name: str, now_ns: int) -> dict[str, Any] | None:
        draft = self._windows.get(name)
        if draft is None:
            return None
        body = body_map(draft.body)
        shown = {key: body[key] for key in WINDOW_KEYS if key in body}
        length_s = (draft.to_ns - draft.from_ns) / 1e9
        return {"age_s": _age_s(now_ns, draft.to_ns), "length_s": round(length_s, 1), **shown}


def _loops(setup: LaneSetup) -> tuple[str, ...]:
    return (setup.lead, setup.trail) if setup.doubled else (setup.lead,)


def _vehicle_row(vehicle: LastVehicle, now_ns: int) -> dict[str, Any]:
    on_s = None if vehicle.on_ns is None else round(vehicle.on_ns / 1e9, 3)
    found = {
        "age_s": _age_s(now_ns, vehicle.at_ns),
        "on_s": on_s,
        "speed_kmh": vehicle.speed_kmh,
        "length_m": vehicle.length_m,
        "class": vehicle.length_class,
    }
    return {key: value for key, value in found.items() if value is not None}


def _age_s(now_ns: int, then_ns: int | None) -> float | None:
    """Never negative: an edge may be stamped after whoever asks has looked at the clock."""
    return None if then_ns is None else round(max(0, now_ns - then_ns) / 1e9, 1)
