"""A picture of a replay as a file: names as text, nothing fetched, and not too large."""

import json
import re
import shutil
import subprocess
import xml.etree.ElementTree as ET
from html.parser import HTMLParser
from math import isnan
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

import edge.report.plot
from edge.report.plot import SUFFIXES, Heading, PlotData, draw_page, plotdata
from edge.report.plot.columntable import ColumnTable
from tests.long import more, size
from tests.report.plotted import STUCK, SVG, UNSEEN, S, data, event, hour, lane, svg, taken

NASTY = '</script><svg onload="alert(1)">&amp;\'"'
VOID_TAGS = {"meta", "br", "tr", "th", "td"}  # of ours: closed by what follows


class TagReader(HTMLParser):
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


# -- the file --------------------------------------------------------------------------------------


@pytest.mark.parametrize("ending", SUFFIXES)
def test_names_and_sentences_are_text_whatever_is_in_them(ending: str) -> None:
    records = [lane(NASTY, 60 * m, approach=NASTY, health=NASTY) for m in range(60)]
    odd = [
        event(NASTY, 600, event=NASTY, state="on", point=NASTY, text=NASTY),
        event("other", 600, event=NASTY, text=NASTY),
    ]
    text = draw_page(taken(*records, *odd), Heading(NASTY), ending)
    assert "<svg onload" not in text
    if ending == ".svg":
        texts = {t.text for t in ET.fromstring(text).iter(f"{SVG}text")}
        assert NASTY in texts
        return
    reader = TagReader()
    reader.feed(text)
    assert reader.stack == []
    assert reader.links == []
    assert reader.tags.count("script") == 2
    assert data(text)["lanes"][0]["name"] == NASTY


@pytest.mark.parametrize("ending", SUFFIXES)
def test_it_fetches_nothing(ending: str) -> None:
    text = draw_page(taken(*hour()), Heading("t"), ending).replace("http://www.w3.org/2000/svg", "")
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
    for ending in SUFFIXES:
        assert "<svg" in draw_page(PlotData(60 * S), Heading("t"), ending) or ending == ".html"


def test_the_script_draws_what_the_picture_shows(tmp_path: Path) -> None:
    """Two languages, one meaning: the page's own script gives the paths of the still picture."""
    if shutil.which("node") is None:
        pytest.skip("Node is not installed")
    single = {"speed": None, "speed_single": {"kmh": 41.0, "n": 2}}
    signal = {"signal": {"arrivals": 8, "arrivals_on_green": 3}, "queue_us": 5_000_000}
    varied = {f"m{m}": {"volume": m % 7, "occupancy": m % 11 / 20, "p_congested": m % 5 / 8,
                        "speed": {"n": m % 7, "mean": 30.0 + m % 9}, **signal}
              for m in range(40)}  # fmt: skip
    page = draw_page(taken(*hour(**varied, m44=STUCK, m45=UNSEEN, m47=single, m48=single)),
                Heading("t"), ".html")  # fmt: skip
    (tmp_path / "data").write_text(json.dumps(data(page)))
    code = (Path(edge.report.plot.__file__).with_name("lines.js")).read_text()
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


@more
def test_a_day_of_windows_of_5_s_on_8_lanes_is_below_5_mb() -> None:
    """Each time a quarter of it."""
    lanes = size(2, 8)
    made = PlotData(5 * S)
    reported = {
        "speed": {"n": 3, "mean": 47.3},
        "p_congested_5": 0.123,
        "p_congested_15": 0.456,
        "p_congested": 0.321,
    }
    for window in range(17_280):
        share = window * 7919 % 10_000 / 10_000
        for i in range(lanes):
            made.take(lane(f"lane_{i}", 5 * window, 5, occupancy=share, volume=window % 4,
                           approach=f"approach_{i // 2}", queue_us=window, **reported))  # fmt: skip
    assert made.width_ns == 5 * S
    page = draw_page(made, Heading("t"), ".html")
    assert len(page.encode()) < 5_000_000 * lanes // 8
    assert len(draw_page(made, Heading("t"), ".svg").encode()) < 1_000_000 * lanes // 8


def test_more_than_that_is_folded_and_stays_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(plotdata, "COLUMNS_LIMIT", 400)
    monkeypatch.setattr(plotdata, "FOLDED", 200)
    made = PlotData(60 * S)
    for window in range(5000):
        high = 0.9 if window == 1234 else 0.1
        for name in ("a", "b"):
            made.take(lane(name, 60 * window, volume=window % 3, occupancy=high))
    assert made.columns * 2 <= 200
    table = made.lanes["a"].table
    assert sum(table["volume"]) == sum(window % 3 for window in range(5000))
    assert max(table["high"]) == 0.9
    assert sum(table["covered"]) == 5000 * 60
    assert "low" in data(draw_page(made, Heading("t"), ".html"))["lanes"][0]


@given(
    st.lists(st.none() | st.integers(0, 50), min_size=1, max_size=60), st.integers(0, 4)
)  # fmt: skip
def test_folding_keeps_sums_and_extremes(values: list[int | None], times: int) -> None:
    table = ColumnTable({"a": "sum", "b": "low", "c": "high"})
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
