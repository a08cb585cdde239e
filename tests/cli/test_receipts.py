"""`kerbstone receipts`: what it refuses. The rest is in tests/platform."""

from pathlib import Path

import pytest

from edge.cli.main import VERBS
from tests.kit.broker import free_port
from tests.kit.command import Command

URL = f"mqtt://127.0.0.1:{free_port()}"  # nobody listens there


@pytest.fixture(autouse=True)
def shipped(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(VERBS, "receipts", "")


def test_nobody_there_is_exit_3_and_the_store_is_free_again(
    kerbstone: Command, tmp_path: Path
) -> None:
    for _ in range(2):
        said = kerbstone("receipts", "--broker", URL, "--store", tmp_path / "x.db")
        assert said.code == 3
        assert URL in said.err


@pytest.mark.parametrize("name", ["x.txt", "x", "no/folder/x.db", "no/folder/x.jsonl"])
def test_what_can_be_no_store_is_exit_2(kerbstone: Command, tmp_path: Path, name: str) -> None:
    said = kerbstone("receipts", "--broker", URL, "--store", tmp_path / name)
    assert said.code == 2
    assert name in said.err


def test_a_database_of_something_else_is_exit_2_or_3_and_left_alone(
    kerbstone: Command, tmp_path: Path
) -> None:
    import sqlite3

    path = tmp_path / "x.db"
    other = sqlite3.connect(path)
    other.executescript("CREATE TABLE thing (x); INSERT INTO thing VALUES (1);")
    other.close()
    said = kerbstone("receipts", "--broker", URL, "--store", path)
    assert said.code == 2
    assert "not a store" in said.err
    again = sqlite3.connect(path)
    assert again.execute("SELECT x FROM thing").fetchall() == [(1,)]
    again.close()


@pytest.mark.parametrize("url", ["localhost", "http://x:1883", "mqtt://", ""])
def test_a_url_that_is_none_is_exit_2(kerbstone: Command, tmp_path: Path, url: str) -> None:
    said = kerbstone("receipts", "--broker", url, "--store", tmp_path / "x.db")
    assert said.code == 2


@pytest.mark.parametrize("topic", ["kerbstone/v1/s/g/down/receipt", "k/s/g/down/#"])
def test_what_goes_down_is_not_received(kerbstone: Command, tmp_path: Path, topic: str) -> None:
    said = kerbstone("receipts", "--broker", URL, "--store", tmp_path / "x.db", "--filter", topic)
    assert said.code == 2
    assert "/up/#" in said.err


@pytest.mark.parametrize(
    ("words", "why"),
    [
        (["--filter", "$share/city/kerbstone/v1/+/+/up/#"], "any client can join it"),
        (["--filter", "$queue/kerbstone/v1/+/+/up/#"], "any client can join it"),
        (["--filter", "kerbstone/v1/s/gw/air/#"], "end it with /up/#"),
        (["--filter", "kerbstone/v1/+/+/up"], "end it with /up/#"),
        (["--filter", "kerbstone/v1/+/+/up/#", "--prefix", "k"], "matches nothing below k/SITE"),
        (["--prefix", "a//b"], "cannot be part of a topic"),
        (["--prefix", "kerbstone/+"], "cannot be part of a topic"),
        (["--sites", "there/is/none"], "there/is/none"),
    ],
)
def test_what_cannot_be_received_is_exit_2_and_makes_no_store(
    kerbstone: Command, tmp_path: Path, words: list[str], why: str
) -> None:
    said = kerbstone("receipts", "--broker", URL, "--store", tmp_path / "x.db", *words)
    assert said.code == 2
    assert why in said.err
    assert not (tmp_path / "x.db").exists()


@pytest.mark.parametrize("words", [[], ["--broker", URL], ["--store", "x.db"]])
def test_broker_and_store_are_required(kerbstone: Command, words: list[str]) -> None:
    assert kerbstone("receipts", *words).code == 2
