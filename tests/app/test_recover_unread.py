"""A start that cannot read its outbox does not say that there was nothing before."""

from typing import Any
from unittest import mock

from edge.app.recover import recover


def said(**how: bool) -> Any:
    found = recover(mock.Mock(), None, 1, [], 5_000_000_000, 60_000_000_000, None, **how)
    return found.drafts[0].body


def test_an_outbox_that_does_not_answer_is_no_first_start() -> None:
    unread = said(unread=True)
    assert unread["reason"] == "restart"
    assert "cannot be read" in unread["text"]
    assert unread["gap"] == [None, 5_000_000]
    assert said()["reason"] == "start"
    assert "gone" in said(damaged=True)["text"]
