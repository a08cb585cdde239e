"""Tables of detectors: where each lies, and what nobody guesses."""

from pathlib import Path

import pytest

from edge.recordings import detectorroles
from edge.recordings.detectorroles import DetectorPlace, places_of, read_roles
from edge.recordings.leftout import LeftOut

LOGS = Path(__file__).parent / "logs"


def test_the_table_of_atspm_places_detectors_by_phase_and_function() -> None:
    told = LeftOut()
    places = read_roles(LOGS / "detectors.csv", told)
    assert places == {
        ("7", "2"): DetectorPlace("p2", "advance", "mainline", 2),
        ("7", "3"): DetectorPlace("p2", "stop", "mainline", 2, True),
        ("7", "4"): DetectorPlace("p2", "stop", "mainline", 2),
        ("7", "9"): DetectorPlace("p5", "stop", "turn", 5, True),
        ("7", "8"): DetectorPlace("p2", "stop", "mainline", 2),
    }
    assert told.count(detectorroles.TWICE) == 1
    assert told.count(detectorroles.NOT_READ) == 1


def test_a_zone_is_no_neighbour_of_the_loops_that_lie_in_it() -> None:
    places = read_roles(LOGS / "detectors.csv", LeftOut())
    found = dict(places_of(places, "7", {"3": "D3", "4": "D4", "9": "D9"}, "stop"))
    assert (found["D3"].position, found["D4"].position) == ("mid", "stop")
    assert found["D9"].position == "stop"  # nothing else is there


def test_a_zone_across_lanes_is_the_neighbour_of_none(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_text("DeviceId,Phase,Parameter,Function\n7,2,41,Yellow_Red\n")
    told = LeftOut()
    assert read_roles(path, told) == {}
    assert told.count(detectorroles.NOTHING_SAID) == 1
    assert told.wrong == 0


def test_a_detector_without_a_row_is_an_approach_of_its_own() -> None:
    ((line, place),) = places_of({}, "7", {"9": "D9"}, "stop")
    assert (line, place) == ("D9", DetectorPlace("d9", "stop", "mainline", None))


@pytest.mark.parametrize(
    ("row", "place"),
    [
        ("1,,,North,advance,bus", DetectorPlace("north", "advance", "bus", None)),
        ("1,4,Bike,,,", DetectorPlace("p4", "stop", "bicycle", 4)),
        ("1,4.0,Stop Bar,,,", DetectorPlace("p4", "stop", "mainline", 4)),
        ("1,,,I-94 W,corridor,mainline", DetectorPlace("i-94_w", "corridor", "mainline", None)),
    ],
)
def test_a_table_of_ones_own_says_approach_position_and_role(
    tmp_path: Path, row: str, place: DetectorPlace
) -> None:
    path = tmp_path / "t.csv"
    path.write_text(f"Detector,Phase,Function,Approach,Position,Role\n{row}\n")
    assert read_roles(path, LeftOut()) == {("", "1"): place}


def test_a_table_without_signals_counts_for_each() -> None:
    places = {("", "1"): DetectorPlace("north", "mid", "mainline", None)}
    ((_, place),) = places_of(places, "7", {"1": "D1"}, "stop")
    assert place.approach == "north"
