"""What devices have learnt over a restart, and how old it is."""

from edge.core import Stamp, TimeQuality
from edge.gateway.baselines import Baselines
from tests.kit.clock import FLOOR, NONE, NTP, RTC
from tests.kit.engine import S


class LearningNose:
    def __init__(self) -> None:
        self.given: list[tuple[bytes, float]] = []

    def snapshot(self) -> bytes:
        return b"x"

    def restore(self, kept: bytes, age_s: float) -> None:
        self.given.append((kept, age_s))


def age_s(boot: int, now: Stamp, tq: TimeQuality = NTP) -> float:
    former = Baselines({"nose": LearningNose(), "gone": LearningNose(), "deaf": LearningNose()})
    former.update({"nose": b"k", "gone": b"k", "deaf": b"k"}, 4, Stamp(100 * S, 5000 * S, tq))
    nose = LearningNose()
    lessons = Baselines({"nose": nose, "deaf": object()})
    lessons.restore(former.snapshot())
    lessons.restore_devices(boot, now)
    assert lessons.snapshot()["learnt"].keys() == {"nose"}
    ((kept, age),) = nose.given
    assert kept == b"k"
    return age


def test_how_old_it_is_is_told_by_the_clock_that_can() -> None:
    assert age_s(4, Stamp(160 * S, 9 * S, NONE)) == 60.0
    assert age_s(5, Stamp(3 * S, 5300 * S, NTP)) == 300.0
    assert age_s(5, Stamp(3 * S, 5300 * S, FLOOR)) == -1.0
    assert age_s(5, Stamp(3 * S, 5300 * S, NTP), RTC) == -1.0


def test_who_is_silent_after_a_start_keeps_what_it_had_and_its_age() -> None:
    former = Baselines({"a": LearningNose(), "b": LearningNose()})
    former.update({"a": b"A", "b": b"B"}, 4, Stamp(100 * S, 0, NONE))
    lessons, last = Baselines({"a": LearningNose(), "b": LearningNose()}), LearningNose()
    lessons.restore(former.snapshot())
    lessons.update({"a": b"A2", "b": b""}, 4, Stamp(900 * S, 0, NONE))
    lessons.update({"a": b"A2"}, 4, Stamp(1800 * S, 0, NONE))  # it fell silent, too
    ages = LearningNose()
    again = Baselines({"a": ages, "b": last})
    again.restore(lessons.snapshot())
    again.restore_devices(4, Stamp(2000 * S, 0, NONE))
    assert (ages.given, last.given) == ([(b"A2", 1100.0)], [(b"B", 1900.0)])
