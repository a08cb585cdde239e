"""Faults that only a machine of its own can show, on parts that remember what was done to them."""

from collections.abc import Iterator
from typing import Any

import pytest

from edge.rig.boxfaults import BoxFaults, BoxParts
from edge.rig.layer import LayerError
from edge.rig.scenario import Fault


class Parts:
    """Broker, disk, network and power in one; `done` is what was done to them."""

    def __init__(self) -> None:
        self.done: list[str] = []
        self.count = 0

    def show_certificate(self, *, ended: bool) -> None:
        self.done.append(f"ended {ended}")

    def reset(self) -> None:
        """Of the link: a connection has looked at the former one."""

    def slow(self, flush_s: float) -> None:
        self.done.append(f"flush {flush_s:g}")

    def lose(self, share: float) -> None:
        self.done.append(f"lose {share:g}")

    def refused_certificates(self) -> int:
        return self.count

    flushes = dropped = refused_certificates

    def start(self) -> None:
        self.done.append("start")

    def cut_power(self) -> Iterator[str]:
        self.done.append("off")
        yield "it is off"
        yield "7 sectors were lost"


class World:
    def __init__(self, parts: BoxParts) -> None:
        self.now_s, self.moved, self.speaks = 100.0, 0, True
        self.faults = BoxFaults(parts, lambda: self.now_s, lambda: self.moved, lambda: self.speaks)


def world(parts: Parts, *, whole: bool = True) -> World:
    one: Any = parts
    more = {"slow_disk": one, "net": one} if whole else {}
    return World(BoxParts(one, one, one, None, parts.cut_power, True, **more))


def fault(target: str, kind: str, amount: float | None = None) -> Fault:
    return Fault(name="f", target=target, kind=kind, at_s=0.0, for_s=10.0, amount=amount)


@pytest.mark.parametrize(
    ("one", "begun", "healed", "seen"),
    [
        (fault("disk", "slow_fsync", 2.0), "flush 2", "flush 0", "3 flushes took 2 s each"),
        (
            fault("link", "packet_loss", 0.2), "lose 0.2", "lose 0",
            "3 packets that the box sent were lost",
        ),
        (
            fault("broker", "expired_certificate"), "ended True", "ended False",
            "3 connections were ended by who saw the certificate",
        ),
    ],
)  # fmt: skip
def test_it_begins_shows_and_heals(one: Fault, begun: str, healed: str, seen: str) -> None:
    parts = Parts()
    here = world(parts)
    parts.count = 5
    here.faults.begin(one)
    assert parts.done == [begun]
    here.moved = 4
    assert here.faults.evidence(one) == (4, [])  # nothing is to be seen yet
    parts.count = 8
    through, told = here.faults.evidence(one)
    assert (through, [each.text for each in told]) == (4, [seen])
    here.faults.end(one)
    assert parts.done == [begun, healed]


@pytest.mark.parametrize(
    "one", [fault("disk", "slow_fsync", 2.0), fault("link", "packet_loss", 0.2)]
)
def test_a_layer_without_it_says_so(one: Fault) -> None:
    with pytest.raises(LayerError, match=r"this layer|this machine"):
        world(Parts(), whole=False).faults.begin(one)


def test_after_a_power_cut_the_box_starts_again_and_what_was_lost_is_told() -> None:
    parts = Parts()
    here = world(parts)
    one = fault("power", "cut")
    here.speaks = False
    here.faults.begin(one)
    assert here.faults.waits_to_start()
    assert [each.text for each in here.faults.evidence(one)[1]] == [
        "it is off", "7 sectors were lost",
    ]  # fmt: skip
    here.now_s += 3
    here.faults.tick()
    assert parts.done == ["off", "start"]
    here.speaks = True
    assert here.faults.evidence(one)[1][-1].text == "the box answers again"
    assert not here.faults.waits_to_start()
