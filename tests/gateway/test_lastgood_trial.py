"""A start with a file that was changed as a transaction: its first bad start is its last."""

from pathlib import Path

import pytest

from edge.core import ConfigError
from edge.gateway.applymark import apply_mark_file
from edge.gateway.lastgood import GOOD_NAME, LastGood, file_digest
from edge.gateway.sitefile import SiteFile
from edge.gateway.trialstate import KILLED_TEXT, TRIAL_NAME, WorkingParts
from tests.gateway.test_lastgood import NOW_S, loaded

WORKED = WorkingParts(("hut_air",))


class TriedBox:
    """A box that starts again and again; `boot` is that of its machine."""

    def __init__(self, folder: Path, *, handed: bool = False) -> None:
        self.state, self.file, self.handed, self.boot = folder / "state", folder / "s", handed, "1"

    def start(self, text: str | None = None) -> tuple[LastGood, str]:
        """What runs: the text of a file, or "refused"."""
        if text is not None:
            self.file.write_text(text)
        one = LastGood(self.state, self.file, loaded, loaded, handed=self.handed, boot=self.boot)
        try:
            return one, one.choose(NOW_S, 1_000).file
        except ConfigError:
            return one, "refused"

    def good(self, text: str) -> None:
        one, _ = self.start(text)
        one.is_good()
        one.stopped(WORKED)

    def announce(self, text: str, confirm_s: int = 0) -> None:
        one, _ = self.start()
        one.trials.open(file_digest(text.encode()), WORKED, confirm_s=confirm_s)
        one.stopped(WORKED)


@pytest.fixture
def box(tmp_path: Path) -> TriedBox:
    made = TriedBox(tmp_path)
    made.good("old")
    return made


def test_the_first_bad_start_of_an_applied_file_is_its_last(box: TriedBox) -> None:
    box.announce("new")
    assert box.start("new")[1] == "new"
    one, runs = box.start()  # it was killed
    assert runs == "old"
    assert KILLED_TEXT in one.fallback
    one.stopped()
    assert box.start()[1] == "old", "and it is not tried again"
    found = one.trials.rejected(file_digest(b"new"))
    assert found is not None
    assert found.reason == "bad_start"


def test_a_file_that_is_refused_gives_way_in_the_same_start(box: TriedBox) -> None:
    box.announce("bad word")
    one, runs = box.start("bad word")
    assert runs == "old"
    assert "s:7: device.x: bad word (and 1 more)" in one.fallback


def test_what_shows_only_when_it_is_built_is_refused_at_the_next_start(box: TriedBox) -> None:
    box.announce("new")
    one, _ = box.start("new")
    one.refused("no such certificate", NOW_S)
    again, runs = box.start()
    assert runs == "old"
    assert "no such certificate" in again.fallback


def test_it_is_confirmed_when_it_has_run_well(box: TriedBox) -> None:
    box.announce("new")
    one, _ = box.start("new")
    one.is_good(NOW_S)
    assert (box.state / GOOD_NAME).read_text() == "new"
    assert [box.start()[1] for _ in range(3)] == ["new"] * 3, "a kill is no bad start any more"


def test_a_kill_between_the_two_files_of_a_confirmation_confirms_it(box: TriedBox) -> None:
    box.announce("new")
    one, _ = box.start("new")
    (box.state / GOOD_NAME).write_text("new")
    again, runs = box.start()
    assert runs == "new"
    assert again.fallback == ""
    assert again.trials.on_trial(file_digest(b"new")) is None
    assert one.trials.on_trial(file_digest(b"new")) is not None, "as it was left"


def test_a_signed_file_is_on_trial_without_a_word(tmp_path: Path) -> None:
    box = TriedBox(tmp_path, handed=True)
    assert [box.start("first")[1] for _ in range(3)] == ["first"] * 3, "there is no other one"
    box.good("first")
    one, runs = box.start("second")
    assert runs == "second"
    trial = one.trials.on_trial(file_digest(b"second"))
    assert trial is not None
    assert trial.worked == WORKED, "what the first one could read when it ended"
    assert box.start()[1] == "first", "it was killed"
    assert box.start("third")[1] == "third"


def test_another_signed_file_in_the_middle_of_a_trial_is_measured_by_the_last_good_one(
    tmp_path: Path,
) -> None:
    """The operator mends his file before the box has said that it is wrong."""
    box = TriedBox(tmp_path, handed=True)
    box.good("first")
    one, _ = box.start("second")
    one.stopped(WorkingParts())  # enrolment brings another one, and starts the daemon anew
    one, runs = box.start("third")
    assert runs == "third"
    trial = one.trials.on_trial(file_digest(b"third"))
    assert trial is not None
    assert (trial.running, trial.worked) == (True, WORKED), "not by what the second one read"
    assert box.start()[1] == "first", "it was killed: not the second one, of which nobody knows"
    one, runs = box.start("second")
    assert (runs, one.fallback) == ("second", ""), "nothing was wrong with it"


def test_a_signed_file_that_is_signed_again_has_another_trial(tmp_path: Path) -> None:
    """Number 2 was deaf, because its broker was not up yet. The operator signs the old one again
    (3), brings his broker up, and signs the other one again (4)."""
    box = TriedBox(tmp_path, handed=True)
    box.good("first")
    one, runs = box.start("second")
    assert runs == "second"
    one.trials.reject(file_digest(b"second"), "deaf", "deaf", 0)
    one.stopped()
    box.good("first")
    assert box.start("second")[1] == "second"


def test_a_file_that_the_operator_signs_leaves_the_technician_s_trial_as_it_is(
    box: TriedBox,
) -> None:
    """On a box with a site file of its own the signed one is not used: the daemon is started anew,
    and that is all."""
    box.announce("mine", 600)
    one, _ = box.start("mine")
    before = one.trials.on_trial(file_digest(b"mine"))
    one.stopped(WorkingParts())
    one, runs = box.start()
    assert (runs, one.trials.on_trial(file_digest(b"mine"))) == ("mine", before)


def test_a_file_that_is_edited_by_hand_has_its_three_starts_as_before(box: TriedBox) -> None:
    assert [box.start("new")[1] for _ in range(4)] == ["new", "new", "new", "old"]


def test_a_rejected_file_is_not_worth_a_try_after_a_day(box: TriedBox) -> None:
    box.announce("new")
    box.start("new")
    one, runs = box.start()
    assert runs == "old"
    assert not one.worth_a_try(NOW_S + 100_000, 100_000)
    box.file.write_text("mended")
    assert one.worth_a_try(NOW_S, 1)


def test_a_file_that_is_the_last_good_one_again_needs_no_start(box: TriedBox) -> None:
    box.announce("new")
    box.start("new")
    one, _ = box.start()
    assert not one.mended()
    box.file.write_text("old")
    assert one.mended()
    assert one.fallback == ""
    assert not one.worth_a_try(NOW_S, 1)


@pytest.mark.parametrize("left", ["announced", "in place", "killed while announced"])
def test_a_kill_while_it_is_applied_leaves_the_one_or_the_other(box: TriedBox, left: str) -> None:
    """Announced, and not in place: the old one runs. In place: the new one, on trial."""
    box.announce("new", 600)
    if left == "killed while announced":
        (box.state / f"{TRIAL_NAME}.new").write_bytes(b"half")
    one, runs = box.start("new" if left == "in place" else None)
    assert runs == ("new" if left == "in place" else "old")
    assert one.fallback == ""
    trial = one.trials.on_trial(file_digest(b"new"))
    assert trial is not None
    assert (trial.running, trial.confirm_s) == (left == "in place", 600)


@pytest.mark.parametrize("killed", [True, False])
@pytest.mark.parametrize("by_hand", ["edited", "old"])
def test_a_file_that_a_person_puts_in_its_place_ends_the_trial(
    box: TriedBox, killed: bool, by_hand: str
) -> None:
    """It is the person's word. The last good one stays what it was until the new one runs well."""
    box.announce("new", 600)
    one, _ = box.start("new")
    if not killed:
        one.stopped(WORKED)
    one, runs = box.start(by_hand)
    assert (runs, one.fallback) == (by_hand, "")
    state = one.trials.read()
    assert (state.trial, state.announced, state.rejected) == (None, None, ())
    assert file_digest(b"new")[:12] in one.trials.left_text(file_digest(by_hand.encode()))
    assert one.trials.left_text(file_digest(b"third")) == ""
    assert (box.state / GOOD_NAME).read_text() == "old"
    one.stopped(WorkingParts())
    assert box.start("new")[1] == "new", "nothing speaks against it"
    assert one.trials.read().trial is None, "and it has no trial, and no time that is over"


def test_a_rejected_file_that_a_person_puts_in_its_place_ends_the_trial_too(box: TriedBox) -> None:
    box.announce("bad word")
    box.start("bad word")
    box.announce("new")
    box.start("new")
    one, runs = box.start("bad word")
    assert runs == "old"
    assert one.trials.read().trial is None


def test_a_site_file_that_cannot_be_read_ends_no_trial(box: TriedBox) -> None:
    box.announce("new")
    one, _ = box.start("new")
    one.stopped()
    box.start("")
    assert one.trials.read().trial is not None


def test_what_a_file_can_read_that_was_edited_by_hand_is_no_measure(box: TriedBox) -> None:
    one, _ = box.start("edited")
    one.stopped(WorkingParts())
    assert one.trials.read().worked == WORKED, "of the last good one"


def test_a_rejected_file_that_is_applied_while_no_daemon_runs_is_tried_by_the_next_start(
    box: TriedBox,
) -> None:
    box.announce("new")
    box.start("new")
    one, _ = box.start()
    one.stopped()
    file = SiteFile(box.file)
    file.replace(b"new", file.digest, told=False)  # as `kerbstone config apply`, over itself
    one, runs = box.start()
    assert (runs, one.fallback) == ("new", "")
    assert one.trials.on_trial(file_digest(b"new")) is not None
    one, runs = box.start()
    assert runs == "old", "it was killed in its trial: an apply is for one trial"
    file.replace(b"new", file.digest, told=False)
    assert box.start()[1] == "new", "and the next one for another"


def test_a_file_that_failed_three_times_is_tried_when_it_is_applied(box: TriedBox) -> None:
    assert [box.start("new")[1] for _ in range(4)][-1] == "old"
    file = SiteFile(box.file)
    file.replace(b"new", file.digest, told=False)
    assert box.start()[1] == "new"


@pytest.mark.parametrize("damage", [b"", b"{}", b"[" * 900, b"x" * 5000])
def test_a_damaged_mark_of_an_apply_is_none(box: TriedBox, damage: bytes) -> None:
    box.announce("new")
    box.start("new")
    box.start()
    apply_mark_file(box.file).write_bytes(damage)
    assert box.start()[1] == "old"


def test_an_apply_that_the_daemon_was_told_of_takes_an_older_mark_away(box: TriedBox) -> None:
    file = SiteFile(box.file)
    file.replace(b"new", file.digest, told=False)
    file.replace(b"old", file.digest)
    box.announce("new")
    file.replace(b"new", file.digest)
    box.start()
    assert [box.start()[1] for _ in range(2)] == ["old", "old"]


def test_a_stop_in_order_neither_ends_nor_restarts_the_trial(box: TriedBox) -> None:
    box.announce("new", 600)
    for _ in range(5):
        one, runs = box.start("new")
        assert runs == "new"
        one.stopped(WorkingParts())
    one, _ = box.start()
    trial = one.trials.on_trial(file_digest(b"new"))
    assert trial is not None
    assert trial.worked == WORKED, "what the file on trial reads is no measure"
