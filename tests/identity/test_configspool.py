"""What the page leaves for root: taken once, within bounds, and nothing on trust."""

import os
from pathlib import Path

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from edge.core import ConfigError
from edge.identity.configspool import (
    REQUEST_NAME,
    ConfigAnswer,
    ConfigRequest,
    leave_request,
    parse_request,
    read_answer,
    take_request,
    write_answer,
)
from edge.identity.proposal import PROPOSAL_LIMIT

REQUEST = ConfigRequest(id="0" * 16, text='[site]\nid = "ö"\n', base="a" * 64, confirm_s=600)


def test_a_request_is_taken_once(tmp_path: Path) -> None:
    leave_request(tmp_path, REQUEST)
    assert (tmp_path / REQUEST_NAME).stat().st_mode & 0o777 == 0o640
    assert take_request(tmp_path) == REQUEST
    assert take_request(tmp_path) is None
    assert [*tmp_path.iterdir()] == []


def test_an_answer_is_read_by_whoever_asked(tmp_path: Path) -> None:
    assert read_answer(tmp_path) is None
    answer = ConfigAnswer(id=REQUEST.id, state="taken", text="bus hut")
    write_answer(tmp_path, answer)
    assert read_answer(tmp_path) == answer
    (tmp_path / "answer.json").write_bytes(b"\xff")
    assert read_answer(tmp_path) is None


@pytest.mark.parametrize(
    "request_",
    [
        {"text": ""}, {"text": "x" * PROPOSAL_LIMIT}, {"text": "a\u202eb"}, {"text": "a\x1b[2J"},
        {"base": "../../etc/shadow"}, {"base": "A" * 64}, {"id": "../x"}, {"confirm_s": -1},
        {"confirm_s": 90_000}, {"confirm_s": True}, {"v": 2},
    ],
)  # fmt: skip
def test_a_hostile_request_is_thrown_away(tmp_path: Path, request_: dict[str, object]) -> None:
    data = msgspec.json.encode({**msgspec.to_builtins(REQUEST), **request_})
    (tmp_path / REQUEST_NAME).write_bytes(data)
    with pytest.raises(ConfigError):
        take_request(tmp_path)
    assert [*tmp_path.iterdir()] == [], "it is not tried again and again"


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.binary(max_size=400))
def test_whatever_lies_there_is_a_request_or_refused(tmp_path: Path, data: bytes) -> None:
    (tmp_path / REQUEST_NAME).write_bytes(data)
    with pytest.raises(ConfigError):
        take_request(tmp_path)


def test_a_bracket_bomb_is_refused() -> None:
    with pytest.raises(ConfigError):
        parse_request(b"[" * 50_000)


@pytest.mark.parametrize("kind", ["link", "pipe", "folder"])
def test_nothing_but_a_file_is_read(tmp_path: Path, kind: str) -> None:
    path, victim = tmp_path / REQUEST_NAME, tmp_path / "victim"
    victim.write_bytes(msgspec.json.encode(REQUEST))
    if kind == "link":
        path.symlink_to(victim)
    elif kind == "pipe":
        os.mkfifo(path)
    else:
        path.mkdir()
    with pytest.raises(ConfigError):
        take_request(tmp_path)
    assert not path.exists()
    assert victim.exists()
