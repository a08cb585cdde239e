"""What power cuts have cost, judged over lives that are told by a script."""

from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from edge.core import Stream
from edge.outbox.drops import DropRange
from edge.platform.sqlite_store import SqliteStore
from tests.kit.scripted import E1, E2, E3, GW, ScriptedGateway, Sent, entries
from tests.powercut.verdict import CutVerdict, judge_cuts

Judge = Callable[[list[Sent], Mapping[int, int]], CutVerdict]


@pytest.fixture
def judge(tmp_path: Path) -> Judge:
    def judged(messages: list[Sent], promised: Mapping[int, int]) -> CutVerdict:
        store = SqliteStore(tmp_path / "city.db", write=True)
        store.commit(entries(messages), [])
        found = judge_cuts(store, GW, promised)
        store.close()
        return found

    return judged


def life(*, lost: int = 0, declared: int = 0) -> tuple[list[Sent], dict[int, int]]:
    """Two boots with a cut between them; of the first `lost` numbers never leave."""
    street = ScriptedGateway()
    street.start(E1)
    street.minutes(3)
    street.seal()
    street.lose(Stream.AIR, lost)
    promised = {E1: sum(street.counts.values())}
    street.start(E2, former=E1, reboot=True)
    if declared:
        first = street_first(street)
        street.drop(E1, "air", DropRange(first, first + lost - 1, declared))
    street.minutes(3)
    street.seal()
    street.seal()
    return street.messages, promised


def street_first(street: ScriptedGateway) -> int:
    """The number of the first record of the air that never left."""
    return 1 + sum(sent.key[:2] == (E1, "air") for sent in street.messages)


def test_a_cut_that_has_cost_nothing(judge: Judge) -> None:
    messages, promised = life()
    verdict = judge(messages, promised)
    assert verdict.texts == ()
    assert (verdict.lost, verdict.doubled, verdict.undeclared, verdict.told) == (0, 0, 0, 0)
    assert verdict.acknowledged == len({sent.key for sent in messages})
    assert verdict.promised == promised[E1] > 0
    assert verdict.unharmed
    assert verdict.honest


def test_what_was_promised_and_is_nowhere_is_lost_though_no_number_says_so(judge: Judge) -> None:
    """A box that wakes up with an older disk knows nothing of those numbers."""
    messages, promised = life()
    verdict = judge(messages, {E1: promised[E1] + 2})
    assert verdict.lost == 2
    assert verdict.undeclared == 0
    assert not verdict.unharmed
    assert "2 numbers were called durable" in verdict.texts[0]


def test_numbers_that_are_missing_and_not_declared_are_undeclared(judge: Judge) -> None:
    verdict = judge(*life(lost=2))
    assert (verdict.lost, verdict.undeclared > 0) == (2, True)
    assert not verdict.honest


def test_numbers_that_a_drop_declares_are_not_lost_without_a_word(judge: Judge) -> None:
    verdict = judge(*life(lost=2, declared=2))
    assert (verdict.lost, verdict.undeclared) == (0, 0)
    assert verdict.honest


def test_an_older_disk_that_was_sent_from_is_told_to_the_city(judge: Judge) -> None:
    street = ScriptedGateway()
    street.start(E1)
    street.minutes(6)
    street.seal()
    promised = {E1: sum(street.counts.values())}
    last = {**street.counts, "air": 4, "energy": 4}
    street.start(E2, former=E1, last=last, reboot=True)
    street.minutes(3)
    street.seal()
    street.seal()
    verdict = judge(street.messages, promised)
    assert verdict.told > 0
    assert (verdict.lost, verdict.doubled, verdict.undeclared) == (0, 0, 0)
    assert verdict.honest
    assert not verdict.unharmed


def test_one_number_with_two_contents_is_doubled(judge: Judge) -> None:
    messages, promised = life()
    place = next(p for p, sent in enumerate(messages) if sent.key[1] == "air")
    other = Sent(messages[place].topic, {**messages[place].payload, "covered_s": 59.0})
    verdict = judge([*messages, other], promised)
    assert verdict.doubled == 1
    assert not verdict.honest


def test_where_nothing_was_promised_nothing_was_shown(judge: Judge) -> None:
    messages, _ = life()
    assert not judge(messages, {}).unharmed


def test_where_nothing_came_nothing_was_shown(judge: Judge) -> None:
    assert not judge([], {E3: 1}).honest
