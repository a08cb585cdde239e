"""All series of a site in one batch: the hours, the clock, the neighbours."""

import random

import pytest

from edge.core import Draft, Stream
from edge.infer.cause import CALM, cause_origin, name_cause
from edge.infer.hourofday import FORGET_HOURS, HourOfDay, hour_of
from edge.infer.modelguard import ModelGuard
from edge.infer.series import SeriesJudge, SeriesVerdict
from edge.infer.seriesfeatures import SeriesKey, SeriesSample, series_samples
from edge.infer.sites import LaneSite
from edge.process.traffic.histogram import SPEED_BINS, HistogramCounts
from edge.wire.contract.points import Air
from models import BUNDLES
from tests.kit.bodies import gauge, lane

MINUTE_NS = 60_000_000_000
MONDAY = 1_767_571_200.0  # 5 January 2026, 00:00 UTC


def _judge() -> SeriesJudge:
    guard = ModelGuard("anomaly", BUNDLES / "anomaly", hurry=False)
    assert guard.load()
    return SeriesJudge(guard, 60.0)


def _air(rng: random.Random, **more: float) -> dict[SeriesKey, SeriesSample]:
    """Three huts that breathe the same air."""
    out = {}
    for hut in ("a", "b", "c"):
        value = round(20 + rng.gauss(0, 1) + more.get(hut, 0.0), 1)
        out[f"hut_{hut}", "pm2_5"] = SeriesSample(value, 0.1, "air/pm2_5")
    return out


def _warmed(judge: SeriesJudge, rng: random.Random, minutes: int = 400) -> int:
    for i in range(1, minutes + 1):
        reported = judge.step(i * MINUTE_NS, 60.0, _air(rng), MONDAY + 60.0 * i)
        assert not any(v.turn for v in reported)
    return minutes


def _on(reported: list[SeriesVerdict]) -> list[SeriesVerdict]:
    return [v for v in reported if v.turn == "on"]


def test_what_one_shows_alone_is_its_sensor() -> None:
    judge, rng = _judge(), random.Random(1)
    at = _warmed(judge, rng)
    (reported,) = _on(judge.step((at + 1) * MINUTE_NS, 60.0, _air(rng, a=60.0)))
    assert (reported.key, reported.meant, reported.odd.cause) == (
        ("hut_a", "pm2_5"),
        "sensor",
        "spike",
    )


def test_what_all_show_is_the_world() -> None:
    judge, rng = _judge(), random.Random(2)
    at = _warmed(judge, rng)
    reported = _on(judge.step((at + 1) * MINUTE_NS, 60.0, _air(rng, a=60.0, b=55.0, c=62.0)))
    assert len(reported) == 3
    assert {(v.meant, v.odd.cause) for v in reported} == {("world", "event")}


def test_without_neighbours_nobody_knows() -> None:
    judge, rng = _judge(), random.Random(3)
    for i in range(1, 400):
        judge.step(i * MINUTE_NS, 60.0, {("hut", "no2"): SeriesSample(20 + rng.gauss(0, 1), 0.0)})
    (reported,) = _on(judge.step(400 * MINUTE_NS, 60.0, {("hut", "no2"): SeriesSample(90.0, 0.0)}))
    assert reported.meant is None


@pytest.mark.parametrize(
    ("others", "whose"),
    [
        ([], None),
        ([0.0, CALM / 2], "sensor"),
        ([1.0], "world"),
        ([1.0, 1.2, 0.1], "world"),
        ([1.0, 0.1], None),
        ([1.0, 0.1, 0.1], None),
    ],
)
def test_neighbours_tell_whose_doing_it_is(others: list[float], whose: str | None) -> None:
    assert cause_origin(others) == whose


def test_a_clock_that_steps_raises_no_alarm() -> None:
    judge, rng = _judge(), random.Random(4)
    key = ("lane_1", "volume")
    steps_s = 0.0
    events = []
    for i in range(1, 8 * 288):
        now_ns, day = i * 5 * MINUTE_NS, (i % 288) / 288
        value = 400 + 300 * (0.3 < day < 0.8) + rng.gauss(0, 20)
        if i == 6 * 288 + 100:
            steps_s = 9 * 3600.0
        reported = judge.step(
            now_ns, 300.0, {key: SeriesSample(value, 0.0)}, MONDAY + now_ns / 1e9 + steps_s
        )
        events += [i for v in reported if v.turn == "on"]
    assert [i for i in events if i >= 6 * 288 + 100] == []


def test_a_step_of_the_clock_is_told_once() -> None:
    hours = HourOfDay()
    assert hours.at(0, MONDAY) == 0.0
    assert hours.at(3600 * 10**9, MONDAY + 3600) == 1.0
    assert hours.at(3601 * 10**9, None) == -1.0
    assert hours.at(3602 * 10**9, MONDAY + 3602 + 30) == 1.0  # half a minute is no step
    assert hours.at(3603 * 10**9, MONDAY + 3603 + 40_000) == FORGET_HOURS
    assert hours.at(3604 * 10**9, MONDAY + 3604 + 40_000) == 12.0


@pytest.mark.parametrize(
    ("wall_s", "hour"),
    [
        (None, -1), (float("nan"), -1), (MONDAY, 0), (MONDAY + 86399, 23),
        (MONDAY + 5 * 86400, 24), (MONDAY + 7 * 86400 - 1, 47), (0.0, 0), (2 * 86400.0, 24),
    ],
)  # fmt: skip
def test_hours_of_working_days_and_of_weekends(wall_s: float | None, hour: float) -> None:
    assert hour_of(wall_s) == hour


def test_a_lane_is_three_series_and_its_neighbours_are_those_of_the_approach() -> None:
    speeds = HistogramCounts(SPEED_BINS)
    speeds.add(500, 74_226_804)
    body = lane(covered_s=30.0, volume=7, occupancy=0.12, speed=speeds.speeds())
    draft = Draft(Stream.TRAFFIC, "north_1", 0, MINUTE_NS, body)
    lanes = {"north_1": LaneSite("north_1", "north", "stop")}
    assert series_samples([draft], 60.0) == {}
    reported = series_samples([draft], 60.0, lanes)
    assert {key[1]: one.value for key, one in reported.items()} == {
        "volume": 840.0, "occupancy": 0.12, "speed": 50.0,
    }  # fmt: skip
    assert {one.group for one in reported.values()} == {
        "north/stop/volume", "north/stop/occupancy", "north/stop/speed",
    }  # fmt: skip
    nothing = lane(covered_s=30.0, volume=None, occupancy=0.12)
    silent = Draft(Stream.TRAFFIC, "north_1", 0, MINUTE_NS, nothing)
    assert [one.value for one in series_samples([silent], 60.0, lanes).values()] == [
        None,
        0.12,
        None,
    ]


@pytest.mark.parametrize("quality", [{"uncertain:loop": 7}, {"good": 7, "uncertain:loop": 1}])
def test_what_a_doubted_loop_has_counted_is_no_reading(quality: dict[str, int]) -> None:
    body = lane(volume=7, occupancy=0.12, quality=quality)
    draft = Draft(Stream.TRAFFIC, "north_1", 0, MINUTE_NS, body)
    reported = series_samples([draft], 60.0, {"north_1": LaneSite("north_1", "north", "stop")})
    assert [one.value for one in reported.values()] == [None, None, None]


def test_points_of_one_name_are_neighbours() -> None:
    drafts = [
        Draft(Stream.AIR, hut, 0, MINUTE_NS, Air(covered_s=60.0, points={"no2": gauge(1.0)}))
        for hut in ("a", "b")
    ]
    assert {one.group for one in series_samples(drafts, 60.0).values()} == {"air/no2"}


def _row(**surprises: float) -> list[float]:
    names = (
        "signed", "offset", "residual", "energy", "drift", "high", "low", "novelty", "hour",
        "hours", "pace", "shift", "step", "bump", "below", "zigzag", "stuck", "learned",
    )  # fmt: skip
    return [surprises.get(name, 0.0) for name in names]


@pytest.mark.parametrize(
    ("row", "value", "samples", "word"),
    [
        (_row(signed=9.0, residual=1.2), 90.0, 0, "spike"),
        (_row(offset=-5.0, signed=-20.0), 0.0, 0, "dropout"),
        (_row(offset=-5.0, low=1.0), -200.0, 0, "dropout"),
        (_row(stuck=1.1), 7.0, 0, "stuck"),
        (_row(offset=3.0, signed=0.2), 9.0, 6, "shift"),
        (_row(zigzag=1.1, drift=0.2), 9.0, 0, "noise"),
        (_row(drift=1.1, energy=0.6), 9.0, 0, "drift"),
        (_row(pace=1.1, energy=0.6), 9.0, 0, "scale"),
        (_row(learned=1.3), 9.0, 0, "spike"),
    ],
)
def test_each_cause_has_its_sign(row: list[float], value: float, samples: int, word: str) -> None:
    assert name_cause(row, value, samples) == word
