"""What is committed, and when: windows by the wall, raw records, manifests, what hurries."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any
from unittest import mock

import msgpack
import pytest

from edge.core import Draft, Reason, Record, Stamp, Stream, TimeQuality
from edge.gateway import rawdrafts, windowcommitter
from edge.gateway.manifestschedule import ManifestSchedule
from edge.gateway.recover import ATTEMPTS_FILE, GAP_TEXTS, MAX_ATTEMPTS, RecoveryAttempts
from edge.gateway.windowschedule import GRACE_NS
from edge.process.engine import Engine
from edge.uplink.manifests import Manifests
from edge.wire import raw_sweeps
from tests.kit.clock import NONE, NTP
from tests.kit.engine import MS, S
from tests.kit.lives import (
    PERIOD_NS,
    SITE,
    TICK_NS,
    GatewayLife,
    GatewayStorage,
    KilledError,
    closed,
)
from tests.kit.waiting import done

WALL_NS = 1_790_000_001 * S  # a second behind a border
SHORT_NS = WALL_NS % PERIOD_NS
RAW = """
[streams]
raw = true
raw_commit_s = 2
[privacy]
passages = true
"""


class Walled(GatewayLife):
    """The wall can be set, and known or not."""

    offset_ns = WALL_NS
    tq: TimeQuality = NONE

    def now(self) -> Stamp:
        mono_ns = super().now().mono_ns
        return Stamp(mono_ns, mono_ns + self.offset_ns, self.tq)


def windows(box: GatewayStorage) -> list[tuple[int, int, bool]]:
    """From, to, and whether it was cut short."""
    return [(r.from_ns, r.to_ns, "partial" in r.body) for r in box.of("east_1")]


def test_the_window_in_which_time_becomes_known_ends_there_and_says_so(tmp_path: Path) -> None:
    box = GatewayStorage(tmp_path)
    life = Walled(box, 0)
    life.run(2 * S)
    life.tq = NTP
    life.run(12 * S)
    closed(life)
    (event,) = box.events("clock")
    assert event.body["reason"] == "synchronised"
    at_ns = event.from_ns
    assert (event.to_ns, event.source) == (at_ns, "gateway")
    assert 2 * S < at_ns <= 2 * S + TICK_NS
    second = at_ns + PERIOD_NS - (at_ns + SHORT_NS) % PERIOD_NS
    assert windows(box) == [
        (0, at_ns, True),
        (at_ns, second, False),
        (second, second + PERIOD_NS, False),
        (second + PERIOD_NS, 12 * S, True),
    ]
    assert box.audit().clean


def test_the_window_in_which_the_clock_was_set_is_cut_and_uncertain(tmp_path: Path) -> None:
    box = GatewayStorage(tmp_path)
    life = Walled(box, 0)
    life.tq = NTP
    life.run(7 * S)
    life.offset_ns += 3600 * S + 2 * S
    life.run(12 * S)
    closed(life)
    assert [event.body["reason"] for event in box.events("clock")] == ["synchronised", "step"]
    at_ns = box.events("clock")[-1].from_ns
    marked = [r.to_ns for r in box.of("east_1") if f"uncertain:{Reason.CLOCK}" in r.body["quality"]]
    assert marked == [at_ns]
    assert all((to_ns + SHORT_NS + 2 * S) % PERIOD_NS == 0 or cut
               for _, to_ns, cut in windows(box) if to_ns > at_ns)  # fmt: skip


@pytest.mark.parametrize("tq", TimeQuality)
def test_models_hear_what_time_it_was_when_that_is_sure(tmp_path: Path, tq: TimeQuality) -> None:
    life = Walled(GatewayStorage(tmp_path), 0)
    life.run(S)
    life.tq = tq
    life.run(2 * S)
    with mock.patch.object(Engine, "close", autospec=True, side_effect=Engine.close) as close:
        life.run(11 * S)
    reported = [(call.args[1], call.kwargs["wall_s"]) for call in close.call_args_list]
    sure = tq.is_synchronised
    assert len(reported) >= 2
    assert reported == [(end, (end + WALL_NS) / 1e9 if sure else None) for end, _ in reported]
    life.stage.close()


def test_all_that_is_committed_is_offered_to_the_uplink(tmp_path: Path) -> None:
    box = GatewayStorage(tmp_path)
    life = GatewayLife(box, 0)
    life.offered.clear()  # of the start
    with mock.patch.object(box, "commit", side_effect=box.commit) as commit:
        life.run(11 * S)
    assert len(life.offered) == commit.call_count >= 2
    assert len(box.stage()) == 1, "what is committed is in the stage no more"
    life.stage.close()


def test_a_start_seals_which_epoch_it_follows(tmp_path: Path) -> None:
    box = GatewayStorage(tmp_path)
    GatewayLife(box, 0).run(6 * S)  # and killed
    former = box.epoch
    GatewayLife(box, 7 * S).stage.close()
    (manifest,) = (r for r in box.records if r.key.stream == Stream.MANIFEST)
    assert manifest.key.epoch == box.epoch
    assert manifest.body["former"]["epoch"] == former


@pytest.mark.parametrize("changed", [False, True])
def test_at_the_very_end_what_was_sealed_since_is_written(tmp_path: Path, changed: bool) -> None:
    life = GatewayLife(GatewayStorage(tmp_path), 0)
    with (
        mock.patch.object(
            Manifests, "changed", new_callable=mock.PropertyMock, return_value=changed
        ),
        mock.patch.object(life.committer, "_writer", mock.AsyncMock()) as writer,
    ):
        done(life.committer.sealed())
    assert writer.commit.await_count == int(changed)
    life.stage.close()


def test_attempts_that_cannot_be_counted_are_no_reason_to_lose_a_stage(tmp_path: Path) -> None:
    (tmp_path / ATTEMPTS_FILE).mkdir()
    attempts = RecoveryAttempts(tmp_path)
    assert [attempts.begin() for _ in range(MAX_ATTEMPTS + 1)] == [True] * (MAX_ATTEMPTS + 1)
    attempts.ended()
    assert (tmp_path / ATTEMPTS_FILE).is_dir()


def test_what_the_clocks_show_is_committed_when_it_is_asked_for(tmp_path: Path) -> None:
    life = Walled(GatewayStorage(tmp_path), 0)
    with mock.patch.object(life.committer, "_writer", mock.AsyncMock()) as writer:
        writer.commit.return_value = []
        done(life.committer.keep_clock(Stamp(3 * S, WALL_NS, NTP)))
    (commit,) = writer.commit.await_args_list
    assert commit.kwargs["clock"] == Stamp(3 * S, WALL_NS, NTP)
    life.stage.close()


def test_a_window_ends_at_the_very_moment_at_which_all_is_heard(tmp_path: Path) -> None:
    box = GatewayStorage(tmp_path)
    life = GatewayLife(box, 0)
    life.run(4 * S)
    life.buses.heard_ns = PERIOD_NS
    life.now_ns = PERIOD_NS + GRACE_NS - 1
    done(life.committer.tick(life.now()))
    assert not windows(box)
    life.now_ns += 1
    done(life.committer.tick(life.now()))
    assert windows(box) == [(0, PERIOD_NS, False)]
    life.stage.close()


def test_a_site_without_lines_opens_none(tmp_path: Path) -> None:
    head, tail = SITE.split("[lane.north_1]")[0], SITE.split("[device.hut_air]")[1]
    box = GatewayStorage(tmp_path, f"{head}[device.hut_air]{tail}")
    for from_s, to_s in ((0, 6), (7, 12)):
        life = GatewayLife(box, from_s * S, opening_ns=None)
        life.run(to_s * S)
    closed(life)
    ((begin, end),) = box.gaps()
    assert 5 * S < begin <= 6 * S
    assert end == 7 * S
    assert [r.to_ns // S for r in box.of("hut_air")] == [5, 10, 12]


def test_what_has_become_due_of_manifests_goes_with_the_window(tmp_path: Path) -> None:
    box = GatewayStorage(tmp_path)
    life = GatewayLife(box, 0)
    manifest = Draft(Stream.MANIFEST, "gateway", 0, 0, {"count": 1})
    with mock.patch.object(ManifestSchedule, "due", return_value=[manifest]) as due:
        life.run(6 * S)
        life.stop()
    assert [call.kwargs["last"] for call in due.call_args_list] == [False, True]
    assert len([r for r in box.records if r.key.stream == Stream.MANIFEST]) == 2


def test_what_hurries_is_committed_before_its_window_ends(tmp_path: Path) -> None:
    box = GatewayStorage(tmp_path)
    life = GatewayLife(box, 0)
    life.run(S)
    life.ingest.alarm("journal", "something")
    life.run(S + TICK_NS)
    assert [event.from_ns for event in box.events("journal")] == [S]
    assert not box.of("east_1")
    life.run(2 * S)
    assert len(box.events("journal")) == 1
    life.stage.close()


def test_a_fault_that_was_told_before_a_kill_is_not_told_again_and_its_end_is(
    tmp_path: Path,
) -> None:
    box = GatewayStorage(tmp_path)
    life = GatewayLife(box, 0)
    life.ingest.fault("hut_air", Reason.SILENT, "it does not answer")
    life.run(6 * S)  # and killed
    life = GatewayLife(box, 7 * S)
    life.ingest.fault("hut_air", Reason.SILENT, "it does not answer")
    life.run(8 * S)
    assert [event.body["state"] for event in box.events("sensor_fault")] == ["on"]
    life.ingest.fault("hut_air", None, "it answers again")
    life.run(9 * S)
    assert [event.body["state"] for event in box.events("sensor_fault")] == ["on", "off"]
    life.stage.close()


@pytest.mark.parametrize("died", [2, 3])
def test_a_stage_of_which_starts_have_died_is_set_aside(tmp_path: Path, died: int) -> None:
    box = GatewayStorage(tmp_path)
    GatewayLife(box, 0).run(8 * S)  # and killed
    (tmp_path / ATTEMPTS_FILE).write_bytes(b"." * died)
    life = GatewayLife(box, 9 * S)
    assert not (tmp_path / ATTEMPTS_FILE).exists(), "this one has lived"
    assert len(list(tmp_path.glob("set_aside.*"))) == (died >= MAX_ATTEMPTS)
    assert len(box.stage()) == 1
    ((begin, end),) = box.gaps()
    assert end == 9 * S
    assert (begin == PERIOD_NS) is (died >= MAX_ATTEMPTS), (
        "from the last commit on nothing is known"
    )
    closed(life)


def test_what_was_set_aside_stays_when_a_start_finds_no_stage(tmp_path: Path) -> None:
    box = GatewayStorage(tmp_path)
    GatewayLife(box, 0).run(8 * S)  # and killed
    for at in (9, 10):
        (tmp_path / ATTEMPTS_FILE).write_bytes(b"." * MAX_ATTEMPTS)
        GatewayLife(box, at * S).stage.close()
        kept = list(tmp_path.glob("set_aside.*"))
        assert len(kept) == 1
        for segment in tmp_path.glob("stage.*"):
            segment.unlink()


def test_states_of_another_version_are_no_states(tmp_path: Path) -> None:
    box = GatewayStorage(tmp_path)
    GatewayLife(box, 0).run(8 * S)
    box.states = {owner: (99, state) for owner, (_, state) in box.states.items()}
    GatewayLife(box, 9 * S).stage.close()
    assert [event.body["reason"] for event in box.events("gap")] == ["start", "start"]


def test_what_does_not_fit_begins_anew_and_its_sweeps_are_kept(tmp_path: Path) -> None:
    """The state of the engine is damaged: of the time since the last commit raw records are made,
    and nothing else."""
    box = GatewayStorage(tmp_path, SITE + RAW)
    GatewayLife(box, 0).run(8 * S)
    box.states["engine"] = (1, msgpack.packb({"version": 99}))
    life = GatewayLife(box, 9 * S)
    reported = {r.body["text"]: r.body for r in box.events("gap") if r.key.epoch == box.epoch}
    assert set(reported) == {GAP_TEXTS["other"], GAP_TEXTS["new"]}
    assert reported[GAP_TEXTS["other"]]["gap"] == [5_000_000, 9_000_000]
    assert reported[GAP_TEXTS["new"]]["sources"] == sorted(
        ("east_1", "heat", "hut_air", "main_meter", "north_1")
    )
    life.run(12 * S)
    closed(life)
    found = [each for record in raw(box) for each in times(record, "main_meter")]
    assert found == [each * S + 250 * MS for each in (*range(8), *range(9, 12))]


def test_a_process_that_had_numbered_nothing_is_no_reason_to_doubt(tmp_path: Path) -> None:
    box = GatewayStorage(tmp_path)
    GatewayLife(box, 0).run(8 * S)
    box.numbers = {}
    life = GatewayLife(box, 9 * S)
    life.run(12 * S)
    closed(life)
    energy = [r.body["points"]["energy_import"]["quality"] for r in box.of("main_meter")]
    assert not any("uncertain:gap" in quality for quality in energy)


def raw(box: GatewayStorage) -> list[Record]:
    return [record for record in box.records if record.key.stream == Stream.RAW]


def test_raw_records_wait_so_long_and_no_longer(tmp_path: Path) -> None:
    box = GatewayStorage(tmp_path, SITE + RAW)
    life = GatewayLife(box, 0)
    life.run(2 * S)
    assert raw(box) == []
    life.run(3 * S)
    (record,) = raw(box)
    assert record.from_ns == 250 * MS
    assert record.to_ns >= 2 * S + 250 * MS
    life.run(4 * S)
    assert len(raw(box)) == 1, "those that came since have their own two seconds"
    closed(life)


def test_over_kills_each_sweep_is_raw_once(tmp_path: Path) -> None:
    box = GatewayStorage(tmp_path, SITE + RAW)
    for from_s, to_s in ((0, 4), (5, 9), (10, 12)):
        life = GatewayLife(box, from_s * S)
        life.run(to_s * S)  # and killed, but for the last
    closed(life)
    found = [each for record in raw(box) for each in times(record, "main_meter")]
    seconds = [*range(4), *range(5, 9), *range(10, 12)]
    assert found == [each * S + 250 * MS for each in seconds]


def test_what_memory_did_not_hold_in_reading_back_is_counted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    box = GatewayStorage(tmp_path, SITE + RAW)
    GatewayLife(box, 0, left=20).run(2 * S)  # nothing is committed yet, but its start; and killed
    monkeypatch.setattr(rawdrafts, "WAITING_VALUES", 1)
    life = GatewayLife(box, 3 * S)
    given_up = life.ingest.raw.given_up
    assert given_up == 3, "of four sweeps the last one is kept"
    assert sum(record.body.get("given_up", 0) for record in raw(box)) == given_up
    life.stage.close()


def times(record: Record, source: str) -> list[int]:
    body: dict[str, Any] = dict(record.body)
    return [each.mono_ns for each in raw_sweeps(body)[1] if each.source == source]


def test_windows_with_many_records_are_committed_one_by_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    box = GatewayStorage(tmp_path)
    life = GatewayLife(box, 0)
    life.run(4 * S)
    life.now_ns = 3 * PERIOD_NS + GRACE_NS
    made: list[int] = []
    commit = box.commit

    def counted(drafts: Sequence[Draft], states: Any) -> None:
        made.append(len(drafts))
        commit(drafts, states)

    monkeypatch.setattr(box, "commit", counted)
    monkeypatch.setattr(windowcommitter, "RECORDS_PER_COMMIT", 5)  # as many as one window has
    done(life.committer.tick(life.now()))
    assert [end for _, end, _ in windows(box)] == [PERIOD_NS]
    monkeypatch.setattr(windowcommitter, "RECORDS_PER_COMMIT", 6)
    done(life.committer.tick(life.now()))
    assert [end for _, end, _ in windows(box)] == [PERIOD_NS, 2 * PERIOD_NS, 3 * PERIOD_NS]
    life.stage.close()


def test_killed_at_the_very_end_of_a_window_no_record_of_nothing_is_made(tmp_path: Path) -> None:
    box = GatewayStorage(tmp_path)
    life = GatewayLife(box, 0)
    life.run(4 * S)
    life.now_ns = PERIOD_NS + GRACE_NS
    life.left = life.steps + 1  # the mark that it was listened to, and no segment after it
    with pytest.raises(KilledError):
        done(life.committer.tick(life.now()))
    GatewayLife(box, 23 * S).stage.close()
    assert [(begin, end) for begin, end, _ in windows(box)] == [(0, PERIOD_NS)]
