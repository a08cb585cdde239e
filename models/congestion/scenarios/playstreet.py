"""Plays a street as the gateway would see it: the ticks of its loops, slot by slot.

`play` slots the stays directly, which is thirty times faster; `play_through_engine` has the real
engine do it. A test says that both tell the same.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from edge.core.edge import Contact
from edge.core.looptick import STAYS_LIMIT, LoopTick, Stay
from edge.process.approachsignal import SignalSetup
from edge.process.engine import Engine, EngineSetup, LaneSetup
from edge.process.phase import PhaseSetup
from edge.process.traffic.slots import slot_ends
from models.congestion.scenarios.simstreet import Floats, LoopPlace, SimStreet

Nanos = NDArray[np.int64]
Window = tuple[float, tuple[LoopTick, ...]]
BOUNCE_MS: Final = 15.0  # as a lane has it that says nothing else
_NS: Final = 1e9


class _Track(NamedTuple):
    """A loop, and for each slot edge what had happened before it."""

    place: LoopPlace
    stays: list[Stay]
    ended: list[int]  # stays that ended before the edge
    since: list[int | None]
    on_ns: list[int]  # in each slot
    bounced: list[int]
    green_ns: list[int] | None
    green_on_ns: list[int]


def play_ticks(street: SimStreet, period_s: float = 60) -> Iterator[Window]:
    """The ends of windows (seconds) at which slots ended, and the ticks of those slots.

    Ticks are in order of time, then of lane, then lead before trail. Time starts at 0; a window
    that is not whole at the street's end is left out. Windows shorter than a slot gather until
    a slot is full, so some ends are not there.
    """
    windows = _windows(street, period_s)
    ends = [(end, inner) for end, inner in slot_borders(windows) if inner]
    edges = np.array([0, *(edge for _, inner in ends for edge in inner)], np.int64)
    tracks = _tracks(street, edges, np.array(windows, np.int64))
    at = 0
    for end, inner in ends:
        ticks = [_tick(track, edges, at + k) for k in range(len(inner)) for track in tracks]
        at += len(inner)
        yield end / _NS, tuple(ticks)


def play_through_engine(street: SimStreet, period_s: float = 60) -> Iterator[Window]:
    """The same, of contacts that go through the engine."""
    engine = Engine(engine_setup(street))
    boxes = street_contacts(street)
    engine.start(0)
    at = 0
    for end in _windows(street, period_s):
        upto = at
        while upto < len(boxes) and boxes[upto].mono_ns < end:
            upto += 1
        engine.contacts(boxes[at:upto])
        at = upto
        engine.close(end)
        if engine.ticks:
            yield end / _NS, engine.ticks


def engine_setup(street: SimStreet) -> EngineSetup:
    """The lanes and signals of a street, as a site's file would say them."""
    leads = sorted((p for p in street.loops if p.part == "lead"), key=lambda p: p.lane)
    limits = {link.name: link.limit_kmh for link in street.links}
    lanes = tuple(
        LaneSetup(
            p.lane,
            p.link,
            p.spacing_m,
            p.loop_m,
            bounce_ms=BOUNCE_MS,
            limit_kmh=limits[p.link],
        )
        for p in leads
    )
    signals = tuple(
        SignalSetup(
            link.name,
            (PhaseSetup(_signal(link.name), link.name, "green"),),
            tuple((p.lane, p.position) for p in leads if p.link == link.name),
        )
        for link in street.links
        if link.green is not None
    )
    return EngineSetup(lanes, signals=signals)


def street_contacts(street: SimStreet) -> list[Contact]:
    """What the loop cards and the signals' contacts tell, in the order of time."""
    spans = [
        (f"{p.lane}.{p.part}", nanos(stays))
        for p, stays in zip(street.loops, street.stays, strict=True)
    ]
    spans += [
        (_signal(link.name), nanos(link.green)) for link in street.links if link.green is not None
    ]
    out = []
    for source, found in spans:
        times = found.ravel().tolist()
        on = bool(times) and times[0] == 0
        out.append(Contact(source, on, 0, initial=True))
        rest = enumerate(times[1:] if on else times, start=int(on))
        out += [Contact(source, i % 2 == 0, at) for i, at in rest]
    return sorted(out, key=lambda contact: contact.mono_ns)


def _signal(link: str) -> str:
    return f"{link}_green"


def _windows(street: SimStreet, period_s: float) -> list[int]:
    """Where windows end (ns)."""
    count = int(street.hours * 3600 / period_s + 1e-6)
    return [round(i * period_s * _NS) for i in range(1, count + 1)]


def slot_borders(windows: list[int]) -> Iterator[tuple[int, list[int]]]:
    """The ends of windows, and the ends of the slots that end with each, all in ns."""
    slot = start = 0
    for end in windows:
        inner = slot_ends(slot, start, end)
        yield end, inner
        start = end
        slot = end if inner else slot


def _tracks(street: SimStreet, edges: Nanos, windows: Nanos) -> list[_Track]:
    green = {link.name: None if link.green is None else nanos(link.green) for link in street.links}
    order = sorted(
        range(len(street.loops)), key=lambda i: (street.loops[i].lane, street.loops[i].part)
    )
    return [
        _track(street.loops[i], nanos(street.stays[i]), green[street.loops[i].link], edges, windows)
        for i in order
    ]


def _track(
    place: LoopPlace, raw: Nanos, green: Nanos | None, edges: Nanos, windows: Nanos
) -> _Track:
    stays, bounces = debounced(raw, windows)
    started = np.searchsorted(stays[:, 0], edges, side="left")
    ended = np.searchsorted(stays[:, 1], edges, side="left")
    since = [int(stays[e, 0]) if s > e else None for s, e in zip(started, ended, strict=True)]
    bounced = np.zeros(len(edges) - 1, np.int64)
    slot = np.searchsorted(edges, bounces[:, 0], side="right") - 1
    inside = slot < len(bounced)
    np.add.at(bounced, slot[inside], bounces[inside, 1])
    return _Track(
        place,
        [Stay(on, off) for on, off in stays.tolist()],
        ended.tolist(),
        since,
        covered(stays, edges).tolist(),
        bounced.tolist(),
        None if green is None else covered(green, edges).tolist(),
        [] if green is None else covered(common(stays, green), edges).tolist(),
    )


def debounced(stays: Nanos, windows: Nanos) -> tuple[Nanos, Nanos]:
    """Stays as `edge.process.debounce` tells them, and its bounces as (moment, edges).

    Edges that follow each other within BOUNCE_MS are one run, which a window's end cuts. A run
    of an odd number of edges is one change, at its first; of an even number, nothing.
    """
    edges = stays.ravel()
    found_on = bool(len(edges)) and edges[0] == 0
    if found_on:
        edges = edges[1:]
    if not len(edges):
        return stays, np.zeros((0, 2), np.int64)
    window = np.searchsorted(windows, edges, side="right")
    first = np.ones(len(edges), bool)
    first[1:] = (np.diff(edges) >= BOUNCE_MS * 1e6) | (np.diff(window) > 0)
    at = np.flatnonzero(first)
    size = np.diff(at, append=len(edges))
    changes = edges[at[size % 2 == 1]]
    if found_on:
        changes = np.concatenate([[0], changes])
    more = size > 1
    bounces = np.stack([edges[at[more]], size[more] - 1], axis=1)
    return changes.reshape(-1, 2).astype(np.int64), bounces.astype(np.int64)


def _tick(track: _Track, edges: Nanos, slot: int) -> LoopTick:
    begin, end = int(edges[slot]), int(edges[slot + 1])
    stays = track.stays[track.ended[slot] : track.ended[slot + 1]]
    return LoopTick(
        lane=track.place.lane,
        part=track.place.part,
        from_ns=begin,
        to_ns=end,
        seen_ns=end - begin,
        on_ns=track.on_ns[slot],
        stays=tuple(stays[:STAYS_LIMIT]),
        stays_left_out=max(0, len(stays) - STAYS_LIMIT),
        since_ns=track.since[slot + 1],
        bounced=track.bounced[slot],
        green_ns=None if track.green_ns is None else track.green_ns[slot],
        green_on_ns=0 if track.green_ns is None else track.green_on_ns[slot],
    )


def nanos(spans: Floats) -> Nanos:
    return np.asarray(np.round(spans * _NS), np.int64).reshape(-1, 2)


def covered(spans: Nanos, edges: Nanos) -> Nanos:
    """How much of each stretch between two edges the spans (sorted, disjoint) cover."""
    before = np.concatenate([[0], np.cumsum(spans[:, 1] - spans[:, 0])])
    started = np.searchsorted(spans[:, 0], edges, side="right")
    last = np.maximum(started - 1, 0)
    ends = spans[last, 1] if len(spans) else np.zeros(len(edges), np.int64)
    over = np.where(started > 0, np.maximum(0, ends - edges), 0)
    return np.asarray(np.diff(before[started] - over), np.int64)


def common(one: Nanos, other: Nanos) -> Nanos:
    """Where two lists of sorted, disjoint spans overlap."""
    if not len(one) or not len(other):
        return np.zeros((0, 2), np.int64)
    edges = np.unique(np.concatenate([one.ravel(), other.ravel()]))
    middle = edges[:-1]
    both = _inside(one, middle) & _inside(other, middle)
    return np.asarray(np.stack([edges[:-1][both], edges[1:][both]], axis=1), np.int64)


def _inside(spans: Nanos, at: Nanos) -> NDArray[np.bool_]:
    index = np.searchsorted(spans[:, 0], at, side="right") - 1
    return np.asarray((index >= 0) & (at < spans[np.maximum(index, 0), 1]))
