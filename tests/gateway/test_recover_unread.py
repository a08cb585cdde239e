"""A start that cannot read its outbox does not say that there was nothing before."""

from pathlib import Path
from typing import Any
from unittest import mock

from edge.gateway.recover import recover
from edge.outbox import OpenReport
from tests.kit import lives as daemon_lives
from tests.kit.asread import as_read


def said(**how: Any) -> Any:
    found = recover(mock.Mock(), None, 1, [], 5_000_000_000, 60_000_000_000, None, **how)
    return as_read(found.drafts[0])


def test_an_outbox_that_does_not_answer_is_no_first_start() -> None:
    unread = said(unread=True)
    assert unread["reason"] == "restart"
    assert "cannot be read" in unread["text"]
    assert unread["gap"] == [None, 5_000_000]
    assert said()["reason"] == "start"
    assert "gone" in said(damaged=True)["text"]


def test_the_epoch_file_says_so_when_the_outbox_began_in_memory(tmp_path: Path) -> None:
    opened = OpenReport(in_memory="The card does not answer.")
    with mock.patch.object(daemon_lives, "OpenReport", return_value=opened):
        life = daemon_lives.GatewayLife(daemon_lives.GatewayStorage(tmp_path), 0)
    (gap,) = life.box.events("gap")
    assert "cannot be read" in gap.body["text"]
    life.stage.close()
