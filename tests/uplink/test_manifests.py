"""A manifest seals what was handed over: each record once, in the order of its number."""

import hashlib
from typing import Any

import msgpack
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.core import Draft, Envelope, Record, RecordKey, Stream, TimeQuality
from edge.core.numbers import decode_steps
from edge.uplink import manifests as module
from edge.uplink.manifests import REDATED_LIMIT, SEGMENT_RECORDS, Manifests, Signature
from edge.wire import CHAIN_START, chain_map, decode, encode
from edge.wire.clockmoments import MOMENTS_LIMIT, Moment
from edge.wire.contract.boxevent import PreviousEpoch
from tests.kit.asread import as_read

EPOCH = 4294967299
NTP = Moment(3, 5_000, 1_790_000_000_005_000, TimeQuality.NTP)
STEPPED = Moment(3, 9_000, 1_790_000_002_009_000, TimeQuality.NTP)
NONE = Moment(2, 0, 0, TimeQuality.NONE, 1_780_000_000_000_000)


def record(seq: int, stream: Stream = Stream.AIR, **body: Any) -> Record:
    return Record(
        RecordKey(EPOCH, stream, seq),
        "hut",
        3,
        seq * 1_000_000,
        (seq + 1) * 1_000_000,
        {"n": seq, **body},
    )


def chain(records: list[Record]) -> str:
    """Written down once more, from the decision's words."""
    digest = bytes(32)
    for each in records:
        key = each.key
        head = [key.epoch, str(key.stream), key.seq, each.source, each.boot,
                each.from_ns // 1000, each.to_ns // 1000]  # fmt: skip
        digest = hashlib.sha256(
            digest + msgpack.packb(head) + msgpack.packb(dict(each.body))
        ).digest()
    return digest.hex()


def bodies(drafts: list[Draft]) -> list[dict[str, Any]]:
    return [as_read(draft) for draft in drafts]


def test_a_stream_in_order_is_one_segment() -> None:
    manifests = Manifests()
    records = [record(seq) for seq in range(1, 6)]
    for each in records:
        manifests.handed(each, NTP)
    assert manifests.due(0, all_=False) == []
    (draft,) = manifests.due(7, all_=True)
    assert (draft.stream, draft.source, draft.from_ns, draft.to_ns) == ("manifest", "air", 7, 7)
    assert as_read(draft) == {
        "epoch_of": EPOCH, "stream_of": "air", "first": 1, "last": 5, "count": 5,
        "seqs": [[1, 5, 1]], "sha256": chain(records), "clock": [NTP.packed()],
    }  # fmt: skip
    assert manifests.due(8, all_=True) == []


def test_live_and_backlog_are_two_segments() -> None:
    manifests = Manifests()
    for seq in (101, 1, 102, 2, 3, 103):
        manifests.handed(record(seq), NTP)
    found = bodies(manifests.due(0, all_=True))
    assert sorted(decode_steps(body["seqs"]) for body in found) == [[1, 2, 3], [101, 102, 103]]
    for body in found:
        assert body["sha256"] == chain([record(seq) for seq in decode_steps(body["seqs"])])


def test_what_was_sealed_is_not_sealed_again() -> None:
    manifests = Manifests()
    manifests.handed(record(1), NTP)
    assert len(manifests.due(0, all_=True)) == 1
    manifests.handed(record(1), NTP)
    assert [body["count"] for body in bodies(manifests.due(0, all_=True))] == [0]


def test_merged_records_continue_their_neighbours() -> None:
    """Three sources, minutes merged into quarters: the numbers interleave, the segment is one."""
    manifests = Manifests()
    merged = [record(43 + n, covers=[[1 + n, 43 + n, 3]]) for n in range(3)]
    later = [record(88 + n, covers=[[46 + n, 88 + n, 3]]) for n in range(3)]
    for each in (*merged, *later):
        manifests.handed(each, NTP)
    (body,) = bodies(manifests.due(0, all_=True))
    assert decode_steps(body["seqs"]) == [43, 44, 45, 88, 89, 90]
    assert body["sha256"] == chain([*merged, *later])


def test_a_full_segment_ends_before_its_time() -> None:
    manifests = Manifests()
    for seq in range(1, SEGMENT_RECORDS + 2):
        manifests.handed(record(seq), NTP)
    (body,) = bodies(manifests.due(0, all_=False))
    assert (body["first"], body["last"], body["count"]) == (1, SEGMENT_RECORDS, SEGMENT_RECORDS)
    (rest,) = bodies(manifests.due(0, all_=True))
    assert rest["first"] == SEGMENT_RECORDS + 1


@given(
    st.permutations(range(1, 25)),
    st.sets(st.integers(0, 40), max_size=6),
    st.sets(st.integers(0, 40), max_size=3),
)
def test_every_number_is_sealed_once_over_restarts(
    order: list[int], ends: set[int], restarts: set[int]
) -> None:
    manifests, found = Manifests(), []
    given: list[Draft] = []
    for at, seq in enumerate([*order, *order[:5]]):
        manifests.handed(record(seq), NTP)
        if at in ends:
            given += manifests.due(0, all_=True)
        if at in restarts:
            state = msgpack.unpackb(msgpack.packb(manifests.snapshot(given)))
            manifests = Manifests()
            manifests.restore(state)
    found += [body for body in bodies([*given, *manifests.due(0, all_=True)]) if body["count"]]
    sealed = [seq for body in found for seq in decode_steps(body["seqs"])]
    assert sorted(sealed) == list(range(1, 25))
    for body in found:
        seqs = decode_steps(body["seqs"])
        assert (body["first"], body["last"], body["count"]) == (seqs[0], seqs[-1], len(seqs))
        assert body["sha256"] == chain([record(seq) for seq in seqs])


@given(st.sampled_from(["json", "msgpack"]), st.floats(allow_nan=False, allow_infinity=False))
def test_a_consumer_calculates_the_same_chain(encoding: Any, value: float) -> None:
    """From what came over the wire, whatever the envelope says."""
    sent = record(9, value=value, whole=1.0, points={"a": {"n": 3, "mean": 0.5, "none": None}})
    sealed = Envelope(1, 2, TimeQuality.NTP, backfilled=True, redelivered=True)
    payload = encode(sent, sealed, "gw", encoding)
    (message,) = decode("kerbstone/v1/s/gw/up/air/hut", payload.data, payload.content_type)
    assert chain_map(CHAIN_START, message.sent).hex() == chain([sent])


def test_the_opening_names_the_former_epoch() -> None:
    draft = Manifests().opening(EPOCH, PreviousEpoch(epoch=5, last={"air": 812}), 3)
    assert as_read(draft)["former"] == {"epoch": 5, "last": {"air": 812}}
    assert as_read(draft)["count"] == 0


def test_a_signature_is_over_all_the_rest() -> None:
    seen: list[dict[str, Any]] = []

    def sign(body: Any) -> Signature:
        seen.append(msgpack.unpackb(msgpack.packb(body)))
        return Signature("ed25519", "00", "c2ln")

    manifests = Manifests(sign)
    manifests.handed(record(1), NTP)
    (body,) = bodies(manifests.due(0, all_=True))
    assert {k: v for k, v in body.items() if k not in ("alg", "sig", "cert_sha256")} == seen[0]
    assert body["sig"] == "c2ln"


def test_a_manifest_says_by_which_moments_its_records_were_dated_each_once() -> None:
    manifests = Manifests()
    again = NTP._replace(mono_us=7_000, wall_us=1_790_000_000_007_002)  # another look, no step
    for seq, by in ((1, NTP), (2, again), (3, STEPPED), (4, NTP)):
        manifests.handed(record(seq), by)
    (body,) = bodies(manifests.due(0, all_=True))
    assert body["clock"] == [NTP.packed(), STEPPED.packed()]


def test_what_goes_again_and_is_dated_better_is_told_once() -> None:
    manifests = Manifests()
    manifests.handed(record(1), NONE)
    given = manifests.due(0, all_=True)
    assert bodies(given)[0]["clock"] == [NONE.packed()]
    manifests.handed(record(1), NTP)
    assert manifests.changed
    state = msgpack.unpackb(msgpack.packb(manifests.snapshot(given)))
    manifests = Manifests()
    manifests.restore(state)
    (alone,) = bodies(manifests.due(0, all_=True))
    assert (alone["count"], alone["clock"], alone["clock_redelivered"]) == (0, [], [NTP.packed()])
    manifests.handed(record(1), NTP)
    assert manifests.due(0, all_=True) == []
    manifests.handed(record(1), STEPPED)
    manifests.handed(record(2), NTP)
    (beside,) = bodies(manifests.due(0, all_=True))
    assert (beside["count"], beside["clock_redelivered"]) == (1, [STEPPED.packed()])


def test_what_is_dated_better_waits_until_it_fills_a_manifest() -> None:
    manifests = Manifests()
    moments = [NTP._replace(wall_us=NTP.wall_us + n * 1_000_000) for n in range(MOMENTS_LIMIT)]
    manifests.handed(record(1), NONE)
    manifests.due(0, all_=True)
    for moment in moments[:-1]:
        manifests.handed(record(1), moment)
    assert manifests.due(0, all_=False) == []
    manifests.handed(record(1), moments[-1])
    (body,) = bodies(manifests.due(0, all_=False))
    assert body["clock_redelivered"] == [moment.packed() for moment in moments]


def test_a_clock_that_is_set_without_end_makes_no_large_manifest() -> None:
    manifests = Manifests()
    moments = [NTP._replace(wall_us=NTP.wall_us + n * 1_000_000) for n in range(2 * REDATED_LIMIT)]
    for seq, by in enumerate(moments[:100], 1):
        manifests.handed(record(seq), by)
    for seq in range(1, 101):
        manifests.handed(record(seq), *moments[seq * 17 : seq * 17 + 17])
    found = bodies(manifests.due(0, all_=True))
    assert max(len(body["clock"]) for body in found) <= MOMENTS_LIMIT
    assert max(len(body.get("clock_redelivered", ())) for body in found) == MOMENTS_LIMIT
    assert sum(len(body.get("clock_redelivered", ())) for body in found) == REDATED_LIMIT


def test_of_many_open_segments_the_oldest_end_and_are_due(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "SEGMENTS_LIMIT", 2)
    manifests = Manifests()
    for seq in (30, 20, 10):  # each begins a segment of its own
        manifests.handed(record(seq), NTP)
    assert [body["first"] for body in bodies(manifests.due(0, all_=False))] == [30]
    manifests.handed(record(21), NTP)
    assert sorted(body["seqs"] for body in bodies(manifests.due(0, all_=True))) == [
        [[10, 10, 1]], [[20, 21, 1]],
    ]  # fmt: skip


def test_of_many_streams_the_oldest_is_forgotten_and_may_be_sealed_twice(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(module, "SEALED_LIMIT", 2)
    manifests = Manifests()
    streams = (Stream.AIR, Stream.BAY, Stream.ENERGY)
    for stream in streams:
        manifests.handed(record(1, stream), NTP)
    assert len(manifests.due(0, all_=True)) == 3
    for stream in streams:
        manifests.handed(record(1, stream), NTP)
    again = bodies(manifests.due(0, all_=True))
    assert [body["stream_of"] for body in again if body["count"]] == ["air", "bay"]


def test_of_what_was_sealed_so_many_ranges_are_known(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "SEALED_RANGES_LIMIT", 2)
    manifests = Manifests()
    for seq in (1, 3, 5):
        manifests.handed(record(seq), NTP)
    manifests.due(0, all_=True)
    for seq in (5, 3, 1):
        manifests.handed(record(seq), NTP)
    found = [body for body in bodies(manifests.due(0, all_=True)) if body["count"]]
    assert [body["seqs"] for body in found] == [[[1, 1, 1]]]


def test_a_clock_that_was_set_often_ends_a_segment_before_its_time() -> None:
    manifests = Manifests()
    moments = [NTP._replace(wall_us=NTP.wall_us + n * 1_000_000) for n in range(MOMENTS_LIMIT + 1)]
    for seq, by in enumerate(moments[:-1], 1):
        manifests.handed(record(seq), by)
    manifests.handed(record(len(moments)), *moments[:5])
    assert manifests.due(0, all_=False) == [], "nothing new is in these"
    manifests.handed(record(len(moments) + 1), *moments[-3:])
    (body,) = bodies(manifests.due(0, all_=False))
    assert body["clock"] == [moment.packed() for moment in moments[:-1]]
    (body,) = bodies(manifests.due(0, all_=True))
    assert (body["first"], body["clock"]) == (
        len(moments) + 1,
        [moment.packed() for moment in moments[-3:]],
    )


def test_what_a_manifest_has_listed_is_not_listed_again_by_the_next_process() -> None:
    """Word for word as the first, it would look like a copy in the place of another."""
    manifests = Manifests()
    manifests.handed(record(1), NONE)
    manifests.due(0, all_=True)
    manifests.handed(record(1), NTP)
    given = manifests.due(0, all_=True)
    state = msgpack.unpackb(msgpack.packb(manifests.snapshot(given)))
    manifests = Manifests()
    manifests.restore(state)
    manifests.handed(record(1), NTP, STEPPED)
    (body,) = bodies(manifests.due(0, all_=True))
    assert body["clock_redelivered"] == [STEPPED.packed()]


def test_a_snapshot_holds_a_segment_until_its_draft_is_kept() -> None:
    """A kill between the draft and its commit must not lose the seal."""
    manifests = Manifests()
    manifests.handed(record(1), NTP)
    drafts = manifests.due(0, all_=True)
    before = manifests.changes
    state: Any = manifests.snapshot()
    assert [each[4] for each in state["open"]] == [bytes.fromhex(chain([record(1)]))]
    assert manifests.snapshot(drafts)["open"] == []
    manifests.mark_durable(before, [])
    assert manifests.changed, "the draft is not kept yet"
    manifests.mark_durable(before, drafts)
    assert not manifests.changed
    assert manifests.snapshot()["open"] == []


WHOLE = [EPOCH, "air", [[1, 2, 1]], 2, bytes(32), [], []]
DAMAGED: list[dict[str, Any]] = [
    {"version": 1},
    {"version": None},
    {"open": [[*WHOLE[:3], 3, *WHOLE[4:]]]},
    {"open": [[*WHOLE[:4], bytes(31), [], []]]},
    {"open": [[*WHOLE[:4], "0" * 32, [], []]]},
    {"open": [WHOLE[:5]]},
    {"open": [[*WHOLE[:5], [[1]], []]]},
    {"redelivered": [[EPOCH, 1]]},
    {"sealed": [[EPOCH, "air", [[1]]]]},
    {"sealed": None},
    {"listed": [[3, 5, 7, "atomic", None, None]]},
    {"listed": None},
]


@pytest.mark.parametrize("damage", DAMAGED)
def test_a_state_that_cannot_be_is_refused_and_changes_nothing(damage: dict[str, Any]) -> None:
    manifests = Manifests()
    manifests.handed(record(1), NTP)
    state = {**manifests.snapshot(), "open": [WHOLE]}
    before = manifests.snapshot()
    with pytest.raises(ValueError, match="the state of the manifests cannot be read"):
        manifests.restore({**state, **damage})
    assert manifests.snapshot() == before
    manifests.restore(state)
    assert manifests.snapshot()["open"] == [WHOLE]
