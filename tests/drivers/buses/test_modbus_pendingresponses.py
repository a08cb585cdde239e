"""What is remembered of answers that are owed: whose one may be, and when it is settled."""

import pytest

from drivers.buses.modbus.frame import append_crc
from drivers.buses.modbus.pendingresponses import (
    ANSWERS_LIMIT,
    DOUBTS,
    KINDS,
    PendingResponses,
    ResponseTrust,
)
from edge.core import StaleAnswer
from tests.drivers.buses.asks import BLOCK, HERTZ, VOLTS

S = 1_000_000_000


@pytest.mark.parametrize(("since_s", "copy"), [(4.5, True), (5.5, False)])
def test_a_copy_that_waited_to_be_read_may_be_as_old_as_the_last_look(
    since_s: float, copy: bool
) -> None:
    """Nobody read the line for long: when what waits there came, nobody knows."""
    owed, reported = PendingResponses(5 * S), append_crc(bytes.fromhex("010404 43668000"))
    owed.owe(VOLTS, 0, 0, False)
    owed.came(reported, 3 * S, 0)  # late
    assert owed.bars(VOLTS, 3 * S) is None
    owed.owe(VOLTS, 4 * S, 0, False)
    owed.came(reported, 6 * S, int(since_s * S))
    assert (owed.bars(VOLTS, 6 * S) is not None) == copy


def shifted() -> tuple[PendingResponses, int]:
    """Two answers of one line that are the same, and when the second came."""
    owed, reported = PendingResponses(5 * S), bytes.fromhex("43660000")
    assert owed.worth(VOLTS, reported, None, 0, 0) is ResponseTrust.SOUND
    owed.answered(VOLTS, reported, None, 0, 0)
    assert owed.worth(VOLTS, reported, None, S, S) is ResponseTrust.OLD
    owed.answered(VOLTS, StaleAnswer(reported), None, S, 0)
    return owed, S


def test_an_old_answer_leaves_its_question_open_for_some_answers() -> None:
    owed, now_ns = shifted()
    for at in range(1, DOUBTS):
        now_ns += S
        assert owed.bars(VOLTS, now_ns) is None
        reported = StaleAnswer(at.to_bytes(4, "big"))
        assert owed.worth(VOLTS, reported, None, now_ns, now_ns) is ResponseTrust.OLD
        owed.answered(VOLTS, reported, None, now_ns, 0)
    assert owed.bars(HERTZ, now_ns) is None
    assert owed.worth(VOLTS, b"new!", None, now_ns, now_ns) is ResponseTrust.SOUND


def test_a_question_that_another_waits_for_is_asked_no_more_until_it_is_settled() -> None:
    """Else registers that are asked often would keep all others of their length from being read."""
    owed, now_ns = shifted()
    assert owed.bars(VOLTS, now_ns + S) is None
    assert owed.bars(HERTZ, now_ns + S) is not None
    assert owed.bars(VOLTS, now_ns + S) is not None
    assert owed.bars(VOLTS, now_ns + 5 * S) is None
    assert owed.bars(HERTZ, now_ns + 5 * S) is None


def test_what_most_likely_has_its_answer_takes_no_refusal_from_others() -> None:
    """Each that is not known whose it is would leave one more question open, and so on."""
    owed, now_ns = shifted()
    assert owed.worth(BLOCK, None, 2, now_ns + S, now_ns + S) is ResponseTrust.SOUND
    owed.owe(HERTZ, now_ns, 0, False)
    assert owed.worth(BLOCK, None, 2, now_ns + S, now_ns + S) is ResponseTrust.NONE


def test_a_pause_settles_whose_an_answer_is() -> None:
    owed, now_ns = shifted()
    now_ns += 5 * S
    assert owed.bars(HERTZ, now_ns) is None
    assert owed.worth(VOLTS, b"new!", None, now_ns, now_ns) is ResponseTrust.SOUND


def test_one_answer_more_settles_whose_it_is_and_that_they_come_late() -> None:
    owed, now_ns = shifted()
    owed.came(append_crc(bytes.fromhex("010404 43670000")), now_ns + S // 2, now_ns)
    assert owed.bars(HERTZ, now_ns + S) is None
    assert owed.wary(1, now_ns + S)
    assert owed.worth(VOLTS, b"new!", None, now_ns + S, now_ns + S) is ResponseTrust.SOUND


def test_what_is_remembered_has_an_end() -> None:
    owed = PendingResponses(5 * S)
    for at in range(3 * ANSWERS_LIMIT):
        owed.answered(VOLTS, at.to_bytes(4, "big"), None, at, 0)
    for at in range(3 * KINDS):
        owed.answered((at % 247, 4, at, 1 + at % 125), b"\0\0", None, at, 0)
    assert len(owed._answers) <= KINDS
    assert len(owed._last) <= KINDS
    assert all(len(reported) <= ANSWERS_LIMIT for reported in owed._answers.values())
    assert owed.worth(VOLTS, b"new!", None, 0, 0) is ResponseTrust.SOUND


def test_a_stranger_that_was_never_asked_changes_nothing() -> None:
    owed = PendingResponses(5 * S)
    owed.came(append_crc(bytes.fromhex("630404 43668000")), S, 0)
    owed.came(append_crc(bytes.fromhex("638402")), S, 0)
    assert not owed.wary(0x63, S)
