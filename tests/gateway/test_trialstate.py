"""The file of a configuration's trial: its steps, and what a kill or damage leaves of it."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.gateway.trialstate import (
    CUT_TEXT,
    INTERRUPTED_LIMIT,
    KILLED_TEXT,
    NAMES_KEPT,
    REJECTED_KEPT,
    TRIAL_LIMIT,
    TRIAL_NAME,
    ConfigTrials,
    OpenTrial,
    RejectedConfig,
    TrialMoment,
    TrialNotKeptError,
    TrialState,
    WorkingParts,
    parse_trial_state,
)

A, B = "a" * 64, "b" * 64
NOW = TrialMoment("boot-1", 1_000)
WORKED = WorkingParts(("hut_air",), ("line GPIO17",))


@pytest.fixture
def trials(tmp_path: Path) -> ConfigTrials:
    return ConfigTrials(tmp_path)


def again(trials: ConfigTrials) -> ConfigTrials:
    """What another process finds."""
    found = ConfigTrials(trials._path.parent)
    found.read()
    return found


def test_an_open_trial_begins_once_and_is_confirmed(trials: ConfigTrials) -> None:
    trials.open(A, WORKED, confirm_s=600)
    assert again(trials).begin(A, NOW) == ""
    found = again(trials).on_trial(A)
    assert found is not None
    assert (found.running, found.confirm_s, found.worked) == (True, 600, WORKED)
    third = again(trials)
    third.confirm(A, 7)
    assert third.on_trial(A) is None
    assert again(third).state.confirmed == A


def test_who_is_killed_in_the_trial_has_had_it(trials: ConfigTrials) -> None:
    trials.open(A, WORKED)
    assert trials.begin(A, NOW) == ""
    assert again(trials).begin(A, NOW) == KILLED_TEXT


def test_who_ends_in_order_goes_on_with_it_and_with_its_time(trials: ConfigTrials) -> None:
    trials.open(A, WORKED)
    trials.begin(A, NOW)
    trials.pause(None)
    later = again(trials)
    assert later.begin(A, TrialMoment("boot-1", 9_000)) == ""
    assert later.on_trial(A) is not None
    assert later.state.trial is not None
    assert later.state.trial.since_ns == NOW.mono_ns


def test_power_cuts_are_nobody_s_fault_three_times(trials: ConfigTrials) -> None:
    trials.open(A, WORKED)
    for number in range(INTERRUPTED_LIMIT):
        assert again(trials).begin(A, TrialMoment(f"boot-{number}", 1)) == ""
        trials.read()
    assert again(trials).begin(A, TrialMoment("boot-9", 1)) == CUT_TEXT.format(INTERRUPTED_LIMIT)


def test_a_rejected_one_is_known_until_somebody_opens_it_again(trials: ConfigTrials) -> None:
    trials.open(A, WORKED)
    trials.reject(A, "deaf", "not connected", 7)
    trials.open(B)
    found = again(trials).rejected(A)
    assert found is not None
    assert (found.reason, found.text, found.final) == ("deaf", "not connected", True)
    trials.open(A)
    assert again(trials).rejected(A) is None


def test_an_announcement_that_came_to_nothing_forgets_no_rejection(trials: ConfigTrials) -> None:
    """Killed between announcing B and putting it in place: A lies there, and had its trial."""
    trials.reject(A, "blind", "hut_air", 7)
    trials.open(B, WORKED, confirm_s=60)
    assert again(trials).rejected(A) is not None
    assert again(trials).on_trial(A) is None


def test_an_announcement_that_came_to_nothing_ends_no_trial(trials: ConfigTrials) -> None:
    trials.open(A, WORKED, confirm_s=600)
    trials.begin(A, NOW)
    trials.open(B, WORKED)
    found = again(trials).on_trial(A)
    assert found is not None
    assert (found.running, found.confirm_s) == (True, 600)
    trials.begin(B, NOW)
    assert again(trials).on_trial(A) is None, "now it is another one's"


def test_what_a_newer_program_may_do_better_is_tried_again_by_it(
    trials: ConfigTrials, monkeypatch: pytest.MonkeyPatch
) -> None:
    trials.reject(A, "refused", "unknown driver", 7)
    trials.reject(B, "deaf", "not connected", 7)
    monkeypatch.setattr("edge.gateway.trialstate.VERSION", "99.0")
    assert again(trials).rejected(A) is None
    assert again(trials).rejected(B) is not None


def test_the_file_is_bounded(trials: ConfigTrials) -> None:
    many = WorkingParts(tuple(f"{'d' * 60}{n}" for n in range(5000)), ("l" * 64,) * 5000)
    for number in range(3 * REJECTED_KEPT):
        digest = f"{number:064x}"
        trials.open(digest, many)
        trials.reject(digest, "blind", "x" * 5000, 7)
    trials.open(A, many)
    trials.pause(many)
    assert len(trials.state.rejected) == REJECTED_KEPT
    assert len(trials.state.worked.devices) == NAMES_KEPT
    assert trials._path.stat().st_size < TRIAL_LIMIT
    assert again(trials).on_trial(A) is not None


STATES = st.builds(
    TrialState,
    trial=st.none() | st.builds(
        OpenTrial, digest=st.just(A), confirm_s=st.integers(0, 86_400), boot=st.text(max_size=9),
        since_ns=st.integers(0, 1 << 60), running=st.booleans(),
        worked=st.builds(WorkingParts, st.just(("ä", "b")), st.just(())),
    ),
    rejected=st.lists(
        st.builds(
            RejectedConfig, digest=st.just(B), reason=st.sampled_from(["deaf", "by_hand"]),
            text=st.text(max_size=30),
        ), max_size=2,
    ).map(tuple),
)  # fmt: skip


@given(STATES, st.data())
def test_what_was_written_is_read_back_and_damage_is_nothing(
    state: TrialState, data: st.DataObject
) -> None:
    packed = state.packed()
    assert parse_trial_state(packed) == state
    damaged = bytearray(packed)
    at = data.draw(st.integers(0, len(packed) - 2))
    damaged[at] ^= 1 << data.draw(st.integers(0, 6))
    assert parse_trial_state(bytes(damaged)) in (TrialState(), state)
    assert parse_trial_state(packed[:at]) == TrialState()


@given(st.binary(max_size=300))
def test_whatever_lies_there_is_read_without_an_error(data: bytes) -> None:
    assert isinstance(parse_trial_state(data), TrialState)


def test_what_cannot_be_kept_did_not_happen_and_what_ends_a_trial_goes_on_in_memory(
    tmp_path: Path,
) -> None:
    (tmp_path / TRIAL_NAME).mkdir()
    trials = ConfigTrials(tmp_path)
    assert trials.read() == TrialState()
    for step in (
        lambda: trials.open(A, WORKED),
        lambda: trials.begin(A, NOW),
        lambda: trials.confirm(A, 7),
    ):
        with pytest.raises(TrialNotKeptError, match=f"{TRIAL_NAME}: Is a directory"):
            step()
        assert trials.state == TrialState()
    trials.reject(A, "deaf", "not connected", 7)
    assert trials.rejected(A) is not None
