"""Steps say a set of numbers, and only one list of them says it."""

from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.core.numbers import Numbers, count_in_ranges, decode_steps, encode_steps, ranges_without


@given(st.sets(st.integers(1, 2**53), max_size=60))
def test_steps_are_the_set_and_grow(numbers: set[int]) -> None:
    found = encode_steps(numbers)
    assert decode_steps(found) == sorted(numbers)


@given(st.lists(st.integers(1, 200), max_size=60), st.randoms())
def test_the_same_set_has_the_same_steps(numbers: list[int], rng: object) -> None:
    shuffled = list(numbers)
    rng.shuffle(shuffled)  # type: ignore[attr-defined]
    assert encode_steps(shuffled) == encode_steps(numbers)


def test_a_quarter_of_one_of_three_sources_is_one_step() -> None:
    assert encode_steps(range(1, 44, 3)) == [[1, 43, 3]]


@pytest.mark.parametrize(
    "wrong", [None, {}, [1], [[1, 2]], [[0, 1, 1]], [[2, 1, 1]], [[1, 4, 2]], [[1, 2, 0]],
              [[1, 2.0, 1]], [[1, 10**12, 1]]]
)  # fmt: skip
def test_wrong_steps_are_refused(wrong: object) -> None:
    with pytest.raises(ValueError, match=r"\w"):
        decode_steps(wrong)


@given(st.lists(st.tuples(st.integers(1, 60), st.integers(0, 12)), max_size=30))
def test_ranges_hold_what_was_added(pairs: list[tuple[int, int]]) -> None:
    numbers, truth = Numbers(), set[int]()
    for first, more in pairs:
        if more % 3:
            numbers.add_range(first, first + more)
            truth |= set(range(first, first + more + 1))
        else:
            assert numbers.add(first) is (first not in truth)
            truth.add(first)
    assert {n for n in range(100) if n in numbers} == truth
    ranges = numbers.ranges()
    assert all(a[1] + 1 < b[0] for a, b in pairwise(ranges)), "they do not touch"
    numbers.coarsen(2)
    assert len(numbers.ranges()) <= 2
    assert all(n in numbers for n in truth), "coarser is more, never less"


@given(st.lists(st.integers(1, 60)))
def test_numbers_are_a_set(values: list[int]) -> None:
    numbers, truth = Numbers(), set[int]()
    for value in values:
        assert numbers.add(value) == (value not in truth)
        truth.add(value)
    missing = {n for a, b in numbers.missing(5, 40) for n in range(a, b + 1)}
    assert missing == set(range(5, 41)) - truth
    if truth:
        assert (numbers.first, numbers.last) == (min(truth), max(truth))


@given(st.lists(st.tuples(st.integers(0, 30), st.integers(0, 9))), st.lists(st.integers(0, 40)))
def test_ranges_are_taken_away(taken: list[tuple[int, int]], base: list[int]) -> None:
    ranges = [(n, n) for n in sorted(set(base))]
    cuts = [(a, a + n) for a, n in taken]
    left = set(base) - {n for a, b in cuts for n in range(a, b + 1)}
    found = ranges_without(ranges, cuts)
    assert {n for a, b in found for n in range(a, b + 1)} == left
    assert count_in_ranges(found) == len(left)


class Unsliced(list[int]):
    """Nobody takes a part of it: of a hundred thousand ranges that is a copy each time."""

    def __getitem__(self, at: Any) -> Any:
        assert isinstance(at, int)
        return super().__getitem__(at)


def test_what_is_missing_of_many_ranges_is_found_without_copying_them() -> None:
    numbers = Numbers()
    numbers._starts = Unsliced(range(1, 200_000, 2))
    numbers._ends = Unsliced(range(1, 200_000, 2))
    found = [part for n in range(1, 199_999, 2) for part in numbers.missing(n, n + 1)]
    assert found == [(n, n) for n in range(2, 200_000, 2)]
