"""What a check of a live stream remembers is bounded, and what is more is counted."""

import msgpack
import pytest

from edge.platform import auditor
from edge.platform.auditor import OVERHEAD, Auditor, Repeats, UnsealedRecords
from tests.kit.records import E1, GW
from tests.platform.seals import key, seal, sent


def test_what_is_proved_makes_room(monkeypatch: pytest.MonkeyPatch) -> None:
    room = sum(len(msgpack.packb(sent(n))) + OVERHEAD for n in range(1, 5))
    for kept, proved in ((room, 10), (room - 1, 0)):
        monkeypatch.setattr(auditor, "KEPT_BYTES", kept)
        waiting = UnsealedRecords()
        for _ in range(10):
            for n in range(1, 5):
                waiting.add(key(n), sent(n))
            assert waiting.add_seal(GW, seal(1, 2, 3, 4)) is None
        assert (waiting.proved, waiting.waiting) == (proved, 0 if proved else 1)


def test_the_oldest_go_first(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(auditor, "KEPT_BYTES", 5 * (len(msgpack.packb(sent(9))) + OVERHEAD))
    waiting = UnsealedRecords()
    for n in range(1, 10):
        waiting.add(key(n), sent(n))
    waiting.add_seal(GW, seal(4, 5))
    waiting.add_seal(GW, seal(5, 6))
    assert (waiting.proved, waiting.waiting) == (1, 1), "6 is used up by nothing, 4 is gone"


def test_a_manifest_that_came_too_early_is_proved_late_and_once() -> None:
    waiting = UnsealedRecords()
    waiting.add_seal(GW, seal(1, 2))
    waiting.add(key(1), sent(1))
    assert (waiting.retry_waiting(), waiting.proved, waiting.waiting) == ([], 0, 1)
    waiting.add(key(2), sent(2))
    assert (waiting.retry_waiting(), waiting.proved, waiting.waiting) == ([], 1, 0)
    assert (waiting.retry_waiting(), waiting.proved) == ([], 1)
    waiting.add_seal(GW, seal(3))
    waiting.add(key(3), sent(3, x=0))
    assert [each.kind for each in waiting.retry_waiting()] == ["digest"]
    assert (waiting.waiting, waiting.retry_waiting()) == (0, [])


def test_manifests_that_wait_are_bounded_and_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(auditor, "WAITING_MANIFESTS", 3)
    waiting = UnsealedRecords()
    for n in range(1, 6):
        waiting.add_seal(GW, seal(n, key=(GW, E1, "manifest", n)))
        assert waiting.waiting == n
    for n in range(1, 6):
        waiting.add(key(n), sent(n))
    assert (waiting.retry_waiting(), waiting.proved, waiting.waiting) == ([], 3, 2)


def test_of_manifests_that_wait_the_oldest_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(auditor, "WAITING_MANIFESTS", 2)
    waiting = UnsealedRecords()
    for n in range(1, 4):
        waiting.add_seal(GW, seal(n, key=(GW, E1, "manifest", n)))
    for n, proved in ((1, 0), (2, 1), (3, 2)):
        waiting.add(key(n), sent(n))
        assert (waiting.retry_waiting(), waiting.proved) == ([], proved)


def test_contents_are_remembered_for_the_newest_only(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(auditor, "DIGESTS_KEPT", 3)
    seen = Repeats()
    for n in range(1, 5):
        assert seen.compare(key(n), sent(n), True) == (True, None)
    for n in (2, 3, 4):
        counted, found = seen.compare(key(n), sent(n, x="other"), False)
        assert (counted, found and found.kind) == (False, "conflict")
    assert seen.compare(key(1), sent(1, redelivered=True), False) == (False, None), "nobody knows"
    counted, found = seen.compare(key(2), sent(2), False)
    assert found is not None
    assert (counted, found.kind) == (False, "duplicate")
    assert "long ago" in found.text


def test_only_what_came_last_is_forgiven_after_a_loss(monkeypatch: pytest.MonkeyPatch) -> None:
    seen = Repeats()
    for n in range(1, auditor.IN_FLIGHT + 2):
        seen.compare(key(n), sent(n), True)
    seen.reconnected()
    assert seen.compare(key(2), sent(2), False) == (False, None)
    assert seen.redelivered == 1
    counted, found = seen.compare(key(1), sent(1), False)
    assert (counted, found and found.kind, seen.redelivered) == (False, "duplicate", 1)
    assert seen.compare(key(2), sent(2, redelivered=True), False) == (False, None)


def test_findings_are_told_up_to_a_bound_and_all_are_counted(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(auditor, "FINDINGS_LIMIT", 3)
    audit = Auditor()
    for n in range(5):
        audit.refused("undecodable", f"t{n}", "broken")
    audit.lost(7)
    report = audit.report()
    assert [each.text for each in report.findings] == [f"t{n}: broken" for n in range(3)]
    assert report.notes == ["3 more findings of these kinds are not shown"]
