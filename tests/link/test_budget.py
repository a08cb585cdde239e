"""Bytes of a month, with counters that begin anew and clocks that lie."""

from hypothesis import given
from hypothesis import strategies as st

from edge.link.budget import (
    LONG_S,
    Counter,
    Month,
    add_bytes,
    bytes_since,
    month_label,
    month_used,
    saver_level,
)

DAY = 86_400.0


def test_a_counter_that_is_smaller_began_at_zero() -> None:
    old = {"wwan0": Counter(3, 1_000)}
    assert bytes_since(old, {"wwan0": Counter(3, 1_500)}) == 500
    assert bytes_since(old, {"wwan0": Counter(3, 200)}) == 200


def test_a_new_interface_of_the_old_name_counts_from_zero() -> None:
    """A modem that was power-cycled: by chance its counter is larger already."""
    old = {"wwan0": Counter(3, 1_000)}
    assert bytes_since(old, {"wwan0": Counter(4, 1_500)}) == 1_500
    assert bytes_since(old, {"wwan1": Counter(4, 70)}) == 70
    assert bytes_since(old, {}) == 0


def test_levels_begin_at_80_and_95_percent() -> None:
    assert [saver_level(used, 1_000) for used in (0, 799, 800, 949, 950, 5_000)] == [
        0,
        0,
        1,
        1,
        2,
        2,
    ]
    assert saver_level(10**12, 0) == 0, "no budget"


def test_a_month_begins_on_the_contracts_day() -> None:
    nov_26 = 1_795_687_200  # 2026-11-26T10:00Z
    assert month_label(nov_26) == "2026-11"
    assert month_label(nov_26, 27) == "2026-10"
    assert month_label(nov_26, 26) == "2026-11"


def test_a_new_month_begins_at_zero() -> None:
    months = add_bytes((), 500, "2026-11", 0.0)
    months = add_bytes(months, 40, "2026-12", 9 * DAY)
    assert months[-1] == Month("2026-12", 40, 9 * DAY, 9 * DAY)


def test_bytes_before_the_clock_is_set_count_for_the_month_it_then_shows() -> None:
    months = add_bytes((), 500, None, 0.0)
    assert add_bytes(months, 10, "2026-11", 60.0)[-1].used == 510


def test_bytes_without_a_clock_count_for_the_last_known_month() -> None:
    months = add_bytes((), 500, "2026-11", 0.0)
    assert add_bytes(months, 10, None, DAY)[-1] == Month("2026-11", 510, 0.0, DAY)


def test_a_month_that_was_a_lie_gives_its_bytes_back() -> None:
    months = add_bytes((), 900, "2026-11", 0.0)
    months = add_bytes(months, 30, "2040-01", DAY)
    assert month_used(months) == 30
    months = add_bytes(months, 5, "2026-11", 2 * DAY)
    assert month_used(months) == 935
    months = add_bytes(months, 0, "2026-12", 40 * DAY)
    assert month_used(months) == 0, "not for ever"


def test_a_clock_that_went_back_and_forth_has_forgotten_nothing() -> None:
    months = add_bytes((), 900, "2026-11", 0.0)
    months = add_bytes(months, 1, "1970-01", DAY)
    assert month_used(add_bytes(months, 5, "2026-11", 2 * DAY)) == 905


def test_a_month_of_life_without_a_clock_is_a_month() -> None:
    months = add_bytes((), 900, "2026-11", 0.0)
    months = add_bytes(months, 7, None, LONG_S)
    assert months[-1] == Month("", 7, LONG_S, LONG_S)
    assert month_used(months) == 7
    # and the next one, too
    assert month_used(add_bytes(months, 2, None, 2 * LONG_S)) == 2
    # the clock comes back: what was counted without it belongs to the month that it shows
    assert month_used(add_bytes(months, 1, "2026-12", LONG_S + 1)) == 8


def test_a_box_that_was_off_for_months_begins_at_zero() -> None:
    months = add_bytes((), 900, "2026-11", 0.0)
    assert add_bytes(months, 3, "2027-02", 5.0)[-1].used == 3


Clocked = st.sampled_from((None, "1970-01", "2026-11", "2040-01"))


@given(st.lists(st.tuples(Clocked, st.integers(0, 1_000)), max_size=30))
def test_only_bytes_under_an_earlier_month_are_lost_whatever_the_clock_did(
    seen: list[tuple[str | None, int]],
) -> None:
    """All of it happened in November 2026; a time without a clock belongs to what was before."""
    months: tuple[Month, ...] = ()
    kept, label = 0, "2026-11"
    for step, (known, delta) in enumerate(seen):
        months = add_bytes(months, delta, known, float(step))
        label = known or label
        kept += delta if label != "1970-01" else 0
    months = add_bytes(months, 0, "2026-11", 99.0)
    assert kept - _before(seen) <= month_used(months) <= sum(delta for _, delta in seen)


def _before(seen: list[tuple[str | None, int]]) -> int:
    """Bytes before the first clock, where that clock was wrong."""
    first = next((known for known, _ in seen if known), None)
    if first != "1970-01":
        return 0
    return sum(delta for _, delta in seen[: [known for known, _ in seen].index(first)])
