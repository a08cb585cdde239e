"""Histograms: means by definition, percentiles within a bin, merging bit for bit."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import UNSET, json

from edge.process.traffic.histogram import (
    SPEED_BINS,
    TIME_BINS,
    Bins,
    HistogramCounts,
    summed,
)
from edge.wire.contract.histogram import Speeds, Times


def made(values: list[int], bins: Bins = SPEED_BINS) -> HistogramCounts:
    histogram = HistogramCounts(bins)
    for value in values:
        histogram.add(value, 36_000_000_000 // value if value else 0)
    return histogram


def test_time_mean_and_space_mean_differ() -> None:
    reported = made([500, 800, 1000]).speeds()  # space-mean-speed: 50, 80, 100 km/h
    assert reported.mean == 76.67
    assert reported.harmonic == 70.59
    assert (reported.n, reported.first, reported.counts) == (
        3,
        10,
        [1, 0, 0, 0, 0, 0, 1, 0, 0, 0, 1],
    )


def test_merging_adds_up_what_is_estimated() -> None:
    some = made([500, 300])
    some.estimated = 1
    assert merged(some.speeds(), some.speeds(), made([400]).speeds()).estimated == 2
    assert merged(made([400]).speeds()).estimated is UNSET


def test_an_empty_histogram_has_no_numbers() -> None:
    reported = made([]).speeds()
    assert (reported.n, reported.counts, reported.sum) == (0, [], 0)
    assert reported.mean is reported.harmonic is reported.p15 is reported.p85 is None


def test_percentiles_are_interpolated_within_a_bin() -> None:
    reported = made([520] * 10).speeds()  # all in 50..55
    assert (reported.p15, reported.p50, reported.p85) == (50.75, 52.5, 54.25)


def test_what_is_beyond_the_last_bin_is_counted_there() -> None:
    reported = made([400, 7_200_000], TIME_BINS).form(Times)  # 0.4 s, and two hours at night
    assert reported.counts[-1] == 1
    assert reported.first + len(reported.counts) - 1 == reported.bins == 60
    assert reported.p85 == 30
    assert reported.sum == 7_200_400


def test_another_scale_does_not_merge() -> None:
    with pytest.raises(ValueError, match="not a histogram"):
        summed(SPEED_BINS, [made([500]).speeds(), made([500], TIME_BINS).form(Times)])


VALUES = st.lists(st.integers(1, 2500), max_size=20)


@given(VALUES, VALUES, VALUES)
def test_merging_is_associative_and_equals_one_histogram(
    a: list[int], b: list[int], c: list[int]
) -> None:
    one, two, three = (made(each).speeds() for each in (a, b, c))
    left = merged(merged(one, two), three)
    right = merged(one, merged(two, three))
    assert json.encode(left) == json.encode(right) == json.encode(made(a + b + c).speeds())


def merged(*parts: Speeds) -> Speeds:
    return summed(SPEED_BINS, parts).speeds()
