"""The auditor finds what is missing, twice or contradictory, and nothing else."""

from collections.abc import Iterator
from itertools import pairwise, permutations
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.core import Draft, Envelope, Key, Record, Stream
from edge.core.numbers import Numbers, size, steps, without
from edge.platform.check import Auditor, Report
from edge.platform.filters import refusal, subscriptions
from edge.platform.timeline import Timeline, uncovered
from edge.store.drops import Drop, Drops
from edge.uplink.wire import START, Message, Topics, decode, encode, is_down, link_of_map

S = 1_000_000_000
GW = "gw-0001"
E1, E2 = (1 << 32) + 7, (2 << 32) + 9
TOPICS = Topics("kerbstone/v1", "stadt", GW)


def message(
    seq: int,
    *,
    stream: Stream = Stream.AIR,
    source: str = "hut",
    epoch: int = E1,
    boot: int = 1,
    at: tuple[int, int] | None = None,
    body: dict[str, Any] | None = None,
    **envelope: Any,
) -> Message:
    start, end = at or ((seq - 1) * 60, seq * 60)
    record = Record(
        Key(epoch, stream, seq),
        source,
        boot,
        start * S,
        end * S,
        {"x": 1} if body is None else body,
    )
    sealed = Envelope(S, S, "ntp", **envelope)
    payload = encode(record, sealed, GW, "msgpack")
    (found,) = decode(TOPICS.record(stream, source), payload.data, payload.content_type)
    return found


def gap(seq: int, start: int, end: int, **more: Any) -> Message:
    epoch, boot = more.pop("epoch", E1), more.pop("boot", 1)
    body = {
        "event": "gap", "sources": ["*"], "reason": "restart",
        "gap": [start * 1_000_000, end * 1_000_000], "boot_before": boot, "text": "", **more,
    }  # fmt: skip
    return message(
        seq, stream=Stream.EVENT, source="gateway", epoch=epoch, boot=boot, at=(end, end), body=body
    )


def drop(seq: int, drops: Drops) -> Message:
    """The event as the outbox itself makes it."""
    (draft,) = drops.drafts(999 * S)
    assert isinstance(draft, Draft)
    return message(seq, stream=Stream.EVENT, source="outbox", at=(999, 999), body=dict(draft.body))


def audit(*messages: Message) -> Report:
    auditor = Auditor()
    for one in messages:
        auditor.take(one)
    return auditor.report()


def kinds(*messages: Message) -> list[str]:
    return [finding.kind for finding in audit(*messages).findings]


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
    assert report.notes == [f"{GW} {E1}/air: joined at number 7"]


def test_a_later_epoch_has_to_be_there_from_its_first_number() -> None:
    later = [message(n, epoch=E2, at=(n * 60, n * 60 + 60)) for n in (2, 3)]
    told = gap(1, 60, 120, epoch=E2, former={"epoch": E1, "last": {"air": 1}})
    assert kinds(message(1), told, *later) == ["missing"]


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
    assert audit(message(1), message(1, again=True)).clean
    assert audit(message(1, again=True), message(1)).clean
    assert audit(message(1), message(1, again=True, late=True)).clean


def test_two_contents_under_one_number_are_a_conflict_whatever_the_marks() -> None:
    assert kinds(message(1), message(1, body={"x": 2}, again=True)) == ["conflict"]
    assert kinds(message(1), message(1, boot=2, again=True)) == ["conflict"]


def test_what_the_broker_repeats_after_our_own_loss_is_no_finding() -> None:
    auditor = Auditor()
    auditor.take(message(1))
    auditor.reconnected()
    auditor.take(message(1))
    report = auditor.report()
    assert report.clean
    assert report.notes


def test_declared_losses_are_accounted_for() -> None:
    lost = Drops({(E1, "air", "full"): Drop(2, 4, 3)})
    assert audit(message(1), message(5), drop(1, lost)).clean
    few = Drops({(E1, "air", "full"): Drop(2, 4, 2)})
    assert kinds(message(1), message(5), drop(1, few)) == ["missing"]
    # a row that was in flight when it was dropped may have arrived all the same
    assert audit(message(1), message(2), message(5), drop(1, lost)).clean
    elsewhere = Drops({(E1, "energy", "full"): Drop(2, 4, 3)})
    assert kinds(message(1), message(5), drop(1, elsewhere)) == ["missing"]


def test_a_lost_database_explains_all_before_it_and_excuses_nothing() -> None:
    lost = Drops({(E1, "*", "damage"): Drop(1, None, None)})
    assert kinds(message(1), message(5), drop(1, lost)) == ["lost", "lost"]
    assert kinds(message(1), message(2), drop(1, lost)) == ["lost"], "nobody knows how much"
    sealed = manifest(1, *(message(n) for n in range(1, 4)))
    assert kinds(message(1), message(5), sealed, drop(1, lost)) == ["lost", "missing", "lost"]


def test_the_tail_of_the_former_epoch_is_checked() -> None:
    start = gap(1, 120, 180, epoch=E2, former={"epoch": E1, "last": {"air": 2}})
    new = message(1, epoch=E2, at=(180, 240))
    assert audit(message(1), message(2), start, new).clean
    assert kinds(message(1), start, new) == ["missing"]
    assert kinds(message(1), message(2), message(3), start, new)[0] == "damage"
    more = gap(1, 120, 180, epoch=E2, former={"epoch": E1, "last": {"air": 2, "energy": 4}})
    assert audit(message(1), message(2), more, new).clean, "before we came, perhaps"


def test_an_epoch_that_never_came_is_missed() -> None:
    third = (3 << 32) + 1
    start = gap(1, 60, 300, epoch=third, former={"epoch": E2, "last": {"air": 3}})
    found = kinds(message(1), start, message(1, epoch=third, at=(300, 360)))
    assert found == ["open", "missing"], "and what it said of the one before"


def test_boots_are_joined_by_a_gap_event() -> None:
    old, new = message(1), message(1, epoch=E2, boot=2, at=(5, 65))
    assert kinds(old, new) == ["open"]
    former = {"epoch": E1, "last": {"air": 1}}
    told = gap(1, 0, 5, epoch=E2, boot=2, boot_before=1, reason="power", former=former)
    assert audit(old, told, new).clean
    too_short = gap(1, 0, 3, epoch=E2, boot=2, boot_before=1, reason="power", former=former)
    assert kinds(old, too_short, new) == ["hole"]


E3 = (3 << 32) + 1


def start(epoch: int, former: int | None, **last: int) -> Message:
    """The first event of an epoch, and of a boot of its own."""
    said = {} if former is None else {"former": {"epoch": former, "last": last}}
    before = None if former is None else 1
    return gap(1, 0, 0, epoch=epoch, boot=epoch >> 32, boot_before=before, **said)


def test_each_epoch_is_closed_by_the_next() -> None:
    first, third = message(1), message(1, epoch=E3, boot=3)
    second = message(1, epoch=E2, boot=2)
    told = start(E2, E1, air=1), start(E3, E2, air=1, event=1)
    assert audit(first, second, third, *told).clean
    assert kinds(first, second, third, told[0], start(E3, None)) == ["open"]
    assert kinds(first, second, third, told[1], start(E2, None)) == ["open"]
    assert kinds(first, second, third, told[0], start(E3, E1, air=1)) == ["fork", "open"]
    assert kinds(first, second, third, start(E2, E3), start(E3, E2, air=1)) == ["fork", "open"]
    assert "fork" in kinds(first, second, third, start(E2, E2), told[1])


def test_epochs_follow_what_they_say_and_not_their_numbers() -> None:
    """A box with a new card counts anew: its second start has a smaller number than its first."""
    low, high = 1 << 32, 9 << 32
    first = [message(1, epoch=high, boot=9), start(high, None)]
    second = [message(1, epoch=low, boot=1), start(low, high, air=1, event=1)]
    assert kinds(*first, *second) == ["hole"], "its gap event says boot 1 came before boot 1"
    leads = gap(
        1, 0, 0, epoch=low, boot=1, boot_before=9, former={"epoch": high, "last": {"air": 2}}
    )
    assert kinds(*first, second[0], leads) == ["missing"]


def test_where_we_come_too_late_to_hear_it_an_older_epoch_may_be_the_one_before() -> None:
    """Its backlog comes now."""
    live = message(7, epoch=E3, boot=3, at=(100, 160))
    assert audit(live, message(5, epoch=E2, boot=2)).clean
    early = message(5, boot=1)
    assert kinds(live, message(5, epoch=E2, boot=2), early) == ["open", "missing"]
    heard = kinds(live, message(5, epoch=E2, boot=2), start(E3, None))
    assert heard == ["open", "missing"], "that it followed none"


def merged(seq: int, covers: Any, at: tuple[int, int]) -> Message:
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
    gap_told = gap(1, 180, 300)
    for order in permutations([whole, own, gap_told]):
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
    second = Message(first.topic, first.data, {**first.sent, "bounds": [None, None], "again": True})
    assert audit(first, second).clean


def test_answers_and_retained_messages_are_no_records() -> None:
    topic, payload = TOPICS.answer("resend"), b'{"v": 1, "gw": "gw-0001", "id": "x", "ok": true}'
    (answer,) = decode(topic, payload)
    assert answer.kind == "answer"
    assert audit(answer).records == 0


def manifest(seq: int, *sealed: Message, of: Stream = Stream.AIR, **more: Any) -> Message:
    chain = START
    for one in sealed:
        chain = link_of_map(chain, one.sent)
    numbers = [one.data["seq"] for one in sealed]
    body = {
        "epoch_of": E1, "stream_of": str(of), "first": numbers[0], "last": numbers[-1],
        "count": len(numbers), "seqs": steps(numbers), "sha256": chain.hex(), "clock": [], **more,
    }  # fmt: skip
    return message(seq, stream=Stream.MANIFEST, source=str(of), at=(999, 999), body=body)


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


def test_the_former_epoch_of_a_manifest_is_held_against_what_came() -> None:
    told = gap(1, 60, 180, epoch=E2)
    body = {
        "epoch_of": E2, "stream_of": "manifest", "first": 1, "last": 0, "count": 0, "seqs": [],
        "sha256": START.hex(), "clock": [], "former": {"epoch": E1, "last": {"air": 2}},
    }  # fmt: skip
    opening = message(
        1, stream=Stream.MANIFEST, source="manifest", epoch=E2, at=(180, 180), body=body
    )
    new = message(1, epoch=E2, at=(180, 240))
    assert kinds(message(1), told, opening, new) == ["missing"]


def test_records_without_a_manifest_are_kept_within_bounds(monkeypatch: Any) -> None:
    monkeypatch.setattr("edge.platform.unproved.KEPT", 20_000)
    data = [message(n) for n in range(1, 200)]
    report = audit(*data, manifest(1, *data))
    assert report.clean
    assert report.proved == 0
    assert "too long ago" in report.notes[-1]
    assert audit(*data, manifest(1, *data[-20:])).proved == 1


def test_lost_epochs_between_two_are_no_hole_beside() -> None:
    third = (3 << 32) + 1
    told = gap(1, 120, 300, epoch=third, former={"epoch": E2, "last": {"air": 1}})
    lost = gap(2, 300, 300, epoch=third)
    body = {
        "event": "drop", "epoch_of": E2, "stream_of": "air", "range": [1, 1], "count": 1,
    }  # fmt: skip
    dropped = message(3, stream=Stream.EVENT, epoch=third, at=(300, 300), body=body)
    new = message(1, epoch=third, at=(300, 360))
    assert kinds(message(1), told, lost, dropped, new) == ["open"]


def test_other_gateways_do_not_count() -> None:
    auditor = Auditor()
    auditor.take(message(1))
    auditor.refused("undecodable", "a/b", "broken")
    assert [finding.kind for finding in auditor.report().findings] == ["undecodable"]


@pytest.mark.parametrize(
    "topic_filter",
    ["kerbstone/v1/+/+/up/#", "kerbstone/v1/#", "#", "kerbstone/v1/s/gw/up/air/#"],
)
def test_filters_that_bring_all_sources_can_be_checked(topic_filter: str) -> None:
    assert refusal(topic_filter) is None


@pytest.mark.parametrize(
    "topic_filter",
    [
        "kerbstone/v1/+/+/up/air/hut",
        "kerbstone/v1/+/+/up/air/+",
        "kerbstone/v1/+/+/up/+/hut",
        "kerbstone/v1/+/+/up",
        "kerbstone/v1/+/+/+/air/#",
        "kerbstone/v1/+/+/up/last/#",
        "kerbstone/v1/+/+/up/aire/#",
        "$share/a/kerbstone/v1/#",
        "$queue/kerbstone/v1/#",
        "kerbstone/v1/s/+/gw/up/#",
        "a/up/+/#",
        "kerbstone/v1/+",
    ],
)
def test_the_others_are_refused_with_a_reason(topic_filter: str) -> None:
    assert refusal(topic_filter)


@pytest.mark.parametrize(
    ("topic", "down"),
    [
        (TOPICS.receipt, True),
        (TOPICS.spread, True),
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


def test_a_check_of_one_stream_listens_to_the_events_too() -> None:
    up = "k/s/g/up"
    air, event = ([f"{up}/{each}", f"{up}/{each}/+"] for each in ("air", "event"))
    assert subscriptions(f"{up}/air/#", "k", check=True) == air + event
    assert subscriptions(f"{up}/air/#", "k") == air
    assert subscriptions(f"{up}/#", "k", check=True) == [f"{up}/+", f"{up}/+/+"]
    assert subscriptions("k/#", "k", check=True) == ["k/#"]
    assert subscriptions(f"{up}/air/hut", "k") == [f"{up}/air/hut"]


@given(st.lists(st.integers(1, 60)))
def test_numbers_are_a_set(values: list[int]) -> None:
    numbers, truth = Numbers(), set[int]()
    for value in values:
        assert numbers.add(value) == (value not in truth)
        truth.add(value)
    missing = {n for a, b in numbers.missing(5, 40) for n in range(a, b + 1)}
    assert missing == set(range(5, 41)) - truth
    if truth:
        assert (numbers.first, numbers.last) == (min(truth), max(truth))


@given(st.lists(st.tuples(st.integers(0, 30), st.integers(0, 9))), st.lists(st.integers(0, 40)))
def test_ranges_are_taken_away(taken: list[tuple[int, int]], base: list[int]) -> None:
    ranges = [(n, n) for n in sorted(set(base))]
    cuts = [(a, a + n) for a, n in taken]
    left = set(base) - {n for a, b in cuts for n in range(a, b + 1)}
    found = without(ranges, cuts)
    assert {n for a, b in found for n in range(a, b + 1)} == left
    assert size(found) == len(left)


def stretches(order: list[int]) -> Iterator[tuple[int, int]]:
    for n in order:
        yield n * 10, n * 10 + 10


@given(st.permutations(list(range(8))), st.sets(st.integers(0, 7)))
def test_a_timeline_does_not_care_for_order(order: list[int], absent: set[int]) -> None:
    timeline = Timeline()
    for start, end in stretches([n for n in order if n not in absent]):
        assert timeline.add(start, end, (1, start))
    present = sorted(set(range(8)) - absent)
    holes = [(a * 10 + 10, b * 10) for a, b in pairwise(present) if b > a + 1]
    assert [(left.to_us, right.from_us) for left, right in timeline.holes()] == holes
    for start, _ in stretches(present):
        assert not timeline.add(start + 3, start + 5, (1, 99))


def test_rounding_of_a_gap_is_forgiven() -> None:
    assert uncovered(1_000_000, 2_000_000, [(1_000_400, 1_999_700)]) == 0
    assert uncovered(1_000_000, 2_000_000, [(1_100_000, 2_000_000)]) == 100_000
