"""What a box says, in the words of the rig: ours, somebody else's by function or by file, and how
far its clock is from the rig's."""

import json
import random
import sys
from pathlib import Path
from typing import Any

import msgspec
import pytest

from edge.core import ConfigError
from edge.platform.subscription import ArrivedMessage
from edge.rig.box import KerbstoneAdapter, ReaderAdapter, Said, load_reader, seen_of
from edge.rig.boxclock import measure
from edge.rig.boxtable import load_table
from edge.rig.layer import NO_BOUND_S
from edge.rig.runlog import Driven, Heard
from tests.rig.scenes import read_site

UP = "kerbstone/v1/s/gw-1/up"
ZERO_NS = 1_790_000_000_000_000_000


def message(topic: str, payload: object, kind: str | None = None) -> ArrivedMessage:
    data = payload if isinstance(payload, bytes) else json.dumps(payload).encode()
    return ArrivedMessage(topic, data, kind, retained=False)


def record(**keys: Any) -> dict[str, Any]:
    return {
        "v": 1, "gw": "gw-1", "epoch": 7, "stream": "traffic", "seq": 3, "source": "north_1",
        "boot": 1, "from": "2026-09-21T14:13:20.000Z", "to": "2026-09-21T14:13:22.000Z",
        "tq": "ntp", "mono": [5_000_000, 7_000_000], "volume": 2, **keys,
    }  # fmt: skip


def test_records_of_ours_have_times_of_the_same_clock(tmp_path: Path) -> None:
    adapter = KerbstoneAdapter(read_site(tmp_path), tmp_path)
    (one,) = adapter.hear(3.5, 4_000_000_000, message(f"{UP}/traffic/north_1", record()))
    assert (one.stream, one.source, one.epoch, one.seq) == ("traffic", "north_1", "7", 3)
    assert (one.t_s, one.from_s, one.to_s) == (3.5, 1.0, 3.0)
    assert one.body["volume"] == 2
    assert (one.body["kind"], one.body["topic"]) == ("record", f"{UP}/traffic/north_1")


def test_of_a_gateway_elsewhere_the_wall_clock_counts(tmp_path: Path) -> None:
    adapter = KerbstoneAdapter(read_site(tmp_path), None)
    assert not adapter.shares_clock
    (one,) = adapter.hear(3.5, ZERO_NS, message(f"{UP}/traffic/north_1", record()))
    assert (one.from_s, one.to_s) == (0.0, 2.0)
    health = {"queue_rows": 5, "connected": True}
    issues = [{"kind": "device_fails", "about": "hut"}]
    status = {"v": 1, "gw": "gw-1", "state": "online", "box": {"health": health}, "issues": issues}
    (told,) = adapter.hear(4.0, ZERO_NS, message(f"{UP}/status", status))
    assert (told.stream, told.from_s) == ("status", None)
    seen = adapter.look(5.0)
    assert (seen.queue, seen.connected, seen.issues) == (5, True, ("device_fails hut",))
    for seq in (4, 5, 5):  # what comes after it does not wait any more, and counts once
        adapter.hear(6.0, ZERO_NS, message(f"{UP}/traffic/north_1", record(seq=seq)))
    assert adapter.look(7.0).queue == 3


def test_copies_and_commands_are_no_records(tmp_path: Path) -> None:
    adapter = KerbstoneAdapter(read_site(tmp_path), tmp_path)
    assert adapter.hear(1.0, 0, message(f"{UP}/last/north_1", record())) == []
    assert adapter.hear(1.0, 0, message("kerbstone/v1/s/gw-1/down/receipt", {})) == []


@pytest.mark.parametrize("seed", range(50))
def test_no_bytes_break_an_adapter(tmp_path: Path, seed: int) -> None:
    chance = random.Random(seed)
    adapter = KerbstoneAdapter(read_site(tmp_path), tmp_path)
    whole = json.dumps(record()).encode()
    place = chance.randrange(len(whole))
    payload = whole[:place] + chance.randbytes(chance.randint(0, 3)) + whole[place + 1 :]
    for one in adapter.hear(1.0, 0, message(f"{UP}/traffic/north_1", payload)):
        assert one.stream in ("traffic", "undecodable")


STATUSES: list[tuple[dict[str, Any], tuple[Any, ...]]] = [
    ({}, (None, None, ())),
    ({"outbox": {"rows": 9, "confirmed": 4}, "link": {"connected": False}}, (5, False, ())),
    ({"outbox": {"rows": 9}, "link": {"connected": 1}}, (9, None, ())),
    ({"outbox": [], "issues": "none"}, (None, None, ())),
    ({"issues": [{"kind": "no_broker"}, 7]}, (None, None, ("no_broker",))),
]


@pytest.mark.parametrize(("status", "wanted"), STATUSES)
def test_rows_that_have_arrived_do_not_wait(
    status: dict[str, Any], wanted: tuple[Any, ...]
) -> None:
    seen = seen_of(1.0, status)
    assert (seen.queue, seen.connected, seen.issues) == wanted


def test_no_daemon_is_a_box_that_says_nothing(tmp_path: Path) -> None:
    assert KerbstoneAdapter(read_site(tmp_path), tmp_path).look(2.0).queue is None


TABLE = """
topics = ["lab/+/counts", "lab/alarm"]
[[message]]
topic = "lab/+/counts"
stream = "traffic"
from = "span.begin"
to = "span.end"
sent = "ts"
seq = "n"
epoch = "run"
fields = { volume = "count.all", speed = "v" }
[[message]]
topic = "lab/alarm"
stream = "event"
source = "box"
fields = { event = "what" }
"""


def table(tmp_path: Path, text: str = TABLE) -> ReaderAdapter:
    file = tmp_path / "box.toml"
    file.write_text(text, encoding="utf-8")
    return load_table(file)


def test_a_file_says_where_a_foreign_box_has_what(tmp_path: Path) -> None:
    adapter = table(tmp_path)
    assert adapter.filters == ["lab/+/counts", "lab/alarm"]
    at = "2026-09-21T14:13:2{}.500+00:00"
    payload = {"span": {"begin": at.format(0), "end": at.format(2)}, "ts": ZERO_NS / 1e9 + 4,
               "n": 8, "run": 1, "count": {"all": 3}, "v": 51.5}  # fmt: skip
    (one,) = adapter.hear(3.0, ZERO_NS, message("lab/north_1/counts", payload))
    assert (one.stream, one.source, one.epoch, one.seq) == ("traffic", "north_1", "1", 8)
    assert (one.from_s, one.to_s, one.body["sent_s"]) == (0.5, 2.5, 4.0)
    assert (one.body["volume"], one.body["speed"]) == (3, 51.5)
    (alarm,) = adapter.hear(3.0, ZERO_NS, message("lab/alarm", {"what": "jam"}))
    assert (alarm.source, alarm.from_s, alarm.body["event"]) == ("box", None, "jam")
    assert adapter.hear(3.0, ZERO_NS, message("lab/other", {})) == []


HUGE = b"1" + b"0" * 400


@pytest.mark.parametrize(
    "payload",
    [
        b"", b"\xff", b"[1]", b'{"ts": "yesterday"}', b'{"n": ', b"[" * 100_000, b'{"ts": 1e999}',
        b'{"ts": NaN}', b'{"ts": "\\ud800"}', b'{"ts": ' + HUGE + b"}", b'{"n": ' + HUGE + b"}",
        b'{"v": "\\ud800"}',
    ],
)  # fmt: skip
def test_what_a_foreign_box_garbles_is_shown(tmp_path: Path, payload: bytes) -> None:
    (one,) = table(tmp_path).hear(1.0, 0, message("lab/a/counts", payload))
    assert one.stream == "undecodable"
    assert one.body["topic"] == "lab/a/counts"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("topics = []", "topics"),
        ("topics = ['a']", "message"),
        (TABLE.replace("stream", "streem", 1), "streem"),
        ("topics = [", "box.toml"),
    ],
)
def test_a_table_that_is_wrong_is_refused(tmp_path: Path, text: str, said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        table(tmp_path, text)
    with pytest.raises(ConfigError, match=r"none\.toml"):
        load_table(tmp_path / "none.toml")


def test_a_function_reads_a_foreign_box(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    code = (
        "from edge.rig.box import Said\n"
        "def lab():\n"
        "    return ['lab/#'], read\n"
        "def read(topic, payload):\n"
        "    return [Said(stream='traffic', source=topic[4:], body={'volume': int(payload)})]\n"
        "def wrong():\n"
        "    return 7\n"
    )
    (tmp_path / "labbox.py").write_text(code)
    monkeypatch.syspath_prepend(tmp_path)
    adapter = load_reader("labbox:lab")
    (one,) = adapter.hear(1.0, 0, message("lab/north_1", b"12"))
    assert (one.source, one.body["volume"]) == ("north_1", 12)
    (one,) = adapter.hear(1.0, 0, message("lab/north_1", b"twelve"))
    assert one.stream == "undecodable"
    for name in ("labbox:none", "labbox", "nobody:lab", "labbox:wrong", ":", "labbox:read"):
        with pytest.raises(ConfigError, match="MODULE:FUNCTION"):
            load_reader(name)
    sys.modules.pop("labbox")


def test_what_a_function_did_not_expect_is_shown_and_ends_nothing() -> None:
    def read(topic: str, payload: bytes) -> list[Said]:
        data = json.loads(payload)
        return [Said(stream="traffic", source="a", from_s=data["from"], body={"volume": data["n"]})]

    adapter = ReaderAdapter(["a"], read)
    for payload in ({"n": 1}, [1], {"n": 1, "from": "noon"}, {"n": 1, "from": [1]}):
        (one,) = adapter.hear(1.0, 0, message("a", payload))
        assert one.stream == "undecodable", payload
        assert one.body["text"]


def test_what_a_foreign_box_says_is_heard_as_the_file_of_the_run_will_have_it() -> None:
    body = {"volume": float("nan"), "points": {"a": (1, 2)}, 3: float("-inf")}
    said = Said(stream="traffic", source="a", body=body)  # type: ignore[arg-type]  # as it comes
    (one,) = ReaderAdapter(["a"], lambda topic, payload: [said]).hear(1.0, 0, message("a", {}))
    assert one.body == {"topic": "a", "volume": None, "points": {"a": [1, 2]}, "3": None}
    assert msgspec.json.decode(msgspec.json.encode(one), type=Heard) == one


def counted(t_s: float, to_s: float | None, volume: int | None, **body: Any) -> Heard:
    return Heard(t_s=t_s, stream="t", source="north_1", to_s=to_s, body={"volume": volume, **body})


CARS = [
    Driven(lane="north_1", on_s=at_s, off_s=at_s + 1, speed_kmh=50.0, length_m=4.5)
    for at_s in (3.0, 9.0)
]


def test_a_clock_lies_between_what_came_and_what_was_driven() -> None:
    # its windows end at whole seconds of its clock, which is 100.25 ahead
    heard = [counted(2.9, 103.0, 0), counted(4.9, 105.0, 1), counted(11.0, 111.0, 1)]
    offset_s, bound_s = measure(heard, CARS)
    assert offset_s - bound_s <= 100.25 <= offset_s + bound_s
    assert (offset_s - bound_s, offset_s + bound_s) == pytest.approx((100.1, 102.0))


def test_a_stamp_of_sending_bounds_it_closer() -> None:
    heard = [counted(4.9, 105.0, 1, sent_s=105.14)]
    offset_s, bound_s = measure(heard, CARS)
    assert offset_s - bound_s == pytest.approx(100.24)
    assert offset_s + bound_s == pytest.approx(102.0)


@pytest.mark.parametrize(
    "heard",
    [
        [],
        [counted(2.9, 103.0, 0)],  # nobody was counted
        [counted(2.9, None, 1)],
        [counted(2.0, 101.0, 1), counted(9.0, 205.0, 1)],  # it was set meanwhile
    ],
)
def test_without_both_bounds_nothing_is_known(heard: list[Heard]) -> None:
    assert measure(heard, CARS) == (0.0, NO_BOUND_S)


@pytest.mark.parametrize("offset_s", [-7200.0, -0.3, 0.0, 0.3, 1e6])
def test_a_clock_is_never_outside_of_its_bounds(offset_s: float) -> None:
    chance = random.Random(offset_s)
    cars = [Driven(lane="north_1", on_s=t, off_s=t, speed_kmh=50.0, length_m=4.0)
            for t in sorted(chance.uniform(0, 60) for _ in range(20))]  # fmt: skip
    heard = []
    for end in range(5, 80, 5):  # by its own clock, as it counts
        volume = sum(end - 5 <= one.on_s < end for one in cars)
        heard.append(counted(end + chance.uniform(0, 3), end + offset_s, volume))
    found_s, bound_s = measure(heard, cars)
    assert found_s - bound_s - 1e-6 <= offset_s <= found_s + bound_s + 1e-6
    assert bound_s < 5.0


@pytest.mark.parametrize(
    "payload",
    [
        b"[" * 100_000, b'{"from": 1' + b"0" * 400 + b"}", b'{"from": ' + b"9" * 5000 + b"}",
        b'{"from": NaN}', b'{"from": 1e999}', b'{"volume": Infinity}', b'{"id": "\\ud800"}',
        b'{"from": "0001-01-01T00:00:00"}', b'{"from": "\\ud800"}', b"\0" * 1000, b"\xff\xfe{}",
    ],
)  # fmt: skip
def test_no_payload_ends_a_run_or_spoils_its_file(payload: bytes, tmp_path: Path) -> None:
    """Half of a character was a text until the run was written, an hour later."""
    file = tmp_path / "table.toml"
    file.write_text(
        'topics = ["box/#"]\n[[message]]\ntopic = "box/+"\nstream = "traffic"\nfrom = "from"\n'
    )
    (one,) = load_table(file).hear(1.0, ZERO_NS, message("box/x", payload))
    assert one.stream == "undecodable"
    assert msgspec.json.decode(msgspec.json.encode(one), type=Heard) == one


def test_a_reader_may_give_no_half_character_and_no_endless_time() -> None:
    for said in (Said(stream="a", source="\ud800", body={}),
                 Said(stream="a", source="x", body={"k": ["\ud800"]}),
                 Said(stream="a", source="x", body={}, to_s=float("inf"))):  # fmt: skip

        def read(topic: str, payload: bytes, said: Said = said) -> list[Said]:
            return [said]

        (one,) = ReaderAdapter(["#"], read).hear(1.0, ZERO_NS, message("box/x", b""))
        assert one.stream == "undecodable", said


def test_a_record_of_ours_with_half_a_character_is_no_record(tmp_path: Path) -> None:
    adapter = KerbstoneAdapter(read_site(tmp_path), tmp_path)
    odd = json.dumps(record(note="\ud800")).encode()
    for one in adapter.hear(3.5, 4_000_000_000, message(f"{UP}/traffic/north_1", odd)):
        msgspec.json.encode(one)
