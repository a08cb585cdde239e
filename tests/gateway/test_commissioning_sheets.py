"""Acceptance sheets of the daemon: signed, kept, told to the city, and checked there."""

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest

from edge.control.protocol import VerbError
from edge.core.clock import TimeQuality
from edge.gateway.commissionfiles import SHEETS_KEPT
from edge.gateway.manifestsigner import make_byte_signer
from edge.platform.acceptancecheck import check_sheet
from edge.platform.signatures import CertificateKeys
from edge.wire.acceptancebytes import sheet_digest
from edge.wire.contract.body import body_map
from tests.gateway.commissionparts import CommissionedBox
from tests.kit.certificates import CertificateAuthority


async def test_a_sheet_that_is_not_there(tmp_path: Path) -> None:
    box = CommissionedBox(tmp_path / "store")
    for words, why in (
        ({"form": "json"}, "no sheet has been signed"),
        ({"form": "json", "number": 7}, "there is no sheet 7"),
        ({"form": "pdf", "number": 7}, "form is json or html"),
        ({"form": "html", "number": "../../etc"}, "form is json or html"),
    ):
        with pytest.raises(VerbError, match=why):
            await box.state(**words)


async def test_what_has_not_passed_is_signed_only_with_reservations(tmp_path: Path) -> None:
    box = CommissionedBox(tmp_path / "store")
    await box.step("begin", by="Anna")
    await box.step("test", step="device:hut")
    with pytest.raises(VerbError, match=r"lane:north_1 \(unproven\)"):
        await box.step("sign", by="Anna")
    assert (await box.state())["last_sheet"] is None
    await box.step("sign", by="Anna", reservations=True)
    body = body_map(box.drafts[0].body)
    assert body["state"] == "reservations"
    assert body["open"]["lane:north_1"] == "unproven"


async def test_the_city_checks_a_sheet_with_the_key_of_the_box(tmp_path: Path) -> None:
    authority = CertificateAuthority(tmp_path)
    cert, key = authority.issue("gw-1")
    box = CommissionedBox(tmp_path / "store", sign=make_byte_signer(key, cert))
    await box.whole()
    await box.step("sign", by="Anna")
    file = (await box.state(form="json"))["file"]
    body = body_map(box.drafts[0].body)
    assert body["sig"] == file["signature"]["sig"]
    folder = tmp_path / "keys"
    folder.mkdir()
    (folder / "gw-1.pem").write_bytes(cert.read_bytes())
    keys = CertificateKeys(folder)
    whole = check_sheet(json.dumps(file).encode(), keys, body["sheet_sha256"])
    assert whole.faults == ()
    assert whole.signed_by == body["cert_sha256"]
    file["sheet"]["steps"][0]["verdict"] = "failed"
    assert "changed" in check_sheet(json.dumps(file).encode(), keys).faults[0]
    changed = check_sheet(json.dumps({**file, "sha256": check_sheet(
        json.dumps(file).encode()).sha256}).encode(), keys, body["sheet_sha256"])  # fmt: skip
    assert len(changed.faults) == 2, "neither the event nor the signature is of it"


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"[]",
        b"{}",
        b'{"sheet": 3}',
        b"[" * 100_000,
        b"\xff",
        b'{"sheet": {"kind": "acceptance", "x": ' + b"[" * 900 + b"]" * 900 + b"}}",
    ],
)
def test_what_is_no_sheet_is_refused(data: bytes) -> None:
    """How deep is too deep differs between versions of Python: then it is read, and is no sheet."""
    try:
        found = check_sheet(data)
    except ValueError:
        return
    assert found.faults


async def test_an_event_that_may_be_lost_is_told_again_and_not_for_ever(tmp_path: Path) -> None:
    box = CommissionedBox(tmp_path / "store")
    await box.step("begin", by="Anna")
    await box.step("test", step="device:hut")
    await box.step("sign", by="Anna", reservations=True)
    again = CommissionedBox(tmp_path / "store")  # the process was killed before it was committed
    await again.owner.tell_again()
    assert body_map(again.drafts[0].body)["number"] == 1
    again.owner.told.look(again.drafts)
    await again.owner.told.close()
    third = CommissionedBox(tmp_path / "store")
    await third.owner.tell_again()
    assert len(third.drafts) == 1, "it waited for a commit, and the process was killed again"
    third.owner.told.look([])
    await third.owner.told.close()
    fourth = CommissionedBox(tmp_path / "store")
    await fourth.owner.tell_again()
    assert fourth.drafts == []


async def test_few_sheets_are_kept(tmp_path: Path) -> None:
    box = CommissionedBox(tmp_path / "store")
    for _ in range(SHEETS_KEPT + 3):
        await box.step("begin", by="Anna")
        await box.step("test", step="device:hut")
        await box.step("sign", by="Anna", reservations=True)
    assert box.files.numbers() == list(range(4, SHEETS_KEPT + 4))


async def test_a_clock_that_is_not_set_is_not_told(tmp_path: Path) -> None:
    box = CommissionedBox(tmp_path / "store")
    box.clock.tq = TimeQuality.NONE
    await box.step("begin", by="Anna")
    await box.step("test", step="device:hut")
    await box.step("sign", by="Anna", reservations=True)
    assert (await box.row("device:hut"))["at"] is None
    assert "at" not in (await box.state())["acceptance"]
    assert "the clock of the box was not set" in (await box.state(form="html"))["page"]


async def test_of_two_who_sign_at_once_one_has_signed(tmp_path: Path) -> None:
    box = CommissionedBox(tmp_path / "store")
    await box.whole()
    done = await asyncio.gather(
        *(box.step("sign", by=name) for name in ("Anna", "Ben")), return_exceptions=True
    )
    assert isinstance(done[1], VerbError)
    assert "begin first" in str(done[1])
    assert [body_map(each.body)["by"] for each in box.drafts] == ["Anna"]
    assert (await box.state(form="json"))["file"]["sheet"]["by"] == "Anna"


async def test_what_is_found_while_a_sheet_is_made_is_on_it_or_refused(tmp_path: Path) -> None:
    box = CommissionedBox(tmp_path / "store")
    await box.whole()
    box.buses.values = {"temperature": 99.0, "humidity": 48.0}
    both = (box.step("test", step="device:hut"), box.step("sign", by="Ben"))
    done: list[Any] = await asyncio.gather(*both, return_exceptions=True)
    tested, signed = done
    row = await box.row("device:hut")
    if isinstance(signed, VerbError):
        assert row["verdict"] == "failed"
    else:
        assert isinstance(tested, VerbError)
        assert row["verdict"] == "passed", "as the sheet says"


async def test_old_sheets_that_cannot_be_removed_keep_nothing_from_the_city(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    box = CommissionedBox(tmp_path / "store")
    await box.whole()

    def refuse() -> None:
        raise OSError(30, "Read-only file system")

    monkeypatch.setattr(box.files, "tidy", refuse)
    assert (await box.step("sign", by="Anna"))["number"] == 1
    assert len(box.drafts) == 1


async def test_a_sheet_that_could_not_be_kept_is_not_given_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    box = CommissionedBox(tmp_path / "store")
    await box.whole()

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(box.files, "save", full)
        with pytest.raises(VerbError, match="could not be kept"):
            await box.step("sign", by="Anna")
    with pytest.raises(VerbError, match="there is no sheet 1"):
        await box.state(form="json", number=1)


async def test_a_stripped_signature_is_a_fault_where_keys_are_given(tmp_path: Path) -> None:
    authority = CertificateAuthority(tmp_path)
    cert, key = authority.issue("gw-1")
    box = CommissionedBox(tmp_path / "store", sign=make_byte_signer(key, cert))
    await box.whole()
    await box.step("sign", by="Anna")
    file = (await box.state(form="json"))["file"]
    told = file["sha256"]
    folder = tmp_path / "keys"
    folder.mkdir()
    (folder / "gw-1.pem").write_bytes(cert.read_bytes())
    keys = CertificateKeys(folder)
    del file["signature"]
    assert check_sheet(json.dumps(file).encode(), keys, told).faults == (), "the event proves it"
    file["sheet"]["by"] = "Eve"
    file["sha256"] = sheet_digest(file["sheet"])
    assert "not signed" in check_sheet(json.dumps(file).encode(), keys).faults[0]
