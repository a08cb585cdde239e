"""VUS-PR against what its authors' library gives, and what must be true of it."""

import random

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.anomaly import vus


def case(seed: int, decimals: int) -> tuple[np.ndarray, np.ndarray]:
    rng = random.Random(seed)
    labels = np.zeros(600)
    for _ in range(3):
        at = rng.randrange(540)
        labels[at : at + rng.randrange(1, 40)] = 1
    if seed == 3:
        labels[:5] = labels[-4:] = 1
    return labels, np.asarray([round(rng.random() + 0.4 * v, decimals) for v in labels])


@pytest.mark.parametrize(
    ("seed", "decimals", "widest", "expected"),
    # RangeAUC_volume_opt of github.com/TheDatumOrg/VUS, commit d0f2a44, over the same numbers
    [
        (1, 3, 20, 0.5670853299755333),
        (2, 1, 0, 0.525717051594616),
        (3, 3, 35, 0.5896910837010458),
        (4, 2, 100, 0.6797862098842532),
    ],
)
def test_it_gives_what_the_authors_library_gives(
    seed: int, decimals: int, widest: int, expected: float
) -> None:
    labels, score = case(seed, decimals)
    assert vus.vus_pr(labels, score, widest) == pytest.approx(expected, abs=1e-9)


def test_the_labels_themselves_are_a_perfect_score_without_a_buffer() -> None:
    labels, _ = case(1, 3)
    assert vus.vus_pr(labels, labels, 0) == pytest.approx(1.0)
    assert vus.vus_pr(labels, 1 - labels, 0) < 0.2


def test_a_score_by_lot_gets_about_the_labelled_share() -> None:
    labels = np.zeros(4000)
    labels[1000:1400] = 1
    score = np.random.default_rng(1).random(4000)
    assert vus.vus_pr(labels, score, 0) == pytest.approx(0.1, abs=0.03)


def test_being_near_counts_in_part() -> None:
    labels, late = np.zeros(500), np.zeros(500)
    labels[200:220] = 1
    late[222:232] = 1  # after the range
    assert vus.vus_pr(labels, late, 60) > 2 * vus.vus_pr(labels, late, 0)


@given(st.lists(st.integers(0, 1), min_size=5, max_size=60).filter(any), st.integers(0, 30))
def test_it_is_a_share_whatever_the_labels_and_only_order_matters(
    labels: list[int], widest: int
) -> None:
    score = np.random.default_rng(len(labels)).random(len(labels))
    one = vus.vus_pr(np.asarray(labels), score, widest)
    assert 0 <= one <= 1 + 1e-9
    assert vus.vus_pr(np.asarray(labels), score**3 + 5, widest) == pytest.approx(one)


@given(st.lists(st.integers(0, 1), max_size=40))
def test_ranges_cover_the_labels_and_nothing_else(labels: list[int]) -> None:
    again = [0] * len(labels)
    for first, last in vus.ranges(np.asarray(labels)):
        again[first : last + 1] = [1] * (last - first + 1)
    assert again == labels


def test_nothing_labelled_is_said() -> None:
    with pytest.raises(ValueError, match="nothing is labelled"):
        vus.vus_pr(np.zeros(10), np.zeros(10), 3)


@pytest.mark.parametrize("length", [12, 48, 288])
def test_the_period_of_a_day_is_found(length: int) -> None:
    rng = np.random.default_rng(2)
    t = np.arange(3000)
    values = np.sin(2 * np.pi * t / length) + rng.normal(0, 0.05, len(t))
    assert vus.period(values) == pytest.approx(length, abs=max(1, length // 40))


@pytest.mark.parametrize("values", [np.zeros(500), np.arange(500.0), np.asarray([1.0, 2.0])])
def test_without_a_period_the_usual_one_is_taken(values: np.ndarray) -> None:
    assert vus.period(values) == vus.USUAL
