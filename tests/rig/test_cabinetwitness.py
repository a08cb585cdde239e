"""What the rig sees of a fault, by the name of what is broken."""

from pathlib import Path

import pytest

import drivers
from edge.cabinet.cabinet import Cabinet
from edge.config import load_site
from edge.rig.cabinetwitness import CabinetWitness
from edge.rig.runlog import Driven
from edge.rig.simlayer import sim_site
from tests.rig.crossing import CROSSING

BAY = '[bay.charger]\nkind = "charging"\nbus = "loops"\nline = "GPIO5"\n'
DROVE = [
    Driven(lane=lane, on_s=on_s, off_s=on_s + 1, speed_kmh=50, length_m=4)
    for on_s, lane in ((1.0, "north_1"), (11.0, "north_1"), (12.0, "north_2"), (13.0, "north_1"))
]


class Watched:
    """A cabinet that nobody has started, and a clock."""

    def __init__(self, folder: Path) -> None:
        file = folder / "site.toml"
        file.write_text(CROSSING + BAY, "utf-8")
        self.now_s = 10.0
        self.cabinet = Cabinet(sim_site(load_site(file, drivers.catalogue()), folder, 1883))
        self.witness = CabinetWitness(self.cabinet, lambda: self.now_s)

    def seen(self) -> tuple[int, list[str]]:
        count, evidence = self.witness.seen("it", DROVE)
        return count, [f"{one.t_s:g} {one.text}" for one in evidence]


@pytest.mark.parametrize(
    ("target", "count"),
    [("north_1", 2), ("north_1.trail", 2), ("lane.north_2", 1), ("north", 3),
     ("approach.north", 3)],
)  # fmt: skip
def test_a_loop_shows_it_when_somebody_drives_over_it(
    tmp_path: Path, target: str, count: int
) -> None:
    watched = Watched(tmp_path)
    watched.witness.begin("it", target, "dead")
    found, texts = watched.seen()
    assert found == count
    assert len(texts) == count
    assert texts[0].endswith(": dead")


def test_a_device_and_its_bus_show_it_when_they_are_asked(tmp_path: Path) -> None:
    watched = Watched(tmp_path)
    unit = watched.cabinet.devices["meter"].sim
    unit.answer(1, bytes.fromhex("0400000002"))
    watched.witness.begin("it", "meter", "crc")
    assert watched.seen() == (0, [])
    watched.now_s = 20.0
    unit.answer(1, bytes.fromhex("0400000002"))
    assert watched.seen() == (1, ["20 1 questions to meter: crc"])


def test_a_contact_shows_it_by_its_edges(tmp_path: Path) -> None:
    watched = Watched(tmp_path)
    (lines,) = watched.cabinet.lines.values()
    watched.witness.begin("it", "charger", "chatter")
    for closed in (True, False, True):
        lines.contacts["charger"].set(closed, 1)
    assert watched.seen() == (3, ["10 3 edges of charger: chatter"])
