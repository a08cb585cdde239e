"""The gate in front of the backlog: when it opens, what merges before, and what the store hears."""

from dataclasses import replace

import pytest

from edge.core import Stamp
from edge.core.walltime import QUARTER_NS
from edge.uplink.backloggate import DOWNSAMPLE_LEVEL, DOWNSAMPLE_STEPS, SETTLED_NS, BacklogGate
from tests.kit.clock import NTP
from tests.uplink.test_delivery import DeliveryRun, LeavingRows

S = 1_000_000_000
Q = 1_000_000 * QUARTER_NS + SETTLED_NS  # a quarter has settled at this moment
NOW = Stamp(0, Q, NTP)
NEXT = replace(NOW, wall_ns=Q + QUARTER_NS)


class Asked(LeavingRows):
    """Tells what the gate asks of the store; merging gains `gains` times."""

    def __init__(self) -> None:
        super().__init__(3)
        self.reported: list[str] = []
        self.gains = 0

    async def link_up(self, live_from: int = 0) -> None:
        self.reported.append("linked")

    def link_lost(self, row: int) -> None:
        self.reported.append(f"unlinked {row}")

    async def downsample(self) -> bool:
        self.reported.append("downsample")
        self.gains -= 1
        return self.gains >= 0


class Door:
    def __init__(self) -> None:
        self.store, self.run = Asked(), DeliveryRun()
        self.delivery = self.run.delivery
        self.gate = BacklogGate(self.store, self.delivery.send_queue, self.run.table)
        self.beats = 0

    @property
    def held(self) -> bool:
        return self.delivery.send_queue.saving

    def beat(self) -> None:
        self.beats += 1

    async def linked(self, now: Stamp = NOW) -> list[str]:
        await self.gate.linked(now, self.beat)
        return self.heard()

    async def look(self, now: Stamp = NOW) -> list[str]:
        await self.gate.update(now, self.beat)
        return self.heard()

    def heard(self) -> list[str]:
        reported, self.store.reported = self.store.reported, []
        return reported

    async def sent(self) -> None:
        """All that may go has gone, and has its answer."""
        rows = [row for row, _ in await self.run.send()]
        await self.run.answer(1, **{f"r{row}": 0 for row in rows})
        while await self.delivery.send_queue.next_page():
            pass


async def test_without_a_data_saver_it_stands_open_and_the_store_hears_of_each_connection() -> None:
    door = Door()
    assert (await door.linked(), await door.look(), await door.look(NEXT)) == (["linked"], [], [])
    await door.sent()
    assert (await door.look(), door.held) == ([], False)
    door.gate.unlinked()
    assert (door.heard(), door.held) == (["unlinked 3"], False)
    assert (await door.linked(), door.beats) == (["linked"], 0)


async def test_it_closes_behind_what_has_gone_and_opens_with_the_next_quarter() -> None:
    door = Door()
    await door.linked()
    door.gate.level(1)
    assert (await door.look(), door.held) == ([], False), "what waits goes first"
    rows = [row for row, _ in await door.run.send()]
    while await door.delivery.send_queue.next_page():
        pass
    assert (await door.look(), door.held) == ([], False), "and has its answer"
    await door.run.answer(1, **{f"r{row}": 0 for row in rows})
    assert (await door.look(), door.held) == (["unlinked 3"], True)
    before = replace(NEXT, wall_ns=NEXT.wall_ns - 1)
    assert (await door.look(before), door.held) == ([], True)
    assert (await door.look(NEXT), door.held) == (["linked"], False), "nothing merges at level 1"


async def test_one_that_was_open_all_the_quarter_closes_for_the_rest_of_this_one() -> None:
    door = Door()
    await door.linked()
    door.gate.level(1)
    await door.sent()
    assert (await door.look(NEXT), door.held) == (["unlinked 3"], True)
    assert (await door.look(NEXT), door.held) == ([], True), "of this quarter all has gone"


async def test_while_nothing_can_go_it_closes_at_once_and_a_link_opens_it_once_a_quarter() -> None:
    door = Door()
    door.gate.level(1)
    assert door.held
    assert (await door.linked(), door.held) == (["linked"], False)
    door.gate.unlinked()
    assert (door.heard(), door.held) == (["unlinked 0"], True)
    assert (await door.linked(), door.held) == ([], True), "it was open in this quarter"
    door.gate.unlinked()
    assert (door.heard(), await door.linked(NEXT)) == (["unlinked 0"], ["linked"])


@pytest.mark.parametrize("linked", [True, False])
async def test_the_end_of_saving_opens_it_at_once(linked: bool) -> None:
    door = Door()
    door.gate.level(1)
    await door.linked()
    await door.sent()
    await door.look()
    if not linked:
        door.gate.unlinked()
    door.heard()
    door.gate.level(0)
    assert door.held
    assert await (door.look() if linked else door.linked()) == ["linked"]
    assert not door.held


@pytest.mark.parametrize(
    ("gains", "steps"), [(0, 1), (3, 4), (9 * DOWNSAMPLE_STEPS, DOWNSAMPLE_STEPS)]
)
async def test_with_more_saving_what_waits_merges_before_it_goes(gains: int, steps: int) -> None:
    """And whoever watches sees that we live."""
    door = Door()
    door.store.gains = gains
    door.gate.level(DOWNSAMPLE_LEVEL)
    assert await door.linked() == ["downsample"] * steps + ["linked"]
    assert door.beats == steps
