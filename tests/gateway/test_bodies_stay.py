"""Nobody changes the body of a draft once it is committed: the sender sends that very map later."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgpack
import pytest

from edge.core import Draft
from tests.kit import virtualgateway
from tests.kit.asread import as_read
from tests.kit.lives import GatewayStorage, lived


@pytest.fixture
def seen(monkeypatch: pytest.MonkeyPatch) -> list[tuple[Draft, bytes]]:
    """What was committed, and what its body said then."""
    found: list[tuple[Draft, bytes]] = []

    def watch(cls: type, name: str) -> None:
        commit = getattr(cls, name)

        def watched(self: Any, drafts: Sequence[Draft], *args: Any, **more: Any) -> Any:
            found.extend((draft, msgpack.packb(as_read(draft))) for draft in drafts)
            return commit(self, drafts, *args, **more)

        monkeypatch.setattr(cls, name, watched)

    watch(GatewayStorage, "commit")
    watch(virtualgateway.RememberingWriter, "commit")
    return found


def changed(seen: list[tuple[Draft, bytes]]) -> list[Draft]:
    return [draft for draft, packed in seen if msgpack.packb(as_read(draft)) != packed]


def test_no_body_of_a_street_changes_after_its_commit(
    seen: list[tuple[Draft, bytes]], tmp_path: Path
) -> None:
    lived(GatewayStorage(tmp_path), [(40, 1_000_000_000)])
    assert {str(draft.stream) for draft, _ in seen} >= {"traffic", "energy", "event"}
    assert not changed(seen)


def test_no_body_of_meters_and_their_raw_values_changes_after_its_commit(
    seen: list[tuple[Draft, bytes]],
) -> None:
    virtualgateway.lived(3, raw=True)
    assert {str(draft.stream) for draft, _ in seen} >= {"energy", "raw"}
    assert not changed(seen)
