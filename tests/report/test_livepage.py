"""The page of `kerbstone live`: it fits, has a word for whatever is wrong, and stays the same while
nothing happens.
"""

import copy
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.core.printable import columns_of
from edge.report.live.livehistory import VALUES_KEPT, LiveHistory
from edge.report.live.livepage import Look, live_rows, plain_text, title_row
from edge.report.live.valuetext import PLAIN_MARKS, sparkline, value_text

ANSWER: dict[str, Any] = {
    "site": "quay", "gateway": "gw-17", "uptime_s": 10_800.0,
    "devices": [
        {"name": "hut_air", "driver": "sen55", "bus": "air", "every_s": 1.0, "state": "ok",
         "text": "", "reads": 5, "errors": 0, "age_s": 0.4, "health": {},
         "readings": [
             {"point": "temperature", "value": 23.5, "unit": "Cel", "quality": "good"},
             {"point": "voc_index", "value": 101.5, "unit": "1", "quality": "uncertain:warmup"},
         ]},
        {"name": "main_meter", "driver": "sdm630", "bus": "meters", "every_s": 1.0,
         "state": "silent", "text": "no answer within 0.5 s", "reads": 9, "errors": 4,
         "age_s": 250.0, "health": {},
         "readings": [{"point": "reactive_energy_import_l1", "value": 1743.34, "unit": "kvarh",
                       "quality": "good"}]},
    ],
    "lanes": [
        {"name": "north_1", "approach": "north", "kind": "vehicle",
         "loops": [
             {"name": "north_1.lead", "line": "17", "on": True, "edge_age_s": 0.4, "edges": 10,
              "edges_hour": 1204, "watched_age_s": 9000.0},
             {"name": "north_1.trail", "line": "27", "on": None, "edge_age_s": None, "edges": 0,
              "edges_hour": 0, "watched_age_s": None, "closed": "line 27 chatters"},
         ],
         "window": {"age_s": 12.0, "length_s": 60.0, "volume": 5, "occupancy": 0.125,
                    "health": "ok"},
         "since_window": {"vehicles": 3, "more": False},
         "vehicles": [{"age_s": 3.2, "on_s": 0.47, "speed_kmh": 48.2, "length_m": 4.5,
                       "class": "short"}]},
    ],
    "contacts": [{"name": "door", "kind": "door", "line": "5", "on": False, "edge_age_s": 400.0,
                  "edges": 2, "edges_hour": 0, "watched_age_s": 9000.0}],
    "link": {"connected": False, "for_s": 400.0, "failure": "connection refused"},
    "queue": {"rows": 1204, "confirmed": 0, "age_s": 400.0, "dropped": 0},
    "issues": [
        {"kind": "no_broker", "about": "", "cause": "No link to the broker for 6 min.",
         "remedy": "Check modem, antenna and cable. " * 9},
        {"kind": "device_fails", "about": "main_meter", "cause": "main_meter: no answer.",
         "remedy": "Check its supply."},
    ],
}  # fmt: skip


def page(answer: dict[str, Any] = ANSWER, look: Look | None = None) -> list[str]:
    history = LiveHistory()
    history.take(answer)
    return plain_text(live_rows(answer, history, look or Look()))


def test_everything_is_on_it() -> None:
    shown = page()
    assert shown[0] == "LINK   NOT CONNECTED for 6 min: connection refused"
    assert shown[1] == "QUEUE  1,204 records waiting, the oldest for 6 min"
    assert shown[2] == "ISSUES 2 open issues"
    assert shown[3].startswith("! No link to the broker for 6 min. Check modem")
    assert shown[4].endswith("...")
    assert shown[5] == "! main_meter: no answer. Check its supply."
    text = "\n".join(shown)
    assert "north_1.lead             OCCUPIED    now            1,204  █" in text
    assert "north_1.trail            NOT WATCHED: line 27 chatters" in text
    assert "  window 12 s ago: 5 vehicles, occupied 12.5%" in text
    assert "  since then: 3 vehicles" in text
    assert "48.2 km/h    4.5 m  short" in text
    assert "  door                     closed      6 min ago          0  ·" in text
    assert "hut_air (sen55 on air)  ok" in shown
    assert "  temperature                     23.5 Cel    now    good             ▁" in text
    assert "uncertain:warmup" in text
    assert "main_meter (sdm630 on meters)  SILENT  no answer within 0.5 s" in text
    assert "  reactive_energy_import_l1    1743.34 kvarh  4 min  good" in text


@pytest.mark.parametrize("width", [40, 60, 79, 80, 81, 132, 250])
def test_no_row_is_wider_than_the_terminal(width: int) -> None:
    history = LiveHistory()
    for reads in range(100):
        answer = copy.deepcopy(ANSWER)
        answer["devices"][0]["reads"] = reads
        history.take(answer)
    rows = plain_text(live_rows(ANSWER, history, Look(width)))
    assert max(map(len, rows)) <= width
    assert all(len(row.rstrip()) > 0 or not row for row in rows)


def test_the_title_says_which_box_and_whether_it_answers() -> None:
    assert plain_text([title_row(ANSWER, "", Look())]) == [
        "gw-17 at quay  NOT CONNECTED, 2 open issues, up 3 h"
    ]
    assert plain_text([title_row(ANSWER, "the daemon does not run", Look(late_s=7.0))]) == [
        "gw-17 at quay  NO ANSWER for 7 s: the daemon does not run"
    ]


def test_values_grow_old_while_there_is_no_answer() -> None:
    text = "\n".join(page(look=Look(late_s=60.0)))
    assert "23.5 Cel    60 s   good" in text
    assert "window 72 s ago" in text


def test_a_terminal_without_block_letters_gets_plain_ones() -> None:
    history = LiveHistory()
    for reads in range(20):
        answer = copy.deepcopy(ANSWER)
        answer["devices"][0]["reads"] = reads
        answer["devices"][0]["readings"][0]["value"] = float(reads)
        history.take(answer)
    rows = plain_text(live_rows(ANSWER, history, Look(plain=True)))
    assert "\n".join(rows).isascii()
    assert "_" + PLAIN_MARKS[1] in "\n".join(rows)


def test_names_of_any_script_are_shown_and_keep_the_columns() -> None:
    named = copy.deepcopy(ANSWER)
    named["site_name"] = "Am Kai"
    named["names"] = {"north_1": "北街一", "door": "дверь шкафа", "hut_air": "Luft am Häuschen"}
    shown = page(named)
    assert "  north_1 (北街一)" in shown
    assert any(row.startswith("  door (дверь шкафа)       closed      6 min ago") for row in shown)
    assert any(row.startswith("hut_air (Luft am Häuschen) (sen55 on air)") for row in shown)
    title = plain_text([title_row(named, "", Look())])[0]
    assert title.startswith("gw-17 at quay (Am Kai)  NOT CONNECTED")
    named["names"]["door"] = "門" * 40
    (row,) = [row for row in page(named) if row.startswith("  door")]
    assert sum(map(columns_of, row[: row.index("closed")])) == 27


@pytest.mark.parametrize("width", [40, 41, 80])
def test_wide_letters_do_not_make_a_row_wider(width: int) -> None:
    named = copy.deepcopy(ANSWER)
    named["issues"][0]["cause"] = "門" * 200
    named["names"] = {"hut_air": "門" * 60}
    rows = page(named, Look(width))
    assert max(sum(map(columns_of, row)) for row in rows) <= width


def test_time_that_passes_changes_no_row_of_what_is_new() -> None:
    later = copy.deepcopy(ANSWER)
    later["devices"][0]["age_s"] = 0.9
    later["lanes"][0]["loops"][0]["edge_age_s"] = 0.9
    assert page() == page(later)


def test_what_strangers_write_moves_no_cursor() -> None:
    odd = copy.deepcopy(ANSWER)
    odd["issues"][0]["cause"] = "a\x1b[2Jb\nc\u202e"
    odd["devices"][0]["text"] = "\x1b]0;x\x07"
    odd["devices"][0]["state"] = "\x1b[31m"
    odd["gateway"] = "gw\x1b[H"
    text = "\n".join([*page(odd), *plain_text([title_row(odd, "", Look())])])
    assert "\x1b" not in text
    assert "\x07" not in text
    assert "\u202e" not in text


@given(st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3)
    | st.dictionaries(st.sampled_from([*ANSWER, *ANSWER["lanes"][0], *ANSWER["devices"][0]]),
                      inner, max_size=4),
    max_leaves=20,
))  # fmt: skip
def test_no_answer_makes_it_fail(odd: Any) -> None:
    """Another daemon's, older or newer, may have other things in it."""
    for key in ("devices", "lanes", "contacts", "issues"):
        answer = {**ANSWER, key: odd}
        assert page(answer)
    page(odd if isinstance(odd, dict) else {})


def test_the_course_of_a_value_has_one_mark_a_read_and_forgets() -> None:
    history = LiveHistory()
    for reads in range(200):
        for _ in range(3):  # asked oftener than it is read
            answer = copy.deepcopy(ANSWER)
            answer["devices"][0]["reads"] = reads
            answer["devices"][0]["readings"][0]["value"] = float(reads)
            history.take(answer)
    kept = history.values["hut_air", "temperature"]
    assert list(kept) == [float(each) for each in range(200 - VALUES_KEPT, 200)]
    gone = copy.deepcopy(ANSWER)
    gone["devices"], gone["lanes"] = [], []
    history.take(gone)
    assert set(history.values) == set()
    assert set(history.looks) == {"door"}


def test_a_loop_that_was_driven_over_between_two_looks_is_seen() -> None:
    history = LiveHistory()
    for edges, on in ((10, False), (10, False), (12, False), (13, True), (14, False), (14, False)):
        answer = copy.deepcopy(ANSWER)
        answer["lanes"][0]["loops"][0] |= {"edges": edges, "on": on}
        history.take(answer)
    text = "\n".join(plain_text(live_rows(ANSWER, history, Look())))
    assert "··▄█▄·" in text


@pytest.mark.parametrize(
    ("values", "shown"),
    [
        ([], ""),
        ([None], ""),
        ([1.0], "▁"),
        ([1.0, 1.0], "▁▁"),
        ([0.0, 7.0], "▁█"),
        ([0.0, None, 1.0], "▁ █"),
        ([float("1e308"), float("-1e308")], "▁▁"),
    ],
)
def test_a_sparkline_goes_from_the_least_to_the_greatest(
    values: list[float | None], shown: str
) -> None:
    assert sparkline(values, 10) == shown
    assert len(sparkline(values * 9, 5)) <= 5


@pytest.mark.parametrize(
    ("value", "text"),
    [(None, "-"), (23.5, "23.5"), (5, "5"), (True, "on"), (123456.789, "123456.79"), ("a", "a")],
)
def test_a_value_has_its_digits(value: Any, text: str) -> None:
    assert value_text(value) == text
