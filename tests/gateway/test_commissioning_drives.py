"""Drives over lanes in the daemon: which one counts, what it proves, and what is kept of it."""

from pathlib import Path

import pytest

from edge.control.protocol import VerbError
from tests.gateway.commissionparts import SITE, CommissionedBox, S


async def test_a_swapped_pair_is_found_mended_and_driven_over_again(tmp_path: Path) -> None:
    box = CommissionedBox(tmp_path / "store")
    await box.step("begin", by="Anna")
    await box.step("drive", lane="north_1", speed_kmh=31)
    box.drive_over("north_1", 30.0, swapped=True)
    await box.step("finish")
    assert (await box.row("lane:north_1"))["findings"][0]["kind"] == "swapped"
    await box.step("drive", lane="north_1", speed_kmh=31)
    box.drive_over("north_1", 30.0)
    await box.step("finish")
    row = await box.row("lane:north_1")
    assert [each["kind"] for each in row["findings"]] == ["disagrees"], "wires may be loose"
    await box.step("drive", lane="north_1", speed_kmh=31)
    box.drive_over("north_1", 30.0)
    await box.step("finish")
    assert (await box.row("lane:north_1"))["verdict"] == "passed"


async def test_the_drive_is_chosen_from_the_list(tmp_path: Path) -> None:
    box = CommissionedBox(tmp_path / "store")
    await box.step("begin", by="Anna")
    await box.step("drive", lane="north_1", speed_kmh=31)
    for speed in (52.0, 30.0, 47.0):
        box.drive_over("north_1", speed)
    state = await box.state()
    assert state["drive"]["running"]
    assert [round(one["speed_kmh"]) for one in state["drive"]["passages"]] == [52, 30, 47]
    done = await box.step("finish")
    assert not done["own"]
    row = await box.row("lane:north_1")
    assert row["verdict"] == "unproven"
    assert "order_seen" in [each["kind"] for each in row["findings"]]
    mine = done["drive"]["passages"][1]["at_ms"]
    with pytest.raises(VerbError, match="no such passage"):
        await box.step("finish", mine=mine + 1)
    await box.step("finish", mine=mine)
    assert (await box.row("lane:north_1"))["verdict"] == "passed"
    wrong = done["drive"]["passages"][0]["at_ms"]
    await box.step("finish", mine=wrong)
    kinds = [each["kind"] for each in (await box.row("lane:north_1"))["findings"]]
    assert kinds == ["spacing_wrong"]


async def test_what_comes_before_the_command_and_after_the_end_is_no_part_of_a_drive(
    tmp_path: Path,
) -> None:
    box = CommissionedBox(tmp_path / "store")
    await box.step("begin", by="Anna")
    box.drive_over("north_1", 50.0)
    await box.step("drive", lane="north_1", speed_kmh=31)
    box.drive_over("north_1", 30.0)
    await box.step("finish")
    box.drive_over("north_1", 70.0)
    drive = (await box.state())["drive"]
    assert [round(one["speed_kmh"]) for one in drive["passages"]] == [30]
    await box.step("cancel")
    assert (await box.state())["drive"] is None


async def test_a_drive_ends_by_itself(tmp_path: Path) -> None:
    box = CommissionedBox(tmp_path / "store")
    await box.step("begin", by="Anna")
    await box.step("drive", lane="north_1")
    box.clock.mono_ns += 301 * S
    box.drive_over("north_1", 30.0)
    drive = (await box.state())["drive"]
    assert not drive["running"]
    assert drive["passages"] == []


async def test_a_drive_leaves_no_other_vehicle_on_the_disk(tmp_path: Path) -> None:
    box = CommissionedBox(tmp_path / "store")
    await box.step("begin", by="Anna")
    await box.step("drive", lane="north_1", speed_kmh=31)
    for speed in (52.0, 30.0, 47.0):
        box.drive_over("north_1", speed)
    done = await box.step("finish")
    await box.step("finish", mine=done["drive"]["passages"][1]["at_ms"])
    await box.step("sign", by="Anna", reservations=True)
    files = [path for path in (tmp_path / "store").rglob("*") if path.is_file()]
    assert len(files) == 3
    for file in files:
        text = file.read_text()
        assert "30" in text
        assert "52 km/h" not in text
        assert "51.9" not in text
    row = await box.row("lane:north_1")
    assert len(row["figures"]["loops"]) == 2


async def test_a_drive_of_somebody_else_is_not_taken_away(tmp_path: Path) -> None:
    two = SITE + '[lane.north_2]\napproach = "north"\nbus = "loops"\nlead = "e"\ntrail = "f"\n'
    box = CommissionedBox(tmp_path / "store", two + "spacing_m = 4.0\n")
    await box.step("begin", by="Anna")
    await box.step("drive", lane="north_1", speed_kmh=31)
    with pytest.raises(VerbError, match="a drive over north_1 runs"):
        await box.step("drive", lane="north_2", speed_kmh=31)
    await box.step("drive", lane="north_1", speed_kmh=41)  # once more, from the beginning
    box.drive_over("north_1", 40.0)
    await box.step("finish")
    assert (await box.row("lane:north_1"))["verdict"] == "passed"
    await box.step("drive", lane="north_2")
    await box.step("cancel")
    await box.step("drive", lane="north_1")
