"""Pings, and links on which nobody answers, in virtual time."""

import pytest

from edge.uplink.keepalive import KeepAlive


def verdicts(
    pulse: KeepAlive, seconds: float, *, heard: bool, sent: bool, start: float
) -> list[str]:
    now, found = start, list[str]()
    while now < start + seconds:
        now += pulse.tick_s
        found.append(pulse.look(now, heard=heard, sent=sent))
        if found[-1] == "lost":
            break
    return found


@pytest.mark.parametrize("keepalive_s", [1, 3, 10, 30, 60, 1200])
def test_silence_ends_within_one_and_a_half_keepalives_and_not_much_before(
    keepalive_s: int,
) -> None:
    pulse = KeepAlive(keepalive_s, 100.0)
    found = verdicts(pulse, 10 * keepalive_s, heard=False, sent=False, start=100.0)
    took = len(found) * pulse.tick_s
    assert found[-1] == "lost"
    assert 1.2 * keepalive_s <= took <= 1.5 * keepalive_s
    first = (found.index("ping") + 1) * pulse.tick_s
    assert first == pytest.approx(keepalive_s / 2, abs=pulse.tick_s)
    assert took - first >= 0.7 * keepalive_s, "the answer has time on a slow link"


def test_any_byte_is_a_sign_of_life() -> None:
    pulse = KeepAlive(30, 0.0)
    found: list[str] = []
    for second in range(1, 3600):
        # one answer every 40 s, as behind ten seconds of queue and more
        found.append(pulse.look(float(second), heard=second % 40 == 0, sent=True))
    assert "lost" not in found


def test_an_idle_link_is_asked_no_more_than_needed() -> None:
    pulse, pings, answered = KeepAlive(30, 0.0), 0, False
    for second in range(1, 3601):
        asked = pulse.look(float(second), heard=answered, sent=answered) == "ping"
        answered = asked
        pings += asked
    assert 3600 / 30 <= pings <= 3600 / 15


def test_who_only_listens_still_says_that_it_lives() -> None:
    """The broker ends a connection on which it has heard nothing for 1.5 keep-alives."""
    pulse, last = KeepAlive(30, 0.0), 0
    asked = False
    for second in range(1, 600):
        asked = pulse.look(float(second), heard=True, sent=asked) == "ping"
        if asked:
            assert second - last <= 30
            last = second
    assert last > 500


@pytest.mark.parametrize(("heard", "sent", "at_s"), [(False, True, 20), (True, False, 30)])
def test_a_ping_goes_with_the_look_at_which_it_is_due(heard: bool, sent: bool, at_s: int) -> None:
    """After half a keep-alive without hearing, or three quarters without saying anything."""
    found = verdicts(KeepAlive(40, 0.0), 40, heard=heard, sent=sent, start=0.0)
    assert found.index("ping") + 1 == at_s


def test_a_stopped_process_does_not_blame_the_broker() -> None:
    pulse = KeepAlive(30, 0.0)
    pulse.look(1.0, heard=True, sent=True)
    assert pulse.look(90.0, heard=False, sent=False) == "late"
    assert verdicts(pulse, 10, heard=False, sent=False, start=90.0)[-1] == "well"
    assert verdicts(pulse, 60, heard=False, sent=False, start=100.0)[-1] == "lost"


def test_with_a_short_keepalive_a_shorter_stop_is_one() -> None:
    pulse = KeepAlive(1, 0.0)
    assert pulse.look(0.125, heard=True, sent=True) == "well"
    assert pulse.look(0.5, heard=False, sent=False) == "well"
    assert pulse.look(3.0, heard=False, sent=False) == "late"


def test_without_a_keepalive_a_dead_link_is_still_found() -> None:
    assert verdicts(KeepAlive(0, 0.0), 100, heard=False, sent=False, start=0.0)[-1] == "lost"
