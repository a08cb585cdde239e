"""A store of another version: kept whole, whatever the limits, and found again by its own."""

import sqlite3
from dataclasses import replace
from pathlib import Path

import pytest

from edge.gateway.issuefindings import outbox_findings
from edge.outbox import Outbox, inspect_outbox
from edge.outbox.diskoutbox import DiskOutbox
from edge.outbox.foreignoutbox import foreign_name, list_foreign
from edge.outbox.outboxfolder import OutboxFolder
from edge.outbox.quarantine import quarantine
from tests.kit.outbox import LIMIT, MARK, drafts, everything, opened
from tests.kit.rescued import named

MODULES = ("edge.outbox.database", "edge.outbox.foreignoutbox")


def program(monkeypatch: pytest.MonkeyPatch, version: int) -> None:
    """From now on it is another one that runs."""
    for module in MODULES:
        monkeypatch.setattr(f"{module}.USER_VERSION", version)


def used(folder: Path, count: int = 50) -> list[int]:
    outbox = opened(folder)
    outbox.begin()
    rows = [each.row for each in outbox.commit(drafts(count, size=500), clock=MARK)]
    outbox.close()
    return rows


def reported(outbox: Outbox) -> str:
    made = outbox.commit([], clock=MARK)
    return " ".join(str(each.record.body.get("text")) for each in made)


def test_one_that_is_known_at_the_second_look_only_is_another_ones_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A database that could not be read for a moment is looked at again before it is called ill."""
    program(monkeypatch, 2)
    used(tmp_path)
    program(monkeypatch, 1)
    connect, looks = OutboxFolder.connect, 0

    def ill_at_first(folder: OutboxFolder, **how: bool) -> DiskOutbox:
        nonlocal looks
        looks += 1
        if looks == 1:
            error = sqlite3.DatabaseError("database disk image is malformed")
            error.sqlite_errorcode = sqlite3.SQLITE_CORRUPT
            raise error
        return connect(folder, **how)

    monkeypatch.setattr(OutboxFolder, "connect", ill_at_first)
    outbox = opened(tmp_path)
    assert (outbox.opened.damage, outbox.opened.quarantined) == (None, None)
    assert outbox.counts().foreign_files == [str(tmp_path / "outbox" / foreign_name("v2"))]
    outbox.close()


def test_each_version_finds_its_own_again_and_nothing_is_called_lost(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program(monkeypatch, 2)
    newer = used(tmp_path)
    program(monkeypatch, 1)
    outbox = opened(tmp_path)
    assert (outbox.opened.damage, outbox.opened.quarantined, outbox.opened.in_memory) == (None,) * 3
    first = outbox.begin()
    path = tmp_path / "outbox" / foreign_name("v2")
    said = reported(outbox)
    assert f"kerbstone outbox rescue {path}" in said
    assert "version 2" in said
    older = [each.row for each in outbox.commit(drafts(7), clock=MARK)]
    counts = outbox.counts()
    assert counts.foreign_files == [str(path)]
    assert (counts.quarantined, counts.size > path.stat().st_size) == (0, True)
    outbox.close()
    assert inspect_outbox(tmp_path / "outbox", LIMIT).foreign_files == (str(path),)
    (found,) = [each for each in outbox_findings(counts) if each.count is None]
    assert (found.kind, found.about) == ("outbox_foreign", str(path))

    outbox = opened(tmp_path)
    outbox.begin()
    assert "version 2" not in reported(outbox), "the event comes once, the status goes on"
    assert outbox.counts().foreign_files
    outbox.close()

    program(monkeypatch, 2)  # the newer one is installed again
    outbox = opened(tmp_path)
    back = outbox.begin()
    assert back.epoch > first.epoch, "it counts on from the epoch file"
    assert back.past == "older", "the other version has counted on meanwhile"
    assert set(newer) <= {each.row for each in everything(outbox)}
    assert "damage" not in {drop[2] for drop in outbox._losses.pending}
    assert "lost" not in reported(outbox)
    assert outbox.counts().foreign_files == [str(tmp_path / "outbox" / foreign_name("v1"))]
    outbox.close()

    program(monkeypatch, 1)
    outbox = opened(tmp_path)
    outbox.begin()
    assert set(older) <= {each.row for each in everything(outbox)}
    outbox.close()


def test_the_limit_of_the_quarantine_and_a_full_outbox_never_delete_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program(monkeypatch, 7)
    used(tmp_path, 3000)
    program(monkeypatch, 1)
    limit = 2 << 20  # what is kept takes nearly all of it
    for _ in range(4):
        outbox = opened(tmp_path, limit=limit)
        outbox.begin()
        assert len(outbox.commit(drafts(100, size=500), clock=MARK)) >= 100, "there is room for us"
        outbox.close()
        quarantine(tmp_path / "outbox", "outbox.db", limit // 2)
    path = tmp_path / "outbox" / foreign_name("v7")
    assert list_foreign(tmp_path / "outbox") == [path]
    program(monkeypatch, 7)
    outbox = opened(tmp_path, limit=16 << 20)
    outbox.begin()
    assert len([each for each in everything(outbox) if each.record.source in "s0s1s2"]) == 3000
    outbox.close()


def test_a_second_one_of_the_same_version_never_replaces_the_first(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for _ in range(3):
        program(monkeypatch, 2)
        (tmp_path / "other").mkdir(exist_ok=True)
        used(tmp_path / "other")
        (tmp_path / "outbox").mkdir(exist_ok=True)
        (tmp_path / "other/outbox/outbox.db").rename(tmp_path / "outbox/outbox.db")
        program(monkeypatch, 1)
        outbox = opened(tmp_path)
        outbox.begin()
        outbox.close()
        (tmp_path / "outbox/outbox.db").unlink()
    names = {path.name for path in list_foreign(tmp_path / "outbox")}
    assert names == {"outbox.v2.db", "outbox.v2.2.db", "outbox.v2.3.db"}


def test_another_version_and_another_name_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What our version had left here before is another gateway's, too."""
    program(monkeypatch, 1)
    used(tmp_path)
    program(monkeypatch, 2)
    used(tmp_path)
    folder = tmp_path / "outbox"
    assert [path.name for path in list_foreign(folder)] == ["outbox.v1.db"]
    for path in list_foreign(folder):
        named(path, "town/gw-1")
    named(folder / "outbox.db", "town/gw-1")
    program(monkeypatch, 1)
    outbox = Outbox.open(
        folder, limit_bytes=LIMIT, boot_id="b", ballast_bytes=0, owner="town/gw-2"
    )  # fmt: skip
    assert (outbox.opened.in_memory, outbox.opened.damage) == (None, None)
    outbox.begin()
    made = outbox.commit(drafts(1), confirmed=[1], clock=MARK)
    said = [str(each.record.body.get("text")) for each in made]
    assert any("outbox.v2.db" in text and "outbox.foreign.town.gw-1.db" in text for text in said), (
        said
    )
    assert "drop" not in {each.record.body.get("event") for each in made}
    assert {path.name for path in list_foreign(folder)} == {
        "outbox.v2.db",
        "outbox.foreign.town.gw-1.db",
    }
    assert all(each.record.key.epoch == outbox._numbers.start.epoch for each in everything(outbox))
    outbox.close()


def test_a_disk_that_comes_late_with_another_versions_store_costs_no_record(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing of this start lies in it, and it is kept: there is nothing to be declared lost."""
    program(monkeypatch, 2)
    used(tmp_path)
    program(monkeypatch, 1)

    def fails(folder: Path) -> None:
        raise OSError(5, "Input/output error")

    with monkeypatch.context() as once:
        once.setattr("edge.outbox.outboxfolder.is_safe_to_open", fails)
        outbox = opened(tmp_path)
        outbox.begin()
        assert outbox.opened.in_memory
        outbox.commit(drafts(3), confirmed=[1], clock=MARK)
    reported: list[str] = []
    for n in range(1, 5):
        later = replace(MARK, mono_ns=MARK.mono_ns + n * 40_000_000_000)
        made = outbox.commit(drafts(1, at=500 + n), confirmed=[1], clock=later)
        reported += [str(each.record.body.get("event")) for each in made]
    assert outbox.counts().in_memory is None, "it is on disk again"
    assert [path.name for path in list_foreign(tmp_path / "outbox")] == ["outbox.v2.db"]
    assert "drop" not in reported
    outbox.close()
