"""A start that finds no card: nothing of it meets the rows of others when the card is back."""

from pathlib import Path

import pytest

from edge.core import Stamp
from edge.outbox.epochs import BLIND_STARTS, read_epoch_file
from tests.kit.clock import NTP
from tests.kit.outbox import S, drafts, everything, opened
from tests.outbox.failover import at, blind, returned

pytestmark = pytest.mark.usefixtures("faulty")


def test_a_blind_start_never_meets_the_rows_of_others(tmp_path: Path) -> None:
    outbox = opened(tmp_path)
    former = outbox.begin()
    made = outbox.commit(drafts(5), clock=at(5))
    outbox.close()
    outbox = blind(tmp_path)
    new = outbox.commit(drafts(3, at=50), clock=at(10))
    epoch = new[0].record.key.epoch
    assert former.epoch < epoch < 1 << 53
    assert epoch >> 32 in range(BLIND_STARTS.start, BLIND_STARTS.stop + 1)
    outbox.commit([], confirmed=[new[0].row], clock=at(11))
    returned(tmp_path, outbox)
    left = {stored.record.key for stored in everything(outbox)}
    assert {stored.record.key for stored in (*made, *new[1:])} <= left
    assert new[0].record.key not in left
    outbox.close()
    outbox = opened(tmp_path, boot="blind")
    following = outbox.begin()
    assert following.former is not None
    assert following.former.epoch == epoch < following.epoch, "counting goes on from it"
    outbox.close()


def test_rows_from_before_a_blind_start_keep_their_clock(tmp_path: Path) -> None:
    outbox = opened(tmp_path)
    boot = outbox.begin().boot
    made = outbox.commit(drafts(2), clock=Stamp(5 * S, 1_790_000_000 * S, NTP))
    outbox.close()
    outbox = blind(tmp_path)
    outbox.commit(drafts(1), clock=at(10))
    returned(tmp_path, outbox)
    outbox.close()
    for name in ("blind", "b3", "b4"):
        outbox = opened(tmp_path, boot=name)
        outbox.begin()
        outbox.commit(drafts(1), clock=at(10))
        assert outbox.marks(boot), "their rows are not delivered yet"
        outbox.close()
    assert made[0].record.boot == boot


def test_counts_never_fall_and_declarations_survive_a_blind_start(tmp_path: Path) -> None:
    for n in range(3):
        outbox = opened(tmp_path, limit=1 << 20, boot=f"b{n}")
        epoch = outbox.begin()
        for k in range(10):
            outbox.commit(drafts(100, size=1000), clock=at(100 * k + 1))
        kept = outbox._losses.pending.copy()
        outbox.close()
    assert kept
    outbox = blind(tmp_path)
    outbox.commit(drafts(1), clock=at(10))
    returned(tmp_path, outbox)
    assert outbox._storage.disk is not None
    assert kept.keys() <= outbox._storage.disk.drops().keys()
    assert outbox._storage.disk.word("starts", 0) == outbox._numbers.start.number
    assert (
        read_epoch_file(tmp_path / "outbox").starts
        == outbox._numbers.start.number
        > epoch.epoch >> 32
    )
    assert outbox._numbers.start.boot > epoch.boot
    outbox.close()


def test_states_that_could_not_be_read_are_not_overwritten(tmp_path: Path) -> None:
    outbox = opened(tmp_path)
    outbox.begin()
    outbox.commit([], {"energy": (1, b"123456")}, clock=at(1))
    outbox.close()
    outbox = blind(tmp_path)
    assert outbox.state("energy") is None
    outbox.commit(drafts(1), {"energy": (1, b"0"), "new": (1, b"n")}, clock=at(10))
    assert outbox.restart is None
    returned(tmp_path, outbox)
    outbox.commit(drafts(1), {"energy": (1, b"1")}, clock=at(400))
    assert outbox.restart is not None, "somebody should start the daemon anew"
    assert outbox.state("energy") == (1, b"123456")
    assert outbox.state("new") == (1, b"n")
    outbox.commit(drafts(1), {"energy": (1, b"2")}, clock=at(4000))
    assert outbox.state("energy") == (1, b"2"), "nobody did, for an hour"
    assert outbox.restart is None
    outbox.close()
