"""`kerbstone read --all --watch` on a low terminal: what is wrong comes first."""

import copy

import pytest

from edge.report.live.redrawnblock import RedrawnBlock
from edge.report.live.watchrows import CUT, watch_rows
from tests.report.test_livepage import ANSWER


def test_issues_bad_values_and_lanes_stand_before_what_is_well() -> None:
    rows = list(watch_rows(ANSWER))
    assert rows[0] == "2 open issues"
    assert rows[2] == "! main_meter: no answer. Check its supply."
    places = [
        next(number for number, row in enumerate(rows) if row.lstrip().startswith(start))
        for start in (
            "! No link",
            "voc_index",
            "main_meter (sdm630",
            "north_1",
            "door",
            "temperature",
        )
    ]
    assert places == sorted(places)


def test_where_nothing_is_wrong_nothing_stands_before_the_lanes() -> None:
    well = copy.deepcopy(ANSWER)
    well["issues"] = []
    well["devices"] = [{**one, "state": "ok", "readings": []} for one in well["devices"]]
    rows = list(watch_rows(well))
    assert rows[0] == "no open issues"
    assert rows[2].startswith("north_1")


@pytest.mark.parametrize(("columns", "told"), [("80", True), ("36", False)])
def test_a_low_terminal_says_what_scrolls(
    columns: str, told: bool, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("COLUMNS", columns)
    monkeypatch.setenv("LINES", "10")
    RedrawnBlock(CUT).show(watch_rows(ANSWER))
    last = capsys.readouterr().out.splitlines()[-1]
    assert "more rows" in last
    assert ("`kerbstone live` scrolls" in last) is told
