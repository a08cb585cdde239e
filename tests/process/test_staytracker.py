"""Whatever a contact does: batches, restarts and merging change nothing, and stays add up."""

from collections.abc import Sequence
from itertools import pairwise

import msgspec
from hypothesis import example, given
from hypothesis import strategies as st

from edge.core.edge import Contact
from edge.process.merge import merge_bodies
from tests.kit.asread import as_read
from tests.kit.engine import MINUTE, MS, S
from tests.process.test_baywindow import BayRun

# Moments in milliseconds; a level, or None where nobody watches from there on.
CHANGES = st.lists(
    st.tuples(st.integers(1, 60_000 * 20), st.sampled_from([True, False, None])),
    max_size=30,
    unique_by=lambda each: each[0],
).map(sorted)


def contacts(changes: Sequence[tuple[int, bool | None]]) -> list[tuple[int, Contact | None]]:
    """What the line brings: after a gap the level found, equal levels left out."""
    reported: list[tuple[int, Contact | None]] = [(0, Contact("bay_1", False, 0, initial=True))]
    level: bool | None = False
    for ms, on in changes:
        if on is None:
            reported.append((ms * MS, None))
        elif level is None or on is not level:
            reported.append((ms * MS, Contact("bay_1", on, ms * MS, initial=level is None)))
        level = on
    return reported


def played(
    reported: Sequence[tuple[int, Contact | None]], cuts: Sequence[int], restart: int
) -> BayRun:
    """Twenty minutes of them; `cuts` say how many come at once; born again after `restart`."""
    world = BayRun()
    at = 0
    for minute in range(1, 21):
        while at < len(reported) and reported[at][0] < minute * MINUTE:
            count = cuts[at % len(cuts)] if cuts else 1
            for ns, contact in reported[at : at + count]:
                if ns >= minute * MINUTE:
                    break
                if contact is None:
                    world.bay.mark_unobserved(ns)
                else:
                    world.fold(contact)
                at += 1
        world.to(minute * MINUTE)
        if minute == restart:
            world = world.reborn()
    return world


@given(CHANGES, st.integers(0, 20), st.lists(st.integers(1, 9), max_size=4))
def test_restarts_and_batches_change_nothing(
    changes: list[tuple[int, bool | None]], restart: int, cuts: list[int]
) -> None:
    reported = contacts(changes)
    one, other = played(reported, (), 0), played(reported, cuts, restart)
    assert one.bodies == other.bodies
    assert one.events == other.events
    states = [as_read(each)["state"] for each in one.events]
    assert all(a != b for a, b in pairwise(states)), "on and off take turns"
    assert states[:1] in ([], ["on"])


@given(CHANGES)
def test_the_parts_of_a_stay_add_up(changes: list[tuple[int, bool | None]]) -> None:
    """Against a plain count of the stays, where all was watched and no edge is near another."""
    kept = [each for i, each in enumerate(changes) if i == 0 or each[0] - changes[i - 1][0] > 2500]
    reported = [
        each for each in contacts([(ms, on) for ms, on in kept if on is not None]) if each[1]
    ]
    world = played(reported, (), 0)
    edges = [c.mono_ns for _, c in reported if c is not None and not c.initial]
    edges += [20 * MINUTE] * (len(edges) % 2)
    spans = [(a, b) for a, b in zip(edges[::2], edges[1::2], strict=True) if a < b]
    assert world.total("occupied_us") == sum(b - a for a, b in spans) // 1000
    limit = 10 * MINUTE
    beyond = [b - a - limit for a, b in spans if b - a > limit]
    assert world.total("overstay_us") == sum(beyond) // 1000
    assert world.total("arrivals") == sum(
        b - a >= 10 * S and a + 10 * S < 20 * MINUTE for a, b in spans
    )


@given(CHANGES, st.integers(0, 20))
@example([(30_000, True), (700_000, None), (750_000, True)], 12)
@example([(30_000, True), (719_000, False), (720_500, True)], 0)
def test_nobody_stands_too_long_for_longer_than_somebody_stands(
    changes: list[tuple[int, bool | None]], restart: int
) -> None:
    for body in played(contacts(changes), (), restart).bodies:
        if body["overstay_us"] is not None:
            covered_us = round(body["covered_s"] * 1e6)
            assert body["overstay_us"] <= body["occupied_us"] <= covered_us


@given(CHANGES, st.integers(0, 17))
def test_merging_is_associative_to_the_byte(
    changes: list[tuple[int, bool | None]], first: int
) -> None:
    bodies = played(contacts(changes), (), 0).bodies
    a, b, c = bodies[first : first + 3]
    left, right = merge_bodies(merge_bodies(a, b), c), merge_bodies(a, merge_bodies(b, c))
    assert msgspec.json.encode(left) == msgspec.json.encode(right)
    assert (left["occupied"], left["since_s"]) == (c["occupied"], c["since_s"])
    for key in ("occupied_us", "arrivals", "departures", "overstays", "overstay_us"):
        known = [each[key] for each in (a, b, c) if each[key] is not None]
        assert left[key] == (sum(known) if known else None)
