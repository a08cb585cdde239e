"""Lines open later than the daemon starts: who was not seen meanwhile is named, and nobody else."""

from pathlib import Path
from typing import Any

from edge.core import Contact, Edge
from edge.gateway.recover import GAP_TEXTS, OpeningLines
from tests.kit.asread import as_read
from tests.kit.engine import MS, S
from tests.kit.lives import GatewayLife, GatewayStorage, closed

LINED = ["east_1", "heat", "north_1"]


def openings(box: GatewayStorage) -> list[tuple[list[str], list[Any]]]:
    """Who was not open, and when, in ms."""
    reported = (r.body for r in box.events("gap") if r.body["text"] == GAP_TEXTS["opening"])
    return [(body["sources"], [at // 1000 for at in body["gap"]]) for body in reported]


def opened(life: GatewayLife, *lines: str) -> None:
    """A chip has found the levels of these."""
    life.ingest.edges([Edge(line, False, life.now().mono_ns, 0) for line in lines])


def test_a_gap_in_which_lines_were_not_open_names_their_sources_only(tmp_path: Path) -> None:
    box = GatewayStorage(tmp_path)
    life = GatewayLife(box, 7 * S, opening_ns=700 * MS)
    life.run(20 * S)
    closed(life)
    assert openings(box) == [(LINED, [7000, 7700])]
    assert box.audit().clean


def test_a_chip_that_opens_later_tells_its_own_lines(tmp_path: Path) -> None:
    """Of a lane whose loops hang on two chips, the second one ends what nobody saw."""
    box = GatewayStorage(tmp_path)
    life = GatewayLife(box, 7 * S, opening_ns=None)
    life.run(int(7.5 * S))
    opened(life, "a", "c")
    life.run(int(9.5 * S))
    opened(life, "b", "d")
    life.run(12 * S)
    closed(life)
    assert openings(box) == [
        (["east_1", "north_1"], [7000, 7500]),
        (["heat", "north_1"], [7000, 9500]),
    ]


def test_killed_between_two_chips_the_next_start_tells_of_the_second(tmp_path: Path) -> None:
    box = GatewayStorage(tmp_path)
    life = GatewayLife(box, 7 * S, opening_ns=None)
    life.run(int(7.5 * S))
    opened(life, "a", "c")
    life.run(int(9.5 * S))  # told, and committed; killed
    life = GatewayLife(box, 10 * S)
    life.run(12 * S)
    closed(life)
    first, second = openings(box)
    assert first == (["east_1", "north_1"], [7000, 7500])
    assert second[0] == ["heat", "north_1"]
    assert second[1][0] == 7000
    assert 8900 <= second[1][1] <= 9500, "to the last proof of life"


def test_a_line_that_fails_to_open_is_a_fault_and_no_gap_without_an_end() -> None:
    opening = OpeningLines(1, 5 * S, ["north_1.lead", "door"])
    opening.fault("door")
    assert opening.take([Contact("door", True, 6 * S, initial=True)]) == []
    (gap,) = opening.ended(7 * S)
    assert as_read(gap)["sources"] == ["north_1"]
    assert opening.ended(8 * S) == []


def test_a_first_level_that_came_with_the_start_is_no_gap() -> None:
    opening = OpeningLines(1, 5 * S, ["a"])
    assert opening.take([Contact("a", True, 4 * S, initial=True)]) == [], "of another opening"
    assert opening.take([Contact("a", True, 6 * S)]) == [], "an edge is no level that was found"
    assert opening.take([Contact("a", True, 5 * S, initial=True)]) == []
    assert not opening.closed
