"""The window of a loading, charging or parking bay with one loop or contact: how it was used.

Time during which nobody watched is not free: `covered_s` says how much of the window was watched,
and everything else speaks of that. A stay counts in the window in which it is certain: an arrival
after `min_stay_s`, a departure two seconds after the contact opened.

A bay is one place, so a stay in it is one vehicle's, and can be read from its records: by adding
up `occupied_us`, from a `stay` of one, from an overstay. That a place is taken, and since when, is
what it is watched for; a coarser number would not hide it, since `occupied` tells it every period.
What keeps a vehicle from being followed is that nothing is published of the vehicle itself: no
length, no speed, nothing by which it could be known again elsewhere. `since_s` and an overstay's
`stay_s` go in steps of a minute, as nobody needs them finer.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal

from msgspec import UNSET, UnsetType

from edge.core.record import Draft, Stream
from edge.process import qualitycounts
from edge.process.chattercheck import ChatterCheck
from edge.process.debounce import Debouncer, LineChange
from edge.process.engineevents import BAY_CHATTER, chatter_event, event_draft
from edge.process.occupancycounter import OccupancyCounter
from edge.process.staytracker import OverstayChange, StayTracker
from edge.process.traffic.activitycheck import CHATTER_RISES
from edge.process.traffic.histogram import Bins, HistogramCounts
from edge.wire.contract.bay import Bay, BayHealth
from edge.wire.contract.event import Overstay
from edge.wire.contract.histogram import Times
from edge.wire.contract.terms import BayKind

STAY_BINS: Final = Bins("s", width=300_000, count=144, per_unit=1000)
"""Durations of stays: twelve hours in bins of five minutes, and what is longer."""
FOREVER_NS: Final = 1 << 62  # a bay may be occupied for days; that is no fault of its loop
MINUTE_NS: Final = 60_000_000_000
STATE_QUALITY: Final = {"chatter": qualitycounts.BAD_FAULT, "unobserved": qualitycounts.BAD_GAP}
BAY_STATES: Final = ("ok", "unobserved", "chatter")  # the worst last


@dataclass(frozen=True, slots=True)
class BaySetup:
    """One bay. Its contacts come under its name. `max_stay_min` 0: no limit.

    Raises ValueError for what cannot work.
    """

    name: str
    kind: BayKind = "loading"
    max_stay_min: float = 0.0
    min_stay_s: float = 10.0
    bounce_ms: float = 15.0

    def __post_init__(self) -> None:
        if not 0 <= self.max_stay_min <= 10_080 or not 0 <= self.min_stay_s <= 600:
            raise ValueError(f"bay {self.name}: max_stay_min 0 to 10080, min_stay_s 0 to 600")
        if 0 < self.max_stay_min * 60 <= self.min_stay_s:
            raise ValueError(f"bay {self.name}: max_stay_min must be longer than min_stay_s")
        if not 1 <= self.bounce_ms <= 100:
            raise ValueError(f"bay {self.name}: bounce_ms must be 1 to 100")


class BayWindow:
    """The state of one bay."""

    def __init__(self, setup: BaySetup) -> None:
        self.setup = setup
        self._line = Debouncer(round(setup.bounce_ms * 1e6))
        self.lines = {setup.name: self._line}
        self._loop = OccupancyCounter(FOREVER_NS)
        self._stays = StayTracker(
            round(setup.min_stay_s * 1e9), round(setup.max_stay_min * MINUTE_NS)
        )
        self._chatter = ChatterCheck(CHATTER_RISES["vehicle"])
        self._watched = False
        self._lost = 0
        self._quality: qualitycounts.QualityCounts = {}
        self._durations = HistogramCounts(STAY_BINS)

    def begin(self, at_ns: int) -> None:
        """A first window, with nothing known. A limit that was passed is reported as over."""
        self._line.forget()
        self._loop.begin(at_ns)
        self._stays.begin(at_ns)
        self._chatter.begin(at_ns)
        self._watched = False
        self._clear()

    def mark_unobserved(self, at_ns: int, source: str | None = None) -> None:
        """From this moment on nobody watched."""
        if source in (None, self.setup.name):
            self._line.mark_unobserved(at_ns)

    def close(self, start_ns: int, end_ns: int, marks: Sequence[str]) -> tuple[Draft, list[Draft]]:
        """The window's record and its events; the next window begins."""
        self._line.end_window(end_ns)
        self._chatter.noise(self._line.noisy_until_ns)
        self._line.bounces(end_ns)
        for change in self._line.take(end_ns):
            self._watched = change.what is not LineChange.UNOBSERVED
            if change.what is LineChange.LOST:
                self._lost += change.lost
            elif change.what is LineChange.RISE:
                self._chatter.count(change.at_ns)
            self._loop.apply(change)
            self._stays.apply(change)
        self._loop.end_window(end_ns)
        self._stays.end_window(end_ns)
        self._chatter.tick(end_ns)
        body = self._body(start_ns, end_ns, marks)
        events = [self._event(turn) for turn in self._stays.changes]
        events += [
            chatter_event(self.setup.name, at, BAY_CHATTER, on) for at, on in self._chatter.faults
        ]
        self._loop.next(end_ns)
        self._stays.next(end_ns)
        self._chatter.next(end_ns)
        self._line.late = 0
        self._clear()
        return Draft(Stream.BAY, self.setup.name, start_ns, end_ns, body), events

    def snapshot(self) -> dict[str, object]:
        """For a snapshot, right after a close."""
        return {
            "line": self._line.snapshot(),
            "loop": self._loop.snapshot(),
            "stay": self._stays.snapshot(),
            **self._chatter.snapshot(),
            "watched": self._watched,
            "limit": self.setup.max_stay_min,
        }

    def restore(self, state: Mapping[str, Any], start_ns: int) -> None:
        """Back from `snapshot`, at the start of a window."""
        self._line.restore(state["line"])
        self._loop.restore(state["loop"], start_ns)
        self._stays.restore(state["stay"], start_ns)
        self._chatter.restore(state, start_ns)
        self._watched = bool(state["watched"])
        self._clear()

    def _clear(self) -> None:
        self._lost, self._quality = 0, {}
        self._durations.clear()

    def _body(self, start_ns: int, end_ns: int, marks: Sequence[str]) -> Bay:
        stays, setup = self._stays, self.setup
        covered_us = min(self._loop.seen_ns, end_ns - start_ns) // 1000
        seen: BayHealth = "ok" if covered_us else "unobserved"
        health: BayHealth = "chatter" if self._chatter.has_chattered else seen
        # a stay that ended before the gap is certain within it
        known = health == "ok" or (health == "unobserved" and stays.is_occupied)
        for each in stays.ended:
            if each.stay_ns is not None:
                self._durations.add(each.stay_ns // 1_000_000)
            doubt = each.bridged or each.stay_ns is None
            qualitycounts.add_count(
                self._quality, qualitycounts.UNCERTAIN_GAP if doubt else qualitycounts.GOOD_WORD
            )
        qualitycounts.add_count(
            self._quality, qualitycounts.UNCERTAIN_GAP, self._line.late + stays.unknown
        )
        quality = dict(self._quality) if known else {}
        if health in STATE_QUALITY:
            qualitycounts.add_count(quality, STATE_QUALITY[health])
        for mark in marks:
            qualitycounts.add_count(quality, mark)
        since = stays.since_ns
        is_known = known and self._watched
        occupied_us = min(self._loop.on_ns // 1000, covered_us) if known else None
        return Bay(
            bay=setup.name,
            kind=setup.kind,
            covered_s=covered_us / 1e6,
            occupied_us=occupied_us,
            occupancy=occupied_share(covered_us, occupied_us),
            arrivals=stays.arrivals if known else None,
            departures=stays.departures if known else None,
            stay=self._durations.form(Times) if known else None,
            overstays=stays.overstays if known else None,
            overstay_us=stays.over_us if known else None,
            occupied=_level(since is not None) if is_known else None,
            since_s=_coarse_s(end_ns - since) if is_known and since is not None else None,
            quality=qualitycounts.sum_counts(quality, {}),
            health=health,
            void_s=UNSET if known else covered_us / 1e6 or UNSET,
            passers=stays.passers or UNSET if known else UNSET,
            lost_edges=self._lost or UNSET,
        )

    def _event(self, change: OverstayChange) -> Draft:
        name, limit = self.setup.name, self.setup.max_stay_min
        stay_s: float | UnsetType = UNSET
        least = "at least " if change.at_least else ""
        if change.on:
            text = f"occupied by one vehicle for {least}{limit:g} minutes, which is the limit"
        elif change.stay_ns is None:
            text = "the bay was not watched, so it is not known when the overstaying vehicle left"
        else:
            minutes = change.stay_ns / MINUTE_NS
            stay_s = _coarse_s(change.stay_ns)
            text = f"the vehicle left after {least}{minutes:.0f} minutes; the limit is {limit:g}"
        body = Overstay(
            state="on" if change.on else "off",
            by="rule overstay",
            max_stay_min=limit,
            stay_s=stay_s,
            text=f"{name}: {text}.",
        )
        return event_draft(name, change.at_ns, body)


def _coarse_s(ns: int) -> float:
    """A stay in seconds, to the nearest whole minute: finer, it would tell one vehicle's."""
    return 60.0 * round(ns / MINUTE_NS)


def occupied_share(watched_us: int, occupied_us: int | None) -> float | None:
    """None when nobody knows it."""
    if occupied_us is None or watched_us <= 0:
        return None
    return round(occupied_us / watched_us, 4)


def _level(on: bool) -> Literal[0, 1]:
    return 1 if on else 0
