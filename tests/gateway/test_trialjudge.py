"""Whether a configuration on trial may stay, by what is seen: in virtual seconds."""

from collections.abc import Iterable
from dataclasses import replace

from edge.gateway.trialjudge import (
    BLIND_NS,
    DEAF_NS,
    HELD_CARRIER,
    HELD_CONNECT,
    HELD_LINK,
    TrialFinding,
    TrialJudge,
    TrialSight,
)

S = 1_000_000_000
GOOD_NS = 300 * S
WELL = TrialSight(0, connected=True, carrier=True, healthy=True)


def judge(
    *, uplink: bool = True, watched: Iterable[str] = ("meter",), brokers: int = 1
) -> TrialJudge:
    return TrialJudge(
        0, uplink=uplink, former="mqtt://old", watched=frozenset(watched), good_ns=GOOD_NS,
        brokers=brokers,
    )  # fmt: skip


def look_until(
    one: TrialJudge,
    sight: TrialSight,
    to_s: int,
    from_s: int = 0,
    *,
    answers: bool | None = None,
    tries_s: int = 20,
) -> tuple[int, TrialFinding | None]:
    """A look each ten seconds, and an attempt to connect each `tries_s`, which fails; when it was
    found, and what."""
    for second in range(from_s, to_s + 1, 10):
        now = replace(sight, now_ns=second * S, failures=sight.failures + second // tries_s)
        if one.wants_probe(now):
            now = replace(now, former_answers=answers)
        if (found := one.look(now)) is not None:
            return second, found
    return to_s, None


def test_five_minutes_of_health_are_enough() -> None:
    one = judge()
    assert look_until(one, WELL, 290)[1] is None
    assert not one.good(290 * S)
    assert one.left_s(290 * S) == 10
    look_until(one, WELL, 300, 300)
    assert one.good(300 * S)
    assert one.held == ""


def test_deaf_is_found_within_the_window_when_the_former_broker_answers() -> None:
    apart = replace(WELL, connected=False, broker="mqtt://new", why="refused")
    second, found = look_until(judge(), apart, 300, answers=True)
    assert found is not None
    assert found.reason == "deaf"
    assert "mqtt://new" in found.text
    assert "mqtt://old" in found.text
    assert "refused" in found.text
    assert DEAF_NS <= second * S <= GOOD_NS / 2


def test_an_outage_of_both_neither_ends_the_trial_nor_confirms_it() -> None:
    one = judge()
    apart = replace(WELL, connected=False)
    assert look_until(one, apart, 7200, answers=False)[1] is None
    assert not one.good(7200 * S)
    assert one.held == HELD_LINK
    second, found = look_until(one, apart, 7300, 7210, answers=True)
    assert found is not None, "the outage is over, and it is still deaf"
    assert second <= 7270, "two attempts have failed meanwhile"


def test_nobody_is_deaf_who_has_not_tried_since_the_former_broker_is_back() -> None:
    """After an outage an attempt waits up to half a minute, or as long as the city spreads its
    boxes; one that was under way when the broker came back says nothing."""
    one = judge()
    apart = replace(WELL, connected=False)
    look_until(one, apart, 7200, answers=False)
    waits = replace(apart, failures=500)
    assert look_until(one, waits, 10_800, 7210, answers=True, tries_s=10**6)[1] is None
    under_way = replace(apart, failures=501)
    assert look_until(one, under_way, 11_000, 10_810, answers=True, tries_s=10**6)[1] is None
    failed = replace(apart, failures=502, now_ns=11_010 * S, former_answers=True)
    assert one.look(failed) is not None


def test_each_of_its_brokers_is_tried() -> None:
    apart = replace(WELL, connected=False)
    when = [
        look_until(judge(brokers=brokers), apart, 900, answers=True, tries_s=30)[0]
        for brokers in (1, 4)
    ]
    assert when == [150, 240]


def test_after_an_outage_a_good_one_is_confirmed() -> None:
    one = judge()
    look_until(one, replace(WELL, connected=False), 3600, answers=False)
    look_until(one, WELL, 3890, 3610)
    assert not one.good(3890 * S)
    look_until(one, WELL, 3900, 3900)
    assert one.good(3900 * S)


def test_one_answer_of_the_former_broker_is_chance() -> None:
    one = judge()
    apart = replace(WELL, connected=False)
    for second in range(0, 600, 10):
        now = replace(apart, now_ns=second * S)
        if one.wants_probe(now):
            now = replace(now, former_answers=second % 20 == 0)
        assert one.look(now) is None


def test_without_a_network_nothing_is_known_of_a_changed_uplink() -> None:
    one = judge()
    unplugged = replace(WELL, connected=False, carrier=False)
    assert look_until(one, unplugged, 3600, answers=True)[1] is None
    assert (one.good(3600 * S), one.held) == (False, HELD_CARRIER)
    other = judge(uplink=False)
    look_until(other, unplugged, 300)
    assert other.good(300 * S), "what the change does not touch is as good as it was"


def test_a_link_that_the_change_does_not_touch_ends_no_trial() -> None:
    one = judge(uplink=False)
    apart = replace(WELL, connected=False)
    assert look_until(one, apart, 3600, answers=True)[1] is None
    assert (one.good(3600 * S), one.held) == (False, HELD_CONNECT)


def test_blind_is_what_was_read_and_cannot_be_read_for_a_minute() -> None:
    one = judge(watched=("meter", "air"))
    failing = {"meter": "no answer from unit 7", "roof": "no answer"}
    second, found = look_until(one, replace(WELL, failing=failing), 300)
    assert found is not None
    assert (found.reason, found.blamed) == ("blind", ("meter",))
    assert "no answer from unit 7" in found.text
    assert second * S == BLIND_NS


def test_a_device_that_only_stumbles_delays_the_end_of_the_trial() -> None:
    one = judge()
    for second in range(0, 600, 10):
        failing = {"meter": "no answer"} if second % 60 < 30 else {}
        sight = replace(WELL, now_ns=second * S, failing=failing)
        assert one.look(sight) is None
        assert not one.good(second * S)
