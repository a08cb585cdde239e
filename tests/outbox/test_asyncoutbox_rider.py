"""What rides in each commit: asked at the moment when it is settled which rows are deleted."""

import asyncio
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from edge.core import Draft, Stream
from edge.outbox import AsyncOutbox, CommitRider, OwnerStates, asyncoutbox
from edge.outbox.asyncoutbox import no_rider
from tests.kit.outbox import LIMIT, MARK, drafts


async def start(folder: Path, rider: CommitRider = no_rider) -> AsyncOutbox:
    return await AsyncOutbox.start(
        folder / "outbox", limit_bytes=LIMIT, boot_id="b1", run_dir=folder, rider=rider
    )


class Rider:
    """Counts what is confirmed, and what it was told to be durable."""

    def __init__(self) -> None:
        self.confirmed = 0
        self.kept: list[int] = []
        self.going: list[int] = []

    def __call__(self, going: Sequence[Draft]) -> tuple[OwnerStates, Callable[[], None]]:
        self.going.append(len(going))
        now = self.confirmed
        return {"rider": (1, b"%d" % now)}, lambda: self.kept.append(now)


async def test_a_flush_keeps_the_state_that_goes_with_what_it_deletes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(asyncoutbox, "FLUSH_ROWS", 30)
    rider = Rider()
    made = await start(tmp_path, rider)
    rows = [stored.row for stored in await made.commit(drafts(50), {"other": (1, b"x")})]
    rider.confirmed = 40
    made.confirm(rows[:40])
    assert made._flush is not None
    await made._flush
    assert (await made.counts()).rows == 10
    assert await made.state("rider") == (1, b"40")
    assert await made.state("other") == (1, b"x")
    assert rider.kept == [0, 40]
    assert rider.going == [50, 0]
    await made.close()


async def test_who_waits_for_a_commit_before_it_is_asked_when_its_own_begins(
    tmp_path: Path,
) -> None:
    rider = Rider()
    made = await start(tmp_path, rider)
    rows = [stored.row for stored in await made.commit(drafts(5))]
    first = asyncio.create_task(made.commit(drafts(1)))
    await asyncio.sleep(0)
    second = asyncio.create_task(made.commit(drafts(2)))
    await asyncio.sleep(0)  # it waits for the first
    rider.confirmed = 3
    made.confirm(rows[:3])
    await asyncio.gather(first, second)
    assert (await made.counts()).rows == 5
    assert await made.state("rider") == (1, b"3"), "not as it was when the second was asked for"
    await made.close()


async def test_a_commit_that_fails_is_not_said_to_be_kept(tmp_path: Path) -> None:
    rider = Rider()
    made = await start(tmp_path, rider)
    with pytest.raises(TypeError):
        await made.commit([Draft(Stream.AIR, "a", 0, 1, {"x": object()})])
    assert (rider.going, rider.kept) == ([1], [])
    await made.close()


async def test_the_counts_tell_how_many_rows_have_arrived_and_are_still_there(
    tmp_path: Path,
) -> None:
    made = await start(tmp_path)
    rows = [stored.row for stored in await made.commit(drafts(9))]
    made.confirm(rows[:4])
    counts = await made.counts()
    assert (counts.rows, counts.confirmed) == (9, 4)
    disk = made._outbox._storage.disk
    assert disk is not None
    await made._call(lambda _: disk.close())  # as after a kill: no goodbye
    made._pool.shutdown()
    made = await start(tmp_path)
    counts = await made.counts()
    assert (counts.rows, counts.confirmed, len(await made.pending())) == (9, 4, 5)
    await made.commit(())
    counts = await made.counts()
    assert (counts.rows, counts.confirmed) == (5, 0)
    await made.close()


async def test_the_details_name_losses_and_dead_letters(tmp_path: Path) -> None:
    made = await start(tmp_path)
    first, _ = await made.commit(drafts(2))
    assert await made.details() == {"undeclared": [], "letters": []}
    await made.dead_letter(first.row, "nobody wants it")
    details = await made.details()
    (loss,), (letter,) = details["undeclared"], details["letters"]
    assert (loss["reason"], loss["first"], loss["count"]) == ("refused", 1, 1)
    assert (letter["row"], letter["why"]) == (first.row, "nobody wants it")
    made.confirm([first.row + 1])
    await made.commit((), {}, MARK)
    assert (await made.details())["undeclared"] == [], "an event has declared it"
    await made.close()
    made = await start(tmp_path)
    assert made.restart is None
    await made.close()
