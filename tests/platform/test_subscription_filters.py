"""Topic filters are held against what a broker would match."""

from itertools import product

import pytest
from aiomqtt import Topic, Wildcard
from hypothesis import given
from hypothesis import strategies as st

from edge.core import Stream
from edge.platform.subscription import (
    check_refusal,
    receive_refusal,
    record_subscriptions,
    subscriptions,
)

NAMED = ("k", "v1", "s", "up", "air")  # any of these may be a site or a gateway, too
TOPICS = [
    "/".join(("k", "v1", site, gw, "up", *tail))
    for site, gw in product(NAMED, repeat=2)
    for tail in (*product(("air", "event", "s"), repeat=1), *product(("air", "up"), repeat=2))
]
LEVELS = st.lists(st.sampled_from([*NAMED, "+", "+"]), max_size=7)
FILTERS = st.tuples(LEVELS, st.sampled_from([["#"], ["#"], []])).map(
    lambda parts: "/".join((*parts[0], *parts[1]))
).filter(bool)  # fmt: skip
BRANCH = st.lists(st.sampled_from(["+", "s", "up"]), min_size=2, max_size=2).map(
    lambda names: "/".join(("k", "v1", *names, "up"))
)  # so that few begin elsewhere


def brings(topic_filter: str) -> set[str]:
    return {topic for topic in TOPICS if Topic(topic).matches(Wildcard(topic_filter))}


@given(FILTERS | st.builds("{}/{}".format, BRANCH, FILTERS) | BRANCH)
def test_a_filter_receives_nothing_when_no_topic_of_a_gateway_matches(topic_filter: str) -> None:
    tail = topic_filter.split("/")[5:]
    if len(tail) <= 2:  # what lies deeper, nobody publishes
        anything = topic_filter.split("/")[:5] + ["+"] * len(tail)
        reported = "/".join(anything) if tail and tail[-1] != "#" else topic_filter
        if len(tail) == 2 and tail[-1] == "#":
            reported = "/".join((*anything[:5], "+", "#"))
        assert (receive_refusal(topic_filter, "k/v1") is None) == bool(brings(reported))


@given(FILTERS | st.builds("{}/{}".format, BRANCH, FILTERS) | BRANCH)
def test_subscriptions_bring_what_the_filter_would(topic_filter: str) -> None:
    asked = subscriptions(topic_filter, "k/v1")
    assert set().union(*map(brings, asked)) == brings(topic_filter)
    more = set().union(*map(brings, subscriptions(topic_filter, "k/v1", check=True)))
    assert more - brings(topic_filter) <= {each for each in TOPICS if each.split("/")[5] == "event"}
    levels = topic_filter.split("/")
    if levels[-1] == "#" and levels[4:5] == ["up"]:
        assert all("#" not in each for each in asked) or len(levels) > 7


@pytest.mark.parametrize("tail", ["+/#", "down/#", "#", "up/air", "up/air/hut/#"])
def test_what_is_not_above_the_levels_of_up_is_subscribed_as_it_is(tail: str) -> None:
    assert subscriptions(f"k/v1/+/+/{tail}", "k/v1") == [f"k/v1/+/+/{tail}"]


UP = "k/v1/+/+/up"


@pytest.mark.parametrize(
    ("topic_filter", "why"),
    [
        (f"{UP}/air/hut", "it may leave out sources, so missing numbers cannot be found"),
        (f"{UP}/air", "cannot be found; end it with /up/air/#"),
        (f"{UP}/last/#", "last holds no numbered records"),
        (f"{UP}/status", "status holds no numbered records"),
        (f"{UP}/aire/#", "end it with /up/# or /up/STREAM/#"),
        (f"{UP}/+/hut", "end it with /up/# or /up/STREAM/#"),
        ("k/v1/+/+/+/air/#", "it does not include the records"),
        (UP, "it ends above gateways' topics"),
        ("k/v1/+", "it ends above gateways' topics"),
        ("k/v2/+/+/up/#", "it matches nothing below k/v1/SITE/GATEWAY/up"),
        (f"$share/a/{UP}/#", "a shared subscription"),
        (f"$queue/{UP}/#", "a shared subscription"),
    ],
)
def test_a_refusal_says_what_to_do(topic_filter: str, why: str) -> None:
    assert why in str(check_refusal(topic_filter, "k/v1"))


@pytest.mark.parametrize("tail", ["/#", "/+/#", "/air/#", "/manifest/#"])
def test_filters_of_whole_streams_are_fine(tail: str) -> None:
    assert check_refusal(UP + tail, "k/v1") is None
    for above in ("#", "k/#", "k/v1/#", "k/v1/+/#", "k/v1/+/+/#"):
        assert check_refusal(above, "k/v1") is None


@pytest.mark.parametrize(
    "topic_filter",
    ["kerbstone/v1/+/+/up/#", "kerbstone/v1/#", "#", "kerbstone/v1/s/gw/up/air/#"],
)
def test_filters_that_bring_all_sources_can_be_checked(topic_filter: str) -> None:
    assert check_refusal(topic_filter) is None


@pytest.mark.parametrize(
    "topic_filter",
    [
        "kerbstone/v1/+/+/up/air/hut",
        "kerbstone/v1/+/+/up/air/+",
        "kerbstone/v1/+/+/up/+/hut",
        "kerbstone/v1/+/+/up",
        "kerbstone/v1/+/+/+/air/#",
        "kerbstone/v1/+/+/up/last/#",
        "kerbstone/v1/+/+/up/aire/#",
        "$share/a/kerbstone/v1/#",
        "$queue/kerbstone/v1/#",
        "kerbstone/v1/s/+/gw/up/#",
        "a/up/+/#",
        "kerbstone/v1/+",
    ],
)
def test_the_others_are_refused_with_a_reason(topic_filter: str) -> None:
    assert check_refusal(topic_filter)


def test_a_check_of_one_stream_listens_to_the_events_too() -> None:
    up = "k/s/g/up"
    air, event = ([f"{up}/{each}", f"{up}/{each}/+"] for each in ("air", "event"))
    assert subscriptions(f"{up}/air/#", "k", check=True) == air + event
    assert subscriptions(f"{up}/air/#", "k") == air
    assert subscriptions(f"{up}/#", "k", check=True) == [f"{up}/+", f"{up}/+/+"]
    assert subscriptions("k/#", "k", check=True) == ["k/#"]
    assert subscriptions(f"{up}/air/hut", "k") == [f"{up}/air/hut"]


def test_records_are_asked_for_stream_by_stream() -> None:
    up = "k/v1/+/+/up"
    asked = record_subscriptions(f"{up}/#", "k/v1")
    assert asked == [name for each in Stream for name in (f"{up}/{each}", f"{up}/{each}/+")]
    assert len(asked) == 2 * len(Stream)
    for tail in ("status", "meta", "last/hut", "answer/resend"):
        assert not any(Topic(f"k/v1/s/g/up/{tail}").matches(Wildcard(each)) for each in asked)
    for same in (f"{up}/air/#", f"{up}/status/#", "k/v1/#", f"{up}/+/+", "a/up/#"):
        assert record_subscriptions(same, "k/v1") == subscriptions(same, "k/v1")
