"""Logs of controllers: every row is taken, or counted with the reason why not.

`logs/` holds rows made by hand, in the form that controllers, tables and IRIS have.
"""

from datetime import UTC
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from edge.core import ConfigError
from edge.recordings import controllerlog
from edge.recordings.controllerlog import ControllerLogs, Wanted
from edge.recordings.eventcodes import LOG_GOES_ON
from edge.recordings.eventsort import EventSort
from edge.recordings.leftout import LeftOut
from edge.recordings.localtime import Span

LOGS = Path(__file__).parent / "logs"
SEVEN_MS = 1_796_022_000_000  # 2026-11-30 07:00 UTC


def logs(folder: Path, **options: Any) -> ControllerLogs:
    return ControllerLogs(EventSort(folder), options.pop("zone", UTC), LeftOut(), **options)


def test_each_row_is_taken_or_counted(tmp_path: Path) -> None:
    log = logs(tmp_path)
    log.read(LOGS / "hires.csv")
    told = {remark.text: (remark.times, remark.where) for remark in log.left_out.remarks()}
    assert told == {
        controllerlog.OTHER_CODES: (1, ""),
        controllerlog.UNSORTED: (1, ""),
        controllerlog.NO_TIME: (1, "hires.csv, row 25: 'yesterday'"),
        "rows that cannot be read: cells are missing": (1, "hires.csv, row 26"),
        controllerlog.NO_NUMBER: (1, "hires.csv, row 27: 'on,2'"),
        controllerlog.NO_CHANNEL: (1, "hires.csv, row 28: '3000'"),
        controllerlog.NO_SIGNAL: (1, "hires.csv, row 29"),
        controllerlog.UNSET_CLOCK: (1, "hires.csv, row 30: '1970-01-01 00:00:00.0'"),
    }
    taken = list(log.sort.events())
    assert log.rows == 29
    assert len(taken) == 22  # one of them only says that the log goes on
    assert log.sort.doubled == 1
    assert log.left_out.wrong == 6
    assert log.signals == {"7": 0, "12": 1}
    assert (taken[0].t_ms, taken[0].channel, taken[0].code) == (SEVEN_MS, 2, 82)
    assert log.kinds == {131}


def test_names_of_other_exports_and_the_zone_of_the_site(tmp_path: Path) -> None:
    path = tmp_path / "454.csv"
    path.write_text(
        "Timestamp,Event Type,Parameter\n11/30/2026 7:00:00.1 AM,82,5\n"
        "2026-11-30T15:00:00.2+00:00,81,5.0\n"
    )
    log = logs(tmp_path, zone=ZoneInfo("America/Los_Angeles"))
    log.read(path)
    assert list(log.signals) == ["454"]
    assert [e.t_ms - SEVEN_MS - 8 * 3_600_000 for e in log.sort.events()] == [100, 200]


def test_only_what_is_wanted_is_read(tmp_path: Path) -> None:
    span = Span(SEVEN_MS, SEVEN_MS + 2000)
    log = logs(tmp_path, wanted=Wanted({"7"}, span))
    log.read(LOGS / "hires.csv")
    assert list(log.signals) == ["7"]
    assert [e.t_ms - SEVEN_MS for e in log.sort.events() if e.code] == [0, 400, 1000]
    assert log.left_out.count(controllerlog.OTHER_SIGNALS) == 2
    assert log.left_out.count(controllerlog.NOT_ASKED) == 18


def test_other_codes_show_that_the_log_goes_on_but_take_no_room(tmp_path: Path) -> None:
    path = tmp_path / "1.csv"
    rows = "".join(f"2026-11-30 07:{i // 60:02}:{i % 60:02},173,1\n" for i in range(600))
    path.write_text("Time,Code,Param\n" + rows)
    log = logs(tmp_path)
    log.read(path)
    assert {e.code for e in log.sort.events()} == {LOG_GOES_ON}
    assert len(list(log.sort.events())) == 60


def test_a_parameter_of_another_code_may_be_anything(tmp_path: Path) -> None:
    path = tmp_path / "1.csv"
    path.write_text("Time,Code,Param\n2026-11-30 07:00:00,400,-1\n2026-11-30 07:00:00,300,\n")
    log = logs(tmp_path)
    log.read(path)
    assert (log.left_out.wrong, log.kinds) == (0, {400, 300})


def test_too_many_signals_are_no_log_of_signals(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(controllerlog, "SIGNALS", 1)
    with pytest.raises(ConfigError, match="--signal"):
        logs(tmp_path).read(LOGS / "hires.csv")
