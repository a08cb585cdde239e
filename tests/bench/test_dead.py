"""The sum that `test_rtu` prints: no second of the hour is lost or counted twice."""

import pytest

from tests.bench.dead import HOUR_S, hour, split
from tests.long import one_in


@one_in(3)
@pytest.mark.parametrize("silent", [0, 1, 7])
def test_an_hour_is_answers_and_retries(silent: int) -> None:
    units = range(1, 9)
    found = hour(units, units[8 - silent :], 0.5, 0.1, {True: 0.52, False: 0.12})
    assert found.answers * 0.1 + found.lost_s == pytest.approx(HOUR_S, abs=1)
    # three of four are waited for shortly, each four times 0.22 s
    assert found.lost_s == pytest.approx(0.22 * found.retries, abs=0.5 * silent)
    assert bool(found.retries) == bool(silent)
    assert 10 * silent <= found.retries  # one that comes back is noticed


def test_silences_are_told_apart_by_what_was_waited() -> None:
    assert split([0.51, 0.11, 0.12, 0.13, 0.53, 0.52], 0.5) == {True: 0.52, False: 0.12}
    with pytest.raises(AssertionError, match="in full"):
        split([0.1], 0.5)
