"""Faults of loops over a start: the state of the models is up to an hour older than the flags."""

from bisect import bisect_left
from collections.abc import Sequence

import pytest

from edge.core import Contact, Draft, Stream
from edge.gateway.pipeline import Pipeline
from tests.gateway.test_common_faults import (
    HOUR,
    Spans,
    always,
    contacts,
    inverted,
    left,
    pipeline,
    played,
    reported,
    silent,
    street,
)
from tests.kit.asread import as_read
from tests.kit.engine import MINUTE
from tests.long import one_in

LANE = "south_1"


def lived(
    spans: Spans, minutes: int, *, start_at: int, state_of: int, model: bool = False
) -> list[Draft]:
    """All that goes out; another process goes on at `start_at`, with older states of models."""
    one, edges, out = pipeline(model=model), contacts(spans), list[Draft]()
    older = one.judge.snapshot()
    for minute in range(1, minutes + 1):
        out += minute_of(one, edges, minute)
        if minute == state_of:
            older = one.judge.snapshot()
        if minute == start_at:
            one = gone_on(one, older, model=model)
    return out


def minute_of(one: Pipeline, edges: Sequence[Contact], minute: int) -> list[Draft]:
    first, end = (
        bisect_left(edges, at * MINUTE, key=lambda edge: edge.mono_ns)
        for at in (minute - 1, minute)
    )
    one.engine.contacts(edges[first:end])
    return one.engine.close(minute * MINUTE)


def gone_on(one: Pipeline, older: dict[str, object], *, model: bool) -> Pipeline:
    new = pipeline(model=model)
    new.judge.restore(older)
    new.judge.restore_flags(one.judge.snapshot_flags())
    new.engine.restore(one.engine.snapshot())
    return new


def events(out: list[Draft]) -> list[Draft]:
    return [d for d in out if d.stream is Stream.EVENT]


def test_what_was_told_of_a_loop_is_known_after_a_start() -> None:
    spans = street(2.0, always(10.0))
    spans[f"{LANE}.lead"] = inverted(spans[f"{LANE}.lead"], 2.0)
    one, edges = pipeline(model=False), contacts(spans)
    out = [each for minute in range(1, 71) for each in minute_of(one, edges, minute)]
    known = gone_on(one, one.judge.snapshot(), model=False).judge.reported_loop_faults()
    last = {(lane, part, fault): state for _, lane, part, fault, state in reported(events(out))}
    assert known.keys() == {key for key, state in last.items() if state == "on"}
    assert (LANE, "lead", "inverted") in known
    assert all(known.values())


@one_in(2)
@pytest.mark.parametrize("model", [True, False], ids=["model", "rule"])
def test_a_loop_that_is_inverted_stays_so_over_a_start(model: bool) -> None:
    spans = street(2.0, always(10.0))
    spans[f"{LANE}.lead"] = inverted(spans[f"{LANE}.lead"], 2.0)
    out = lived(spans, 120, start_at=63, state_of=1, model=model)
    turns = [state for _, _, _, fault, state in reported(events(out)) if fault == "inverted"]
    assert turns == ["on"]
    late = [as_read(d) for d in out if d.stream is Stream.TRAFFIC and d.source == LANE][20:]
    assert {each["health"] for each in late} == {"inverted"}


def test_an_inverted_loop_that_dies_over_a_start_is_called_dead() -> None:
    spans = street(2.5, always(10.0))
    before = [s for s in inverted(spans[f"{LANE}.lead"], 2.5) if s[1] < HOUR]
    spans[f"{LANE}.lead"] = before
    out = lived(spans, 150, start_at=62, state_of=60)
    assert left(events(out))[LANE, "lead", "inverted"] == "off"
    assert left(events(out))[LANE, "lead", "stuck_off"] == "on"


def test_a_lane_that_died_is_not_said_to_have_never_lived() -> None:
    spans = street(2.5, always(10.0))
    spans |= silent({f"{LANE}.{part}": spans[f"{LANE}.{part}"] for part in ("lead", "trail")}, HOUR)
    spans |= silent({f"north_2.{p}": spans[f"north_2.{p}"] for p in ("lead", "trail")}, HOUR)
    out = lived(spans, 150, start_at=80, state_of=0)
    assert {
        (what, state) for _, lane, _, what, state in reported(events(out)) if lane == "north_2"
    } == {("stuck_off", "on")}


def test_no_fault_is_said_to_be_older_than_the_watching() -> None:
    spans = street(0.5, always(10.0))
    spans[f"{LANE}.lead"], spans[f"{LANE}.trail"] = spans[f"{LANE}.trail"], spans[f"{LANE}.lead"]
    out = events(lived(spans, 30, start_at=0, state_of=0))
    swapped = [d for d in out if as_read(d).get("fault") == "swapped"]
    assert swapped
    assert all(as_read(d)["since_s"] <= d.to_ns / 1e9 for d in swapped)


def test_of_the_pair_of_an_inverted_loop_nobody_says_that_its_wires_are_swapped() -> None:
    spans = street(1.0, always(10.0))
    spans[f"{LANE}.lead"] = inverted(spans[f"{LANE}.lead"], 1.0)
    out = events(lived(spans, 60, start_at=0, state_of=0))
    up = {key for key, state in left(out).items() if state == "on"}
    assert up == {(LANE, "lead", "inverted")}


@pytest.mark.parametrize("what", ["site", "inverted"])
def test_what_began_before_a_boot_is_said_to_have_begun_then(what: str) -> None:
    """57 min sound, then 3 min with a fault, then the box is without power for a minute."""
    before, after = street(1.1, always(10.0)), street(0.6, always(10.0), 2)
    if what == "site":
        before, after = silent(before, 57 * 60.0), silent(after, 0.0)
    else:
        name = f"{LANE}.lead"
        wrong = [s for s in inverted(before[name], 1.1) if s[0] > 57 * 60.0]
        before[name] = [*(s for s in before[name] if s[1] < 57 * 60.0), *wrong]
        after[name] = inverted(after[name], 0.6)
    one, new = pipeline(), pipeline()
    reported_before = played(before, 1.0, one)
    assert reported(reported_before) == []
    new.judge.restore(one.judge.snapshot())
    new.judge.restore_flags(one.judge.snapshot_flags())
    new.judge.missing(0, MINUTE)
    fault = "stuck_off" if what == "site" else "inverted"
    found = [d for d in played(after, 0.5, new) if as_read(d).get("fault") == fault]
    assert found
    for d in found:
        began_s = d.to_ns / 1e9 - as_read(d)["since_s"]
        assert began_s <= -4 * 60.0 + 1.0  # the minute without power, and three before
        assert what == "inverted" or began_s >= -5 * 60.0
