"""What a manifest seals, and what proves it."""

from typing import Any

import pytest

from edge.platform.receivedrecord import content_digest
from edge.platform.seals import prove_seal, seal_of
from edge.wire.clockmoments import Moment
from tests.kit.clock import NTP
from tests.kit.records import E1, GW
from tests.platform.seals import KEY, seal, sent


def test_the_envelope_is_no_content_and_bytes_are() -> None:
    one = sent(1)
    assert content_digest(one) == content_digest(
        {**one, "backfilled": True, "redelivered": True, "bounds": [], "tq": "x"}
    )
    found = {content_digest({"x": value}) for value in (b"\x01", b"\x02", "a", None, 1, [1])}
    assert len(found) == 6
    assert content_digest({"a": 1, "b": {"c": 1, "d": 2}}) == content_digest(
        {"b": {"d": 2, "c": 1}, "a": 1}
    )
    assert len(content_digest(one)) == 12
    with pytest.raises(TypeError):
        content_digest({"x": object()})


def test_a_seal_is_proved_by_all_of_its_records_and_no_other() -> None:
    numbers = (2, 4, 6)
    made = seal(*numbers)
    here = [(n, sent(n)) for n in range(1, 8)]
    assert prove_seal(made, here).proved
    for gone in range(1, 8):
        left = [each for each in here if each[0] != gone]
        proof = prove_seal(made, left)
        assert proof.absent == ((gone,) if gone in numbers else ())
        assert proof.proved == (gone not in numbers)
        assert proof.finding is None
    assert prove_seal(made, []).absent == numbers
    changed = [(n, sent(n, x="other")) if n == 4 else (n, one) for n, one in here]
    proof = prove_seal(made, changed)
    assert (proof.proved, proof.absent) == (False, ())
    assert proof.finding is not None
    assert proof.finding.kind == "digest"
    assert proof.finding.text == (
        f"{made.text} seals 3 numbers of {E1}/air (2-6), but the records that arrived are different"
    )
    assert made.text == f"the manifest {GW} {E1}/manifest/1"
    unreadable = prove_seal(made, [(2, {}), *here[2:]])
    assert unreadable == proof
    assert list(made.ranges) == [(2, 2), (4, 4), (6, 6)]
    assert list(seal(3, 4, 5).ranges) == [(3, 5)]


def test_a_manifest_that_contradicts_itself_is_refused() -> None:
    body = {
        "epoch_of": E1, "stream_of": "air", "first": 3, "last": 7, "count": 3,
        "seqs": [[3, 7, 2]], "sha256": "00", "clock": [[1, 2, 3, "ntp", None, None]],
    }  # fmt: skip
    made = seal_of(KEY, body)
    assert (made.seqs, made.numbers) == (((3, 7, 2),), [3, 5, 7])
    assert made.clock == (Moment(1, 2, 3, NTP),)
    assert made.clock_redelivered == ()
    more = {"clock_redelivered": body["clock"]}
    assert seal_of(KEY, body | more).clock_redelivered == made.clock
    wrongs: list[dict[str, Any]] = [
        {"first": 2}, {"last": 8}, {"count": 2}, {"stream_of": "aire"}, {"epoch_of": -1},
        {"epoch_of": 1 << 53}, {"seqs": [[3, 7, 0]]}, {"seqs": [[3, 3, 1], [3, 3, 1]], "last": 3},
        {"former": {}, "epoch_of": E1 + 1}, {"clock": None}, {"sha256": 7}, {"clock": [[]]},
    ]  # fmt: skip
    for wrong in wrongs:
        with pytest.raises(ValueError, match=r"."):
            seal_of(KEY, body | wrong)
    nothing = {"first": 1, "last": 0, "count": 0, "seqs": [], "former": {}}
    assert seal_of(KEY, body | nothing | {"epoch_of": E1}).numbers == []
    assert seal_of(KEY, body | {"epoch_of": 0}).epoch == 0
    with pytest.raises(ValueError, match="first, last and count"):
        seal_of(KEY, body | nothing | {"last": 1})
