"""What vehicles do on a lane: their class by length, who follows too close, who stands."""

from dataclasses import replace
from typing import Any

import pytest

from edge.core.edge import Contact
from edge.process.traffic.passage import LENGTH_CLASSES, count_by_class
from tests.kit.engine import (
    MINUTE,
    MS,
    PAIR,
    SINGLE,
    S,
    body,
    car,
    engine,
    found,
    presences,
)
from tests.process.test_lanewindow import NORTH, north


def east(*pairs: tuple[float, float], **change: Any) -> dict[str, Any]:
    made = engine(replace(SINGLE, **change))
    made.contacts([*found("east_1.lead"), *presences("east_1.lead", *pairs)])
    return dict(body(made.close(MINUTE), "east_1"))


def test_a_limit_belongs_to_the_class_below_it() -> None:
    assert count_by_class(
        LENGTH_CLASSES, [170, 171, 198, 199, 655, 656, 1000, 1494, 1495, 9999]
    ) == {
        "long": 2,
        "medium": 2,
        "medium_long": 1,
        "short": 2,
        "shortest": 1,
        "very_short": 2,
    }
    assert count_by_class((("all", 1),), [50, 5000]) == {"all": 2}


def test_a_pair_tells_classes_by_length() -> None:
    made = north(
        *car("north_1", 5, 50), *car("north_1", 10, 80, 16.5), *car("north_1", 15, 50, 12),
        *car("north_1", 20, 30, 1.9), *car("north_1", 25, 50),
    )  # fmt: skip
    reported = body(made.close(MINUTE), "north_1")
    assert reported["classes"] == {"long": 1, "medium_long": 1, "short": 2, "very_short": 1}
    own = replace(PAIR, classes=(("small", 500), ("big", 501)))
    made = north(*car("north_1", 5, 50), *car("north_1", 10, 50, 9), setup=own)
    reported = body(made.close(MINUTE), "north_1")
    assert reported["classes"] == {"big": 1, "small": 1}


def test_the_effective_length_of_the_loop_is_what_is_subtracted() -> None:
    """The field of a loop of 2 m is 2.6 m long: on-times say so."""
    field = replace(PAIR, effective_m=2.6)
    v = 50 / 3.6
    on = (4.5 + 2.6) / v
    contacts = [
        *presences(NORTH[0], (5, 5 + on)),
        *presences(NORTH[1], (5 + 4 / v, 5 + 4 / v + on)),
    ]
    assert body(north(*contacts, setup=field).close(MINUTE), "north_1")["length"]["sum"] == 450
    assert body(north(*contacts).close(MINUTE), "north_1")["length"]["sum"] == 510


def test_who_follows_too_close_is_counted_among_those_that_follow() -> None:
    reported = east((1, 1.5), (2.3, 2.8), (3.7, 4.2), (14, 14.5))
    assert reported["tailgating"] == {"n": 1, "of": 3}  # gaps of 0.8, 0.9 and 9.8 s
    assert "tailgating" not in east((1, 1.5))
    assert east((1, 1.5), (2.3, 2.8), tailgate_s=0.7)["tailgating"] == {"n": 0, "of": 1}


def test_moving_up_in_a_queue_is_not_tailgating() -> None:
    reported = east((1, 1.5), (2, 8), (8.5, 14), (14.5, 15), (15.4, 15.9))
    assert reported["tailgating"] == {"n": 1, "of": 1}  # of the last two only


def test_a_vehicle_that_breaks_up_has_no_gap() -> None:
    assert "tailgating" not in east((1, 1.3), (1.35, 1.8))


def test_who_stood_is_counted_where_he_left() -> None:
    made = engine(SINGLE)
    made.contacts(found("east_1.lead"))
    made.contacts(presences("east_1.lead", (10, 15), (50, 70), (80, 90.001), (95, 105)))
    first, second = (body(made.close(n * MINUTE), "east_1") for n in (1, 2))
    assert "stopped" not in first
    assert second["stopped"] == 2


def test_a_stuck_loop_is_no_vehicle_that_stood() -> None:
    made = engine(replace(SINGLE, max_presence_s=90))
    made.contacts([*found("east_1.lead"), *presences("east_1.lead", (30, 200), (210, 211))])
    reported = [body(made.close(n * MINUTE), "east_1") for n in range(1, 6)]
    assert not any("stopped" in each for each in reported)
    assert reported[0]["queue_us"] == 30_000_000
    assert not any("queue_us" in each for each in reported[1:])  # nobody knows


@pytest.mark.parametrize(
    ("stays", "queue_s"),
    [
        (((1, 2), (3, 6)), 0),  # none longer than three seconds
        (((10, 20),), 10),
        (((10, 20), (22, 30)), 20),  # the free time between belongs to it
        (((10, 20), (24, 30)), 16),  # as long as starting takes: two queues
        (((10, 20), (21, 22), (23, 30)), 20),  # one that rolled on in between
        (((50, 70),), 10),  # up to the border
    ],
)
def test_a_queue_is_what_stands_and_moves_up(
    stays: tuple[tuple[float, float], ...], queue_s: float
) -> None:
    assert east(*stays).get("queue_us", 0) == queue_s * 1_000_000


def test_a_queue_over_the_border_counts_in_both_windows() -> None:
    made = engine(SINGLE)
    made.contacts(found("east_1.lead"))
    made.contacts(presences("east_1.lead", (50, 59), (61, 65), (118, 130)))
    reported = [body(made.close(n * MINUTE), "east_1").get("queue_us") for n in (1, 2, 3)]
    # what was not known at a border to be a queue counts from the border on
    assert reported == [9_000_000, 5_000_000, 10_000_000]


def test_ticks_keep_what_the_lane_joins_and_turns_round() -> None:
    """Wrong way and breakup are the lane's; the loops' own stays stay as they are."""
    wrong = [*presences(NORTH[0], (10.288, 10.756)), *presences(NORTH[1], (10, 10.468))]
    broken = [*presences(NORTH[0], (20, 20.2), (20.25, 20.468)),
              *presences(NORTH[1], (20.288, 20.756))]  # fmt: skip
    made = north(*wrong, *broken)
    reported = body(made.close(MINUTE), "north_1")
    assert (
        reported["volume"],
        reported["wrong_way"],
        reported["breakups"],
        reported["speed"]["n"],
    ) == (2, 1, 1, 1)
    lead, trail = made.ticks[:2]
    assert [(each.on_ns // MS, each.off_ns // MS) for each in lead.stays] == [
        (10_288, 10_756), (20_000, 20_200), (20_250, 20_468),
    ]  # fmt: skip
    assert [each.off_ns // MS for each in trail.stays] == [10_468, 20_756]
    assert lead.on_ns == (468 + 418) * MS


def test_nobody_follows_over_a_gap_in_what_was_heard() -> None:
    made = engine(SINGLE)
    made.contacts([*found("east_1.lead"), *presences("east_1.lead", (5, 5.5))])
    made.contacts([Contact("east_1.lead", True, 6 * S, lost=2)])
    made.contacts([Contact("east_1.lead", False, 6 * S + 500 * MS)])
    assert "tailgating" not in body(made.close(MINUTE), "east_1")
