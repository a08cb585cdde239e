"""Commissioning in the daemon: each step, its refusals, what is kept, and what makes it stale."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from edge.control.protocol import VerbError
from edge.core import Contact
from edge.platform.acceptancecheck import check_sheet
from edge.wire.contract.body import body_map
from tests.gateway.commissionparts import SITE, CommissionedBox, S


async def test_all_steps_pass_and_the_sheet_is_signed_kept_and_told(tmp_path: Path) -> None:
    box = CommissionedBox(tmp_path / "store")
    await box.whole()
    state = await box.state()
    assert state["counts"] == {"passed": 9, "unproven": 0, "doubtful": 0, "failed": 0}
    signed = await box.step("sign", by="Anna", note="all well")
    assert signed["acceptance"]["state"] == "accepted"
    assert not signed["open"]
    (draft,) = box.drafts
    body = body_map(draft.body)
    file = (await box.state(form="json"))["file"]
    assert body["sheet_sha256"] == file["sha256"]
    assert body["counts"]["passed"] == 9
    assert body["open"] == {}
    page = (await box.state(form="html", number="1"))["page"]
    assert "Acceptance of Quay" in page
    assert file["sha256"] in page
    assert check_sheet(json.dumps(file).encode(), told_sha256=body["sheet_sha256"]).faults == ()


async def test_it_is_left_and_resumed_by_another_process(tmp_path: Path) -> None:
    box = CommissionedBox(tmp_path / "store")
    await box.whole()
    before = await box.state()
    again = CommissionedBox(tmp_path / "store")
    after = await again.state()
    assert after["steps"] == before["steps"]
    assert after["by"] == "Anna"
    assert after["open"]


async def test_nothing_is_done_before_somebody_begins(tmp_path: Path) -> None:
    box = CommissionedBox(tmp_path / "store")
    for act, words in (
        ("test", {"step": "device:hut"}), ("drive", {"lane": "north_1"}), ("sign", {"by": "A"}),
        ("field", {"step": "loop:north_1.lead", "key": "q", "value": 9}),
    ):  # fmt: skip
        with pytest.raises(VerbError, match="begin first"):
            await box.step(act, **words)
    assert (await box.state())["acceptance"]["state"] == "none"


@pytest.mark.parametrize(
    ("act", "words", "why"),
    [
        ("nonsense", {}, "act is one of"),
        ([], {}, "act is one of"),
        ("begin", {}, "by is the name"),
        ("begin", {"by": "\x1b[31m"}, "by is a name"),
        ("begin", {"by": "x" * 65}, "by is a name"),
        ("test", {"step": "device:roof"}, "there is no step"),
        ("test", {"step": None}, "there is no step"),
        ("test", {"step": "lane:north_1"}, "drive over it"),
        ("test", {"step": "loop:north_1.lead"}, "fill its fields in"),
        ("drive", {"lane": "south"}, "lane is one of north_1"),
        ("drive", {"lane": "north_1", "speed_kmh": 900}, "speed_kmh is a number"),
        ("drive", {"lane": "north_1", "speed_kmh": True}, "speed_kmh is a number"),
        ("drive", {"lane": "north_1", "length_m": "long"}, "length_m is a number"),
        ("finish", {}, "no drive runs"),
        ("finish", {"mine": "1"}, "mine is the number"),
        ("field", {"step": "loop:north_1.lead", "key": "ohm", "value": 1}, "no such field"),
        ("field", {"step": "loop:north_1.lead", "key": "q", "value": "x"}, "is a number"),
        ("field", {"step": "loop:north_1.lead", "key": "q", "value": float("nan")}, "number from"),
        ("field", {"step": "loop:north_1.lead", "key": "q", "value": -1}, "number from"),
        ("field", {"step": "loop:north_1.lead", "key": "q", "value": 10**400}, "number from"),
        ("field", {"step": "loop:north_1.lead", "key": [], "value": 1}, "no such field"),
        ("field", {"step": "loop:north_1.lead", "key": {}, "value": 1}, "no such field"),
        ("field", {"step": "device:hut", "key": "direction", "value": []}, "direction is one"),
        ("field", {"step": "device:hut", "key": "direction", "value": "up"}, "direction is one"),
        ("field", {"step": "record", "key": "q", "value": 1}, "no such field"),
        ("found", {"places": 3}, "kerbstone scan"),
        ("name", {"id": "abc", "name": "roof"}, "nothing that was found"),
        ("name", {"id": "abc", "name": "a b"}, "name is an id"),
        ("dismiss", {"id": None}, "nothing that was found"),
        ("sign", {"by": "Anna", "note": "x" * 501}, "note is text"),
        ("sign", {"by": "Anna"}, "no step has been done"),
    ],
)
async def test_what_cannot_be_is_refused_with_what_can(
    tmp_path: Path, act: Any, words: dict[str, Any], why: str
) -> None:
    box = CommissionedBox(tmp_path / "store")
    await box.step("begin", by="Anna")
    with pytest.raises(VerbError, match=why):
        await box.step(act, **words)


async def test_another_site_file_makes_stale_what_it_changes_and_nothing_else(
    tmp_path: Path,
) -> None:
    box = CommissionedBox(tmp_path / "store")
    await box.whole()
    await box.step("sign", by="Anna")
    same = CommissionedBox(tmp_path / "store", SITE + '\n[approach.north]\nname = "North"\n')
    assert same.owner.stale() == []
    other = CommissionedBox(tmp_path / "store", SITE.replace("spacing_m = 4.0", "spacing_m = 4.5"))
    assert other.owner.stale() == ["lane:north_1"]
    status = other.owner.status()
    assert status.state == "stale"
    row = await other.row("lane:north_1")
    assert (row["stale"], row["verdict"]) == ("configuration", "unproven")
    assert (await other.row("device:hut"))["verdict"] == "passed"
    more = CommissionedBox(
        tmp_path / "store", SITE + '[device.roof]\ndriver = "bme280"\nbus = "air"\n'
    )
    assert more.owner.stale() == ["scan", "device:roof"]


async def test_another_device_in_its_place_makes_its_step_stale(tmp_path: Path) -> None:
    box = CommissionedBox(tmp_path / "store")
    await box.whole()
    await box.step("sign", by="Anna")
    box.serials = {"hut": "8"}
    assert box.owner.stale() == ["device:hut"]
    assert (await box.row("device:hut"))["stale"] == "device"
    box.serials = {}  # it does not say: nobody knows better
    assert box.owner.stale() == []
    box.serials = {"hut": "8"}
    await box.step("begin", by="Ben")
    await box.step("test", step="device:hut")
    await box.step("sign", by="Ben")
    assert box.owner.stale() == []
    assert box.owner.status().number == 2


async def test_another_box_in_its_place_makes_stale_what_is_wired_to_it(tmp_path: Path) -> None:
    """The file went along; the sheets did not."""
    box = CommissionedBox(tmp_path / "store")
    await box.whole()
    await box.step("sign", by="Anna")
    (tmp_path / "other").mkdir()
    shutil.copy(tmp_path / "store" / "commissioning.json", tmp_path / "other")
    other = CommissionedBox(tmp_path / "other", board="10000000c0ffee02")
    assert other.owner.stale() == ["contact:door", "pulses:lamp", "bay:bakery", "lane:north_1"]
    assert other.owner.status().number == 1
    with pytest.raises(VerbError, match="there is no sheet 1 on this box"):
        await other.state(form="json")
    await other.step("begin", by="Ben")
    assert (await other.step("sign", by="Ben", reservations=True))["number"] == 2


async def test_begin_anew_forgets_and_begin_goes_on(tmp_path: Path) -> None:
    box = CommissionedBox(tmp_path / "store")
    await box.whole()
    await box.step("begin", by="Ben")
    assert (await box.row("device:hut"))["verdict"] == "passed"
    assert (await box.row("device:hut"))["by"] == "Anna"
    await box.step("begin", by="Ben", anew=True)
    state = await box.state()
    assert state["counts"]["passed"] == 0
    assert len(state["found"]) == 1, "what answered is not forgotten"


async def test_a_contact_that_is_not_operated_is_no_proof(tmp_path: Path) -> None:
    box = CommissionedBox(tmp_path / "store")
    await box.step("begin", by="Anna")
    await box.step("test", step="contact:door")
    assert (await box.row("contact:door"))["findings"][0]["kind"] == "operate_it"
    box.clock.mono_ns += 20 * S
    await box.step("test", step="contact:door")
    assert (await box.row("contact:door"))["findings"][0]["kind"] == "contact_still"
    on_ns = box.clock.mono_ns
    box.contacts(Contact("door", True, on_ns), Contact("door", False, on_ns + S))
    box.clock.mono_ns += 2 * S
    await box.step("test", step="contact:door")
    assert (await box.row("contact:door"))["verdict"] == "passed"


async def test_a_device_that_answered_and_is_in_no_site_file_is_offered(tmp_path: Path) -> None:
    box = CommissionedBox(tmp_path / "store")
    await box.step("begin", by="Anna")
    places = [{"place": "/dev/ttyUSB9", "refused": "", "whole": True, "devices": [
        {"driver": "sdm120", "what": "Eastron SDM120", "options": {"unit": 3}, "serial": "9",
         "line": "9600 8N1"}]}]  # fmt: skip
    state = await box.step("found", places=places)
    (one,) = state["found"]
    assert one["matched"] == ""
    assert (await box.row("scan"))["verdict"] == "doubtful"
    again = CommissionedBox(tmp_path / "store")
    assert (await again.state())["found"] == state["found"], "it is not forgotten"
    await again.step("sign", by="Anna", reservations=True)
    file = (await again.state(form="json"))["file"]
    assert file["sheet"]["unmatched"][0]["what"] == "Eastron SDM120"
    await again.step("begin", by="Anna")
    await again.step("name", id=one["id"], name="roof_meter")
    assert (await again.row("scan"))["findings"][0]["kind"] == "named_only"
    assert (await again.state())["found"][0]["name"] == "roof_meter"
    await again.step("dismiss", id=one["id"])
    assert (await again.row("scan"))["verdict"] == "passed"


async def test_a_damaged_state_is_set_aside_and_sheets_keep_their_numbers(tmp_path: Path) -> None:
    box = CommissionedBox(tmp_path / "store")
    await box.step("begin", by="Anna")
    await box.step("test", step="device:hut")
    await box.step("sign", by="Anna", reservations=True)
    state = tmp_path / "store" / "commissioning.json"
    for damage in (b"{", b'{"v": 99}', b"\xff\xfe", b"[]"):
        state.write_bytes(damage)
        again = CommissionedBox(tmp_path / "store")
        assert again.owner.session.number == 1
        assert not again.owner.session.is_open
        assert (state.parent / "commissioning.json.damaged").read_bytes() == damage
    await again.step("begin", by="Anna")
    await again.step("test", step="device:hut")
    assert (await again.step("sign", by="Anna", reservations=True))["number"] == 2


async def test_a_disk_that_refuses_changes_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    box = CommissionedBox(tmp_path / "store")
    await box.step("begin", by="Anna")
    before = await box.state()

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(box.files, "save", full)
    with pytest.raises(VerbError, match="could not be kept"):
        await box.step("test", step="device:hut")
    assert await box.state() == before


@pytest.mark.parametrize("value", [float("nan"), float("inf"), float("-inf")])
async def test_a_search_with_a_number_that_json_has_not_leaves_the_state_readable(
    tmp_path: Path, value: float
) -> None:
    box = CommissionedBox(tmp_path / "store")
    await box.whole()
    before = await box.state()
    device = {"driver": "sdm120", "what": "x", "options": {"unit": value}, "serial": "", "line": ""}
    places = [{"place": "/dev/x", "refused": "", "whole": True, "devices": [device]}]
    with pytest.raises(VerbError, match="kerbstone scan"):
        await box.step("found", places=places)
    assert await CommissionedBox(tmp_path / "store").state() == {**before, "drive": None}


async def test_another_direction_asks_for_another_test(tmp_path: Path) -> None:
    """A meter that passed as one that generates has not passed as one that does not."""
    box = CommissionedBox(tmp_path / "store")
    await box.whole()
    await box.step("field", step="device:hut", key="direction", value="import")
    assert (await box.row("device:hut"))["verdict"] == "passed", "it was tested so"
    await box.step("field", step="device:hut", key="direction", value="either")
    row = await box.row("device:hut")
    assert (row["verdict"], row["done"]) == ("unproven", False)


async def test_a_confirmation_of_long_ago_proves_no_way_to_the_city(tmp_path: Path) -> None:
    box = CommissionedBox(tmp_path / "store")
    await box.step("begin", by="Anna")
    box.confirmed_ns = box.clock.mono_ns
    box.clock.mono_ns += 86_400 * S
    await box.step("test", step="record")
    (found,) = (await box.row("record"))["findings"]
    assert (found["kind"], found["verdict"]) == ("record_old", "unproven")
    assert found["figures"]["age"] == 86_400


async def test_measured_values_of_a_loop_on_another_line_are_stale(tmp_path: Path) -> None:
    """`lead` and `trail` were exchanged: what was measured belongs to the other one."""
    box = CommissionedBox(tmp_path / "store")
    await box.whole()
    row = await box.row("loop:north_1.lead")
    assert (row["verdict"], row["by"]) == ("passed", "Anna")
    swapped = SITE.replace('lead = "a"\ntrail = "b"', 'lead = "b"\ntrail = "a"')
    other = CommissionedBox(tmp_path / "store", swapped)
    row = await other.row("loop:north_1.lead")
    assert (row["verdict"], row["stale"]) == ("unproven", "configuration")
    await other.step("begin", by="Ben")
    await other.step("sign", by="Ben", reservations=True)
    page = (await other.state(form="html"))["page"]
    assert "north_1.lead: the site file changed since this was measured" in page
    await other.step("begin", by="Ben")
    await other.step("field", step="loop:north_1.lead", key="q", value=11)
    row = await other.row("loop:north_1.lead")
    assert (row["verdict"], row["stale"], row["fields"]) == ("unproven", "", {"q": 11.0})
