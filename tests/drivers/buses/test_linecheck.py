"""What is said of lines that nobody has opened yet."""

from collections.abc import Iterator
from pathlib import Path

import gpiod
import pytest

from drivers.buses.gpio import open_chip
from drivers.buses.gpio.linecheck import check_lines
from drivers.sim.gpio import SimChip
from edge.core import LineSpec


@pytest.fixture
def sim(tmp_path: Path) -> Iterator[SimChip]:
    with SimChip(["LOOP0", "LOOP1", "DOOR"], tmp_path / "gpio.sock") as chip:
        yield chip


def said(sim: SimChip, *lines: str, ours: str = "") -> list[str]:
    found = check_lines(f"sim:{sim.path}", [LineSpec(line) for line in lines], ours)
    return [f"{one.severity}: {one}" for one in found]


def test_free_missing_and_doubled_lines_are_told_apart(sim: SimChip) -> None:
    free, missing, same = said(sim, "LOOP0", "LOOP7", "GPIO0")
    assert free.startswith("note: line LOOP0")
    assert free.endswith("is there and free")
    assert "has no line LOOP7" in missing
    assert "did you mean LOOP" in missing
    assert "GPIO0 is the same line" in same
    assert "as LOOP0; give one of the two devices another line" in same
    assert not sim.consumer(0)  # it was looked at, and not taken


def test_who_holds_a_line_is_named_unless_it_is_us(sim: SimChip) -> None:
    chip = open_chip(f"sim:{sim.path}")
    reported = []
    for consumer in ("gpiomon", "kerbstone-1"):
        request = chip.request_lines({0: gpiod.LineSettings()}, consumer, 16)
        reported += said(sim, "LOOP0", ours="kerbstone")
        request.release()
    chip.close()
    assert "held by gpiomon: stop that program" in reported[0]
    assert reported[1].endswith("is there and ours")


def test_a_chip_that_is_not_there_is_all_that_is_said() -> None:
    [found] = check_lines("/dev/gpiochip250", [LineSpec("LOOP0"), LineSpec("LOOP1")])
    assert "there is no chip /dev/gpiochip250; present: " in str(found)
