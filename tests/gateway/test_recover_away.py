"""Away for a while, for long or over a boot: what a start makes of what nobody watched."""

from pathlib import Path

import pytest

from edge.core import Reason
from edge.gateway.recover import AWAY_NS
from tests.gateway.adding_up import SOURCES, check
from tests.kit.engine import MS, S, presences
from tests.kit.lives import SLOT_NS, GatewayLife, GatewayStorage, closed, end_ns, ends, grown
from tests.kit.wires import WIRES


def test_lines_that_never_opened_make_no_gap_of_what_meters_have_seen(tmp_path: Path) -> None:
    """Nor does a site without lines: it was listening all the time."""
    box = GatewayStorage(tmp_path)
    GatewayLife(box, 0, opening_ns=None).run(int(22.5 * S))  # and killed
    life = GatewayLife(box, 23 * S)
    life.run(30 * S)
    closed(life)
    assert [(begin // S, end // S) for begin, end in box.gaps()] == [(22, 23)]


def test_away_for_many_periods_records_go_on_where_the_gap_ends(
    tmp_path: Path, whole: GatewayStorage
) -> None:
    for number, after_ms in enumerate((5050, 5150, 5240, 6000, 7400, 9990)):
        folder = tmp_path / str(number)
        folder.mkdir()
        box = GatewayStorage(folder)
        GatewayLife(box, 0).run(after_ms * MS // SLOT_NS * SLOT_NS)  # and killed
        life = GatewayLife(box, 23 * S + 300 * MS)
        life.run(end_ns(0))
        closed(life)
        check(box, whole)
        (gap,) = box.gaps()
        assert gap[1] == 23 * S + 300 * MS
        for source in SOURCES:
            records = box.of(source)
            assert gap[1] in [r.from_ns for r in records], "a window that holds the gap's end"
            before = max(r.to_ns for r in records if r.to_ns <= gap[1])
            assert gap[0] - MS <= before, (source, after_ms, "a hole before the gap")


def test_what_came_in_a_window_that_was_in_the_gap_is_not_counted_later(
    tmp_path: Path, whole: GatewayStorage
) -> None:
    """Killed right after a window's end, and away for long: what the next window had begun with
    belongs to the time before the gap, and no later window counts it as its own."""
    box = GatewayStorage(tmp_path)
    life = GatewayLife(box, 0)
    life.run(5 * S)
    early = presences("north_1.lead", (5.02, 5.08), (5.1, 5.18))
    life.take(early, [])  # stamped after the end of the window that is still open; then killed
    later = GatewayLife(box, 23 * S)
    later.run(end_ns(0))
    closed(later)
    report = box.audit()
    assert report.clean, [finding.text for finding in report.findings]
    for record in box.of("north_1"):
        own = [at for at in WIRES.rises("north_1.lead") if record.from_ns <= at < record.to_ns]
        if record.from_ns >= 23 * S:
            assert record.body["volume"] == len(own)
            assert not any(word.endswith(":gap") for word in record.body["quality"])


def test_another_boot_begins_with_a_gap_of_power_and_totals_go_on(tmp_path: Path) -> None:
    box = GatewayStorage(tmp_path)
    GatewayLife(box, 0).run(13 * S)  # the power fails in the third window
    box.reboot(zero_ns=-10 * S)
    life = GatewayLife(box, 20 * S)
    life.run(end_ns(0))
    closed(life)
    report = box.audit()
    assert report.clean, [finding.text for finding in report.findings]
    event = box.events("gap")[-1]
    assert event.body["reason"] == "power"
    assert event.body["gap"] == [10_000_000, 10_000_000]  # each in its own boot's time
    assert (event.body["boot_before"], event.boot) == (1, 2)
    assert all(r.to_ns <= 10 * S for r in box.of("north_1") if r.boot == 1)
    first, last = ends(box, "main_meter")
    assert grown(box, "main_meter") == last - first
    first_s, last_s = 0, int(end_ns(0) / 1e9) - 1
    assert (first, last) == (
        round(WIRES.register(first_s) * 1000),
        round(WIRES.register(last_s) * 1000),
    )


@pytest.mark.parametrize("up_s", [10, 5000])  # since that boot: it may have been up for long
def test_after_a_power_cut_models_miss_an_hour(
    tmp_path: Path, dark: list[tuple[int, int]], up_s: int
) -> None:
    """How long the box was off nobody knows; that it was off they must hear, and once."""
    box = GatewayStorage(tmp_path)
    GatewayLife(box, 0).run(13 * S)
    assert dark == []
    box.reboot(zero_ns=(up_s - 20) * S)
    life = GatewayLife(box, 20 * S)
    assert dark == [((up_s - 3600) * S, up_s * S)]
    assert AWAY_NS == 3600 * S
    life.run(30 * S)
    assert len(dark) == 1
    life.stage.close()


def test_after_a_kill_models_miss_what_the_gap_names_and_no_hour(
    tmp_path: Path, dark: list[tuple[int, int]]
) -> None:
    box = GatewayStorage(tmp_path)
    life = GatewayLife(box, 0)
    life.run(7 * S)
    life.stop()
    GatewayLife(box, 9 * S).stage.close()
    assert dark == [(7 * S, 9 * S)]


def test_what_was_known_of_an_approach_before_a_power_cut_is_not_known_after_it(
    tmp_path: Path,
) -> None:
    """What was known of an approach is an hour old: until a loop says more, nothing is."""
    for cut in (False, True):
        folder = tmp_path / str(cut)
        folder.mkdir()
        box = GatewayStorage(folder)
        GatewayLife(box, 0).run(41 * S)  # a slot of 30 s has ended
        if cut:
            box.reboot(zero_ns=-40 * S)
        judge = GatewayLife(box, 42 * S).pipeline.judge
        ages_s = [min(one["age_s"]) for one in judge.snapshot_flags()["approaches"].values()]
        assert len(ages_s) == 2
        assert all((age_s >= 3600.0) is cut for age_s in ages_s), ages_s


def test_the_stage_of_another_boot_counts_for_nothing(tmp_path: Path) -> None:
    """A tmpfs that somehow outlived its boot: its times mean nothing now."""
    box = GatewayStorage(tmp_path)
    GatewayLife(box, 0).run(7 * S)
    box.boot, box.boot_id = 2, "boot-2"  # the files stay
    life = GatewayLife(box, 8 * S)
    life.run(end_ns(0))
    closed(life)
    assert box.audit().clean
    later = [at for at in WIRES.rises("north_1.lead") if at > 8 * S]
    assert sum(r.body["volume"] for r in box.of("north_1") if r.boot == 2) == len(later)


def test_the_first_start_names_that_there_is_nothing_before(tmp_path: Path) -> None:
    box = GatewayStorage(tmp_path)
    closed(GatewayLife(box, 7 * S))
    (event,) = box.events("gap")
    assert event.body["reason"] == "start"
    assert event.body["gap"] == [None, 7_000_000]
    assert event.body["sources"] == ["*"]
    assert event.body["boot_before"] is None
    assert "former" not in event.body


def test_a_clean_stop_and_start_lose_only_the_time_between(
    tmp_path: Path, whole: GatewayStorage
) -> None:
    box = GatewayStorage(tmp_path)
    life = GatewayLife(box, 0)
    life.run(7 * S)
    life.stop()
    later = GatewayLife(box, 9 * S)
    later.run(end_ns(0))
    closed(later)
    check(box, whole)
    (gap,) = box.gaps()
    assert gap == (7 * S, 9 * S)
    former = box.events("gap")[-1].body["former"]
    assert former == {"epoch": 1 << 32, "last": {"traffic": 4, "air": 2, "energy": 4, "event": 1}}


def test_a_stage_that_is_gone_is_a_gap_since_the_last_commit(
    tmp_path: Path, whole: GatewayStorage, dark: list[tuple[int, int]]
) -> None:
    box = GatewayStorage(tmp_path)
    GatewayLife(box, 0).run(8 * S)
    for path in box.stage():
        path.unlink()  # somebody cleaned the tmpfs
    life = GatewayLife(box, 9 * S)
    assert dark == [(5 * S, 9 * S)]
    life.run(end_ns(0))
    closed(life)
    check(box, whole)
    assert box.gaps() == [(5 * S, 9 * S)]


def test_a_line_that_was_closed_is_not_watched_after_a_kill_either(tmp_path: Path) -> None:
    box = GatewayStorage(tmp_path)
    life = GatewayLife(box, 0)
    life.run(6 * S)
    life.ingest.line("c", Reason.FAULT, "it chatters and is closed", 6 * S)
    life.stage.mark(7 * S - SLOT_NS)  # and killed, before anybody has opened it again
    later = GatewayLife(box, 7 * S)
    later.run(end_ns(0))
    closed(later)
    window = next(r for r in box.of("east_1") if r.to_ns == 10 * S)
    assert window.body["covered_s"] <= 4.0 + 0.1
