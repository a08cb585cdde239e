"""By which moments records were dated: kept before they go, and known to the next process."""

import msgpack
import pytest

from edge.core import TimeQuality
from edge.uplink.timestamps import BOOT_MOMENTS, BOOTS, VERSION, UsedMoments
from edge.wire.clockmoments import MOMENTS_LIMIT, Moment
from edge.wire.keptstate import pack_state

NTP = Moment(3, 5_000, 1_790_000_000_005_000, TimeQuality.NTP)
BEFORE_US = 1_780_000_000_000_000
FLOOR = Moment(3, 5_000, 1_790_000_000_005_000, TimeQuality.FLOOR, BEFORE_US)


def used(*moments: Moment) -> UsedMoments:
    """As the next process reads it."""
    return UsedMoments(pack_state(VERSION, UsedMoments().snapshot(moments)))


def test_what_is_kept_is_no_news_and_what_dates_otherwise_is() -> None:
    kept = UsedMoments()
    assert kept.news([NTP, NTP, FLOOR, NTP._replace(wall_us=NTP.wall_us + 9_000)]) == [NTP, FLOOR]
    kept.add([NTP, FLOOR])
    moved = FLOOR._replace(before_us=BEFORE_US + 11_000)
    near = FLOOR._replace(before_us=BEFORE_US + 9_000)
    set_ = NTP._replace(wall_us=NTP.wall_us + 11_000)
    bounded = FLOOR._replace(after_us=1_800_000_000_000_000)
    news = [moved, set_, bounded, NTP._replace(boot=4)]
    assert kept.news([FLOOR, near, *news, NTP]) == news


def test_only_what_former_processes_used_is_former() -> None:
    kept = used(NTP)
    kept.add([FLOOR])
    assert (kept.former(3), kept.former(4)) == ((NTP,), ())
    again = UsedMoments(pack_state(VERSION, kept.snapshot([NTP._replace(boot=4)])))
    assert (again.former(3), again.former(4)) == ((NTP, FLOOR), (NTP._replace(boot=4),))
    assert kept.news([NTP._replace(boot=4)]), "the state alone is not kept yet"


def test_a_manifest_has_room_for_all_of_a_boot_and_the_boots_are_limited() -> None:
    many = [NTP._replace(wall_us=NTP.wall_us + n * 1_000_000) for n in range(2 * BOOT_MOMENTS)]
    assert used(*many).former(3) == tuple(many[-BOOT_MOMENTS:])
    assert BOOT_MOMENTS < MOMENTS_LIMIT
    boots = [NTP._replace(boot=boot) for boot in range(1, BOOTS + 2)]
    kept = used(*boots[:BOOTS], FLOOR._replace(boot=1), boots[-1])
    assert kept.former(1), "it was in use after the others"
    assert (kept.former(2), kept.former(BOOTS + 1)) == ((), (boots[-1],))


@pytest.mark.parametrize(
    "state",
    [
        None, (VERSION + 1, msgpack.packb([NTP.packed()])), (VERSION, b""), (VERSION, b"\xc1"),
        (VERSION, msgpack.packb(7)), (VERSION, msgpack.packb([[3, 5]])),
        (VERSION, msgpack.packb([[*NTP[:3], "atomic", None, None]])),
    ],
)  # fmt: skip
def test_a_state_that_cannot_be_read_is_none(state: tuple[int, bytes] | None) -> None:
    assert UsedMoments(state).former(3) == ()
