"""Streets: what a file holds, and that slots are cut as the engine cuts them."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge.core.looptick import STAYS_LIMIT
from models.congestion.scenarios import truth
from models.congestion.scenarios.loopfaults import inject_faults
from models.congestion.scenarios.playstreet import BOUNCE_MS, play_through_engine, play_ticks
from models.congestion.scenarios.simstreet import (
    SAMPLE,
    Floats,
    LoopPlace,
    SimStreet,
    StreetLink,
    contact_stays,
    load_street,
    load_streets,
    merge_events,
    save_street,
    split_events,
    trail_of,
)
from tests.long import examples, one_in

STREETS = load_streets(SAMPLE)


def small(*stays: list[float], hours: float = 0.05, green: Floats | None = None) -> SimStreet:
    """A street of one link with a lane for each list of alternating on and off seconds."""
    moments = round(hours * 360)
    link = StreetLink(
        "l", "arterial", len(stays), 300.0, 50.0, None, None, ((10.0, 150.0),), (),
        np.linspace(0, 40, moments).round(3), np.linspace(14, 2, moments).round(3), green,
    )  # fmt: skip
    loops = tuple(LoopPlace(f"l_{i}", "l", "mid", i, "lead", 150.0, 2.0) for i in range(len(stays)))
    arrays = tuple(np.array(times, np.float64).reshape(-1, 2) for times in stays)
    return SimStreet("s", "arterial", "train", 7, hours, (link,), loops, arrays, {"wet": False})


@st.composite
def edges(draw: st.DrawFn) -> list[float]:
    """On and off times in three minutes: some of them bounce, some lie on a border."""
    steps = st.sampled_from([0.001, 0.004, 0.0149, 0.015, 0.016, 0.2, 1.5, 7.0, 30.0, 60.0])
    times = np.cumsum(draw(st.lists(steps, max_size=60))).round(4)
    first = draw(st.sampled_from([0.0, 0.001, 29.99, 30.0, 60.0]))
    times = (times - times[0] if len(times) else times) + first
    times = times[times < 180.0]
    return [float(t) for t in times[: len(times) // 2 * 2]]


def test_the_sample_has_events_on_links_with_all_that_a_model_needs() -> None:
    assert {street.kind for street in STREETS} == {"corridor", "arterial"}
    for street in STREETS:
        assert any(link.events for link in street.links)
        for link in street.links:
            assert len(link.density) == len(link.speed) == round(street.hours * 360)
            assert (link.green is not None) == (street.kind == "arterial")
            assert link.downstream is None or street.link(link.downstream).lanes > 0
            seen = {p.index for p in street.loops if p.link == link.name}
            assert seen == set(range(link.lanes))
        for stays in street.stays:
            assert (np.diff(stays.ravel()) > 0).all()
            assert stays[0, 0] >= 0
            assert stays[-1, 1] <= street.hours * 3600


def test_the_sample_is_small() -> None:
    assert sum(path.stat().st_size for path in SAMPLE.rglob("*") if path.is_file()) < 150_000


def test_a_corridor_has_pairs_whose_trail_follows_the_lead() -> None:
    street = next(each for each in STREETS if each.kind == "corridor")
    at = {(p.lane, p.part): i for i, p in enumerate(street.loops)}
    for i, place in enumerate(street.loops):
        if place.part == "lead":
            lead, trail = street.stays[i][:, 0], street.stays[at[place.lane, "trail"]][:, 0]
            assert abs(len(lead) - len(trail)) <= 0.05 * len(lead) + 2
            lead = lead[lead < trail[-1]]
            later = trail[np.searchsorted(trail, lead)] - lead
            if len(lead) > 50:  # 3.58 m at 100 km/h and at walking pace
                assert 3.58 / 35 < np.median(later) < 3.58 / 1.5


@settings(max_examples=examples(40))
@given(first=edges(), second=edges())
def test_a_street_comes_back_as_it_was_saved(
    tmp_path_factory: pytest.TempPathFactory, first: list[float], second: list[float]
) -> None:
    street = small(first, second, green=np.array([[3.0, 40.5]]))
    folder = tmp_path_factory.mktemp("street")
    save_street(street, folder)
    again = load_street(folder)
    for one, two in zip(street.stays, again.stays, strict=True):
        np.testing.assert_allclose(one, two, atol=1e-9)
    assert again.loops == street.loops
    assert (again.name, again.hours, again.about) == (street.name, street.hours, street.about)
    (link,), (was,) = again.links, street.links
    assert (link.events, link.short, link.length_m) == (was.events, was.short, was.length_m)
    np.testing.assert_allclose(link.density, was.density, atol=1e-9)
    np.testing.assert_allclose(link.speed, was.speed, atol=1e-9)
    assert link.green is not None
    np.testing.assert_allclose(link.green, [[3.0, 40.5]])


def test_a_street_that_is_still_being_written_is_not_there(tmp_path: Path) -> None:
    save_street(small([1.0, 2.0]), tmp_path / ".half")
    with pytest.raises(FileNotFoundError):
        load_streets(tmp_path)


def naive(times: list[float], windows: list[float]) -> list[tuple[float, float]]:
    """Stays after bounce, edge by edge: what the line of a loop tells."""
    result: list[float] = [t for t in times[:1] if t == 0]
    run: list[float] = []
    for t in times[len(result) :]:
        border = run and any(run[-1] < w <= t for w in windows)
        if run and (t - run[-1] >= BOUNCE_MS / 1000 - 1e-9 or border):
            result += run[:1] if len(run) % 2 else []
            run = []
        run.append(t)
    result += run[:1] if len(run) % 2 else []
    return list(zip(result[::2], result[1::2], strict=True))


@settings(max_examples=examples(150))
@given(times=edges(), period_s=st.sampled_from([5, 20, 30, 60, 90]))
def test_slots_are_what_one_counts_by_hand(times: list[float], period_s: int) -> None:
    green = np.array([[0.0, 25.0], [70.0, 130.5]])
    street = small(times, green=green)
    stays = naive(times, [float(w) for w in range(period_s, 181, period_s)])
    ticks = [tick for _, window in play_ticks(street, period_s) for tick in window]
    assert [t.to_ns for t in ticks][:-1] == [t.from_ns for t in ticks][1:]
    for tick in ticks:
        begin, end = tick.from_ns / 1e9, tick.to_ns / 1e9
        over = [(max(a, begin), min(b, end)) for a, b in stays if a < end and b > begin]
        assert tick.on_ns == pytest.approx(sum(b - a for a, b in over) * 1e9, abs=10)
        ended = [s for s in stays if begin <= s[1] < end]
        assert [(s.on_ns, s.off_ns) for s in tick.stays] == [
            (round(a * 1e9), round(b * 1e9)) for a, b in ended[:STAYS_LIMIT]
        ]
        lasting = [a for a, b in stays if a < end <= b]
        assert tick.since_ns == (round(lasting[0] * 1e9) if lasting else None)
        lit = [(max(a, begin), min(b, end)) for a, b in green.tolist() if a < end and b > begin]
        assert tick.green_ns == pytest.approx(sum(b - a for a, b in lit) * 1e9, abs=1)
        both = sum(max(0.0, min(b, d) - max(a, c)) for a, b in over for c, d in lit)
        assert tick.green_on_ns == pytest.approx(both * 1e9, abs=10)


@settings(max_examples=examples(60))
@given(first=edges(), second=edges(), period_s=st.sampled_from([5, 20, 60, 75, 180]))
def test_the_engine_tells_the_same_ticks(
    first: list[float], second: list[float], period_s: int
) -> None:
    street = small(first, second, green=np.array([[0.0, 31.0], [65.0, 100.0]]))
    assert list(play_ticks(street, period_s)) == list(play_through_engine(street, period_s))


@one_in(2)
@pytest.mark.parametrize("street", STREETS, ids=lambda street: street.name)
@pytest.mark.parametrize("period_s", [20, 60])
def test_the_engine_tells_the_same_ticks_of_a_faulty_street(
    street: SimStreet, period_s: float
) -> None:
    hurt, faults = inject_faults(street, 3, 0.6)
    assert faults
    assert list(play_ticks(hurt, period_s)) == list(play_through_engine(hurt, period_s))


def test_windows_of_a_minute_hold_two_slots_lanes_in_order_lead_before_trail() -> None:
    (end_s, ticks), *_ = play_ticks(STREETS[1])
    assert end_s == 60
    order = [(tick.from_ns, tick.lane, tick.part) for tick in ticks]
    assert order == sorted(order)
    assert {tick.length_s for tick in ticks} == {30.0}


def test_what_overlaps_or_touches_is_one_stay() -> None:
    on, off = np.array([5.0, 1.0, 2.0, 9.0, 12.0]), np.array([6.0, 4.0, 3.0, 10.0, 12.0])
    assert contact_stays(on, off).tolist() == [[1.0, 4.0], [5.0, 6.0], [9.0, 10.0]]
    assert contact_stays(np.array([1.0, 2.0005]), np.array([2.0, 3.0])).tolist() == [[1.0, 3.0]]


def test_a_trail_is_where_its_lead_says() -> None:
    lead = LoopPlace("a", "l", "corridor", 0, "lead", 100.0, 2.0, 4.5)
    assert [(p.part, p.at_m) for p in trail_of(lead)] == [("trail", 104.5)]


def test_near_events_are_one_and_short_ones_do_not_count() -> None:
    result = [(1000.0, 1100.0), (1399.0, 1500.0), (2000.0, 2119.0)]
    assert merge_events(result) == [(1000.0, 1500.0), (2000.0, 2119.0)]
    assert split_events(result) == (((1000.0, 1500.0),), ((2000.0, 2119.0),))


def test_a_link_is_congested_from_slow_and_dense_until_it_is_faster() -> None:
    density = np.array([30.0, 27.0, 28.0, 30.0, 20.0, 10.0, 40.0])
    speed = np.array([9.0, 5.0, 5.0, 6.5, 6.9, 7.1, 1.0])
    assert truth.congested_spans(density, speed, 6.0, 7.0) == [(30.0, 60.0)]
    assert truth.congested_spans(density, speed, 4.0, 7.0) == []
    empty = np.array([5.0, 5.0, np.nan])
    assert truth.congested_spans(np.array([30.0, 30.0, 0.0]), empty, 6.0, 7.0) == [(10.0, 30.0)]


def test_density_and_speed_are_means_over_the_whole_link_and_the_last_minute() -> None:
    driven = np.array([10.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0])
    density, speed = truth.smooth_state(driven, driven * 4.0, 0.5, 60.0)
    assert density[0] == pytest.approx(2.0)
    assert density[5] == pytest.approx(10 / 60 / 0.5)
    assert speed[5] == 4.0
    assert density[6] == 0
    assert np.isnan(speed[6])


def test_a_queue_that_one_green_serves_is_no_congestion() -> None:
    slow, free = truth.congestion_speeds(13.9, 600.0, 40.0)
    assert (slow, free) == pytest.approx((0.3 * 13.9, 0.38 * 13.9))
    # 150 m, 80 s of red: who waits for half of it drives at 0.2 of the limit, and that is well.
    slow, free = truth.congestion_speeds(13.9, 150.0, 80.0)
    assert slow < 150 / (150 / 13.9 + 40)
    assert slow < free < 0.3 * 13.9
    assert truth.congestion_speeds(30.0, 600.0, None) == pytest.approx((18.0, 21.0))
