"""Series judged as the daemon does: the same alarms as by the graph, and their counts by age."""

from dataclasses import replace

import numpy as np

from models import BUNDLES
from models.anomaly import cabinetseries, daemonrun, daemontables, nab, thresholdcurve
from models.anomaly.labelledseries import MONDAY, NAB_TUNED, Series, SeriesFault, generate_series

BUNDLE = BUNDLES / "anomaly"
WALL = np.asarray(MONDAY + 60.0 * np.arange(900), np.float64)


def test_the_daemon_tells_what_the_graph_tells() -> None:
    series = [replace(s, values=s.values[:900], wall=WALL) for s in generate_series(5) if s.faults][
        :3
    ]
    by_graph = [at.tolist() for at in daemonrun.judge_series(BUNDLE, series, batch=True)]
    told = daemonrun.judge_series(BUNDLE, series)
    assert [at.tolist() for at in told] == by_graph
    assert any(by_graph)


def test_a_recording_without_times_is_judged_without_hours() -> None:
    (one,) = [replace(s, values=s.values[:900]) for s in generate_series(5) if s.name == "load_5"]
    timed = replace(one, wall=WALL)
    known, unknown = daemonrun.judge_series(BUNDLE, [timed, one])
    (asked,) = daemonrun.judge_series(BUNDLE, [timed], hours=False)
    assert asked.tolist() == unknown.tolist()
    assert len(known) <= len(unknown)


def test_alarms_are_counted_by_the_age_of_the_series() -> None:
    alarms = {("a", "v"): np.asarray([5, 12, 80]), ("b", "v"): np.asarray([95])}
    assert daemonrun.by_age(alarms, 10, 10) == {
        "first day": (1, 2.0),
        "days 2 to 7": (1, 12.0),
        "after a week": (2, 6.0),
    }


def test_sites_of_one_cabinet_are_judged_apart() -> None:
    site = cabinetseries.switched_loads(3, 1)
    one, two = daemonrun.judge_sites(BUNDLE, [site, site])
    assert set(one) == set(site.series)
    assert {key: at.tolist() for key, at in one.items()} == {
        key: at.tolist() for key, at in two.items()
    }


def test_false_alarms_of_the_first_day_are_counted_apart() -> None:
    hours = np.asarray(MONDAY + 3600.0 * np.arange(24 * 31 + 1), np.float64)
    fault = SeriesFault(500, 510, "shift")
    series = [Series(name, np.zeros(len(hours)), (fault,), wall=hours) for name in "ab"]
    assert daemonrun.first_day(series[0]) == 24
    alarms = [np.asarray([12, 400, 505]), np.asarray([23, 24])]
    row = daemontables.fault_row("odd", "known", series, alarms)
    _, name, _, _, found, first, later, a_month, *_ = (cell.strip() for cell in row.split("|"))
    assert (name, found) == ("odd", "1/2")
    assert first == "1.00"
    assert later.startswith(f"{1000 * 2 / (2 * (len(hours) - 24)):.2f} (")
    assert a_month == "1.00"


def test_another_threshold_tells_more_or_less() -> None:
    (one,) = [replace(s, values=s.values[:900]) for s in generate_series(5) if s.name == "load_5"]
    file = nab.NabFile(Series(NAB_TUNED[0], np.zeros(1000), ()), ((400, 440),))
    onset = np.zeros(1000)
    onset[400] = 0.55
    rows = [
        [cell.strip() for cell in line.strip("|").split("|")]
        for line in thresholdcurve.table({"a": [one]}, BUNDLE, [file], [onset])
    ]
    assert [float(row[0]) for row in rows[2:]] == list(thresholdcurve.THRESHOLDS)
    assert [row[1] for row in rows[2:]] == ["100.0"] * 4 + ["0.0"] * 3
    assert all(row[2] == "nan" for row in rows[2:])
