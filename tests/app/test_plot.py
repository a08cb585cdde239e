"""What a picture of a replay shows: gaps as gaps, names as text, one file that needs nothing."""

import json
import re
import shutil
import subprocess
import xml.etree.ElementTree as ET
from html.parser import HTMLParser
from itertools import pairwise
from math import isnan
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

import edge.app.plot
from edge.app.plot import ENDINGS, Heading, Kept, draw, kept, scale
from edge.app.plot.flags import MOST, Flags
from edge.app.plot.table import Table
from edge.core import Key, Record, Stream

S = 1_000_000_000
SVG = "{http://www.w3.org/2000/svg}"
NASTY = '</script><svg onload="alert(1)">&amp;\'"'
VOID_TAGS = {"meta", "br", "tr", "th", "td"}  # of ours: closed by what follows


def lane(name: str, at_s: int, period_s: int = 60, **body: Any) -> Record:
    told = {
        "lane": name, "approach": "north", "covered_s": float(period_s), "volume": 10,
        "occupancy": 0.1, "health": "ok", "p_congested": 0.25,
        "speed": {"n": 10, "mean": 50.0}, **body,
    }  # fmt: skip
    key = Key(0, Stream.TRAFFIC, 1)
    return Record(key, name, 0, at_s * S, (at_s + period_s) * S, told)


def event(source: str, at_s: float, **body: Any) -> Record:
    return Record(Key(0, Stream.EVENT, 1), source, 0, int(at_s * S), int(at_s * S), body)


def taken(*records: Record, period_s: int = 60) -> Kept:
    made = Kept(period_s * S)
    for record in records:
        made.take(record)
    return made


def hour(**bodies: dict[str, Any]) -> list[Record]:
    """Sixty windows of north_1; `m5` is the body of the sixth."""
    return [lane("north_1", 60 * m, **bodies.get(f"m{m}", {})) for m in range(60)]


VOID = {"volume": None, "occupancy": None, "speed": None}
STUCK = {**VOID, "health": "stuck_on"}
UNSEEN = {**VOID, "covered_s": 0.0, "health": "unobserved"}
EMPTY = {"volume": 0, "occupancy": 0.0, "speed": {"n": 0, "mean": None}}


def svg(made: Kept, **words: Any) -> ET.Element:
    return ET.fromstring(draw(made, Heading("t", **words), ".svg"))


def path(root: ET.Element, kind: str, css: str = "line") -> str:
    (found,) = (p for p in root.iter(f"{SVG}path")
                if p.get("data-kind") == kind and css in str(p.get("class")))  # fmt: skip
    return str(found.get("d"))


def data(page: str) -> dict[str, Any]:
    found = re.search(r'<script type="application/json" id="data">(.*?)</script>', page)
    assert found
    whole: dict[str, Any] = json.loads(found[1])
    return whole


class Reader(HTMLParser):
    """Tags that are open, and every attribute that could fetch something."""

    def __init__(self) -> None:
        super().__init__()
        self.stack: list[str] = []
        self.links: list[tuple[str, str | None]] = []
        self.tags: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.links += [a for a in attrs if a[0] in ("src", "href", "xlink:href", "onload")]
        if tag not in VOID_TAGS:
            self.stack.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.stack.pop() == tag


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
    assert data(draw(made, Heading("t"), ".html"))["lanes"][0]["volume"] == ",".join(["10"] * 60)
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
    key, told = Key(0, Stream.BAY, 1), {"bay": "b1", "covered_s": 60.0, "occupancy": 1.0}
    bay = [Record(key, "b1", 0, 60 * m * S, 60 * (m + 1) * S, told) for m in range(60)]
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
    page = draw(made, Heading("t", 1_764_115_200.0), ".html")
    assert "<td>2025-11-26 00:10:00" in page
    assert "10 min" in page


@given(st.lists(st.tuples(st.sampled_from("ab"), st.booleans()), max_size=60))
def test_spans_of_one_flag_never_overlap(turns: list[tuple[str, bool]]) -> None:
    flags = Flags()
    for at, (source, on) in enumerate(turns):
        body = {"event": "anomaly", "state": "on" if on else "off", "point": "p", "text": "x"}
        flags.take(source, at, body)
    for source in "ab":
        spans = flags.of([source])
        assert all(a.to_ns is not None and a.to_ns <= b.from_ns for a, b in pairwise(spans))


def test_of_very_many_events_the_rest_is_counted() -> None:
    made = taken(*hour(), *(event("x", m / 10, event="contact", text="x") for m in range(MOST + 7)))
    assert len(made.flags.spans) == MOST
    assert f"And {MOST + 7 - 300:,} more." in draw(made, Heading("t"), ".html")


# -- the file --------------------------------------------------------------------------------------


@pytest.mark.parametrize("ending", ENDINGS)
def test_names_and_sentences_are_text_whatever_is_in_them(ending: str) -> None:
    records = [lane(NASTY, 60 * m, approach=NASTY, health=NASTY) for m in range(60)]
    odd = [
        event(NASTY, 600, event=NASTY, state="on", point=NASTY, text=NASTY),
        event("other", 600, event=NASTY, text=NASTY),
    ]
    text = draw(taken(*records, *odd), Heading(NASTY), ending)
    assert "<svg onload" not in text
    if ending == ".svg":
        texts = {t.text for t in ET.fromstring(text).iter(f"{SVG}text")}
        assert NASTY in texts
        return
    reader = Reader()
    reader.feed(text)
    assert reader.stack == []
    assert reader.links == []
    assert reader.tags.count("script") == 2
    assert data(text)["lanes"][0]["name"] == NASTY


@pytest.mark.parametrize("ending", ENDINGS)
def test_it_fetches_nothing(ending: str) -> None:
    text = draw(taken(*hour()), Heading("t"), ending).replace("http://www.w3.org/2000/svg", "")
    assert not re.findall(r"https?:|url\(|@import|<link|<img|fetch\(|XMLHttp", text)
    if ending == ".html":
        assert "default-src 'none'" in text


def test_who_does_not_see_it_is_told_what_is_in_it() -> None:
    on = event("north", 600, event="congestion", state="on", text="Congestion.")
    root = svg(taken(*hour(), on))
    assert root.get("role") == "img"
    named = {e.get("id"): str(e.text) for e in root}
    assert str(root.get("aria-labelledby")).split() == ["title", "desc"]
    assert "1 lane (north_1)" in named["desc"]
    assert "600 vehicles" in named["desc"]
    assert "Congested 1 time, first at 0:10:00" in named["desc"]


def test_a_replay_without_a_window_is_an_empty_picture() -> None:
    for ending in ENDINGS:
        assert "<svg" in draw(Kept(60 * S), Heading("t"), ending) or ending == ".html"


def test_the_script_draws_what_the_picture_shows(tmp_path: Path) -> None:
    """Two languages, one meaning: the page's own script gives the paths of the still picture."""
    if shutil.which("node") is None:
        pytest.skip("Node is not installed")
    single = {"speed": None, "speed_single": {"kmh": 41.0, "n": 2}}
    signal = {"signal": {"arrivals": 8, "arrivals_on_green": 3}, "queue_us": 5_000_000}
    varied = {f"m{m}": {"volume": m % 7, "occupancy": m % 11 / 20, "p_congested": m % 5 / 8,
                        "speed": {"n": m % 7, "mean": 30.0 + m % 9}, **signal}
              for m in range(40)}  # fmt: skip
    page = draw(taken(*hour(**varied, m44=STUCK, m45=UNSEEN, m47=single, m48=single)),
                Heading("t"), ".html")  # fmt: skip
    (tmp_path / "data").write_text(json.dumps(data(page)))
    code = (Path(edge.app.plot.__file__).with_name("lines.js")).read_text()
    run = """
    const text = require("fs").readFileSync(process.argv[1], "utf8");
    globalThis.document = { getElementById: () => ({ textContent: text }) };
    eval(require("fs").readFileSync(process.argv[2], "utf8") + `
      const out = {}, size = D.bin / D.width;
      const kinds = [["volume"], ["occupancy"], ["speed"], ["single", "speed"], ["queue"], ["aog"]];
      for (const [kind, panel] of [...kinds, ["now"]]) {
        const found = pointsOf(kind, kind === "now" ? chances.north : lanes[0], size);
        const height = { now: 72, queue: 64, aog: 64 }[kind] || 92;
        const highest = Math.max(...found.out.filter((p) => p && p[0] === p[0]).map((p) => p[0]));
        const [least, most] = kind === "now" ? [1, 1] : D.panels[panel || kind];
        out[kind] = paths(found, size, height, Math.min(axis(highest, least), most ?? 1e9)).line;
      }
      console.log(JSON.stringify(out));`);
    """
    (tmp_path / "lines.js").write_text(code)
    done = subprocess.run(
        ["node", "-e", run, tmp_path / "data", tmp_path / "lines.js"],
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    for kind, drawn in json.loads(done.stdout).items():
        still = re.search(rf'class="line [^"]*" data-kind="{kind}"[^>]* d="([^"]*)"', page)
        assert still, kind
        numbers = [re.findall(r"[\d.]+", text) for text in (still[1], drawn)]
        shapes = [re.sub(r"[\d.]+", "", text) for text in (still[1], drawn)]
        assert shapes[0] == shapes[1], kind
        assert [float(n) for n in numbers[0]] == pytest.approx([float(n) for n in numbers[1]],
                                                               abs=0.25), kind  # fmt: skip


# -- bounds ----------------------------------------------------------------------------------------


def test_a_day_of_windows_of_5_s_on_8_lanes_is_below_5_mb() -> None:
    made = Kept(5 * S)
    told = {
        "speed": {"n": 3, "mean": 47.3},
        "p_congested_5": 0.123,
        "p_congested_15": 0.456,
        "p_congested": 0.321,
    }
    for window in range(17_280):
        share = window * 7919 % 10_000 / 10_000
        for i in range(8):
            made.take(lane(f"lane_{i}", 5 * window, 5, occupancy=share, volume=window % 4,
                           approach=f"approach_{i // 2}", queue_us=window, **told))  # fmt: skip
    assert made.width_ns == 5 * S
    page = draw(made, Heading("t"), ".html")
    assert len(page.encode()) < 5_000_000
    assert len(draw(made, Heading("t"), ".svg").encode()) < 1_000_000


def test_more_than_that_is_folded_and_stays_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kept, "WHOLE", 400)
    monkeypatch.setattr(kept, "FOLDED", 200)
    made = Kept(60 * S)
    for window in range(5000):
        high = 0.9 if window == 1234 else 0.1
        for name in ("a", "b"):
            made.take(lane(name, 60 * window, volume=window % 3, occupancy=high))
    assert made.columns * 2 <= 200
    table = made.lanes["a"].table
    assert sum(table["volume"]) == sum(window % 3 for window in range(5000))
    assert max(table["high"]) == 0.9
    assert sum(table["covered"]) == 5000 * 60
    assert "low" in data(draw(made, Heading("t"), ".html"))["lanes"][0]


@given(
    st.lists(st.none() | st.integers(0, 50), min_size=1, max_size=60), st.integers(0, 4)
)  # fmt: skip
def test_folding_keeps_sums_and_extremes(values: list[int | None], times: int) -> None:
    table = Table({"a": "sum", "b": "low", "c": "high"})
    for at, value in enumerate(values):
        table.put(at, dict.fromkeys("abc", value))
    for _ in range(times):
        table.fold()
    known = [value for value in values if value is not None]
    left = {name: [v for v in table[name] if not isnan(v)] for name in "abc"}
    assert sum(left["a"]) == sum(known)
    if known:
        assert (min(left["b"]), max(left["c"])) == (min(known), max(known))
    assert len(table) <= -(-len(values) // 2**times)


@given(st.floats(0, 1e5), st.floats(1, 1e3))
@example(high=0.0, least=4.001)
def test_an_axis_holds_its_highest_value_with_few_round_numbers(high: float, least: float) -> None:
    end = scale.top(high, least)
    assert max(high, least) <= end <= 2.6 * max(high, least)
    numbers = scale.numbers(end)
    assert numbers[0] == 0
    assert numbers[-1] == pytest.approx(end)
    assert 2 <= len(numbers) <= 6


@given(st.floats(1, 4e7), st.none() | st.floats(0, 2e9))
def test_times_at_an_axis_are_few_round_and_within(span: float, start: float | None) -> None:
    found = scale.marks(scale.Frame(0.0, span), start)
    assert len(found) <= scale.MARKS + 1
    assert all(-1e-3 <= at <= span + 1e-3 for at, _ in found)
    assert all(a[0] < b[0] for a, b in pairwise(found))
