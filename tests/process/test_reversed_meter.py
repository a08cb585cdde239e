"""`reversed` was changed between two starts: registers begin anew, told once, and never a step."""

from dataclasses import replace
from typing import Any

import pytest

from edge.core.point import Point, PointKind, Quantity
from edge.core.record import Draft, Stream
from edge.process.engine import DeviceSetup, Engine
from tests.kit.asread import as_read
from tests.kit.engine import S, body, engine, events, setup, sweeps

NAME = "main_meter"
KEYS = ("energy_import", "energy_export", "energy_total")
POINTS = tuple(Point(key, Quantity.ENERGY, 0, 999_999, kind=PointKind.TOTAL) for key in KEYS)
AS_IT_WAS = DeviceSetup(NAME, Stream.ENERGY, POINTS, 1.0)
# what a driver that turns it gives: the same registers in their order, each with the other name
TURNED = replace(AS_IT_WAS, points=(POINTS[1], POINTS[0], POINTS[2]), backwards=True)


def feed(made: Engine, *rows: tuple[float, float, float, float]) -> None:
    made.sweeps(sweeps(NAME, ((at, values) for at, *values in rows)))  # type: ignore[misc]


def grown(drafts: list[Draft]) -> dict[str, Any]:
    return {key: point["delta"] for key, point in body(drafts, NAME)["points"].items()}


def started(before: Engine, now: DeviceSetup) -> Engine:
    made = Engine(setup(now))
    made.restore(before.snapshot())
    return made


def before() -> Engine:
    made = engine(AS_IT_WAS)
    feed(made, (0, 5.0, 700.0, 705.0), (1, 5.0, 700.01, 705.01))
    made.close(2 * S)
    return made


def test_a_change_begins_the_registers_anew_and_tells_it_once() -> None:
    made = started(before(), TURNED)
    feed(made, (2, 5.0, 700.02, 705.02), (3, 5.0, 700.03, 705.03))
    drafts = made.close(4 * S)
    assert grown(drafts) == {"energy_export": 0.0, "energy_import": 0.01, "energy_total": 0.02}
    reported = {as_read(each)["point"]: as_read(each) for each in events(drafts)}
    assert reported.keys() == {"energy_import", "energy_export"}, "the total of both goes on"
    one = reported["energy_import"]
    assert (one["event"], one["kind"], one["before"], one["after"]) == (
        "meter", "reversed", 5.0, 700.02,
    )  # fmt: skip
    assert "counted in the other direction" in one["text"]
    assert not events(started(made, TURNED).close(5 * S))


def test_it_is_told_with_the_first_value_however_long_that_takes() -> None:
    made = started(before(), TURNED)
    made.close(3 * S)
    made = started(started(made, TURNED), TURNED)
    feed(made, (5, 5.0, 700.02, 705.02))
    drafts = made.close(6 * S)
    assert [as_read(each)["kind"] for each in events(drafts)] == ["reversed", "reversed"]


def test_back_again_before_there_was_a_value_is_a_change_as_well() -> None:
    made = started(started(before(), TURNED), AS_IT_WAS)
    feed(made, (5, 5.0, 700.5, 705.5))
    drafts = made.close(6 * S)
    reported = {
        as_read(each)["point"]: (as_read(each)["before"], as_read(each)["after"])
        for each in events(drafts)
    }
    assert reported == {"energy_import": (5.0, 5.0), "energy_export": (700.01, 700.5)}
    assert grown(drafts)["energy_export"] == 0.0


def test_a_register_without_a_counterpart_begins_under_its_new_name() -> None:
    made = engine(replace(AS_IT_WAS, points=POINTS[:1]))
    feed(made, (0, 5.0), (1, 5.01))  # type: ignore[arg-type]
    made.close(2 * S)
    made = started(made, replace(AS_IT_WAS, points=POINTS[1:2], backwards=True))
    feed(made, (2, 5.02), (3, 5.03))  # type: ignore[arg-type]
    drafts = made.close(4 * S)
    assert grown(drafts) == {"energy_export": 0.01}
    (event,) = events(drafts)
    assert (as_read(event)["point"], as_read(event)["kind"]) == (
        "energy_export",
        "reversed",
    )
    assert (as_read(event)["before"], as_read(event)["after"]) == (5.01, 5.02)


@pytest.mark.parametrize("now", [AS_IT_WAS, replace(AS_IT_WAS, every_s=2.0)])
def test_nothing_is_told_when_nothing_was_turned(now: DeviceSetup) -> None:
    made = started(before(), now)
    feed(made, (2, 5.0, 700.02, 705.02))
    drafts = made.close(3 * S)
    assert not events(drafts)
    assert grown(drafts)["energy_export"] == 0.01
