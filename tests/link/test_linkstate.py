"""What outlives a reboot, a power cut and a damaged card. No wall clock is read at all."""

from pathlib import Path

import pytest

from edge.link.budget import Counter
from edge.link.linkstate import DAY_S, SAVE_S, UNREPORTED_LIMIT, LinkState, LinkStateFile
from tests.kit.clock import JumpingClock


class RebootingGateway:
    """A box with a disk: boots, lives, loses power."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "link_state"
        self.boots = 0
        self.clock = JumpingClock(0)

    def boot(self) -> tuple[LinkStateFile, LinkState]:
        self.boots += 1
        self.clock = JumpingClock(20_000_000_000)
        return self.start()

    def start(self) -> tuple[LinkStateFile, LinkState]:
        """The process starts, in the same boot."""
        book = LinkStateFile(self.path, f"boot-{self.boots}", self.clock)
        return book, book.load()

    def live(self, state: LinkState, seconds: float) -> None:
        self.clock.passes(seconds)
        state.tick(self.clock.mono_ns / 1e9)


@pytest.fixture
def box(tmp_path: Path) -> RebootingGateway:
    return RebootingGateway(tmp_path)


def test_the_age_is_the_sum_of_all_uptimes(box: RebootingGateway) -> None:
    book, state = box.boot()
    box.live(state, 1_000)
    book.save(state)
    _, state = box.boot()
    assert (state.age_s, state.boots) == (1_040, 2)


def test_a_restart_of_the_process_counts_nothing_twice(box: RebootingGateway) -> None:
    book, state = box.boot()
    box.live(state, 1_000)
    book.save(state)
    box.clock.passes(5)
    _, state = box.start()
    assert (state.age_s, state.boots) == (1_025, 1)


def test_one_reboot_a_day_over_boots(box: RebootingGateway) -> None:
    book, state = box.boot()
    assert not state.may_reboot, "a new link state knows nothing, so it waits a day"
    box.live(state, DAY_S)
    assert state.may_reboot
    state.rebooted_s = state.age_s
    book.save(state)
    _, state = box.boot()
    assert not state.may_reboot
    box.live(state, DAY_S - 21)
    assert not state.may_reboot
    box.live(state, 1)
    assert state.may_reboot


def test_a_disk_that_forgets_cannot_make_a_loop_of_reboots(box: RebootingGateway) -> None:
    for _ in range(5):
        box.path.unlink(missing_ok=True)
        _, state = box.boot()
        box.live(state, DAY_S - 60)
        assert not state.may_reboot


@pytest.mark.parametrize("cut", [0, 1, 8, 9, 10, 60, -1, -2])
def test_a_torn_file_is_put_aside_and_waits_a_day(box: RebootingGateway, cut: int) -> None:
    book, state = box.boot()
    box.live(state, 9 * DAY_S)
    book.save(state)
    whole = box.path.read_bytes()
    box.path.write_bytes(whole[:cut])
    _, state = box.boot()
    assert not state.may_reboot
    assert box.path.with_suffix(".damaged").read_bytes() == whole[:cut]


def test_each_flipped_bit_is_noticed(box: RebootingGateway) -> None:
    book, state = box.boot()
    state.counters = {"wwan0": Counter(3, 1_000)}
    box.live(state, 9 * DAY_S)
    book.save(state)
    whole = box.path.read_bytes()
    for place in range(len(whole) - 1):
        box.path.write_bytes(whole[:place] + bytes([whole[place] ^ 1]) + whole[place + 1 :])
        _, found = box.boot()
        assert not found.may_reboot, place


def test_counters_of_another_boot_are_forgotten(box: RebootingGateway) -> None:
    book, state = box.boot()
    state.counters = {"wwan0": Counter(3, 1_000)}
    book.save(state)
    assert box.start()[1].counters
    assert box.boot()[1].counters == {}


def test_the_card_is_written_twice_an_hour(box: RebootingGateway) -> None:
    book, state = box.boot()
    written = 0
    for _ in range(int(3_600 / 30)):
        box.live(state, 30)
        before = box.path.read_bytes()
        book.save_if_due(state)
        written += before != box.path.read_bytes()
    assert written == 3_600 / SAVE_S


def test_a_disk_that_cannot_be_written_says_so(box: RebootingGateway) -> None:
    book, state = box.boot()
    box.path.with_name(".link_state.new").mkdir()
    assert not book.save(state)
    assert book.failure


def test_untold_steps_have_an_end_and_the_rest_is_counted() -> None:
    state = LinkState()
    for number in range(UNREPORTED_LIMIT + 3):
        state.record_step("reconnect", str(number), "done")
    assert len(state.unreported) == UNREPORTED_LIMIT
    assert (state.unreported[0].why, state.unreported_lost) == ("3", 3)
