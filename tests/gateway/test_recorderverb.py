"""The verb `recorder`, and the same in the status."""

import base64
from pathlib import Path
from typing import Any

import pytest

from edge.control.protocol import VerbError
from edge.gateway.recorderverb import EMPTY, OFF, PIECE, RecorderVerb
from edge.report.status.page import recorder_section
from tests.gateway.recordedstreet import RecordedStreet


@pytest.fixture
def street(tmp_path: Path) -> RecordedStreet:
    return RecordedStreet(tmp_path)


async def asked(street: RecordedStreet, **request: Any) -> dict[str, Any]:
    verb = RecorderVerb(street.recorder, street.committer, street)
    return {**await verb.answer(request)}


async def test_what_is_frozen_is_there_when_the_window_has_ended(street: RecordedStreet) -> None:
    with pytest.raises(VerbError, match=EMPTY):
        await asked(street, act="freeze")
    street.live(61)
    told = await asked(street, act="freeze", why="a lorry")
    assert told["recordings"] == []
    assert 0 < told["ready_s"] <= 5.5
    street.live(told["ready_s"] + 1)
    told = await asked(street)
    (one,) = told["recordings"]
    assert (one["number"], one["reasons"]) == (1, ["a lorry"])
    assert one["left_s"] == pytest.approx(600 - one["age_s"])
    assert told["ready_s"] is None
    assert told["ring_s"] > 50
    (line,) = recorder_section({"recorder": told}).lines
    assert line.startswith("1 recording, gone in 9 min")


async def test_a_recording_is_read_piece_by_piece(
    street: RecordedStreet, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("edge.gateway.recorderverb.PIECE", 1000)
    street.live(61)
    street.recorder.freeze("a lorry")
    street.live(10)
    path, data = street.recorder.path(street.recorder.recordings[0]), b""
    while len(data) < path.stat().st_size:
        piece = await asked(street, act="read", number=1, at=len(data))
        assert piece["size"] == path.stat().st_size
        data += base64.b64decode(piece["data"])
    assert data == path.read_bytes()
    assert 4 * PIECE // 3 < 4 << 20, "an answer is read up to there"


@pytest.mark.parametrize(
    "request_", [{"number": 2}, {"number": "1"}, {"number": 1, "at": -1}, {"number": 1, "at": "0"}]
)
async def test_a_wrong_request_is_refused(street: RecordedStreet, request_: dict[str, Any]) -> None:
    street.live(61)
    street.recorder.freeze("a lorry")
    street.live(10)
    with pytest.raises(VerbError):
        await asked(street, act="read", **request_)
    with pytest.raises(VerbError, match="act is"):
        await asked(street, act="erase")


async def test_a_file_that_is_gone_is_told(street: RecordedStreet) -> None:
    street.live(61)
    street.recorder.freeze("a lorry")
    street.live(10)
    street.recorder.path(street.recorder.recordings[0]).unlink()
    with pytest.raises(VerbError, match="not there any more"):
        await asked(street, act="read", number=1)


async def test_a_recorder_that_is_off_says_so(street: RecordedStreet) -> None:
    with pytest.raises(VerbError, match=OFF):
        await RecorderVerb(None, street.committer, street).answer({})
    assert recorder_section({"recorder": None}).lines == ()
    assert recorder_section({}).lines == ()
