"""What power cuts have cost, judged over lives that are told by a script."""

from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from edge.core import Stream
from edge.outbox.drops import DropRange
from edge.platform.sqlite_store import SqliteStore
from edge.wire import CHAIN_START
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
    """A box that wakes up with an older disk knows nothing of those numbers. It declares the time
    since the last one that it knows."""
    messages, promised = life()
    verdict = judge(messages, {E1: promised[E1] + 2})
    assert (verdict.lost, verdict.silent, verdict.undeclared) == (2, 0, 0)
    assert verdict.seen == {"declared by a gap": 2}
    assert not verdict.unharmed
    assert verdict.honest
    assert "2 numbers were called durable, and are nowhere: declared by a gap" in verdict.texts[0]


def test_a_loss_that_no_later_start_speaks_of_is_silent(judge: Judge) -> None:
    street = ScriptedGateway()
    street.start(E1)
    street.minutes(3)
    street.seal()
    street.seal()
    verdict = judge(street.messages, {E1: sum(street.counts.values()) + 2})
    assert (verdict.lost, verdict.silent, verdict.seen) == (2, 2, {})
    assert not verdict.honest
    assert "nobody says so" in verdict.texts[0]


@pytest.mark.parametrize(
    "less",
    [{"sources": ["hut"]}, {"gap": [(5 + 3 * 60) * 1_000_000, (5 + 9 * 60) * 1_000_000]}],
)
def test_a_gap_that_does_not_cover_the_end_of_what_came_declares_no_loss_of_it(
    judge: Judge, less: Mapping[str, object]
) -> None:
    """Of another source only; or beginning after what is lost. The audit names the hole."""
    street = ScriptedGateway()
    street.start(E1)
    street.minutes(3)
    street.seal()
    promised = {E1: sum(street.counts.values()) + 2}
    street.start(E2, former=E1)
    street.minutes(3)
    street.seal()
    street.seal()
    messages = [
        Sent(one.topic, {**one.payload, **less})
        if one.payload.get("reason") == "restart" else one
        for one in street.messages
    ]  # fmt: skip
    verdict = judge(messages, promised)
    assert "declared by a gap" not in verdict.seen
    assert verdict.seen["named by the audit: hole"] == 2
    assert verdict.silent == 0


def test_a_start_that_nobody_knows_of_is_covered_by_the_gap_from_the_one_before_it(
    judge: Judge,
) -> None:
    """All that start 2 had written is gone, and start 3 goes on from start 1."""
    street = ScriptedGateway()
    street.start(E1)
    street.minutes(3)
    street.seal()
    street.start(E3, former=E1, reboot=True)
    street.minutes(3)
    street.seal()
    street.seal()
    verdict = judge(street.messages, {E1: 3, E2: 24})
    assert (verdict.lost, verdict.silent) == (24, 0)
    assert verdict.seen == {"declared by a gap": 24}
    assert verdict.honest


def test_a_start_that_a_later_one_names_and_of_which_nothing_came_is_no_gap(judge: Judge) -> None:
    street = ScriptedGateway()
    street.start(E1)
    street.minutes(3)
    street.seal()
    messages = [*street.messages]
    street.start(E2, former=E1, reboot=True)
    street.minutes(3)
    last = {"air": 3, "energy": 3}
    kept = len(street.messages)
    street.start(E3, former=E2, last=last, reboot=True)
    street.minutes(3)
    street.seal()
    street.seal()
    verdict = judge([*messages, *street.messages[kept:]], {E2: 10})
    assert (verdict.lost, verdict.silent) == (10, 2)
    assert verdict.seen["named by the audit: missing"] == 8
    assert not verdict.honest


def test_numbers_that_are_missing_and_not_declared_are_undeclared(judge: Judge) -> None:
    verdict = judge(*life(lost=2))
    assert (verdict.lost, verdict.silent, verdict.undeclared > 0) == (2, 0, True)
    assert verdict.seen["named by the audit: missing"] == 2
    assert not verdict.unharmed
    assert verdict.honest  # of a disk that lies


def test_numbers_that_a_drop_declares_are_not_lost_without_a_word(judge: Judge) -> None:
    verdict = judge(*life(lost=2, declared=2))
    assert (verdict.lost, verdict.undeclared) == (0, 0)
    assert verdict.seen == {"declared by a drop": 2}
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


def test_a_register_that_is_counted_twice_is_seen_when_the_audit_names_it(judge: Judge) -> None:
    street = ScriptedGateway()
    street.start(E1)
    street.minutes(3)
    street.seal()
    promised = {E1: sum(street.counts.values())}
    street.start(E2, former=E1, reboot=True)
    street.register -= 1.0  # it knows an older reading
    street.minutes(3)
    street.seal()
    street.seal()
    verdict = judge(street.messages, promised)
    assert verdict.seen == {"by the audit as register": 1}
    assert (verdict.undeclared, verdict.wrong) == (1, 0)
    assert not verdict.unharmed
    assert verdict.honest


def test_a_record_that_differs_from_what_was_sealed_is_no_loss(judge: Judge) -> None:
    messages, promised = life()
    place = next(p for p, sent in enumerate(messages) if sent.key[1] == "air")
    messages[place] = Sent(messages[place].topic, {**messages[place].payload, "covered_s": 59.0})
    verdict = judge(messages, promised)
    assert verdict.wrong > 0
    assert not verdict.honest


def sealed_again(*, older: bool) -> tuple[list[Sent], dict[int, int]]:
    """Two manifests of one start say the same. `older`: by then the box goes on from an older
    outbox, and says so by the last numbers that it knows."""
    street = ScriptedGateway()
    street.start(E1)
    street.minutes(6)
    street.seal()
    promised = {E1: sum(street.counts.values())}
    last = {**street.counts, "air": 4, "energy": 4} if older else None
    street.start(E2, former=E1, last=last, reboot=True)
    street.minutes(3)
    street.seal()
    nothing = {"seqs": [], "first": 1, "last": 0, "count": 0, "sha256": CHAIN_START.hex()}
    model = next(one for one in street.messages if one.payload.get("stream_of") == "air")
    for _ in range(2):
        street.counts["manifest"] += 1
        number = {"epoch": E2, "seq": street.counts["manifest"]}
        street.messages.append(Sent(model.topic, {**model.payload, **nothing, **number}))
    return street.messages, promised


def test_manifests_made_again_from_an_older_outbox_have_a_number_of_their_own(
    judge: Judge,
) -> None:
    verdict = judge(*sealed_again(older=True))
    assert (verdict.resealed, verdict.doubled) == (1, 0)
    assert not verdict.unharmed


def test_a_manifest_that_is_there_twice_without_an_older_outbox_is_doubled(judge: Judge) -> None:
    verdict = judge(*sealed_again(older=False))
    assert (verdict.resealed, verdict.doubled) == (0, 1)
    assert not verdict.honest


def test_where_nothing_was_promised_nothing_was_shown(judge: Judge) -> None:
    messages, _ = life()
    assert not judge(messages, {}).unharmed


def test_where_nothing_came_nothing_was_shown(judge: Judge) -> None:
    assert not judge([], {E3: 1}).honest
