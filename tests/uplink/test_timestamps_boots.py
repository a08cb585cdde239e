"""Boots that follow each other: what the outbox knows of the others bounds one that knew none."""

from pathlib import Path

from edge.core import Draft, Envelope, Record, Stamp, Stream, TimeQuality
from edge.outbox import AsyncOutbox
from edge.uplink.timestamps import Timestamper
from tests.kit.clock import FLOOR, NONE, NTP

S = 1_000_000_000
DAY = 86_400 * S
T0 = 1_790_000_000 * S


class OutboxBoot:
    """One boot of the box, with its outbox open. `began_ns`: its wall's idea of when it began."""

    def __init__(self, writer: AsyncOutbox) -> None:
        self.writer, self.number = writer, writer.epoch.boot
        self.dating = Timestamper(writer, self.number, writer.epoch.epoch)

    @classmethod
    async def start(cls, folder: Path, name: str) -> "OutboxBoot":
        return cls(
            await AsyncOutbox.start(
                folder / "outbox", limit_bytes=8 << 20, boot_id=name, run_dir=folder
            )
        )

    async def record(self, mono_s: int, tq: TimeQuality, began_ns: int) -> Record:
        """A record of the second that ended then, as the clock stands."""
        now_ns = mono_s * S
        draft = Draft(Stream.AIR, "hut", now_ns - S, now_ns, {"covered_s": 1.0})
        self.dating.see(Stamp(now_ns, began_ns + now_ns, tq))
        (stored,) = await self.writer.commit([draft], {}, Stamp(now_ns, began_ns + now_ns, tq))
        return stored.record

    async def dated(self, record: Record) -> Envelope:
        await self.dating.load_boots({record.boot})
        return self.dating.date(record, backfilled=False, redelivered=False)[0]


async def test_a_boot_that_never_knew_the_time_is_bounded_as_soon_as_another_does(
    tmp_path: Path,
) -> None:
    first = await OutboxBoot.start(tmp_path, "a")
    known = await first.record(100, NTP, T0)
    await first.writer.close()

    second = await OutboxBoot.start(tmp_path, "b")
    lost = await second.record(500, NONE, 0)
    low_ns = T0 + 100 * S + 499 * S
    assert await second.dated(known) == Envelope(T0 + 99 * S, T0 + 100 * S, NTP)
    assert await second.dated(lost) == Envelope(low_ns, low_ns + S, NONE, bounds_ns=(low_ns, None))
    await second.writer.close()

    third = await OutboxBoot.start(tmp_path, "c")
    assert (await third.dated(lost)).bounds_ns == (low_ns, None)
    early = await third.record(10, FLOOR, T0)
    assert (await third.dated(early)).tq == "floor"
    await third.record(60, NTP, T0 + 7 * DAY)
    assert (await third.dated(lost)).bounds_ns == (low_ns, T0 + 7 * DAY)
    assert await third.dated(early) == Envelope(T0 + 7 * DAY + 9 * S, T0 + 7 * DAY + 10 * S, NTP)
    await third.writer.close()


async def test_what_a_wrong_time_service_dated_is_dated_anew_when_it_is_known(
    tmp_path: Path,
) -> None:
    """In the boot that heals, also for the boot before; a record that is sent again tells it."""
    wrong_ns = T0 + 14 * 365 * DAY
    first = await OutboxBoot.start(tmp_path, "a")
    known = await first.record(100, NTP, T0)
    await first.writer.close()

    second = await OutboxBoot.start(tmp_path, "b")
    early = await second.record(5, NONE, 0)
    spoilt = await second.record(50, NTP, wrong_ns)
    for each in (early, spoilt):
        assert (await second.dated(each)).tq == "ntp"
        assert (await second.dated(each)).from_wall_ns == wrong_ns + each.from_ns
    await second.writer.close()

    third = await OutboxBoot.start(tmp_path, "c")
    waiting = await third.record(60, NONE, T0 + DAY)
    assert (await third.dated(waiting)).tq == "none"
    await third.record(3700, NTP, T0 + DAY)
    assert await third.dated(waiting) == Envelope(T0 + DAY + 59 * S, T0 + DAY + 60 * S, NTP)
    assert await third.dated(known) == Envelope(T0 + 99 * S, T0 + 100 * S, NTP)
    for each in (early, spoilt):
        found = await third.dated(each)
        assert found.tq == "none"
        assert found.bounds_ns == (T0 + 100 * S + each.from_ns, T0 + DAY)
    await third.writer.close()


async def test_a_wrong_time_that_is_corrected_in_the_same_boot_dates_nothing(
    tmp_path: Path,
) -> None:
    boot = await OutboxBoot.start(tmp_path, "a")
    early = await boot.record(10, NTP, T0 + 14 * 365 * DAY)
    await boot.record(100, NTP, T0)
    for _ in range(2):
        assert await boot.dated(early) == Envelope(T0 + 9 * S, T0 + 10 * S, NTP)
        await boot.writer.close()
        boot = await OutboxBoot.start(tmp_path, "a")
    await boot.writer.close()


async def test_after_a_restart_each_side_of_a_step_keeps_its_date(tmp_path: Path) -> None:
    boot = await OutboxBoot.start(tmp_path, "a")
    before = await boot.record(100, NTP, T0)
    cut = await boot.record(150, NTP, T0 + DAY)  # the clock was set; this window ends there
    after = await boot.record(200, NTP, T0 + DAY)
    for _ in range(2):
        assert (await boot.dated(before)).to_wall_ns == T0 + 100 * S
        assert (await boot.dated(cut)).to_wall_ns == T0 + 150 * S
        assert (await boot.dated(after)).to_wall_ns == T0 + DAY + 200 * S
        await boot.writer.close()
        boot = await OutboxBoot.start(tmp_path, "a")
    await boot.writer.close()
