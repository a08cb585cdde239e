"""What a simulated street says: any record is made anew as it was, and registers go on."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.fleet.street import DRAWN, METER_SOURCE, REGISTER, Street, lane_name

STREET = Street(8, 3)
METER = STREET.sources.index(METER_SOURCE)


@given(st.integers(0, 1 << 32), st.integers(0, 60_000_000), st.integers(0, 9))
def test_a_record_is_made_anew_as_it_was(gateway: int, minute: int, place: int) -> None:
    first, again = STREET.body(gateway, minute, place), Street.body(STREET, gateway, minute, place)
    assert first == again
    assert list(first) == list(again)


@given(st.integers(0, 1 << 32), st.integers(1, 60_000_000))
def test_a_register_goes_on_where_the_minute_before_ended(gateway: int, minute: int) -> None:
    before, after = (
        STREET.body(gateway, each, METER)["points"][REGISTER.key] for each in (minute, minute + 1)
    )
    assert after["first"] == before["last"]
    assert round(after["last"] - after["first"], 3) == after["delta"] > 0


def test_two_fleets_of_one_seed_say_the_same_and_of_another_seed_not() -> None:
    one, same, other = Street(2, 1), Street(2, 1), Street(2, 2)
    drawn = [(7, minute, place) for minute in range(50) for place in range(4)]
    assert [one.body(*each) for each in drawn] == [same.body(*each) for each in drawn]
    assert [one.body(*each) for each in drawn] != [other.body(*each) for each in drawn]


def test_minutes_and_gateways_differ() -> None:
    volumes = [STREET.body(gateway, 5, 0)["volume"] for gateway in range(200)]
    assert len(set(volumes)) > 10
    bodies = {id(STREET.body(1, minute, 0)) for minute in range(5000)}
    assert len(bodies) > DRAWN * 0.9


@pytest.mark.parametrize("lanes", [1, 5, 48])
def test_lanes_have_names_of_their_own(lanes: int) -> None:
    street = Street(lanes, 1)
    assert len(set(street.lanes)) == lanes
    assert lane_name(0) == "north_1"
    assert [street.body(1, 1, place)["lane"] for place in range(lanes)] == list(street.lanes)
