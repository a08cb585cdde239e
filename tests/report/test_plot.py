"""What a picture of a replay shows: gaps as gaps, flags as long as they lasted, axes to read."""

import re
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from edge.core import Record, RecordKey, Stream
from edge.report.plot import Heading, draw_page, scale
from edge.report.plot.flagspans import SPANS_LIMIT, FlagSpans
from tests.report.plotted import (
    EMPTY,
    STUCK,
    SVG,
    UNSEEN,
    S,
    data,
    event,
    hour,
    lane,
    path,
    svg,
    taken,
)

# -- what is drawn ---------------------------------------------------------------------------------


def test_quantities_have_names_units_and_one_line_for_each_lane() -> None:
    records = hour() + [lane("north_2", 60 * m) for m in range(60)]
    root = svg(taken(*sorted(records, key=lambda r: r.from_ns)))
    texts = {t.text for t in root.iter(f"{SVG}text")}
    assert {"approach north", "north_1", "north_2", "P(congested)"} <= texts
    assert {"volume", "veh/h", "occupancy", "%", "speed", "km/h", "loop health"} <= texts
    drawn = [p for p in root.iter(f"{SVG}path") if p.get("data-lane")]
    assert {(p.get("data-kind"), p.get("data-lane")) for p in drawn} == {
        (kind, i) for kind in ("volume", "occupancy", "speed") for i in "01"
    }


def test_a_value_is_drawn_where_its_axis_says() -> None:
    made = taken(*hour())
    assert data(draw_page(made, Heading("t"), ".html"))["lanes"][0]["volume"] == ",".join(
        ["10"] * 60
    )
    root = svg(made)
    ys = {float(y) for y in re.findall(r"[ML][\d.]+ ([\d.]+)", path(root, "volume"))}
    (end,) = (float(str(p[-1].text)) for p in root.iter(f"{SVG}g")
              if p.get("class") == "numbers" and p.get("data-kind") == "volume")  # fmt: skip
    (y,) = ys
    assert (92 - 2 - y) / (92 - 4) * end == pytest.approx(600, rel=0.01)  # 10 in a minute


@pytest.mark.parametrize("gap", [STUCK, UNSEEN])
def test_what_is_not_known_is_a_gap_and_not_a_zero(gap: dict[str, Any]) -> None:
    root = svg(taken(*hour(m20=gap, m21=gap)))
    for kind in ("volume", "occupancy", "speed"):
        line = path(root, kind)
        assert line.count("M") == 2, kind
        ys = [float(y) for y in re.findall(r"[ML][\d.]+ ([\d.]+)", line)]
        assert len(ys) == 58
        assert max(ys) - min(ys) < 0.2, kind


def test_a_window_without_a_vehicle_is_a_zero_and_has_no_speed() -> None:
    root = svg(taken(*hour(m20=EMPTY, m21=EMPTY)))
    assert path(root, "volume").count("M") == path(root, "speed").count("M") == 1
    assert path(root, "volume").count("L") == 59
    assert path(root, "speed").count("L") == 57


def test_a_stretch_without_records_is_a_gap() -> None:
    records = [r for r in hour() if not 20 * 60 * S <= r.from_ns < 30 * 60 * S]
    root = svg(taken(*records))
    assert path(root, "volume").count("M") == path(root, "now").count("M") == 2


def test_a_lonely_window_is_a_dot() -> None:
    root = svg(taken(*hour(m0=UNSEEN, m2=UNSEEN)))
    assert re.match(r"M[\d.]+ [\d.]+h0M", path(root, "volume"))


def test_a_speed_from_one_loop_is_dashed_and_only_where_no_pair_tells_one() -> None:
    single = {"speed": None, "speed_single": {"kmh": 40.0, "n": 3}}
    both = {"speed_single": {"kmh": 40.0, "n": 3}}
    root = svg(taken(*hour(m10=single, m11=single, m30=both)))
    assert path(root, "single", "single").count("L") == 1
    plain = svg(taken(*hour(m30=both)))
    assert path(plain, "single", "single") == ""


def test_loops_have_a_strip_each_where_records_tell_of_them() -> None:
    loops = {"lead": {"score": 0.1, "fault": None}, "trail": {"score": 0.9, "fault": "drift"}}
    root = svg(taken(*hour(**{f"m{m}": {"loops": loops} for m in range(60)})))
    texts = [t.text for t in root.iter(f"{SVG}text")]
    assert "north_1 lead" in texts
    assert "north_1 trail" in texts
    strips = {g.get("data-kind"): {b.get("class") for b in g.iter(f"{SVG}rect")}
              for g in root.iter(f"{SVG}g") if g.get("class") == "strip"}  # fmt: skip
    assert strips == {"lead": {"s-ok"}, "trail": {"s-fault"}}


@pytest.mark.parametrize(
    ("body", "lead", "trail"),
    [
        ({"health": "trail_breakup"}, "s-ok", "s-fault"),
        ({"health": "trail_unobserved"}, "s-ok", "s-none"),
        ({"health": "stuck_off", "counted_by": "trail"}, "s-fault", "s-ok"),
        ({"health": "mismatch"}, "s-ok", "s-ok"),  # the note of each loop says which of them
        ({**UNSEEN}, "s-none", "s-none"),
    ],
    ids=str,
)
def test_the_lanes_word_is_drawn_at_the_loop_that_it_is_of(
    body: dict[str, Any], lead: str, trail: str
) -> None:
    unsure = {"score": 0.3, "fault": None}
    body = {**body, "loops": {"lead": unsure, "trail": unsure}}
    root = svg(taken(*hour(**{f"m{m}": body for m in range(60)})))
    strips = {g.get("data-kind"): {b.get("class") for b in g.iter(f"{SVG}rect")}
              for g in root.iter(f"{SVG}g") if g.get("class") == "strip"}  # fmt: skip
    assert strips == {"lead": {lead}, "trail": {trail}}


def test_what_comes_later_is_drawn_when_it_is_there() -> None:
    signal = {"arrivals": 8, "arrivals_on_green": 2, "cycles_judged": 1, "split_failures": 1}
    more = {"queue_us": 30_000_000, "signal": signal, "p_congested_5": 0.4, "p_congested_15": 0.5}
    root = svg(taken(*hour(**{f"m{m}": more for m in range(60)})))
    kinds = {p.get("data-kind") for p in root.iter(f"{SVG}path")}
    assert {"queue", "aog", "split", "in5", "in15"} <= kinds
    plain = {p.get("data-kind") for p in svg(taken(*hour())).iter(f"{SVG}path")}
    assert not {"queue", "aog", "split", "in5", "in15"} & plain


def test_bays_are_drawn_and_so_are_flags_of_other_devices() -> None:
    key, reported = RecordKey(0, Stream.BAY, 1), {"bay": "b1", "covered_s": 60.0, "occupancy": 1.0}
    bay = [Record(key, "b1", 0, 60 * m * S, 60 * (m + 1) * S, reported) for m in range(60)]
    odd = event("heat", 600, event="anomaly", state="on", point="power", text="It jumped.")
    root = svg(taken(*hour(), *bay, odd))
    texts = {t.text for t in root.iter(f"{SVG}text")}
    assert {"bays and other devices", "b1", "anomaly", "heat power"} <= texts


# -- flags -----------------------------------------------------------------------------------------


def test_a_flag_lasts_from_its_event_to_the_one_that_clears_it() -> None:
    on = event("north", 600, event="congestion", state="on", text="Congestion on north.")
    off = event("north", 1200, event="congestion", state="off", text="It moves again.")
    again = event("north", 3000, event="congestion", state="on", text="Congestion on north.")
    made = taken(*hour(), on, off, again)
    root = svg(made, start_s=1_764_115_200.0)
    bars = [g for g in root.iter(f"{SVG}g") if "bar congestion" in str(g.get("class"))]
    assert [(g.get("data-from"), g.get("data-to")) for g in bars] == [
        ("600", "1200"), ("3000", None),
    ]  # fmt: skip
    first, second = (str(g[0].text) for g in bars)
    assert "2025-11-26 00:10:00" in first
    assert "Congestion on north. It moves again." in first
    assert "up still" in second
    page = draw_page(made, Heading("t", 1_764_115_200.0), ".html")
    assert "<td>2025-11-26 00:10:00" in page
    assert "10 min" in page


@given(st.lists(st.tuples(st.sampled_from("ab"), st.booleans()), max_size=60))
def test_spans_of_one_flag_never_overlap(turns: list[tuple[str, bool]]) -> None:
    flags = FlagSpans()
    for at, (source, on) in enumerate(turns):
        body = {"event": "anomaly", "state": "on" if on else "off", "point": "p", "text": "x"}
        flags.take(source, at, body)
    for source in "ab":
        spans = flags.of([source])
        assert all(a.to_ns is not None and a.to_ns <= b.from_ns for a, b in pairwise(spans))


def test_of_very_many_events_the_rest_is_counted() -> None:
    made = taken(
        *hour(), *(event("x", m / 10, event="contact", text="x") for m in range(SPANS_LIMIT + 7))
    )
    assert len(made.flags.spans) == SPANS_LIMIT
    assert f"And {SPANS_LIMIT + 7 - 300:,} more." in draw_page(made, Heading("t"), ".html")


@given(st.floats(0, 1e5), st.floats(1, 1e3))
@example(high=0.0, least=4.001)
def test_an_axis_holds_its_highest_value_with_few_round_numbers(high: float, least: float) -> None:
    end = scale.axis_top(high, least)
    assert max(high, least) <= end <= 2.6 * max(high, least)
    numbers = scale.axis_numbers(end)
    assert numbers[0] == 0
    assert numbers[-1] == pytest.approx(end)
    assert 2 <= len(numbers) <= 6


@given(st.floats(1, 4e7), st.none() | st.floats(0, 2e9))
def test_times_at_an_axis_are_few_round_and_within(span: float, start: float | None) -> None:
    found = scale.time_marks(scale.TimeFrame(0.0, span), start)
    assert len(found) <= scale.MARKS + 1
    assert all(-1e-3 <= at <= span + 1e-3 for at, _ in found)
    assert all(a[0] < b[0] for a, b in pairwise(found))
