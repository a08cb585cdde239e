"""Logs of IRIS: each vehicle where its times, headways and neighbours put it, and gaps as gaps."""

from datetime import UTC
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge.core import ConfigError
from edge.recordings import irisvlog
from edge.recordings.eventcodes import DETECTOR_OFF, DETECTOR_ON, FOUND_FREE, UNWATCHED
from edge.recordings.eventsort import EventSort, LoggedEvent
from edge.recordings.irisvlog import IrisLogs, VlogVehicle, parse_vehicle
from edge.recordings.leftout import LeftOut
from tests.long import examples

LOGS = Path(__file__).parent / "logs"
MIDNIGHT_MS = 1_795_996_800_000  # 2026-11-30, UTC
SEVEN = 7 * 3_600_000


def read(folder: Path, *texts: str, day: str = "20261130", name: str = "1") -> IrisLogs:
    log = IrisLogs(EventSort(folder), UTC, LeftOut())
    for i, text in enumerate(texts):
        path = folder / str(int(day) + i) / f"{name}.vlog"
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)
        log.read(path)
    log.end()
    return log


def stays(log: IrisLogs) -> list[tuple[int, int]]:
    """Begin and end, in ms since midnight."""
    some = [e for e in log.sort.events() if e.code in (DETECTOR_ON, DETECTOR_OFF)]
    return [
        (on.t_ms - MIDNIGHT_MS, off.t_ms - MIDNIGHT_MS)
        for on, off in zip(some[::2], some[1::2], strict=True)
    ]


def marks(log: IrisLogs) -> list[tuple[int, int]]:
    return [
        (e.t_ms - MIDNIGHT_MS, e.code)
        for e in log.sort.events()
        if e.code in (UNWATCHED, FOUND_FREE)
    ]


@pytest.mark.parametrize(
    ("text", "vehicle"),
    [
        ("296,9930,17:49:36", VlogVehicle(296, 9930, 64_176)),
        ("231,14069", VlogVehicle(231, 14_069, None)),
        ("240,453,,45,18", VlogVehicle(240, 453, None)),
        ("?,?", VlogVehicle(None, None, None)),
        ("1,4321,,,19", VlogVehicle(1, 4321, None)),
        ("60001,3600001", VlogVehicle(None, None, None)),  # more than a log may say
        ("0,5", VlogVehicle(None, 5, None)),
    ],
)
def test_a_line_is_a_vehicle(text: str, vehicle: VlogVehicle) -> None:
    assert parse_vehicle(text) == vehicle


@pytest.mark.parametrize(
    "text",
    ["", "12", "12:00", "?,?,?", "1,2,24:00:00", "1,2,7:00:00", "1,2,,fast", "1,2,,,,", "-1,2",
     "1.5,2", "1,2,,45,18,3", "\u0661,2", "*,1"],
)  # fmt: skip
def test_what_is_no_vehicle_is_none(text: str) -> None:
    assert parse_vehicle(text) is None


@given(st.text(max_size=40))
@settings(max_examples=examples(400))
def test_no_line_is_too_strange(text: str) -> None:
    parse_vehicle(text)


def test_times_are_those_of_leaving_and_headways_those_of_coming(tmp_path: Path) -> None:
    log = read(tmp_path, "*\n296,?,07:00:10\n231,14069\n240,453\n")
    first = SEVEN + 10_000 - 296
    assert stays(log) == [
        (first, first + 296),
        (first + 14_069, first + 14_069 + 231),
        (first + 14_522, first + 14_522 + 240),
    ]


def test_a_time_of_whole_seconds_does_not_move_what_the_headways_tell(tmp_path: Path) -> None:
    log = read(tmp_path, "*\n300,?,07:00:10\n300,1500,07:00:11\n300,1500,07:00:20\n")
    assert [on - SEVEN for on, _ in stays(log)] == [9700, 11_200, 19_700]


def test_vehicles_without_a_time_are_put_between_their_neighbours(tmp_path: Path) -> None:
    log = read(tmp_path, "*\n300,?,07:00:10\n300,?\n300,?\n300,2000\n300,1000,07:00:20\n")
    begins = [on - SEVEN for on, _ in stays(log)]
    assert begins[0] == 9700
    assert begins[-3:] == [16_700, 18_700, 19_700]  # backward by headways
    assert begins[1] == pytest.approx((9700 + 16_700) / 2, abs=1)
    assert log.left_out.count(irisvlog.PLACED) == 3


def test_vehicles_without_a_time_before_a_gap_are_told(tmp_path: Path) -> None:
    log = read(tmp_path, "*\n300,?,07:00:10\n300,?\n*\n300,500\n")
    assert len(stays(log)) == 1
    assert log.left_out.count(irisvlog.NO_PLACE) == 2
    assert log.left_out.wrong == 2


def test_a_duration_that_is_not_known_is_the_usual_one(tmp_path: Path) -> None:
    log = read(tmp_path, "*\n300,?,07:00:10\n500,2000\n400,2000\n?,2000\n")
    on, off = stays(log)[-1]
    assert off - on == 400
    assert log.left_out.count(irisvlog.NO_DURATION) == 1


def test_a_vehicle_that_had_not_left_when_the_next_one_came_is_cut_short(tmp_path: Path) -> None:
    log = read(tmp_path, "*\n900,?,07:00:10\n300,500\n")
    (first, second) = stays(log)
    assert first[1] == second[0] - 1
    assert log.left_out.count(irisvlog.CUT) == 1


def test_nobody_watches_in_a_gap(tmp_path: Path) -> None:
    log = read(tmp_path, "300,?,07:00:10\n*\n300,?,08:00:00\n")
    assert marks(log) == [(0, FOUND_FREE), (SEVEN + 10_001, UNWATCHED)]


def test_a_file_that_begins_with_a_gap_was_not_watched_from_midnight(tmp_path: Path) -> None:
    assert marks(read(tmp_path, "*\n300,?,07:00:10\n")) == [(0, UNWATCHED)]


def test_on_a_day_without_a_file_nobody_watched(tmp_path: Path) -> None:
    day = 86_400_000
    log = IrisLogs(EventSort(tmp_path), UTC, LeftOut())
    for name, date in (("a", "20261130"), ("a", "20261202"), ("b", "20261201"), ("b", "20261202")):
        path = tmp_path / date / f"{name}.vlog"
        path.parent.mkdir(exist_ok=True)
        path.write_text("300,?,07:00:10\n")
        log.read(path)
    log.end()
    gone = [(e.channel, e.t_ms - MIDNIGHT_MS) for e in log.sort.events() if e.code == UNWATCHED]
    assert gone == [(1, day)]


def test_the_day_is_that_of_the_folder_and_a_log_without_one_says_what_to_do(
    tmp_path: Path,
) -> None:
    path = tmp_path / "1.vlog"
    path.write_text("*\n")
    with pytest.raises(ConfigError, match="20261130/"):
        IrisLogs(EventSort(tmp_path), UTC, LeftOut()).read(path)


def test_the_hour_that_comes_twice_is_told_by_the_gap_that_iris_logs(tmp_path: Path) -> None:
    path = tmp_path / "20261101" / "1.vlog"
    path.parent.mkdir()
    path.write_text("*\n300,?,01:50:00\n*\n300,?,01:05:00\n300,?,02:10:00\n")
    log = IrisLogs(EventSort(tmp_path), ZoneInfo("America/Chicago"), LeftOut())
    log.read(path)
    begins = [e.t_ms for e in log.sort.events() if e.code == DETECTOR_ON]
    assert [b - begins[0] for b in begins] == [0, 15 * 60_000, 80 * 60_000]


def test_a_line_that_is_no_vehicle_is_told_with_its_place(tmp_path: Path) -> None:
    log = IrisLogs(EventSort(tmp_path), UTC, LeftOut())
    log.read(LOGS / "20261130" / "S17.vlog")
    (bad,) = [r for r in log.left_out.remarks() if r.text == irisvlog.BAD_LINE]
    assert (bad.times, bad.where) == (1, "S17.vlog, row 13: '12:00'")
    assert len(stays(log)) == 10


@given(
    st.lists(
        st.sampled_from(
            ["*", "300,?,07:00:10", "?,?", "250,900", "9999,20", "1,?", "300,700,07:30:00",
             "300,?,06:00:00", "x", "60000,1"]
        ),
        max_size=30,
    )
)  # fmt: skip
@settings(max_examples=examples(300))
def test_whatever_is_logged_stays_of_a_detector_follow_each_other(
    tmp_path_factory: pytest.TempPathFactory, lines: list[str]
) -> None:
    log = read(tmp_path_factory.mktemp("v"), "".join(f"{line}\n" for line in lines))
    some = [e for e in log.sort.events() if e.code in (DETECTOR_ON, DETECTOR_OFF)]
    assert [e.code for e in some] == [DETECTOR_ON, DETECTOR_OFF] * (len(some) // 2)


def test_events_know_their_detector(tmp_path: Path) -> None:
    log = read(tmp_path, "300,?,07:00:10\n", name="2")
    assert log.detectors == {"2": 1}
    assert next(iter(log.sort.events())) == LoggedEvent(0, MIDNIGHT_MS, 1, FOUND_FREE)
