"""Moments that date alike are one: a manifest lists it once."""

from typing import Any

import pytest

from edge.core import TimeQuality
from edge.wire.clockmoments import SAME_US, Moment

FLOOR = Moment(1, 0, 1000, TimeQuality.FLOOR, 500, 2000)


@pytest.mark.parametrize("field", ["wall_us", "before_us", "after_us"])
def test_times_that_differ_by_no_more_than_so_much_are_the_same(field: str) -> None:
    def other(value: int | None) -> Moment:
        changes: dict[str, Any] = {field: value}
        return FLOOR._replace(**changes)

    value = getattr(FLOOR, field)
    for way in (-1, 1):
        assert FLOOR.same(other(value + way * SAME_US))
        assert not FLOOR.same(other(value + way * (SAME_US + 1)))
    if field != "wall_us":
        assert not FLOOR.same(other(None))
