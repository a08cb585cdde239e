"""Lines for people: an event is told once, not twice."""

import json

import pytest

from edge.demo.show import RED, Board, _coloured
from edge.platform.lines import line, told
from edge.uplink.wire import JSON, Message, decode

BY = "model congestion 1.0.0"
JAM = f"Congestion on north: p 0.93, says the {BY}."
MOVES = f"Traffic on north moves again, says the {BY}."


def event(**body: object) -> Message:
    record = {
        "v": 1, "gw": "gw-1", "epoch": 7, "stream": "event", "seq": 3, "source": "north",
        "boot": 1, "from": "2026-11-25T01:00:00.000Z", "to": "2026-11-25T01:00:00.000Z",
        "tq": "ntp", "mono": [5, 5], **body,
    }  # fmt: skip
    topic = "kerbstone/v1/s/gw-1/up/event/north"
    (found,) = decode(topic, json.dumps(record).encode(), JSON)
    return found


@pytest.mark.parametrize(
    ("body", "says"),
    [
        ({"event": "congestion", "state": "on", "by": BY, "text": JAM}, JAM),
        ({"event": "congestion", "state": "off", "by": BY, "text": MOVES},
         f"congestion off: {MOVES}"),
        ({"event": "sensor_fault", "state": "on", "text": "hut_air: silent"},
         "sensor_fault on: hut_air: silent"),
        ({"event": "sensor_fault", "text": "A sensor fault."}, "A sensor fault."),
        ({"event": "drop", "text": "3 air records are lost."}, "drop: 3 air records are lost."),
        ({"event": "congestion", "state": "on"}, "congestion on"),
        ({"event": "clock"}, "clock"),
    ],
)  # fmt: skip
def test_kind_and_state_stand_where_the_text_does_not_say_them(
    body: dict[str, object], says: str
) -> None:
    assert told(body) == says
    assert line(event(**body)) == f"2026-11-25T01:00:00.000Z gw-1 event/3 north: {says}"


def test_the_demos_table_says_a_flag_once_and_a_raised_one_in_red() -> None:
    board = Board("demo")
    board.take(event(event="congestion", state="on", by=BY, text=JAM))
    board.take(event(event="congestion", state="off", by=BY, text=MOVES))
    on, off = board.rows()[-3:-1]
    assert (on, off) == (f"  01:00:00 ! {JAM}", f"  01:00:00   congestion off: {MOVES}")
    assert _coloured(on).startswith(RED)
    assert _coloured(off) == off


@pytest.mark.parametrize(
    ("answer", "says"),
    [
        ({"ok": True}, "done"),
        ({"ok": False, "error": "epoch 1 is over"}, "refused: epoch 1 is over"),
    ],
)
def test_an_answer_to_a_command_has_a_line(answer: dict[str, object], says: str) -> None:
    data = {"v": 1, "gw": "gw-1", "id": "a", "verb": "resend", **answer}
    (found,) = decode("k/s/gw-1/up/answer/resend", json.dumps(data).encode(), JSON)
    assert line(found) == f"gw-1 answers resend: {says}"
