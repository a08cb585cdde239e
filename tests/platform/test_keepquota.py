"""How much is kept of what no gateway should send, to the message and to the byte."""

import pytest

from edge.platform import keepquota
from edge.platform.keepquota import KeepQuota, QuotaCount


def test_messages_and_bytes_have_a_bound_each(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(keepquota, "BYTES_PER_KIND", 10)
    found = KeepQuota(3)
    assert [found.keep("a", "foreign", size) for size in (4, 6, 1, 0, 0)] == [
        True, True, False, True, False,
    ]  # fmt: skip
    assert found.of("a", "foreign") == QuotaCount(3, 10, 2)
    assert found.of("a", "foreign").total == 5
    assert found.of("a", "conflict") == found.of("b", "foreign") == QuotaCount()
    assert found.keep("b", "foreign", 10)
    assert found.changed == {("a", "foreign"), ("b", "foreign")}
    found.restore("0", "x", QuotaCount(1, 2, 3))
    assert [(gw, kind) for gw, kind, _ in found] == [("0", "x"), ("a", "foreign"), ("b", "foreign")]
    assert ("0", "x") not in found.changed


def test_what_is_never_kept_is_counted_beside_what_is() -> None:
    found = KeepQuota(3)
    found.count("a", "epoch")
    found.keep("a", "conflict", 5)
    found.count("a", "epoch")
    assert found.of("a", "epoch") == QuotaCount(0, 0, 2)
    assert found.of("a", "conflict") == QuotaCount(1, 5, 0)
    assert found.changed == {("a", "epoch"), ("a", "conflict")}


def test_names_beyond_the_bound_share_one_room(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(keepquota, "GATEWAYS_LIMIT", 2)
    found = KeepQuota(2)
    for gw in ("a", "b", "c", "d", "e", "a"):
        found.keep(gw, "k", 1)
    assert {gw: (tally.kept, tally.not_kept) for gw, _, tally in found} == {
        "a": (2, 0), "b": (1, 0), "": (2, 1),
    }  # fmt: skip
    assert found.changed == {("a", "k"), ("b", "k"), ("", "k")}
    found.count("f", "k")
    assert found.of("", "k").not_kept == 2
