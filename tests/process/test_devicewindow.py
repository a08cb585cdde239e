"""Polled devices over windows: means with their inputs, and what becomes of what is not good."""

import pytest

from edge.core.condition import Condition
from edge.core.point import Point, Quantity
from edge.core.quality import GOOD, Reason
from edge.core.reading import Bad, Sweep, UncertainValue, failed_sweep
from edge.core.record import Stream
from edge.process.engine import DeviceSetup
from tests.kit.engine import AIR, MINUTE, PM25, S, body, engine, sweeps

HUT = "hut_air"


def test_a_mean_with_its_inputs() -> None:
    made = engine(AIR)
    made.sweeps(sweeps(HUT, ((i, (9.0 + 0.1 * (i % 10), 21.5)) for i in range(60))))
    reported = body(made.close(MINUTE), HUT)
    assert reported["covered_s"] == 60
    assert reported["points"]["pm2_5"] == {
        "mean": 9.45, "n": 60, "min": 9.0, "max": 9.9, "sum": 270, "sq": 1710, "origin": 90,
        "step": 0.1, "quality": {"good": 60},
    }  # fmt: skip
    assert reported["points"]["temperature"]["mean"] == 21.5
    assert "partial" not in reported
    assert "quality" not in reported


def test_a_record_has_what_its_device_says_of_itself_when_the_window_ends() -> None:
    made = engine(AIR)
    made.conditions({HUT: {Condition.WARMUP: "cold", Condition.FAN: "still"}, "else": ()})
    assert body(made.close(MINUTE), HUT)["health"] == ["fan", "warmup"]
    made.conditions({})
    assert "health" not in body(made.close(2 * MINUTE), HUT)


def test_only_good_values_make_the_mean() -> None:
    made = engine(AIR)
    made.sweeps(
        sweeps(
            HUT,
            [
                *((i, (UncertainValue(90.0, Reason.WARMUP), 20.0)) for i in range(30)),
                *((i, (10.0, 20.0)) for i in range(30, 50)),
                *((i, (Bad(Reason.CRC), 20.0)) for i in range(50, 55)),
                *((i, (UncertainValue(80.0, Reason.WARMUP), 20.0)) for i in range(55, 60)),
            ],
        )
    )
    reported = body(made.close(MINUTE), HUT)["points"]["pm2_5"]
    assert (reported["mean"], reported["n"], reported["max"]) == (10.0, 20, 10.0)
    assert reported["quality"] == {"bad:crc": 5, "good": 20, "uncertain:warmup": 35}
    assert "grade" not in reported


def test_with_no_good_value_the_uncertain_ones_speak_and_it_is_said() -> None:
    made = engine(AIR)
    made.sweeps(
        sweeps(HUT, ((i, (UncertainValue(5.0 + i, Reason.WARMUP), 20.0)) for i in range(3)))
    )
    reported = body(made.close(3 * S), HUT)["points"]["pm2_5"]
    assert (reported["mean"], reported["n"], reported["grade"]) == (6.0, 3, "uncertain")


def test_with_no_value_there_is_no_mean() -> None:
    made = engine(AIR)
    made.sweeps([failed_sweep(HUT, i * S, 2, Reason.SILENT) for i in range(60)])
    reported = body(made.close(MINUTE), HUT)["points"]["pm2_5"]
    assert reported["mean"] is reported["min"] is reported["max"] is None
    assert (reported["n"], reported["quality"]) == (0, {"bad:silent": 60})


@pytest.mark.parametrize("wild", [1000.1, -0.1, float("nan"), float("inf"), 1e300, "text"])
def test_what_cannot_be_is_bad_and_not_in_the_mean(wild: float | str) -> None:
    made = engine(AIR)
    made.sweeps(sweeps(HUT, [(0, (10.0, 20.0)), (1, (wild, 20.0)), (2, (12.0, 20.0))]))
    reported = body(made.close(3 * S), HUT)["points"]
    assert (reported["pm2_5"]["mean"], reported["pm2_5"]["n"]) == (11.0, 2)
    assert reported["pm2_5"]["quality"] == {"bad:range": 1, "good": 2}
    assert reported["temperature"]["quality"] == {"good": 3}


def test_a_number_without_a_value_is_no_number() -> None:
    made = engine(AIR)
    made.sweeps([Sweep(HUT, 0, (None, 20.0), (GOOD, GOOD))])
    assert body(made.close(S), HUT)["points"]["pm2_5"]["quality"] == {"bad:range": 1}


def test_sweeps_that_never_came_are_stale() -> None:
    made = engine(AIR)
    made.sweeps(sweeps(HUT, ((i, (9.0, 21.0)) for i in range(40))))
    reported = body(made.close(MINUTE), HUT)["points"]["pm2_5"]
    assert reported["quality"] == {"bad:stale": 20, "good": 40}
    made.sweeps(sweeps(HUT, ((60 + i, (9.0, 21.0)) for i in range(59))))  # one is forgiven
    assert body(made.close(2 * MINUTE), HUT)["points"]["pm2_5"]["quality"] == {"good": 59}


def test_a_gap_is_not_covered_and_nothing_is_expected_of_it() -> None:
    made = engine(AIR)
    made.mark_gap(10 * S, 40 * S)
    made.mark_gap(30 * S, 45 * S)
    made.sweeps(sweeps(HUT, ((i, (9.0, 21.0)) for i in (*range(10), *range(45, 60)))))
    reported = body(made.close(MINUTE), HUT)
    assert (reported["covered_s"], reported["points"]["pm2_5"]["quality"]) == (25, {"good": 25})


def test_a_gap_over_the_border_takes_from_both_windows() -> None:
    made = engine(AIR)
    made.mark_gap(50 * S, 80 * S)
    assert [body(made.close(i * MINUTE), HUT)["covered_s"] for i in (1, 2, 3)] == [50, 40, 60]


def test_a_late_value_is_doubtful() -> None:
    made = engine(AIR)
    made.close(MINUTE)
    made.sweeps(sweeps(HUT, [(59, (99.0, 20.0)), (61, (10.0, 20.0))]))
    reported = body(made.close(62 * S), HUT)["points"]["pm2_5"]
    assert (reported["mean"], reported["quality"]) == (10.0, {"good": 1, "uncertain:gap": 1})


def test_a_sum_of_squares_that_no_reader_can_hold_is_null() -> None:
    made = engine(DeviceSetup("wild", Stream.AIR, (Point("x", Quantity.COUNT),), 1.0))
    made.sweeps(sweeps("wild", [(0, (0,)), (1, (2**44,))]))
    reported = body(made.close(2 * S), "wild")["points"]["x"]
    assert (reported["sum"], reported["sq"], reported["mean"]) == (2**44, None, 2.0**43)


def test_integers_and_truth_values_are_numbers() -> None:
    made = engine(DeviceSetup("door", Stream.AIR, (Point("open", Quantity.STATE),), 1.0))
    made.sweeps(sweeps("door", [(0, (True,)), (1, (False,)), (2, (1,))]))
    assert body(made.close(3 * S), "door")["points"]["open"]["sum"] == -1  # about the origin, 1


def test_a_sweep_of_another_shape_or_name_is_counted_and_left() -> None:
    made = engine(AIR)
    made.sweeps([*sweeps(HUT, [(0, (1.0,))]), *sweeps("gone", [(0, (1.0, 2.0))])])
    assert made.unmatched_inputs == 2
    assert body(made.close(MINUTE), HUT)["points"]["pm2_5"]["n"] == 0


def test_setups_that_cannot_work_are_refused() -> None:
    with pytest.raises(ValueError, match="air, energy or traffic"):
        DeviceSetup("x", Stream.EVENT, (PM25,), 1.0)
    with pytest.raises(ValueError, match="every_s"):
        DeviceSetup("x", Stream.AIR, (PM25,), 0.0)
