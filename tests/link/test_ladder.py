"""Steps in virtual time: which, when, why, and when none."""

from collections.abc import Sequence
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from edge.link.ladder import (
    CALM_S,
    PATIENCE_S,
    REPEAT_S,
    DueStep,
    LadderStep,
    LinkCarrier,
    LinkObservation,
    RecoveryLadder,
)

ALL: Sequence[LadderStep] = ("reconnect", "modem", "power", "reboot")
LOOK_S = 30.0


class LadderRun:
    """A ladder, and time that passes with one state of the world."""

    def __init__(self, steps: Sequence[LadderStep] = ALL, spread_s: float = 0.0) -> None:
        self.ladder = RecoveryLadder(steps, spread_s)
        self.now_s = 100.0
        self.may_reboot = True
        self.done: list[tuple[float, LadderStep]] = []
        self.reported: list[DueStep] = []

    def live(self, seconds: float, link: LinkCarrier, broker: bool | None) -> list[LadderStep]:
        """The steps of this time."""
        before, end_s = len(self.done), self.now_s + seconds
        while self.now_s < end_s:
            self.now_s += LOOK_S
            due = self.ladder.look(LinkObservation(self.now_s, link, broker), self.may_reboot)
            if due is not None:
                self.done.append((self.now_s, due.step))
                self.reported.append(due)
        return [step for _, step in self.done[before:]]


def test_nothing_happens_while_all_is_well() -> None:
    assert LadderRun().live(86_400, "up", True) == []


def test_ten_minutes_without_a_broker_reconnect_and_not_earlier() -> None:
    street = LadderRun()
    assert street.live(PATIENCE_S, "up", False) == []
    assert street.live(LOOK_S, "up", False) == ["reconnect"]
    assert "no broker for 10 min although the link is reported as up" in street.reported[0].why


def test_the_steps_come_one_after_the_other_and_then_from_the_start() -> None:
    street = LadderRun()
    assert street.live(4 * PATIENCE_S + LOOK_S, "up", False) == list(ALL)
    assert street.live(REPEAT_S - LOOK_S, "up", False) == []
    assert street.live(LOOK_S, "up", False) == ["reconnect"]


def test_a_cable_that_is_out_is_left_alone_for_ever() -> None:
    assert LadderRun().live(7 * 86_400, "no_carrier", False) == []
    assert LadderRun().live(7 * 86_400, "down", False) == []


def test_a_link_that_comes_back_gets_its_full_time_to_connect() -> None:
    street = LadderRun()
    street.live(PATIENCE_S - LOOK_S, "up", False)
    street.live(3_600, "down", False)
    assert street.live(PATIENCE_S - LOOK_S, "up", False) == []


def test_a_modem_that_does_not_come_back_from_our_own_step_is_reset() -> None:
    street = LadderRun()
    assert street.live(PATIENCE_S + LOOK_S, "up", False) == ["reconnect"]
    assert street.live(PATIENCE_S, "down", False) == ["modem"]
    # it was up again, and then went by itself: not our doing any more
    street.live(LOOK_S, "up", False)
    assert street.live(86_400, "down", False) == []


def test_a_cable_pulled_after_our_step_is_left_alone_too() -> None:
    street = LadderRun()
    street.live(PATIENCE_S + LOOK_S, "up", False)
    assert street.live(86_400, "no_carrier", False) == []


def test_a_daemon_that_says_nothing_is_no_evidence_and_its_restart_no_new_beginning() -> None:
    street = LadderRun()
    assert street.live(86_400, "up", None) == []
    street.live(PATIENCE_S - 60, "up", False)
    assert street.live(60, "up", None) == []
    assert street.live(5 * LOOK_S, "up", False) == ["reconnect"]


def test_a_short_connection_does_not_begin_the_ladder_anew() -> None:
    street = LadderRun()
    street.live(PATIENCE_S + LOOK_S, "up", False)
    assert street.live(CALM_S - LOOK_S, "up", True) == []
    assert street.live(PATIENCE_S + LOOK_S, "up", False) == ["modem"]


def test_a_lasting_connection_is_told_and_begins_the_ladder_anew() -> None:
    street = LadderRun()
    street.live(PATIENCE_S + LOOK_S, "up", False)
    assert street.live(CALM_S + LOOK_S, "up", True) == ["recovered"]
    assert "reconnect" in street.reported[-1].why
    assert street.live(86_400, "up", True) == [], "told once"
    assert street.live(PATIENCE_S + LOOK_S, "up", False) == ["reconnect"]


def test_a_second_reboot_within_a_day_is_held_and_told() -> None:
    street = LadderRun()
    street.may_reboot = False
    assert street.live(4 * PATIENCE_S + LOOK_S, "up", False)[-1] == "held"
    assert "within a day" in street.reported[-1].why


def test_the_reboot_of_each_box_waits_its_own_time() -> None:
    early, late = LadderRun(("reconnect", "reboot")), LadderRun(("reconnect", "reboot"), 1_200)
    for street in (early, late):
        street.live(86_400 / 4, "up", False)
    assert early.done[0] == late.done[0]
    assert late.done[1][0] - early.done[1][0] == 1_200


def test_a_process_that_stood_still_has_seen_nothing() -> None:
    ladder = RecoveryLadder(ALL)
    ladder.look(LinkObservation(0, "up", False), True)
    assert ladder.look(LinkObservation(86_400, "up", False), True) is None


World = st.tuples(
    st.floats(0, 4_000),
    st.sampled_from(("up", "down", "no_carrier")),
    st.sampled_from((True, False, None)),
)


@given(st.lists(World, max_size=25), st.booleans())
def test_steps_are_never_closer_than_the_patience_and_never_without_trouble(
    worlds: list[tuple[float, LinkCarrier, bool | None]], may: bool
) -> None:
    street = LadderRun()
    street.may_reboot = may
    for seconds, link, broker in worlds:
        steps = [step for step in street.live(seconds, link, broker) if step != "recovered"]
        if broker is not False or link == "no_carrier":
            assert not steps
    times = [when for when, step in street.done if step != "recovered"]
    assert all(b - a >= PATIENCE_S for a, b in pairwise(times))
    assert may or "reboot" not in [step for _, step in street.done]
