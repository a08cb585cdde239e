"""The auditor finds what is missing, twice or contradictory, and nothing else."""

from itertools import permutations
from typing import Any

import pytest

from edge.core import Stream
from edge.outbox.drops import DropRange, PendingDrops
from edge.platform.auditor import Auditor
from edge.wire import DecodedMessage, decode, is_down
from tests.kit.records import E1, GW, TOPICS
from tests.platform.checked import audit, drop, gap, kinds, manifest, message


def test_a_complete_stream_is_clean_in_any_order() -> None:
    for order in permutations([message(n) for n in range(1, 6)]):
        report = audit(*order)
        assert report.clean
        assert report.records == 5
        assert report.notes == []


def test_missing_numbers_are_a_finding_and_not_also_a_hole() -> None:
    assert kinds(message(1), message(2), message(5)) == ["missing"]
    assert "3-4" in audit(message(1), message(2), message(5)).findings[0].text


def test_joining_in_the_middle_is_said_and_is_no_finding() -> None:
    report = audit(message(7), message(8))
    assert report.clean
    assert report.notes == [f"{GW} {E1}/air: the records begin at number 7"]


def test_time_is_whole_or_a_gap_event_names_the_hole() -> None:
    first, after = message(1), message(2, at=(100, 160))
    assert kinds(first, after) == ["hole"]
    assert "40.000 s" in audit(first, after).findings[0].text
    assert audit(first, gap(1, 60, 100), after).clean
    assert audit(first, after, gap(1, 60, 100)).clean, "events may come later"
    assert kinds(first, gap(1, 60, 90), after) == ["hole"]
    assert audit(first, gap(1, 60, 80), gap(2, 75, 100), after).clean
    assert audit(first, gap(1, 60, 100, sources=["hut"]), after).clean
    assert kinds(first, gap(1, 60, 100, sources=["other"]), after) == ["hole"]


def test_sources_of_one_stream_share_numbers_but_not_time() -> None:
    assert audit(message(1), message(2, source="b", at=(0, 60)), message(3, at=(60, 120))).clean


def test_overlaps_are_found() -> None:
    assert kinds(message(1), message(2, at=(30, 90))) == ["overlap"]
    assert kinds(message(2), message(1, at=(30, 90))) == ["overlap"]


def test_the_same_again_must_be_marked() -> None:
    assert kinds(message(1), message(1)) == ["duplicate"]
    assert audit(message(1), message(1, redelivered=True)).clean
    assert audit(message(1, redelivered=True), message(1)).clean
    assert audit(message(1), message(1, redelivered=True, backfilled=True)).clean


def test_two_contents_under_one_number_are_a_conflict_whatever_the_marks() -> None:
    assert kinds(message(1), message(1, body={"x": 2}, redelivered=True)) == ["conflict"]
    assert kinds(message(1), message(1, boot=2, redelivered=True)) == ["conflict"]


def test_what_the_broker_repeats_after_our_own_loss_is_no_finding() -> None:
    auditor = Auditor()
    auditor.take(message(1))
    auditor.reconnected()
    auditor.take(message(1))
    report = auditor.report()
    assert report.clean
    assert report.notes


def test_declared_losses_are_accounted_for() -> None:
    lost = PendingDrops({(E1, "air", "full"): DropRange(2, 4, 3)})
    assert audit(message(1), message(5), drop(1, lost)).clean
    few = PendingDrops({(E1, "air", "full"): DropRange(2, 4, 2)})
    assert kinds(message(1), message(5), drop(1, few)) == ["missing"]
    # a row that was in flight when it was dropped may have arrived all the same
    assert audit(message(1), message(2), message(5), drop(1, lost)).clean
    elsewhere = PendingDrops({(E1, "energy", "full"): DropRange(2, 4, 3)})
    assert kinds(message(1), message(5), drop(1, elsewhere)) == ["missing"]


def test_a_lost_database_explains_all_before_it_and_excuses_nothing() -> None:
    lost = PendingDrops({(E1, "*", "damage"): DropRange(1, None, None)})
    assert kinds(message(1), message(5), drop(1, lost)) == ["lost", "lost"]
    assert kinds(message(1), message(2), drop(1, lost)) == ["lost"], "nobody knows how much"
    sealed = manifest(1, *(message(n) for n in range(1, 4)))
    assert kinds(message(1), message(5), sealed, drop(1, lost)) == ["lost", "missing", "lost"]


def merged(seq: int, covers: Any, at: tuple[int, int]) -> DecodedMessage:
    return message(seq, at=at, body={"x": 1, "covers": covers})


def test_a_merged_record_accounts_for_all_that_it_covers() -> None:
    """Two sources: numbers of one are covered, those of the other one come as they are."""
    other = [message(n, source="b", at=(n * 30 - 60, n * 30)) for n in (2, 4, 6)]
    whole = merged(5, [[1, 5, 2]], (0, 180))
    for order in permutations([whole, *other]):
        report = audit(*order)
        assert report.clean, report.findings
        assert report.records == 4
        assert report.notes == []
    assert kinds(whole, other[0], other[2]) == ["missing"]
    assert audit(whole, *other, merged(5, [[1, 5, 2]], (0, 180))).findings[0].kind == "duplicate"


def test_a_number_that_is_covered_twice_is_a_conflict() -> None:
    whole = merged(3, [[1, 3, 1]], (0, 180))
    own = message(2, at=(300, 360))
    gap_reported = gap(1, 180, 300)
    for order in permutations([whole, own, gap_reported]):
        assert kinds(*order) == ["conflict"]
    again = merged(4, [[3, 4, 1]], (180, 240))
    assert kinds(whole, again) == ["conflict"]


@pytest.mark.parametrize(
    "covers", [[[1, 2, 1]], [], [[1, 3, 0]], "x", [[1, 10**9, 1]], [[4, 3, 1]]]
)
def test_covers_that_cannot_be_are_a_finding(covers: Any) -> None:
    assert "undecodable" in kinds(message(1), message(2), merged(3, covers, (120, 180)))


def test_the_bounds_of_a_sending_are_no_content() -> None:
    first = message(1)
    second = DecodedMessage(
        first.topic, first.data, {**first.sent, "bounds": [None, None], "redelivered": True}
    )
    assert audit(first, second).clean


def test_answers_and_retained_messages_are_no_records() -> None:
    topic, payload = TOPICS.answer("resend"), b'{"v": 1, "gw": "gw-0001", "id": "x", "ok": true}'
    (answer,) = decode(topic, payload)
    assert answer.kind == "answer"
    assert audit(answer).records == 0


def test_a_manifest_proves_what_it_seals_whenever_it_comes() -> None:
    data = [message(n) for n in range(1, 4)]
    for order in permutations([*data, manifest(1, *data)]):
        report = audit(*order)
        assert report.clean
        assert (report.proved, report.notes) == (1, [])


def test_a_manifest_tells_what_is_missing_at_the_end() -> None:
    data = [message(n) for n in range(1, 4)]
    report = audit(data[0], manifest(1, *data))
    assert [finding.kind for finding in report.findings] == ["missing"]
    assert "2-3" in report.findings[0].text
    assert report.proved == 0
    assert "not checked" in report.notes[-1]


def test_what_is_not_what_was_sealed_is_a_finding() -> None:
    data = [message(n) for n in range(1, 4)]
    other = message(2, body={"x": 7})
    assert kinds(data[0], other, data[2], manifest(1, *data)) == ["digest"]
    assert kinds(*data, manifest(1, *data, count=4)) == ["digest"]
    assert kinds(*data, manifest(1, *data, seqs=[[3, 3, 1], [1, 2, 1]])) == ["digest"]
    assert kinds(*data, manifest(1, *data, sha256=7)) == ["digest"]


def test_records_without_a_manifest_are_kept_within_bounds(monkeypatch: Any) -> None:
    monkeypatch.setattr("edge.platform.auditor.KEPT_BYTES", 20_000)
    data = [message(n) for n in range(1, 200)]
    report = audit(*data, manifest(1, *data))
    assert report.clean
    assert report.proved == 0
    assert "too long ago" in report.notes[-1]
    assert audit(*data, manifest(1, *data[-20:])).proved == 1


def test_other_gateways_do_not_count() -> None:
    auditor = Auditor()
    auditor.take(message(1))
    auditor.refused("undecodable", "a/b", "broken")
    assert [finding.kind for finding in auditor.report().findings] == ["undecodable"]


@pytest.mark.parametrize(
    ("topic", "down"),
    [
        (TOPICS.receipt, True),
        (TOPICS.reconnect_spread, True),
        (f"{TOPICS.down}/cmd/resend", True),
        (TOPICS.status, False),
        (TOPICS.record(Stream.AIR, "down"), False),
        (TOPICS.status.replace(GW, "down"), False),
        (TOPICS.receipt.replace("kerbstone", "k"), False),
        (f"{TOPICS.up}/stadt/gw-2/down/receipt", False),
    ],
)
def test_what_goes_down_to_a_gateway_is_known(topic: str, down: bool) -> None:
    assert is_down(topic) == down
