"""How a played Modbus line lets an answer go: byte by byte, or in one piece when it is due."""

import os
import select
import tty
from pathlib import Path

import pytest

import drivers
from drivers.sim.meter_line import STEP_S, WHOLE_S, checksum
from drivers.sim.timeline import Timeline
from edge.cabinet.playedbus import PlayedRtu
from edge.cabinet.playeddevice import play_device
from edge.cabinet.simrequest import device_request
from edge.config import load_site
from edge.core.driver import SerialLine
from tests.rig.crossing import CROSSING

LINE = SerialLine(9600, 8, "N", 1)
QUESTION = bytes.fromhex("010400000028")  # 40 registers


@pytest.mark.parametrize(("step_s", "least", "most"), [(STEP_S, 3, 85), (WHOLE_S, 1, 1)])
def test_an_answer_comes_in_pieces_or_whole(
    tmp_path: Path, step_s: float, least: int, most: int
) -> None:
    file = tmp_path / "site.toml"
    file.write_text(CROSSING, "utf-8")
    site = load_site(file, drivers.catalogue())
    meter = play_device("meter", device_request(site, "meter"), lambda: 0.0, 0)
    line = PlayedRtu("meters", [meter], Timeline(), tmp_path / "tty", "", LINE)
    line.step_s = step_s
    line.start()
    try:
        fd = os.open(tmp_path / "tty", os.O_RDWR | os.O_NOCTTY)
        tty.setraw(fd)
        os.write(fd, QUESTION + checksum(QUESTION))
        pieces: list[bytes] = []
        while sum(map(len, pieces)) < 85 and select.select([fd], [], [], 5.0)[0]:
            pieces.append(os.read(fd, 1000))
        os.close(fd)
    finally:
        line.stop()
    assert sum(map(len, pieces)) == 85
    assert least <= len(pieces) <= most
