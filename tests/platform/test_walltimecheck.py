"""Wall times in a store are held against the clock maps of the manifests: the box's own code makes
both, through steps of the clock, boots, and time that is learnt late."""

import asyncio
import shutil
from dataclasses import replace
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge.core import Draft, Stamp, Stream, TimeQuality
from edge.gateway.manifestschedule import ManifestSchedule
from edge.outbox import AsyncOutbox, ClockMark, Outbox, StoredRecord
from edge.platform.audit import GatewayAudit, audit_store
from edge.platform.epochorder import EpochOrder
from edge.platform.openstore import open_store
from edge.platform.receivedrecord import ReceivedRecord, make_received
from edge.platform.walltimecheck import BOUND_US, RedatedMoments
from edge.uplink.manifests import MANIFEST_OWNER
from edge.uplink.timestamps import MOMENTS_OWNER, Timestamper, UsedMoments
from edge.wire import decode, encode
from edge.wire.clockmoments import Moment, parse_moments, wall_times
from tests.kit.clock import NONE, NTP
from tests.kit.records import GW, TOPICS
from tests.long import examples

S = 1_000_000_000
TRUTH = 1_790_000_000 * S  # Unix ns, when the first boot begins
CAME = "2026-12-24T12:00:00.000Z"
QUALITIES = tuple(TimeQuality)


class WallClockGateway:
    """One gateway through its boots. What it sends is lost now and then, and sent again; it stops,
    or is killed with what it has not kept."""

    def __init__(self, folder: Path, rng: Random) -> None:
        self.folder, self.rng = folder / "0", rng
        self.kills = 0
        (self.folder / "run").mkdir(parents=True)
        self.boot, self.true_ns = 0, TRUTH
        self.tq = NONE
        self.waiting: dict[int, StoredRecord] = {}
        self.sent: set[int] = set()
        self.stored: list[ReceivedRecord] = []

    async def start(self, *, another: bool) -> None:
        """In another boot the monotonic clock begins anew, and the wall shows anything."""
        if another:
            self.boot += 1
            self.mono_ns, self.began_ns = 2 * S, self.true_ns
            self.wall_ns, self.tq = self.rng.choice((0, TRUTH, self.true_ns)), NONE
        self.manifest_schedule = ManifestSchedule(900, None, self.now())
        self.writer = await AsyncOutbox.start(
            self.folder / "outbox", limit_bytes=8 << 20, boot_id=f"b{self.boot}",
            run_dir=self.folder / "run", ballast_bytes=0,
            rider=self.manifest_schedule.manifests.riding,
        )  # fmt: skip
        self.dating = Timestamper(self.writer, self.writer.epoch.boot, self.writer.epoch.epoch)
        found = self.manifest_schedule.begin(
            self.writer.epoch,
            await self.writer.state(MANIFEST_OWNER),
            self.writer.handed,
            UsedMoments(await self.writer.state(MOMENTS_OWNER)),
            self.now(),
        )
        self.waiting = {}
        after = 0
        while rows := await self.writer.pending(after, 100):
            self.waiting |= {row.row: row for row in rows}
            after = rows[-1].row
        await self.commit(found)

    def now(self) -> Stamp:
        return Stamp(self.mono_ns, self.wall_ns + self.mono_ns, self.tq)

    async def commit(self, drafts: list[Draft]) -> None:
        now = self.now()
        mark = ClockMark(now.mono_ns, now.wall_ns, now.tq)
        for stored in await self.writer.commit(drafts, {}, mark):
            self.waiting[stored.row] = stored

    async def minute(self) -> None:
        """A record, and whatever happens to the clock."""
        passed_ns = self.rng.randrange(1, 90 * S)
        self.mono_ns += passed_ns
        self.true_ns += passed_ns
        chance = self.rng.random()
        if chance < 0.25:
            self.tq = self.rng.choice(QUALITIES)
        if chance < 0.15:  # the wall is set: right, or wrong by anything
            wrong_ns = self.rng.choice((0, 0, 3 * S, -200 * S, 400 * 86_400 * S))
            self.wall_ns = self.began_ns + wrong_ns
        await self.look()
        start_ns = self.mono_ns - min(passed_ns, S)
        await self.commit([Draft(Stream.AIR, "hut", start_ns, self.mono_ns, {"n": self.mono_ns})])

    async def look(self) -> None:
        """As the daemon does: a mark is kept first, then the sender dates by it."""
        if not self.dating.knows(self.now()):
            await self.commit([])
        self.dating.see(self.now())

    async def send(self, most: int) -> None:
        rows = [self.waiting[row] for row in sorted(self.waiting)[:most]]
        if not rows:
            return
        await self.look()
        await self.dating.prepare([stored.record for stored in rows])
        self.writer.sent([stored.row for stored in rows])
        for stored in rows:
            record, redelivered = stored.record, stored.row in self.sent or stored.redelivered
            self.sent.add(stored.row)
            envelope, moments = self.dating.date(record, backfilled=False, redelivered=redelivered)
            self.manifest_schedule.manifests.handed(record, *moments)
            if self.rng.random() < 0.3:
                continue  # the link is gone before it has left
            topic = TOPICS.record(record.key.stream, record.source)
            payload = encode(record, envelope, GW, "msgpack")
            (message,) = decode(topic, payload.data, payload.content_type)
            self.stored.append(
                make_received(message, topic, payload.data, payload.content_type, CAME)
            )
            if self.rng.random() < 0.3:
                continue  # its receipt is lost
            del self.waiting[stored.row]
            self.writer.confirm([stored.row])

    async def kill(self) -> None:
        """What it leaves on the card, and what a kill leaves in memory."""
        self.kills += 1
        old, self.folder = self.folder, self.folder.with_name(str(self.kills))

        def copy(_outbox: Outbox) -> None:  # in its thread: no commit comes between the two
            shutil.copytree(old / "outbox", self.folder / "outbox")
            shutil.copytree(old / "run", self.folder / "run")

        await self.writer._call(copy)
        await self.writer.close()
        shutil.rmtree(old)

    async def stop(self) -> None:
        if self.rng.random() < 0.4:
            await self.kill()
            return
        if self.rng.random() < 0.5:
            await self.commit(self.manifest_schedule.due(self.now(), last=True))
        await self.commit([])
        await self.writer.close()

    async def live(self) -> list[ReceivedRecord]:
        await self.start(another=True)
        for _ in range(self.rng.randrange(1, 5)):
            for _ in range(self.rng.randrange(1, 8)):
                await self.minute()
                if self.rng.random() < 0.7:
                    await self.send(self.rng.randrange(1, 6))
                if self.rng.random() < 0.3:
                    await self.commit(self.manifest_schedule.due(self.now(), last=True))
            await self.stop()
            await self.start(another=self.rng.random() < 0.5)
        for _ in range(3):  # what seals the last of it is sealed by nobody
            while self.waiting:
                await self.send(100)
            await self.commit(self.manifest_schedule.due(self.now(), last=True))
        while self.waiting:
            await self.send(100)
        await self.writer.close()
        return self.stored


def judged(entries: list[ReceivedRecord]) -> GatewayAudit:
    with TemporaryDirectory() as folder:
        store = open_store(Path(folder) / "store.db", write=True)
        store.commit(entries, [])
        (done,) = audit_store(store)
        store.close()
    return done


def lived(seed: int) -> list[ReceivedRecord]:
    with TemporaryDirectory() as folder:
        return asyncio.run(WallClockGateway(Path(folder), Random(seed)).live())


@settings(max_examples=examples(25), deadline=None)
@given(seed=st.integers(0, 1 << 32), data=st.data())
def test_what_a_gateway_dated_is_never_a_finding_and_what_another_dated_is(
    seed: int, data: st.DataObject
) -> None:
    entries = lived(seed)
    done = judged(entries)
    kinds = {finding.kind for _, finding in done.findings}
    assert kinds <= {"hole"}, [finding.text for _, finding in done.findings]  # it says no gaps
    # one of them is dated anew, its content untouched
    sealed = [each for each in entries if each.key[2] == "air"]
    victim = data.draw(st.sampled_from(sorted({each.key for each in sealed})))
    shift_ms = data.draw(st.integers(-40_000_000, 40_000_000).filter(lambda ms: abs(ms) > 2))
    shift_ms *= BOUND_US // 1000
    forged = [_redated(each, shift_ms) if each.key == victim else each for each in entries]
    found = {finding.kind for _, finding in judged(forged).findings}
    assert found - {"hole"} == {"time"}


def _redated(entry: ReceivedRecord, shift_ms: int) -> ReceivedRecord:
    """All of its wall times, as a keeper of the store would move them."""
    wall = entry.wall
    return replace(entry, wall=replace(wall, start=_moved(wall.start, shift_ms)))


def _moved(text: str, shift_ms: int) -> str:
    from datetime import UTC, datetime, timedelta

    moved = datetime.fromisoformat(text) + timedelta(milliseconds=shift_ms)
    if moved.year < 1970:
        moved = datetime(2001, 1, 1, tzinfo=UTC)
    return moved.isoformat(timespec="milliseconds").replace("+00:00", "Z")


NO_CLOCK_MAPS: list[object] = [
    None, 7, {}, [[]], [[1, 2, 3, "ntp"]], [[1, 2, 3, "ntp", None, None, None]],
    [[1, 2, 3, "atomic", None, None]], [[-1, 2, 3, "ntp", None, None]],
    [[1, 2, 1 << 63, "ntp", None, None]], [[1, 2, "3", "ntp", None, None]],
    [[1, 2, 3, "none", -5, None]], [[1, 2, 3, "ntp", None, None]] * 33,
]  # fmt: skip


@pytest.mark.parametrize("found", NO_CLOCK_MAPS)
def test_what_is_no_clock_map_is_refused(found: object) -> None:
    with pytest.raises(ValueError, match=r"clock map|is no"):
        parse_moments(found)


def test_only_the_last_order_says_which_boots_have_a_number_twice() -> None:
    moment, order = Moment(5, 1, 2, NTP, None, None), EpochOrder([[1], [2]], {}, {}, [], [1, 2], {})
    redated = RedatedMoments()
    redated.add(1, [moment])
    redated.judge(order, {1: 5, 2: 5})
    assert (redated.of(1, 5), redated.of(2, 5)) == ([moment], [])
    redated.judge(order, {2: 5})
    assert redated.of(2, 5) == [moment]


whole = st.integers(0, (1 << 62) - 1)


@given(
    st.builds(Moment, whole, whole, whole, st.sampled_from(QUALITIES), st.none() | whole,
              st.none() | whole),
    whole, whole,
)  # fmt: skip
def test_any_clock_map_can_be_asked(moment: Moment, start: int, length: int) -> None:
    assert parse_moments([moment.packed()]) == (moment,)
    begin, end, bounds = moment.dated(start, start + length)
    assert end - begin == length
    if bounds is not None and moment.tq.is_guessed:
        low, high = bounds
        assert low is None or begin >= low
        assert high is None or low is not None or end <= high or begin == 0


def test_without_a_clock_only_what_is_certain_dates() -> None:
    assert wall_times(5 * S, NONE, (None, None), 7 * S, 9 * S) == (0, 2 * S, None)
    assert wall_times(5 * S, NONE, (S, None), 7 * S, 9 * S) == (8 * S, 10 * S, (8 * S, None))
    assert wall_times(5 * S, NTP, (S, None), 7 * S, 9 * S) == (12 * S, 14 * S, None)
