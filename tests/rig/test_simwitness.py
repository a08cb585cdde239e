"""What the box of the layer `sim` itself shows of a fault of its own."""

import pytest

from edge.rig.runlog import Seen
from edge.rig.scenario import Fault
from edge.rig.simwitness import BACK, SILENT, BoxWitness

KILL = Fault(name="kill", target="gateway", kind="kill", at_s=1.0)
JUMP = Fault(name="jump", target="clock", kind="jump", at_s=1.0)


def told(fault: Fault, amount: float, looks: list[tuple[int | None, float | None]]) -> list[str]:
    """After looks that showed so many rows, and a clock so far beside; before, it was 10 s."""
    witness = BoxWitness()
    witness.begin(fault, 10.0)
    for t_s, (queue, beside_s) in enumerate(looks):
        witness.look(fault, amount, Seen(t_s=t_s, queue=queue), beside_s)
    return [one.text for one in witness.evidence(fault)]


def test_a_kill_is_seen_by_silence_and_an_answer_after_it() -> None:
    assert told(KILL, 0.0, [(3, 10.0), (3, 10.0)]) == []  # it answers as if nothing had been
    assert told(KILL, 0.0, [(None, None), (None, None)]) == [SILENT]
    assert told(KILL, 0.0, [(None, None), (0, 10.0), (0, 10.0), (None, None)]) == [SILENT, BACK]


@pytest.mark.parametrize("amount", [3600.0, -3600.0, 2.0])
def test_a_jump_is_seen_by_the_clock_that_the_box_tells(amount: float) -> None:
    expected = f"the clock that the box tells has moved by {amount:+.0f} s"
    assert told(JUMP, amount, [(1, 10.0 + amount)] * 2) == [expected]
    assert told(JUMP, amount, [(1, 10.0), (1, 10.2), (None, None)]) == []


def test_a_jump_that_whole_seconds_do_not_show_is_told_as_what_it_is() -> None:
    assert told(JUMP, 0.5, [(1, 10.0)]) == ["its clock was set by +0.5 s, and it answers"]
