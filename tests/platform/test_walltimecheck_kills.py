"""A record went out and no answer came. Its process was killed, the clock was set or the bounds of
its boot were learnt, and the next process sent it again: the audit accuses neither copy."""

import asyncio
import shutil
from collections.abc import Awaitable, Callable
from pathlib import Path
from random import Random

import pytest

from edge.core import Draft, Stamp, Stream, TimeQuality
from edge.outbox import StoredRecord
from edge.platform.receivedrecord import make_received
from edge.wire import decode, encode
from tests.kit.clock import FLOOR, NONE, NTP
from tests.kit.records import GW, TOPICS
from tests.platform.test_walltimecheck import CAME, S, WallClockGateway, judged

HOUR_NS = 3600 * S
YEAR_NS = 365 * 86_400 * S


class ScriptedGateway(WallClockGateway):
    """One step after the other, and nothing by chance."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder, Random(1))

    async def go(self, tq: TimeQuality, wrong_ns: int = 0, records: int = 2) -> None:
        """Some records under this clock."""
        self.tq, self.wall_ns = tq, self.began_ns + wrong_ns
        for _ in range(records):
            self.mono_ns += 10 * S
            self.true_ns += 10 * S
            await self.look()
            draft = Draft(Stream.AIR, "hut", self.mono_ns - S, self.mono_ns, {"n": self.mono_ns})
            await self.commit([draft])

    async def hand(self, *, answered: bool = True, former: bool = False) -> None:
        """All that waits goes out, or what is of former boots."""
        rows = [self.waiting[row] for row in sorted(self.waiting)]
        if former:
            rows = [each for each in rows if each.record.boot != self.writer.epoch.boot]
        await self.dating.prepare([stored.record for stored in rows])
        self.arrive(rows, answered=answered)

    def arrive(self, rows: list[StoredRecord], *, answered: bool) -> None:
        self.writer.sent([stored.row for stored in rows])
        for stored in rows:
            envelope, moments = self.dating.date(stored.record, backfilled=False, redelivered=False)
            self.manifest_schedule.manifests.handed(stored.record, *moments)
            topic = TOPICS.record(stored.record.key.stream, stored.record.source)
            payload = encode(stored.record, envelope, GW, "msgpack")
            (message,) = decode(topic, payload.data, payload.content_type)
            self.stored.append(
                make_received(message, topic, payload.data, payload.content_type, CAME)
            )
            if answered:
                del self.waiting[stored.row]
                self.writer.confirm([stored.row])

    async def restart(self, *, another: bool = False, power: bool = False) -> None:
        """Killed; or, with the power, what lay in memory is gone as well."""
        await self.kill()
        if power:
            shutil.rmtree(self.folder / "run")
            (self.folder / "run").mkdir()
        await self.start(another=another or power)


async def _floor_moves(box: ScriptedGateway) -> None:
    await box.go(FLOOR, 0)
    await box.go(FLOOR, HOUR_NS)
    await box.hand(answered=False)
    await box.restart()
    await box.go(FLOOR, 2 * HOUR_NS)


async def _floor_was_right(box: ScriptedGateway) -> None:
    await box.go(NTP, 0, 1)
    await box.go(FLOOR, 0)
    await box.hand(answered=False)
    await box.restart()
    await box.go(NTP, 0)


async def _many_steps(box: ScriptedGateway) -> None:
    for step in range(14):
        await box.go(NTP, step * S)
    await box.hand(answered=False)
    await box.restart()
    for step in range(14, 17):
        await box.go(NTP, step * S)


async def _bound_of_a_later_boot_moves(box: ScriptedGateway) -> None:
    await box.go(FLOOR)
    await box.restart(another=True)
    await box.go(NTP, S // 5)
    await box.hand(answered=False, former=True)
    await box.restart()
    await box.go(NTP, 0)


async def _bound_of_a_former_boot_is_overruled(box: ScriptedGateway) -> None:
    await box.go(NTP, YEAR_NS)
    await box.hand()
    await box.restart(another=True)
    await box.go(NONE)
    await box.hand(answered=False)
    await box.restart(power=True)
    await box.go(NTP, 0)


async def _answered_and_killed(box: ScriptedGateway) -> None:
    await box.go(NTP, YEAR_NS)
    await box.hand()
    await box.restart()
    await box.go(NTP, 0)


async def _while_the_new_mark_is_kept(box: ScriptedGateway) -> None:
    """It goes by the old one, which is taken from the card by this very commit."""
    await box.go(FLOOR, 0)
    await box.go(FLOOR, HOUR_NS)
    rows = [box.waiting[row] for row in sorted(box.waiting)]
    await box.dating.prepare([stored.record for stored in rows])
    box.mono_ns += S
    now = box.now()
    mark = Stamp(now.mono_ns, now.wall_ns + HOUR_NS, now.tq)
    keeping = asyncio.create_task(box.writer.commit([], {"app": (1, b"x")}, mark))
    await asyncio.sleep(0)  # the thread has it
    box.arrive(rows, answered=False)
    await keeping
    await box.restart()
    await box.go(FLOOR, 2 * HOUR_NS)


SCRIPTS: list[Callable[[ScriptedGateway], Awaitable[None]]] = [
    _floor_moves, _floor_was_right, _many_steps, _bound_of_a_later_boot_moves,
    _bound_of_a_former_boot_is_overruled, _answered_and_killed, _while_the_new_mark_is_kept,
]  # fmt: skip


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda script: script.__name__)
async def test_what_was_sent_before_a_kill_is_no_finding(
    script: Callable[[ScriptedGateway], Awaitable[None]], tmp_path: Path
) -> None:
    box = ScriptedGateway(tmp_path)
    await box.start(another=True)
    await script(box)
    for _ in range(3):
        await box.hand()
        await box.commit(box.manifest_schedule.due(box.now(), last=True))
    await box.hand()
    await box.writer.close()
    copies = [each.key for each in box.stored]
    done = judged(box.stored)
    assert [finding.text for _, finding in done.findings if finding.kind != "hole"] == []
    assert done.proved
    assert len(copies) > len(set(copies)) or script is _answered_and_killed, "none went twice"
