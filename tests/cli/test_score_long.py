"""The memory of `kerbstone score` does not grow with the series: a short look at it.

That takes twenty seconds; `test_score` reads a short one from a pipe each time.
"""

import pytest

from tests.bench.scoring import score

ROWS, FIRST = 15_000, 5_000
LEFT_KIB = 1500  # it settles by half of it; 10,000 rows of answers, kept, are 2000 more


@pytest.mark.long
def test_what_a_long_series_needs_is_what_a_short_one_needs() -> None:
    found = score(ROWS, FIRST)
    assert found.grown_kib < LEFT_KIB, found
