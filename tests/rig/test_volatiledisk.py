"""What a cut leaves of a disk: never less than what was flushed, nothing that nobody wrote."""

import random
from collections import Counter

import pytest

from edge.rig.volatiledisk import DISKS, SECTOR, DiskKind, VolatileDisk

SIZE = 64 * SECTOR


def disk(kind: DiskKind = "honest", seed: int = 1) -> VolatileDisk:
    return VolatileDisk(bytearray(SIZE), DISKS[kind], random.Random(seed))


def sectors(data: bytes) -> list[bytes]:
    return [data[at : at + SECTOR] for at in range(0, len(data), SECTOR)]


def test_what_was_written_is_read_back_before_it_is_durable() -> None:
    one = disk()
    one.write(SECTOR, b"a" * SECTOR)
    assert one.read(SECTOR, SECTOR) == b"a" * SECTOR
    assert one.durable == bytes(SIZE)


@pytest.mark.parametrize("seed", range(50))
def test_a_cut_keeps_all_that_was_flushed_and_of_the_rest_whole_sectors(seed: int) -> None:
    one = disk(seed=seed)
    one.write(0, b"old" + bytes(4 * SECTOR - 3))
    one.settle(one.mark())
    before = sectors(one.durable)
    new = [bytes((65 + place,)) * SECTOR for place in range(8)]
    one.write(2 * SECTOR, b"".join(new))
    cut = one.cut()
    after = sectors(one.durable)
    assert after[:2] == before[:2]
    assert after[10:] == before[10:]
    kept = sum(after[2 + place] == sector for place, sector in enumerate(new))
    assert all(after[2 + p] in (before[2 + p], new[p]) for p in range(8))
    assert (cut.writes, cut.kept, cut.lost) == (1, kept, 8 - kept)
    assert cut.torn == (0 < kept < 8)
    assert one.read(0, SIZE) == one.durable


def test_cuts_lose_tear_and_change_the_order_of_what_waits() -> None:
    """Not of one seed alone: a rig whose cuts keep everything would show nothing."""
    policies, torn, later_alone = Counter[str](), 0, 0
    for seed in range(60):
        one = disk(seed=seed)
        one.write(0, b"1" * 4 * SECTOR)
        one.write(8 * SECTOR, b"2" * SECTOR)
        cut = one.cut()
        policies[cut.policy] += 1
        torn += cut.torn
        first, second = (sectors(one.durable)[place][:1] for place in (0, 8))
        later_alone += (first, second) == (b"\0", b"2")
    assert policies.keys() == {"nothing", "beginning", "any"}
    assert torn > 0
    assert later_alone > 0


def test_a_flush_promises_what_was_written_before_it_began() -> None:
    one = disk()
    one.write(0, b"1" * SECTOR)
    mark = one.mark()
    one.write(SECTOR, b"2" * SECTOR)
    one.settle(mark)
    assert sectors(one.durable)[:2] == [b"1" * SECTOR, bytes(SECTOR)]


def test_a_flush_of_a_slow_disk_takes_time_and_that_of_an_honest_one_none() -> None:
    assert disk("honest").flush_takes_s() == 0
    low_s, high_s = DISKS["slow"].flush_s
    assert 0 < low_s <= disk("slow").flush_takes_s() <= high_s


@pytest.mark.parametrize("seed", range(20))
def test_a_disk_that_lies_loses_what_was_flushed_and_only_the_end_of_it(seed: int) -> None:
    one = disk("lying", seed)
    for place in range(20):
        one.write(place * SECTOR, bytes((65 + place,)) * SECTOR)
        one.settle(one.mark())
    assert one.durable == bytes(SIZE)
    one.cut()
    left = [sector[:1] != b"\0" for sector in sectors(one.durable)[:20]]
    assert left == sorted(left, reverse=True)


def test_the_cache_of_a_disk_that_lies_has_an_end() -> None:
    manner = DISKS["lying"]._replace(cache_bytes=4 * SECTOR)
    one = VolatileDisk(bytearray(SIZE), manner, random.Random(1))
    for place in range(10):
        one.write(place * SECTOR, b"x" * SECTOR)
    assert one.durable == b"x" * 6 * SECTOR + bytes(SIZE - 6 * SECTOR)


@pytest.mark.parametrize(("offset", "length"), [(-1, 1), (SIZE, 1), (SIZE - 1, 2), (0, SIZE + 1)])
def test_beyond_its_end_there_is_nothing(offset: int, length: int) -> None:
    one = disk()
    with pytest.raises(ValueError, match="the disk has"):
        one.read(offset, length)
    with pytest.raises(ValueError, match="the disk has"):
        one.write(offset, bytes(length))
