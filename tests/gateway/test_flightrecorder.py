"""The flight recorder: bounded, frozen by flags, faults and people, and gone in time."""

import stat
import tracemalloc
import zlib
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import msgpack
import pytest

from edge.core import Draft, Stream
from edge.core.frametap import TappedFrame
from edge.gateway import flightrecorder, recordingfile
from edge.gateway.flightrecorder import KEPT_NS, REASONS, RING_NS, Recording
from edge.gateway.memoryimage import take_image
from edge.gateway.recordingfile import (
    FRAMES,
    RecordingError,
    pack_drafts,
    read_head,
    read_recording,
    without_frames,
)
from edge.gateway.recordingreplay import check_recording, replay_recording
from tests.gateway.recordedstreet import RecordedStreet
from tests.kit.engine import S
from tests.long import one_in

WINDOW_S = 5


@pytest.fixture
def street(tmp_path: Path) -> RecordedStreet:
    return RecordedStreet(tmp_path)


def frozen(street: RecordedStreet, why: str = "somebody asks") -> Recording:
    """The last recording, once it is there."""
    assert street.recorder.freeze(why)
    street.live(2 * WINDOW_S)
    return next(each for each in street.recorder.recordings[::-1] if why in each.head.reasons)


def same(street: RecordedStreet, recording: Recording) -> list[str]:
    return check_recording(street.folder / "site.toml", street.recorder.path(recording))


def test_a_replay_says_the_same_and_all_that_was_committed(street: RecordedStreet) -> None:
    street.live(300)
    street.door()
    street.load = 40.0
    street.live(60)
    recording = frozen(street)
    assert same(street, recording) == []
    windows = list(replay_recording(street.site, street.recorder.path(recording)))
    replayed = pack_drafts(d for window in windows for d in window.drafts)
    begin_ns, end_ns = recording.head.from_ns + S, recording.head.frozen_ns
    committed = pack_drafts(
        draft
        for commit in street.writer.commits
        for draft in commit.drafts
        if begin_ns < commit.at_ns <= end_ns and draft.source not in ("", "gateway")
    )
    assert sorted(replayed) == sorted(committed)
    told = {(d.source, d.stream) for window in windows for d in window.drafts}
    assert told >= {
        ("north_1", Stream.TRAFFIC), ("cabinet", Stream.ENERGY), ("hut_air", Stream.AIR),
        ("door", Stream.EVENT),
    }  # fmt: skip


@one_in(3)
@pytest.mark.parametrize("at_s", range(7, 900, 110))
def test_a_recording_of_any_moment_says_the_same(tmp_path: Path, at_s: int) -> None:
    street = RecordedStreet(tmp_path)
    street.live(200)
    street.broken = {"north_2.trail"} if at_s > 300 else set()
    street.live(at_s)
    street.load = 40.0
    street.door()
    street.live(30)
    assert same(street, frozen(street)) == []


def test_windows_of_a_minute_say_the_same(tmp_path: Path) -> None:
    street = RecordedStreet(tmp_path, period_s=60)
    street.live(400)
    street.recorder.freeze("somebody asks")
    street.live(70)
    assert same(street, street.recorder.recordings[-1]) == []


def test_a_flag_freezes_what_led_to_it(street: RecordedStreet) -> None:
    drafts = street.live(700)  # the jam
    on = [d for d in drafts if getattr(d.body, "state", "") == "on" and d.source == "north"]
    assert on
    found = [r for r in street.recorder.recordings if "congestion north" in r.head.reasons[0]]
    assert found
    head = found[0].head
    assert head.from_ns <= on[0].to_ns - 60 * S
    assert head.to_ns >= on[0].to_ns + WINDOW_S * S, "and what came after"
    assert same(street, found[0]) == []


def test_a_fault_of_a_device_freezes_and_its_end_does_not(street: RecordedStreet) -> None:
    street.live(120)
    street.ingest.fault("cabinet", "silent", "no answer")  # type: ignore[arg-type]
    street.live(15)
    street.ingest.fault("cabinet", None, "")
    street.live(15)
    assert [r.head.reasons for r in street.recorder.recordings] == [
        ("sensor_fault cabinet: cabinet: no answer",)
    ]


def test_what_is_asked_for_together_is_one_recording(street: RecordedStreet) -> None:
    street.live(120)
    for n in range(2 * REASONS):
        street.ingest.fault(f"device_{n}", "silent", "no answer " * 50)  # type: ignore[arg-type]
    street.live(2)
    street.ingest.fault("cabinet", "silent", "no answer")  # type: ignore[arg-type]
    street.recorder.freeze("somebody asks")
    assert street.recorder.freezing
    street.live(10)
    (recording,) = street.recorder.recordings
    assert len(recording.head.reasons) == REASONS + 1, "whoever asks is told of"
    assert recording.head.reasons[-1] == "somebody asks"
    assert all(len(why) <= 200 for why in recording.head.reasons)
    assert not street.recorder.freezing


def test_before_there_is_a_window_nothing_can_be_frozen(street: RecordedStreet) -> None:
    assert not street.recorder.freeze("too early")
    street.live(10)
    assert not street.recorder.recordings


def test_while_models_are_not_loaded_nothing_is_recorded(street: RecordedStreet) -> None:
    street.pipeline.loaded = False
    street.live(30)
    assert not street.recorder.freeze("too early")
    street.pipeline.loaded = True
    street.live(30)
    assert same(street, frozen(street)) == []


def test_a_recording_is_gone_after_ten_minutes(street: RecordedStreet) -> None:
    street.live(60)
    recording = frozen(street)
    path = street.recorder.path(recording)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    street.recorder.look(recording.head.frozen_ns + KEPT_NS - 1)
    assert path.exists()
    street.recorder.look(recording.head.frozen_ns + KEPT_NS)
    assert not path.exists()
    assert not street.recorder.recordings


def test_a_regular_stop_leaves_nothing_and_a_kill_the_recordings_of_its_boot(
    street: RecordedStreet,
) -> None:
    street.live(60)
    kept = frozen(street)
    (street.folder / "recording.00000044.new").write_bytes(b"half")
    (street.folder / "recording.00000043").write_bytes(b"not one")
    (street.folder / "recording.md").write_text("somebody else's")
    street.start()  # killed, and started
    assert [r.number for r in street.recorder.recordings] == [kept.number]
    assert sorted(p.name for p in street.folder.glob("recording.*")) == [
        "recording.00000001", "recording.md",
    ]  # fmt: skip
    street.live(60)
    again = frozen(street)
    assert again.number == 45
    assert same(street, kept) == same(street, again) == []
    street.recorder.close(again=True)
    assert street.recorder.path(again).exists()
    street.recorder.close(again=False)
    assert not street.recorder.path(again).exists()


def test_a_recording_of_another_boot_or_gateway_is_removed(street: RecordedStreet) -> None:
    street.live(60)
    path = street.recorder.path(frozen(street))
    data = path.read_bytes()
    for place, boot in ((("demo", "other"), "boot"), (("demo", "demo-1"), "another boot")):
        path.write_bytes(data)
        street.recorder.__init__(  # type: ignore[misc]
            street.folder, place, boot, street, street.limit_bytes
        )
        assert not path.exists()


def test_the_ring_has_the_last_five_minutes(street: RecordedStreet) -> None:
    street.live(900)
    from_ns = street.recorder.ring_from_ns
    assert from_ns is not None
    assert RING_NS <= street.now_ns - from_ns <= RING_NS + 70 * S, "a state is there each minute"


@pytest.mark.parametrize("limit", [1, 30_000, 2_000_000])
def test_no_more_than_its_limit_is_kept(tmp_path: Path, limit: int) -> None:
    street = RecordedStreet(tmp_path, limit_bytes=limit)
    for n in range(40):
        street.live(20)
        street.recorder.freeze(f"why {n}")
        files = sum(p.stat().st_size for p in street.folder.glob("recording.*"))
        assert street.recorder.ring_bytes + files <= limit
    if limit == 2_000_000:
        assert len(street.recorder.recordings) > 1
        assert same(street, street.recorder.recordings[0]) == []


def test_a_stage_that_has_lost_something_is_not_recorded(street: RecordedStreet) -> None:
    street.live(60)
    street.stage.overflow += 1
    street.live(WINDOW_S)
    assert street.recorder.ring_from_ns is None
    street.live(60)
    assert same(street, frozen(street)) == []


def test_a_segment_that_cannot_be_read_ends_the_ring(street: RecordedStreet) -> None:
    street.live(60)

    def unreadable(number: int) -> bytes:
        raise OSError("gone")

    street.stage.read_ended = unreadable  # type: ignore[method-assign]
    street.live(WINDOW_S)
    assert street.recorder.ring_from_ns is None


async def test_other_devices_begin_another_ring_and_what_was_asked_for_is_kept(
    street: RecordedStreet,
) -> None:
    street.live(61)
    street.recorder.freeze("before the change")
    street.committer.change(lambda end_ns: [])
    street.live(2 * WINDOW_S)
    (recording,) = street.recorder.recordings
    assert same(street, recording) == []
    assert street.recorder.ring_from_ns is None or (
        street.recorder.ring_from_ns >= recording.head.to_ns
    )


def test_bytes_on_the_buses_are_in_it_and_can_be_left_out(street: RecordedStreet) -> None:
    street.live(60)
    street.frames = {"meters": [TappedFrame(7, "in", b"\x01\x04", 2, "CRC")]}
    recording = frozen(street)
    path = street.recorder.path(recording)
    _, windows = read_recording(path)
    assert windows[-1].frames == {"meters": [(7, "in", b"\x01\x04", 2, "CRC")]}
    path.write_bytes(without_frames(path))
    assert not any(each.frames for each in read_recording(path)[1])
    assert same(street, recording) == []


def test_what_is_changed_in_a_recording_is_told(street: RecordedStreet) -> None:
    street.live(60)
    path = street.recorder.path(frozen(street))
    windows = list(replay_recording(street.site, path))
    one = windows[3]
    assert one.differences() == []
    bodies = [msgpack.unpackb(each) for each in one.recorded]
    place = next(n for n, each in enumerate(bodies) if each[1] == "north_1")
    bodies[place][4]["volume"] = 99
    changed = [*one.recorded[:place], msgpack.packb(bodies[place]), *one.recorded[place + 1 :]]
    other = replace(one, recorded=tuple(changed))
    (said,) = other.differences()
    assert said.startswith("traffic of north_1: volume was 99, is ")
    assert "is missing" in replace(one, drafts=one.drafts[:-1]).differences()[-1]
    extra = Draft(Stream.AIR, "x", 1, 2, {})
    assert replace(one, drafts=[*one.drafts, extra]).differences() == ["air of x (record) is new"]


def test_another_site_file_and_damage_are_refused(street: RecordedStreet, tmp_path: Path) -> None:
    street.live(60)
    path = street.recorder.path(frozen(street))
    file = street.folder / "site.toml"
    text = file.read_text()
    file.write_text(text.replace("spacing_m = 4.0", "spacing_m = 3.0", 1))
    with pytest.raises(RecordingError, match="not the one of the recording"):
        check_recording(file, path)
    file.write_text(text)
    data = path.read_bytes()
    for wrong in (b"", b"x", data[:100], data[:-1], data[:-60] + bytes(60)):
        path.write_bytes(wrong)
        with pytest.raises(RecordingError):
            check_recording(file, path)
    with pytest.raises(OSError, match="No such file"):
        read_head(tmp_path / "none")


def test_a_recorder_that_fails_costs_no_record(
    street: RecordedStreet, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(root: object) -> object:
        raise TypeError("an attribute that nobody has thought of")

    street.live(60)
    monkeypatch.setattr(flightrecorder, "take_image", fail)
    street.recorder.begin_anew()
    drafts = street.live(60)
    lanes = [d for d in drafts if (d.source, d.stream) == ("north_1", Stream.TRAFFIC)]
    assert len(lanes) == 60 // WINDOW_S
    assert not street.recorder.freeze("somebody asks")
    told = [each for each in caplog.messages if "flight recorder has failed" in each]
    assert len(told) == flightrecorder.FAILURES
    assert "is off until the next start" in told[-1]


def test_who_asks_too_often_or_too_much_is_not_told_of(street: RecordedStreet) -> None:
    street.live(60)
    for n in range(1000):
        assert street.recorder.freeze(f"{n}\nERROR the box is on fire " + "x" * 100_000)
    street.live(2 * WINDOW_S)
    reasons = street.recorder.recordings[-1].head.reasons
    assert len(reasons) == REASONS + flightrecorder.PERSONS
    assert all(len(why) <= flightrecorder.REASON_CHARS and why.isprintable() for why in reasons)


def test_a_large_memory_is_taken_more_seldom(
    street: RecordedStreet, monkeypatch: pytest.MonkeyPatch
) -> None:
    taken = list[int]()

    def take(root: object) -> object:
        taken.append(street.now_ns)
        return take_image(root)

    monkeypatch.setattr(flightrecorder, "take_image", take)
    street.live(400)
    assert [b - a for a, b in pairwise(taken)][1:4] == [60 * S] * 3
    taken.clear()
    monkeypatch.setattr(flightrecorder, "STATE_BYTES_A_S", 1000)
    street.live(400)
    assert 1 <= len(taken) <= 3
    assert same(street, frozen(street)) == []


def test_recordings_give_way_to_a_stage_without_room(street: RecordedStreet) -> None:
    street.live(60)
    recording = frozen(street)
    street.stage.overflow += 1
    street.live(2 * WINDOW_S)
    assert not street.recorder.recordings
    assert not street.recorder.path(recording).exists()


def test_a_recorder_that_is_off_leaves_nothing_of_one_that_was_killed(
    street: RecordedStreet,
) -> None:
    street.live(60)
    path = street.recorder.path(frozen(street))
    assert path.exists()
    flightrecorder.forget_recordings(street.folder)
    assert not path.exists()
    assert (street.folder / "site.toml").exists()


def packed(*bodies: object) -> bytes:
    return b"".join(FRAMES.pack(zlib.compress(msgpack.packb(each), 1)) for each in bodies)


@pytest.mark.parametrize("key", ["site", "from_ns", "to_ns", "frozen_ns", "wall_offset_ns",
                                 "reasons", "setup", "boot"])  # fmt: skip
@pytest.mark.parametrize("wrong", [[], {}, 1.5, b"x", True])
def test_a_head_of_other_kinds_is_refused(tmp_path: Path, key: str, wrong: object) -> None:
    head = {
        "recording": 1, "site": "s", "gateway": "g", "boot": "b", "program": "p", "setup": "x",
        "from_ns": 1, "to_ns": 2, "frozen_ns": 3, "wall_offset_ns": None, "reasons": ["r"],
    }  # fmt: skip
    path = tmp_path / "recording.00000001"
    path.write_bytes(packed(head))
    assert read_head(path).site == "s"
    if key == "reasons" and wrong == []:
        return
    path.write_bytes(packed({**head, key: wrong}))
    with pytest.raises(RecordingError):
        read_head(path)
    RecordedStreet(tmp_path)  # and no start ends at it
    assert not path.exists()


def test_a_small_file_that_becomes_a_large_one_is_refused(
    street: RecordedStreet, monkeypatch: pytest.MonkeyPatch
) -> None:
    street.live(60)
    path = street.recorder.path(frozen(street))
    with path.open("rb") as file:
        head, state = (FRAMES.pack(body) for body, _ in [*FRAMES.read(file)][:2] if body)
    limits = {"LONGEST": 1 << 20, "MOST": 4 << 20, "LONGEST_STATE": 1 << 19, "LARGEST": 1 << 20}
    for name, limit in limits.items():
        monkeypatch.setattr(recordingfile, name, limit)

    def refused(data: bytes) -> None:
        path.write_bytes(data)
        tracemalloc.start()
        with pytest.raises(RecordingError):
            read_recording(path)
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert peak < 16 << 20

    count = 1_000_000
    lists = FRAMES.pack(zlib.compress(b"\xdd" + count.to_bytes(4) + bytes([0x90]) * count, 9))
    refused(head + lists)
    refused(head + state + lists)
    refused(head + packed({"state": b"", "other": bytes(1 << 20)}))
    refused(head + packed({"state": bytes(1 << 19 | 1)}))
    end: list[object] = [1, False, None, {}, {}, False, False]
    window = {"end": end, "segment": bytes(1_000_000), "records": [], "models": {}, "frames": {}}
    refused(head + state + packed(window) * 100)


def test_a_record_that_is_none_is_a_difference(street: RecordedStreet) -> None:
    street.live(60)
    window = next(replay_recording(street.site, street.recorder.path(frozen(street))))
    for wrong in (b"", b"abc", b"\xc0", msgpack.packb([1]), msgpack.packb(["a", "b", 1, 2, []])):
        other = replace(window, recorded=(wrong, *window.recorded[1:]))
        assert "damaged" in other.differences()[0]
