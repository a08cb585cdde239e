"""The score of speeds: what vehicles truly did, what lanes say of it, and what is left out."""

from pathlib import Path

import numpy as np
import pytest

from models import speeds
from models.congestion.scenarios.crossings import save_crossings
from models.congestion.scenarios.simstreet import (
    SAMPLE,
    LoopPlace,
    SimStreet,
    StreetLink,
    save_street,
    trail_of,
)

SPACING_M, LOOP_M, CAR_M = 4.0, 2.0, 4.5


def crossing(at_s: float, kmh: float, stands_s: float = 0.0) -> list[float]:
    """Of a car at constant speed; one that stands does so with its front between the loops."""
    v = kmh / 3.6
    on_s, apart_s = (CAR_M + LOOP_M) / v, SPACING_M / v
    lead_off, trail_on = at_s + on_s + stands_s, at_s + apart_s + stands_s
    pace = (apart_s + stands_s + apart_s) / 2 / SPACING_M
    return [at_s, lead_off, trail_on, lead_off + apart_s, pace, v]


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """Five minutes: cars at 50 km/h, and in each minute one that stands for twenty seconds."""
    rows = [crossing(60 * k + 4 + 3 * i, 50) for k in range(5) for i in range(9)]
    rows += [crossing(60 * k + 33, 10, stands_s=20) for k in range(5)]
    found = np.array(sorted(rows))
    lead = LoopPlace("north_1", "north", "advance", 0, "lead", 200.0, LOOP_M, SPACING_M)
    none, green = np.zeros(30), np.array([[0.0, 300.0]])
    link = StreetLink("north", "arterial", 1, 250, 50, None, None, (), (), none, none, green)
    loops = (lead, *trail_of(lead))
    stays = (found[:, :2], found[:, 2:4])
    street = SimStreet("one", "arterial", "train", 1, 5 / 60, (link,), loops, stays)
    save_street(street, tmp_path / "one")
    save_crossings({"north_1": found}, tmp_path / "one")
    return tmp_path


def test_slow_vehicles_are_in_the_mean_and_the_limits_of_iris_leave_them_out(
    place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert speeds.main(["--streets", str(place)]) == 0
    reported = capsys.readouterr().out
    rows = [line for line in reported.splitlines() if line.startswith("| advance")]
    pair, bands, iris, lead = ([cell.strip() for cell in row.split("|")[2:-1]] for row in rows)
    true = 10 / (9 * 0.072 + crossing(0, 10, 20)[4]) * 3.6
    assert pair[:2] == ["5", "100.0 %"]
    assert float(pair[3]) == float(pair[4]) == pytest.approx(true, abs=0.1)
    assert float(pair[2]) > 2 * true  # who stood came at 10 km/h
    assert pair[-1] == "0.0 %"
    assert bands == ["100.0 %", "", "", "", "", "100.0 %"]
    assert float(iris[4]) == 50
    assert float(lead[4]) == pytest.approx(true, rel=0.2)


def test_streets_without_pairs_are_left_out(capsys: pytest.CaptureFixture[str]) -> None:
    assert speeds.main(["--streets", str(SAMPLE)]) == 1
    assert capsys.readouterr().out == "0 streets with pairs, windows of 60 s\n"


def test_a_folder_without_streets_is_told(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit):
        speeds.main(["--streets", str(tmp_path)])
    assert "no meta.json" in capsys.readouterr().err
