"""A point that has no value though others have: since when, and what ends it."""

import pytest

from edge.acquire.badpoints import BadPoint, bad_points
from edge.acquire.poll import PollState
from edge.core import Bad, Reason, Sample, sweep
from tests.kit.meter import POWER, FixedMeter

S = 1_000_000_000
RANGE = BadPoint(Reason.RANGE, 3 * S)


@pytest.mark.parametrize(
    ("sample", "before", "after"),
    [
        (Bad(Reason.RANGE), None, BadPoint(Reason.RANGE, 9 * S)),
        (Bad(Reason.RANGE), RANGE, RANGE),
        (Bad(Reason.FAULT), RANGE, BadPoint(Reason.FAULT, 3 * S)),
        (Bad(Reason.STALE), RANGE, RANGE),  # nothing new
        (Bad(Reason.STALE), None, None),
        (Bad(Reason.WARMUP), None, None),
        (Bad(Reason.SUPPRESSED), None, None),
        (1.0, RANGE, None),
    ],
)
def test_a_point_is_bad_from_its_first_such_answer_until_it_has_a_value(
    sample: Sample, before: BadPoint | None, after: BadPoint | None
) -> None:
    known = {} if before is None else {"power": before}
    found = bad_points(known, sweep("m", 9 * S, (sample,)), POWER)
    assert found.get("power") == after


def test_who_polls_keeps_it() -> None:
    state = PollState("m", FixedMeter((), POWER), S)
    for second in (3, 9):
        state.note_answer(sweep("m", second * S, (Bad(Reason.RANGE),)))
    assert state.bad == {"power": RANGE}
