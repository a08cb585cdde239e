"""What is carried between a played cabinet and a guest: levels of lines, transfers on its bus."""

import errno
import struct
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import pytest

from edge.cabinet.cabinet import Cabinet
from edge.cabinet.desk import Desk, open_desk
from edge.rig.guestparts import FILES, FOLDERS, guest_parts
from edge.rig.guestwires import DELAY_NS, RETAKE_NS, GuestWires, lane_of_line, unpacked
from edge.rig.layer import LayerError
from edge.rig.qemulayer import used_lines

SITE = Path(__file__).parents[2] / "edge/rig/library/sites/ringroad.toml"
STATUS = b"\xd2\x06"  # of a SEN55
ADDRESS = 0x69


class Machine:
    """What a guest is told of its lines."""

    def __init__(self) -> None:
        self.pulled: list[tuple[str, bool]] = []
        self.moments: list[int] = []

    def pull(self, line: str, high: bool, moment_ns: int = 0, lane: str = "") -> None:
        self.pulled.append((line, high))
        self.moments.append(moment_ns)


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    found = open_desk(SITE, tmp_path / "desk")
    found.lock.release()
    return found


def question(number: int, *messages: tuple[int, int, bytes]) -> bytes:
    """As the module tells a transfer: address, length to read or 0, what is written."""
    head = struct.pack("=IHH", number, len(messages), 0)
    rows = [
        struct.pack("=HHHH", address, 1 if reads else 0, reads or len(data), 0) + data
        for address, reads, data in messages
    ]
    return head + b"".join(rows)


def test_a_transfer_is_read_as_the_module_tells_it() -> None:
    number, (write, read) = unpacked(question(7, (0x69, 0, b"\1\2"), (0x69, 3, b"")))
    assert number == 7
    assert (write.address, write.reads, write.data) == (0x69, False, b"\1\2")
    assert (read.address, read.reads, read.length) == (0x69, True, 3)


def test_a_chip_of_the_cabinet_answers_the_guest(desk: Desk) -> None:
    with Cabinet(desk.site) as cabinet:
        wires = GuestWires(cabinet)
        answer = wires.transfer(question(9, (ADDRESS, 0, STATUS)))
        assert struct.unpack_from("=Ii", answer) == (9, 0)
        nobody = wires.transfer(question(10, (0x33, 0, b"\0")))
        assert struct.unpack_from("=Ii", nobody) == (10, -errno.EREMOTEIO)
        cabinet.misbehave("air", "unplugged")
        gone = wires.transfer(question(11, (ADDRESS, 0, STATUS)))
        assert struct.unpack_from("=Ii", gone) == (11, -errno.ENXIO)
        assert cabinet.buses["air"].asked(cabinet.devices["hut_air"]) >= 1


def test_a_machine_has_all_levels_when_it_is_attached_and_each_change_after_it(desk: Desk) -> None:
    cabinet = Cabinet(desk.site)
    chip = cabinet.lines["loops"].chip
    wires = GuestWires(cabinet)
    chip.drive("GPIO17", True, 1)
    chip.drive("27", False, 1)
    machine = Machine()
    ahead = [5_000]
    wires.attach(cast("Any", machine), lambda: ahead[0])
    assert sorted(machine.pulled) == [("GPIO17", True), ("GPIO27", False)]
    assert machine.moments == [0, 0]
    chip.drive("GPIO17", False, 2)
    assert (machine.pulled[-1], machine.moments[-1]) == (("GPIO17", False), 5_002 + DELAY_NS)
    ahead[0] += RETAKE_NS  # known a little better: two loops of a lane stay of one time
    chip.drive("GPIO27", True, 3)
    assert machine.moments[-1] == 5_003 + DELAY_NS
    ahead[0] += 1
    chip.drive("GPIO27", False, 4)
    assert machine.moments[-1] == 5_005 + RETAKE_NS + DELAY_NS
    assert chip.level("GPIO17") is False
    wires.detach()
    chip.drive("GPIO17", True, 3)
    assert machine.pulled[-1] == ("GPIO27", False)
    chip.close()


def test_a_cabinet_with_two_buses_of_a_kind_is_refused_with_their_names(desk: Desk) -> None:
    buses = {**desk.site.buses, "more_air": desk.site.buses["air"]}
    cabinet = Cabinet(replace(desk.site, buses=buses))
    with pytest.raises(LayerError, match="one I2C bus; this site has air, more_air"):
        GuestWires(cabinet)
    cabinet.lines["loops"].chip.close()


def test_the_loops_of_a_lane_belong_together(desk: Desk) -> None:
    lanes = lane_of_line(desk.site, "loops")
    assert lanes["GPIO17"] == lanes["GPIO27"] != ""
    assert len(set(lanes.values())) == len(desk.site.lanes_on("loops"))


def test_the_lines_of_the_site_are_called_as_in_the_guest(desk: Desk) -> None:
    assert used_lines(desk.site, "loops")[:2] == ["GPIO17", "GPIO27"]
    assert used_lines(desk.site, "") == []


def test_a_folder_that_is_no_guest_says_what_it_has_not(tmp_path: Path) -> None:
    with pytest.raises(LayerError, match=r"it has no vmlinuz, .*first/.*make rig-qemu"):
        guest_parts(tmp_path)
    for name in FOLDERS:
        (tmp_path / name).mkdir()
    for name in FILES:
        (tmp_path / name).touch()
    (tmp_path / "first/01-b.ko").touch()
    (tmp_path / "first/00-a.ko").touch()
    parts = guest_parts(tmp_path)
    assert [one.name for one in parts.first_modules] == ["00-a.ko", "01-b.ko"]
