"""Series judged as the daemon does: the same alarms as by the graph, and their counts by age."""

from dataclasses import replace

import numpy as np

from models import BUNDLES
from models.anomaly import cabinetseries, daemonrun
from models.anomaly.labelledseries import MONDAY, generate_series

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
