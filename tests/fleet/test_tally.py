"""Waits: what is read from classes is right to one part in a hundred."""

from hypothesis import given
from hypothesis import strategies as st

from edge.fleet.tally import Waits


@given(st.lists(st.floats(1e-4, 1000.0), min_size=1, max_size=200))
def test_a_quantile_is_within_a_class_of_the_true_one(found: list[float]) -> None:
    waits = Waits()
    for each in found:
        waits.add(each)
    for share in (0.5, 0.99):
        true_s = sorted(found)[max(0, -(-len(found) * int(share * 100) // 100) - 1)]
        told_s = waits.quantile_s(share)
        assert told_s is not None
        assert abs(told_s / true_s - 1) < 0.021


def test_without_any_there_is_none() -> None:
    assert Waits().quantile_s(0.5) is None
