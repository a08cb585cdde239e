"""What devices say of themselves: events, and what they have learnt over a restart."""

from typing import Any

from edge.app.learnt import Learnt
from edge.app.told import Told, changes
from edge.core import Condition, Stamp

FAN = {Condition.FAN: "the fan stands still"}


def bodies(before: Told, now: Told) -> list[dict[str, Any]]:
    return [dict(draft.body) for draft in changes("hut", before, now, 7)]


def test_a_condition_is_an_event_when_it_comes_and_when_it_goes() -> None:
    (came,) = bodies(Told("1"), Told("1", FAN))
    assert (came["event"], came["state"], came["condition"]) == ("health", "on", "fan")
    assert came["text"] == "hut: the fan stands still"
    (gone,) = bodies(Told("1", FAN), Told("1"))
    assert (gone["state"], gone["condition"]) == ("off", "fan")
    assert bodies(Told("1", FAN), Told("1", {Condition.FAN: "in other words"})) == []


def test_another_serial_number_is_an_event_and_the_first_is_none() -> None:
    assert bodies(Told(), Told("1")) == []
    (swap,) = bodies(Told("1"), Told("2"))
    assert (swap["event"], swap["before"], swap["after"]) == ("swap", "1", "2")


def test_it_survives_a_restart() -> None:
    assert Told.parse(Told("1", FAN).packed()) == Told("1", FAN)


class Nose:
    def __init__(self) -> None:
        self.given: list[tuple[bytes, float]] = []

    def kept(self) -> bytes:
        return b"x"

    def restore(self, kept: bytes, age_s: float) -> None:
        self.given.append((kept, age_s))


S = 1_000_000_000


def age_s(boot: int, now: Stamp, tq: Any = "ntp") -> float:
    learnt = Learnt.parse(Learnt(4, Stamp(100 * S, 5000 * S, tq), {"nose": b"k", "gone": b"k"})
                          .packed())  # fmt: skip
    nose = Nose()
    learnt.give_back({"nose": nose, "deaf": object()}, boot, now)
    ((kept, age),) = nose.given
    assert kept == b"k"
    return age


def test_how_old_it_is_is_told_by_the_clock_that_can() -> None:
    assert age_s(4, Stamp(160 * S, 9 * S, "none")) == 60.0
    assert age_s(5, Stamp(3 * S, 5300 * S, "ntp")) == 300.0
    assert age_s(5, Stamp(3 * S, 5300 * S, "floor")) == -1.0
    assert age_s(5, Stamp(3 * S, 5300 * S, "ntp"), "rtc") == -1.0
