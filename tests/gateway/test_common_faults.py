"""Faults of several loops at once, through engine and judge: polarity, a card, a whole site."""

import random
from collections.abc import Callable, Sequence
from typing import Any

import pytest

from edge.core import Contact, Draft, Stream
from edge.gateway.pipeline import Pipeline
from edge.infer.judge import Judge, JudgeSetup, LaneSite
from edge.process.engine import LaneSetup
from edge.process.enginesetup import EngineSetup
from models import BUNDLES
from tests.kit.asread import as_read
from tests.kit.engine import MINUTE, S
from tests.long import more, one_in, size

Spans = dict[str, list[tuple[float, float]]]
LANES = ("north_1", "north_2", "south_1")
SETUP = EngineSetup(tuple(LaneSetup(name, name[:-2], spacing_m=4.0) for name in LANES))
SITES = tuple(LaneSite(name, name[:-2], "mid", True, 4.0) for name in LANES)
LOOPS = [(lane, part) for lane in LANES for part in ("lead", "trail")]
MONDAY_S = 4 * 86_400.0  # since 1970
HOUR = 3600.0
Rate = Callable[[float], float]  # vehicles a minute and lane, by the second of the day


def always(rate: float) -> Rate:
    return lambda at_s: rate


def of_a_day(at_s: float) -> float:
    """Ten a minute by day, one in ten minutes at night."""
    hour = at_s % 86_400 / HOUR
    return 0.1 if hour < 5 or hour >= 23 else 2.0 if hour < 7 or hour >= 20 else 10.0


def street(hours: float, rate: Rate, seed: int = 1) -> Spans:
    """Vehicles that come by chance at some 50 km/h, one in ten a truck, over each lane's pair."""
    chance = random.Random(seed)
    out: Spans = {f"{lane}.{part}": [] for lane, part in LOOPS}
    for lane in LANES:
        at = 1.0
        while at < hours * HOUR - 30:
            at += 1.6 + free_s(at + 1.6, chance.expovariate(1.0), rate)
            v = max(8.0, chance.gauss(14.0, 1.5))
            on = (chance.uniform(11.0, 16.0) if chance.random() < 0.1 else
                  chance.uniform(3.8, 5.0)) + 2.0  # fmt: skip
            out[f"{lane}.lead"].append((at, at + on / v))
            out[f"{lane}.trail"].append((at + 4.0 / v, at + (4.0 + on) / v))
    return {source: apart(spans) for source, spans in out.items()}


def free_s(at_s: float, due: float, rate: Rate) -> float:
    """How long it takes until so many vehicles were due; the rate may change meanwhile."""
    for_s = 0.0
    while due > (step := 1.0 / max(0.1, 60.0 / rate(at_s + for_s) - 1.6)):
        due -= step
        for_s += 1.0
    return for_s + due / step


def apart(spans: Sequence[tuple[float, float]]) -> list[tuple[float, float]]:
    """Without those that begin before the one before has left."""
    out: list[tuple[float, float]] = []
    for on, off in sorted(spans):
        if not out or on > out[-1][1] + 0.1:
            out.append((on, off))
    return out


def inverted(spans: Sequence[tuple[float, float]], hours: float) -> list[tuple[float, float]]:
    """As an input with the other polarity tells them; on from the beginning to the end."""
    edges = [0.0, *(at for span in spans for at in span), hours * HOUR + 60]
    return list(zip(edges[::2], edges[1::2], strict=True))


def contacts(spans: Spans) -> list[Contact]:
    out = []
    for source, here in spans.items():
        first_on = bool(here) and here[0][0] == 0.0
        out.append(Contact(source, first_on, 0, initial=True))
        edges = [(at, on) for span in here for at, on in zip(span, (True, False), strict=True)]
        out += [Contact(source, on, round(at * S)) for at, on in edges if at > 0.0]
    return sorted(out, key=lambda each: each.mono_ns)


def pipeline(*, model: bool = False) -> Pipeline:
    folder = BUNDLES if model else BUNDLES / "none"
    made = Pipeline(SETUP, Judge(JudgeSetup(SITES, hurry=False), folder))
    if model:
        pytest.importorskip("onnxruntime")
        made.load()
    made.engine.start(0)
    return made


def played(
    spans: Spans, hours: float, one: Pipeline | None = None, wall_s: float | None = None
) -> list[Draft]:
    """All events of these hours; `wall_s` is when they begin, None: no clock to trust."""
    one = one or pipeline()
    edges, at, out = contacts(spans), 0, list[Draft]()
    for minute in range(1, round(hours * 60) + 1):
        upto = at
        while upto < len(edges) and edges[upto].mono_ns < minute * MINUTE:
            upto += 1
        out += one.engine.contacts(edges[at:upto])
        at = upto
        wall = None if wall_s is None else wall_s + minute * 60.0
        drafts = one.engine.close(minute * MINUTE, wall_s=wall)
        out += [d for d in drafts if d.stream is Stream.EVENT]
    return out


Reported = list[tuple[float, str, str, str, str]]


def reported(events: Sequence[Draft], kind: str = "sensor_fault") -> Reported:
    """(minute, lane, part, fault, state) of each event."""
    return [
        (d.to_ns / MINUTE, d.source, str(as_read(d).get("part")), str(as_read(d).get("fault")),
         str(as_read(d)["state"]))
        for d in events
        if as_read(d)["event"] == kind
    ]  # fmt: skip


def first(events: Sequence[Draft], fault: str) -> dict[tuple[str, str], float]:
    """The minute in which each loop was first said to have this fault."""
    out: dict[tuple[str, str], float] = {}
    for minute, lane, part, what, state in reported(events):
        if (what, state) == (fault, "on"):
            out.setdefault((lane, part), minute)
    return out


def texts(events: Sequence[Draft], fault: str) -> list[Any]:
    here = [as_read(d) for d in events if as_read(d)["event"] == "sensor_fault"]
    return [b["text"] for b in here if b["fault"] == fault and b["state"] == "on"]


def left(events: Sequence[Draft]) -> dict[tuple[str, str, str], str]:
    """The last word of each fault of each loop."""
    return {(lane, part, fault): state for _, lane, part, fault, state in reported(events)}


# --- polarity -------------------------------------------------------------------------------------


@one_in(3)
@more
@pytest.mark.parametrize("by", ["model", "rule"])
@pytest.mark.parametrize(("rate", "within"), [(10.0, 15.0), (20.0, 15.0), (1.0, 60.0)])
def test_a_street_of_inverted_loops_is_named_within_minutes(
    rate: float, within: float, by: str
) -> None:
    hours = 2.0 if within > 30.0 else size(0.75, 2.0)
    spans = street(hours, always(rate))
    wrong = {source: inverted(here, hours) for source, here in spans.items()}
    events = played(wrong, hours, pipeline(model=by == "model"))
    named = first(events, "inverted")
    assert sorted(named) == sorted(LOOPS)
    assert max(named.values()) <= within
    assert {state for key, state in left(events).items() if key[2] != "inverted"} <= {"off"}
    assert all("active" in text for text in texts(events, "inverted"))


@pytest.mark.long
def test_a_day_of_inverted_loops_is_one_fault_each_and_no_congestion() -> None:
    hours = 24.0
    spans = street(hours, of_a_day)
    wrong = {source: inverted(here, hours) for source, here in spans.items()}
    events = played(wrong, hours)
    assert sorted(first(events, "inverted")) == sorted(LOOPS)
    known = max(first(events, "inverted").values())
    assert [each for each in reported(events) if each[3] == "inverted" and each[4] == "off"] == []
    assert [each for each in reported(events) if each[0] > known + 5.0] == []
    assert reported(events, "congestion") == []


@more
@pytest.mark.parametrize("by", ["model", "rule"])
def test_one_inverted_lane_is_named_and_its_neighbours_are_not(by: str) -> None:
    hours = size(0.75, 2.0)
    spans = street(hours, always(10.0))
    for part in ("lead", "trail"):
        spans[f"north_2.{part}"] = inverted(spans[f"north_2.{part}"], hours)
    events = played(spans, hours, pipeline(model=by == "model"))
    assert sorted(first(events, "inverted")) == [("north_2", "lead"), ("north_2", "trail")]
    assert max(first(events, "inverted").values()) <= 15.0
    assert {lane for _, lane, *_ in reported(events)} == {"north_2"}


def test_who_asks_the_box_is_told_of_loops_with_a_fault() -> None:
    spans, one = street(0.5, always(10.0)), pipeline()
    spans["north_2.trail"] = inverted(spans["north_2.trail"], 0.5)
    played(spans, 0.5, one)
    (((lane, part, _), text),) = one.judge.reported_loop_faults().items()
    assert (lane, part) == ("north_2", "trail")
    assert "active of the lane" in text


@more
def test_one_inverted_loop_of_a_pair_is_named() -> None:
    hours = size(0.75, 2.0)
    spans = street(hours, always(10.0))
    spans["north_2.trail"] = inverted(spans["north_2.trail"], hours)
    events = played(spans, hours)
    assert list(first(events, "inverted")) == [("north_2", "trail")]


def test_a_loop_that_is_mended_is_believed_again() -> None:
    spans = street(3.0, always(10.0))
    source = "south_1.lead"
    before = [span for span in inverted(spans[source], 3.0) if span[1] < HOUR]
    spans[source] = [*before, *(span for span in spans[source] if span[0] > HOUR)]
    events = played(spans, 3.0)
    minutes = {state: at for at, *_, fault, state in reported(events) if fault == "inverted"}
    assert minutes["on"] < 15.0
    assert 60.0 < minutes["off"] < 80.0


def test_a_queue_that_creeps_for_two_hours_is_not_inverted() -> None:
    chance = random.Random(3)
    at, creeping = 1.0, list[tuple[float, float]]()
    while at < 2 * HOUR:
        on = chance.lognormvariate(1.4, 0.5)  # four seconds a vehicle, more and less
        creeping.append((at, at + on))
        at += on + chance.lognormvariate(0.3, 0.4)
    spans = street(2.0, always(10.0)) | {f"north_1.{part}": creeping for part in ("lead", "trail")}
    assert first(played(spans, 2.0), "inverted") == {}


# --- a card ---------------------------------------------------------------------------------------


def stuck_from(at_s: float, sources: Sequence[str], spans: Spans) -> Spans:
    """The outputs of a card fail on, a few milliseconds after each other."""
    out = dict(spans)
    for i, source in enumerate(sources):
        until = [span for span in spans[source] if span[1] < at_s - 0.2]
        out[source] = [*until, (at_s + 0.004 * i, 1e5)]
    return out


CARD = ("north_1.lead", "north_1.trail", "north_2.lead", "north_2.trail")


@one_in(2)
@more
@pytest.mark.parametrize("sources", [CARD, tuple(f"{a}.{b}" for a, b in LOOPS)])
@pytest.mark.parametrize("by", ["model", "rule"])
def test_loops_that_fail_on_at_one_moment_are_named_together(
    sources: Sequence[str], by: str
) -> None:
    hours = size(1.25, 2.0)
    spans = stuck_from(HOUR + 7.0, sources, street(hours, always(10.0)))
    events = played(spans, hours, pipeline(model=by == "model"))
    named = first(events, "stuck_on")
    assert sorted(f"{lane}.{part}" for lane, part in named) == sorted(sources)
    assert max(named.values()) <= 63.0
    assert len(set(named.values())) == 1
    for text in texts(events, "stuck_on"):
        assert f"as {len(sources) - 1} other loops" in text
        assert all(f"{lane} {part}" in text for lane, part in named)
    assert {fault for _, _, _, fault, _ in reported(events)} == {"stuck_on"}


def test_loops_that_are_on_when_they_are_first_seen_did_not_go_on_together() -> None:
    spans = street(2.0, always(10.0))
    waiting = {f"{a}.{b}": [(0.0, 140.0), *(s for s in spans[f"{a}.{b}"] if s[0] > 150.0)]
               for a, b in LOOPS}  # fmt: skip
    assert reported(played(waiting, 2.0)) == []


def test_a_card_that_starts_again_and_again_is_chatter() -> None:
    spans = street(1.0, always(4.0))
    for i in range(5):
        at = 1800.0 + 60.0 * i
        for source in spans:
            kept = [span for span in spans[source] if span[1] < at - 1 or span[0] > at + 4]
            spans[source] = sorted([*kept, (at, at + 2.5)])
    events = played(spans, 1.0)
    assert sorted(first(events, "chatter")) == sorted(LOOPS)
    assert all("power of the loop card" in text for text in texts(events, "chatter"))


# --- a site ---------------------------------------------------------------------------------------


def silent(spans: Spans, from_s: float, to_s: float = 1e9) -> Spans:
    return {
        source: [span for span in here if span[1] < from_s or span[0] > to_s]
        for source, here in spans.items()
    }


@more
@pytest.mark.parametrize("wall_s", [pytest.param(None, marks=pytest.mark.long), MONDAY_S])
def test_a_site_that_falls_silent_by_day_is_dead(wall_s: float | None) -> None:
    hours = size(10.0, 34.0)  # until ten o'clock: of the first day, or of the second
    dead_min = hours * 60.0
    spans = silent(street(hours + 1.0, lambda at: 0.4 * of_a_day(at)), dead_min * 60.0)
    events = played(spans, hours + 1.0, wall_s=wall_s)
    named = first(events, "stuck_off")
    assert sorted(named) == sorted(LOOPS)
    assert {state for *_, state in reported(events)} == {"on"}  # no word before
    assert dead_min + 15.0 <= min(named.values())
    assert max(named.values()) <= dead_min + 20.0
    for text in texts(events, "stuck_off"):
        assert "any other loop of this site" in text
        assert "if the road is not closed" in text


@pytest.mark.long
def test_a_site_that_dies_at_night_is_dead_in_the_morning() -> None:
    midnight = 48.0  # hours: two days are known of it by then
    spans = silent(street(midnight + 10.0, lambda at: 0.2 * of_a_day(at)), (midnight + 2) * HOUR)
    named = first(played(spans, midnight + 10.0), "stuck_off")
    assert sorted(named) == sorted(LOOPS)
    assert max(named.values()) <= (midnight + 9) * 60.0


@one_in(2)
@more
@pytest.mark.parametrize("by", ["model", "rule"])
def test_an_approach_that_falls_silent_beside_one_that_lives_is_named(by: str) -> None:
    """One card for both pairs of it: those beside are as silent, and the site is not."""
    hours = size(1.5, 2.0)
    spans = street(hours, always(10.0))
    north = silent({k: v for k, v in spans.items() if k.startswith("north")}, HOUR, 2 * HOUR)
    events = played(spans | north, hours, pipeline(model=by == "model"))
    named = first(events, "stuck_off")
    assert sorted(named) == [loop for loop in sorted(LOOPS) if loop[0].startswith("north")]
    assert max(named.values()) <= 80
    assert all("any other loop of approach north" in text for text in texts(events, "stuck_off"))


@pytest.mark.long
@pytest.mark.parametrize("share", [0.02, 0.2])
def test_a_night_is_no_dead_site(share: float) -> None:
    """Nor is the second one, of which the first is known; there are three of them."""
    hours = 72.0
    spans = street(hours, lambda at: share * of_a_day(at))
    assert reported(played(spans, hours)) == []


@one_in(2)
@pytest.mark.parametrize("by", ["model", "rule"])
def test_a_dead_site_lives_when_vehicles_come_again(by: str) -> None:
    spans = silent(street(4.0, always(10.0)), 2 * HOUR, 3 * HOUR)
    events = played(spans, 4.0, pipeline(model=by == "model"))
    assert sorted(first(events, "stuck_off")) == sorted(LOOPS)
    assert set(left(events).values()) == {"off"}


@pytest.mark.long
def test_a_site_that_has_never_seen_anything_says_so_after_half_a_day() -> None:
    events = played({f"{a}.{b}": [] for a, b in LOOPS}, 13.0)
    assert sorted(first(events, "never_active")) == sorted(LOOPS)
    assert set(first(events, "never_active").values()) == {720.0}
    assert all(
        "ever since the gateway began to watch it" in text for text in texts(events, "never_active")
    )


def test_lines_that_are_not_watched_are_no_dead_site() -> None:
    one = pipeline()
    spans = street(1.0, always(10.0))
    events = played(spans, 1.0, one)
    for minute in range(61, 240):
        one.lost((minute - 1) * MINUTE, minute * MINUTE - 1)
        events += [d for d in one.engine.close(minute * MINUTE) if d.stream is Stream.EVENT]
    assert reported(events) == []
