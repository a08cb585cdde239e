"""What one gateway may send: to the record and to the byte, in virtual time."""

import argparse
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge.acquire.clock import SystemClock
from edge.cli.ingestrun import IngestRun, run_options
from edge.platform.intakerate import DAY_NS, LOOKED_AT, IntakeLimit, IntakeRate
from edge.platform.keepquota import RATE
from edge.platform.openstore import StorePlace, open_store
from edge.platform.receivedrecord import ReceivedRecord, RefusedMessage
from edge.platform.recordingest import RecordIngest
from edge.platform.recordstore import CommittedRecord, RecordStore, RecordStoreError
from edge.platform.sitecheck import refused_findings
from edge.platform.subscription import ArrivedMessage
from tests.kit.records import GW, NOON, entry, record
from tests.long import examples

S = 1_000_000_000
SMALL = IntakeLimit(burst_bytes=1_000_000, burst_records=10, day_bytes=10**9, day_records=86_400)


@pytest.fixture
def store(place: StorePlace) -> Iterator[RecordStore]:
    made = open_store(place, write=True)
    yield made
    made.close()


def arrived(*numbers: int, gw: str = GW) -> list[ArrivedMessage]:
    found = [entry(record(number)) for number in numbers]
    return [
        ArrivedMessage(
            one.topic.replace(GW, gw), one.payload.replace(GW.encode(), gw.encode()),
            one.content_type, retained=False,
        )
        for one in found
    ]  # fmt: skip


def test_a_backlog_of_a_week_passes_at_once_and_a_flood_does_not() -> None:
    rate = IntakeRate(IntakeLimit())
    week = [(n * S // 1_000, 1_120) for n in range(7 * 14_688)]  # 8 lanes, air, a meter: docs/scale
    assert all(rate.take("gw-1", size, at) for at, size in week)
    assert not all(rate.take("gw-2", 1_000, n) for n in range(300_000)), "300 MB within a moment"
    assert rate.take("gw-1", 1_120, 7 * 14_688), "the others go on"


def test_a_gateway_that_sends_every_value_passes_for_ever() -> None:
    rate = IntakeRate(IntakeLimit())
    for at_s in range(0, 30 * 86_400, 10):  # 200 values a second, 3.1 bytes each, once in 10 s
        assert rate.take("gw-1", 6_200, at_s * S)


def test_what_is_open_grows_with_time_and_not_beyond_the_burst() -> None:
    rate = IntakeRate(SMALL)
    assert [rate.take("a", 1, 0) for _ in range(11)] == [True] * 10 + [False]
    assert [rate.take("a", 1, S) for _ in range(2)] == [True, False], "one a second"
    assert [rate.take("a", 1, 1_000 * S) for _ in range(11)] == [True] * 10 + [False]
    assert not rate.take("a", 1, 999 * S), "a clock that went back opens nothing"
    rate.give_back("a", 1)
    assert rate.take("a", 1, 1_000 * S)
    assert not rate.take("b", 1_000_001, 0), "larger than all that it may"
    assert rate.take("b", 1_000_000, 0)
    assert not rate.take("b", 100_000, 8 * S)
    assert rate.take("b", 100_000, 9 * S)


@given(
    st.lists(
        st.tuples(st.sampled_from("ab"), st.integers(0, 40), st.integers(0, 5 * S), st.booleans()),
        max_size=200,
    )
)
@settings(max_examples=examples(200), deadline=None)
def test_never_more_than_the_burst_and_what_time_has_opened(
    steps: list[tuple[str, int, int, bool]],
) -> None:
    limit = IntakeLimit(100, 8, 10 * 86_400, 86_400)
    rate, now, stored = IntakeRate(limit), 0, list[tuple[str, int, int]]()
    for gw, size, pause, back in steps:
        now += pause
        if rate.take(gw, size, now):
            if back:
                rate.give_back(gw, size)
            else:
                stored.append((gw, size, now))
    for gw in "ab":
        mine = [(size, at) for name, size, at in stored if name == gw]
        for first in range(len(mine)):
            for last in range(first, len(mine)):
                span = mine[last][1] - mine[first][1]
                part = mine[first : last + 1]
                assert len(part) * DAY_NS <= limit.burst_records * DAY_NS + limit.day_records * span
                most = limit.burst_bytes * DAY_NS + limit.day_bytes * span
                assert sum(size for size, _ in part) * DAY_NS <= most


def test_gateways_are_forgotten_when_all_is_open_to_them_again() -> None:
    rate = IntakeRate(IntakeLimit())
    for n in range(10 * LOOKED_AT):  # a record of each takes 86 ms of its room
        assert rate.take(f"gw-{n}", 100, n * S // 1_000)
    assert len(rate) <= LOOKED_AT
    for n in range(10 * LOOKED_AT):  # all at once: then all are remembered
        assert rate.take(f"gw-{n}", 100, 10_000 * S)
    assert rate.take("gw-1", 100, 20_000 * S)
    for n in range(10 * LOOKED_AT):
        assert rate.take(f"x-{n}", 100, 20_000 * S + n * S)
    assert len(rate) <= LOOKED_AT


def test_nothing_is_refused_without_a_limit() -> None:
    rate = IntakeRate(None)
    assert all(rate.take("gw-1", 1 << 30, 0) for _ in range(100))
    assert len(rate) == 0


def test_what_is_beyond_has_no_receipt_is_counted_and_told_once(store: RecordStore) -> None:
    said: list[str] = []
    ingest = RecordIngest(store, report=said.append, rate=IntakeRate(SMALL))
    first = ingest.take(arrived(*range(1, 16)), 0, NOON)
    assert b"[[1,10]]" in first[0][1].data.replace(b" ", b"")
    assert (ingest.counts.stored, ingest.counts.excess) == (10, 5)
    other = ingest.take([*arrived(16), *arrived(1, gw="gw-0002")], 0, NOON)
    assert ["gw-0002" in topic for topic, _ in other] == [True], "another one is not harmed"
    assert len([each for each in said if each.startswith("rate: ")]) == 1
    assert any(GW in each and "sends it again later" in each for each in said)
    ingest.take(arrived(11), S, NOON + S)
    assert ingest.counts.stored == 12
    assert [each.key[3] for each in store.records(GW)] == list(range(1, 12))
    assert store.tallies().of(GW, RATE).total == 6
    [(gw, finding)] = refused_findings(store)
    assert (gw, finding.kind) == (GW, "excess")
    assert finding.text.startswith(f"{GW}: 6 records")


def test_repeats_cost_nothing_of_what_a_gateway_may(store: RecordStore) -> None:
    """It sends again what has no receipt: that fills no disk."""
    ingest = RecordIngest(store, report=lambda _: None, rate=IntakeRate(SMALL))
    ingest.take(arrived(*range(1, 8)), 0, NOON)
    for _ in range(9):
        ingest.take(arrived(1, 2, 3), 0, NOON)
    ingest.take(arrived(*range(8, 11)), 0, NOON)
    assert (ingest.counts.stored, ingest.counts.repeats, ingest.counts.excess) == (10, 27, 0)


class _Away:
    """A store that is away for some commits."""

    def __init__(self, failures: int) -> None:
        self.left = failures

    def commit(
        self, entries: list[ReceivedRecord], _refused: list[RefusedMessage]
    ) -> list[CommittedRecord]:
        self.left -= 1
        if self.left >= 0:
            raise RecordStoreError("away")
        return [CommittedRecord(each, "stored") for each in entries]


def test_what_could_not_be_stored_costs_nothing() -> None:
    store: Any = _Away(20)
    ingest = RecordIngest(store, report=lambda _: None, rate=IntakeRate(SMALL))
    for _ in range(20):
        with pytest.raises(RecordStoreError):
            ingest.take(arrived(*range(1, 11)), 0, NOON)
    ingest.take(arrived(*range(1, 11)), 0, NOON)
    assert (ingest.counts.stored, ingest.counts.excess) == (10, 0)


def test_the_limit_is_an_option_of_each_command_that_stores() -> None:
    def rate(*words: str) -> IntakeRate:
        parser = argparse.ArgumentParser()
        run_options(parser)
        return IngestRun(parser.parse_args(words), SystemClock()).intake_rate()

    assert rate()._limit == IntakeLimit()
    assert rate("--gateway-limit", "5")._limit == IntakeLimit().times(5)
    assert rate("--gateway-limit", "0")._limit is None
    for wrong in ("-1", "x", "1.5", "٣", "1234567"):
        with pytest.raises(SystemExit):
            rate(f"--gateway-limit={wrong}")


def test_what_was_too_much_is_not_told_as_conflicts(capsys: pytest.CaptureFixture[str]) -> None:
    ours = IngestRun(argparse.Namespace(json=False, verb="sink"), SystemClock())
    ours.counts.conflicts, ours.counts.excess = 2, 70
    assert ours.verdict() == 1
    assert "2 conflicts, 70 beyond what is kept of a gateway, 0 foreign" in capsys.readouterr().out


def test_the_usual_limit_holds_where_none_is_named(store: RecordStore) -> None:
    ingest = RecordIngest(store, report=lambda _: None)
    assert ingest._rate._limit == IntakeLimit()
    assert IntakeLimit().times(2) == IntakeLimit(512 << 20, 4_000_000, 400_000_000, 2_000_000)
