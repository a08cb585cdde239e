"""What the first gap of a start says of the time before: an outbox that cannot be read is no first
start, and another box is no power cut."""

from pathlib import Path
from typing import Any
from unittest import mock

import pytest

from edge.gateway.recover import PreviousRun, recover
from edge.outbox import OpenReport
from tests.kit import lives as daemon_lives
from tests.kit.asread import as_read


def said(before: PreviousRun | None = None, **how: Any) -> Any:
    found = recover(mock.Mock(), before, 1, [], 5_000_000_000, 60_000_000_000, None, **how)
    return as_read(found.drafts[0])


def test_an_outbox_that_does_not_answer_is_no_first_start() -> None:
    unread = said(unread=True)
    assert unread["reason"] == "restart"
    assert "cannot be read" in unread["text"]
    assert unread["gap"] == [None, 5_000_000]
    assert said()["reason"] == "start"
    assert "gone" in said(damaged=True)["text"]


@pytest.mark.parametrize("how", ["restored", "card"])
def test_another_box_is_called_so_and_no_power_cut(how: Any) -> None:
    before = PreviousRun(boot=0, segment=1, start_ns=3_000_000)
    cut, swap = said(before), said(before, swap=how)
    assert (cut["reason"], cut.get("swap")) == ("power", None)
    assert (swap["reason"], swap["swap"]) == ("restart", how)
    assert "Another box goes on here" in swap["text"]
    assert "The box was off" not in swap["text"]
    assert swap["gap"] == cut["gap"] == [3_000, 5_000_000]


def test_a_copy_of_another_box_is_called_so_and_no_damage() -> None:
    before = PreviousRun(boot=0, segment=1, start_ns=3_000_000)
    copy = said(before, past="older", swap="restored")
    assert (copy["reason"], copy["swap"]) == ("restart", "restored")
    assert "from a copy" in copy["text"]
    assert "damaged" not in copy["text"]
    assert "damaged" in said(before, past="older")["text"]


def test_the_epoch_file_says_so_when_the_outbox_began_in_memory(tmp_path: Path) -> None:
    opened = OpenReport(in_memory="The card does not answer.")
    with mock.patch.object(daemon_lives, "OpenReport", return_value=opened):
        life = daemon_lives.GatewayLife(daemon_lives.GatewayStorage(tmp_path), 0)
    (gap,) = life.box.events("gap")
    assert "cannot be read" in gap.body["text"]
    life.stage.close()
