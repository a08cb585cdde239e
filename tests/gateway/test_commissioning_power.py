"""The power goes, or the process is killed, at each operation on the disk while somebody
commissions: what had been answered is there, and the rest is as it was."""

import asyncio
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from tests.gateway.commissionparts import CommissionedBox
from tests.kit.memory import in_memory
from tests.kit.power import ProcessKilled
from tests.kit.syncedcard import MODES, Mode, SyncedCard, failing
from tests.long import size


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    with in_memory(tmp_path) as where:
        yield where


async def story(box: CommissionedBox, answered: list[Any]) -> None:
    """Begin, test, fill in, drive, sign twice. What was answered is noted at once."""

    async def do(act: str, **words: Any) -> None:
        answered.append(_kept(dict(await box.step(act, **words))))

    for turn in ("Anna", "Ben"):
        await do("begin", by=turn)
        await do("test", step="device:hut")
        await do("field", step="loop:north_1.lead", key="q", value=9)
        await do("drive", lane="north_1", speed_kmh=31)
        box.drive_over("north_1", 30.0)
        await do("finish")
        await do("sign", by=turn, reservations=True)


def _kept(state: dict[str, Any]) -> dict[str, Any]:
    """What is to survive: all but the drive that runs."""
    return {key: state[key] for key in ("by", "steps", "counts", "acceptance", "last_sheet")}


def run_until_end(folder: Path, answered: list[Any]) -> None:
    box = CommissionedBox(folder)
    answered.append(_kept(dict(asyncio.run(box.state()))))
    asyncio.run(story(box, answered))


def count_operations(folder: Path) -> int:
    folder.mkdir(parents=True)
    card = SyncedCard((folder,))
    with failing(card, 0, "kill"):
        run_until_end(folder, [])
    return card.count


@pytest.mark.parametrize("mode", MODES)
def test_a_cut_at_each_operation_leaves_what_was_answered(folder: Path, mode: Mode) -> None:
    operations = count_operations(folder / "counted")
    assert operations > 60
    whole: list[Any] = []
    run_until_end(folder / "whole", whole)
    for at in range(1, operations + 1, size(3, 1)):
        place = folder / f"at{at}"
        place.mkdir()
        card, answered = SyncedCard((place,)), list[Any]()
        with suppress(ProcessKilled), failing(card, at, mode):
            run_until_end(place, answered)
        again = CommissionedBox(place)
        found = _kept(dict(asyncio.run(again.state())))
        # as it was answered last; or as it would have been answered next
        assert found in whole[len(answered) - 1 : len(answered) + 1], (mode, at)
        number = again.owner.session.number
        if number:
            file = asyncio.run(again.state(form="json"))["file"]
            assert file["sha256"] == found["acceptance"]["sheet_sha256"], "a sheet that is told of"
            assert asyncio.run(again.state(form="html"))["page"].endswith("</html>\n")
        asyncio.run(again.owner.tell_again())
        assert len(again.drafts) == bool(number), "the city hears of it"
        asyncio.run(story(again, []))
        assert again.owner.session.number == number + 2
