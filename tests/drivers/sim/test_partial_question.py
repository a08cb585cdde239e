"""Simulated serial devices forget the beginning of a question after a silence, as real ones do."""

import os
import select
import time

import pytest

from drivers.sim._responder import Responder, SharedLine, TimedReply
from drivers.sim._talker import Talker
from drivers.sim.dlt645 import Dlt645
from drivers.sim.iec62056 import Iec62056

SILENCE_S = 0.05


class Pair(Responder):
    """Answers two bytes with both."""

    forgets_s = SILENCE_S

    def hear(self, heard: bytes) -> tuple[bytes, list[TimedReply]]:
        return (b"", [(0.0, heard)]) if len(heard) >= 2 else (heard, [])


class PairTalker(Talker):
    """Answers two bytes with both, and says nothing by itself."""

    forgets_s = SILENCE_S

    def speak(self) -> bytes:
        return b""

    def hear(self, heard: bytes) -> bytes:
        if len(heard) < 2:
            return heard
        self.send(heard)
        return b""


@pytest.mark.parametrize("made", [Pair(), PairTalker(0.01), PairTalker(60.0)])
def test_what_came_before_a_silence_is_no_part_of_a_question(made: Responder | Talker) -> None:
    with made:
        port = os.open(made.port, os.O_RDWR | os.O_NOCTTY)
        os.write(port, b"a")
        while not made.settled(1):
            time.sleep(0.001)
        time.sleep(3 * SILENCE_S)
        os.write(port, b"bc")  # at once: between two writes a busy machine may be silent, too
        assert select.select([port], [], [], 5)[0]
        assert os.read(port, 8) == b"bc"
        os.close(port)


def test_each_device_of_a_line_has_its_own_patience() -> None:
    slow = Pair()
    slow.forgets_s = 60.0
    with SharedLine([Pair(), slow]) as line:
        port = os.open(line.port, os.O_RDWR | os.O_NOCTTY)
        os.write(port, b"a")
        while not line.settled(1):
            time.sleep(0.001)
        time.sleep(3 * SILENCE_S)
        os.write(port, b"b")
        assert select.select([port], [], [], 5)[0]
        assert os.read(port, 8) == b"ab"
        os.close(port)


def test_the_standards_say_how_long_a_pause_may_be() -> None:
    assert Dlt645.forgets_s == 0.5
    assert Iec62056.forgets_s == 1.5
