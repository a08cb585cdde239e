"""Killed anywhere, once or twice: what comes after adds up to what passed, but for named gaps."""

import contextlib
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge.app.recover import AWAY_NS, LONGEST
from edge.core import Reason, Record, Stream
from tests.app.lives import (
    PERIOD_NS,
    SLOT_NS,
    Box,
    KilledError,
    Life,
    closed,
    end_ns,
    ends,
    grown,
    lived,
    volumes,
)
from tests.app.wires import WIRES
from tests.process.build import MS, S, presences

SOURCES = ("north_1", "east_1", "hut_air", "main_meter", "heat")
AWAY_S = [0.3, 3.1, 13.0]
LOOPS = {"north_1": "north_1.lead", "east_1": "east_1.lead"}


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Box:
    """The uninterrupted run."""
    return lived(Box(tmp_path_factory.mktemp("whole")), [])


@pytest.fixture(scope="module")
def writes(tmp_path_factory: pytest.TempPathFactory) -> int:
    """How many moments there are at which the uninterrupted run may be killed."""
    life = Life(Box(tmp_path_factory.mktemp("writes")), 0)
    life.run(end_ns(0))
    return life.steps


def folders(place: Path) -> Iterator[Path]:
    number = 0
    while True:
        number += 1
        folder = place / str(number)
        folder.mkdir()
        yield folder


def check(box: Box, whole: Box) -> None:
    """Everything is there, once, but for what gap events name."""
    report = box.audit()
    assert report.clean, [finding.text for finding in report.findings]
    holes = box.gaps()
    for lane, source in LOOPS.items():
        seen = [at for at in WIRES.rises(source) if not inside(at, holes)]
        assert volumes(box, lane) == len(seen), (lane, holes)
    pulses = [at for at in WIRES.rises("heat") if not inside(at, holes)]
    assert grown(box, "heat") == len(pulses), holes
    first, last = ends(box, "main_meter")
    assert grown(box, "main_meter") == last - first
    undisturbed(box, whole, min((begin for begin, _ in holes), default=1 << 62))
    listened = box.gaps(lines=False)
    for record in box.records:
        assert_covered(record, holes if record.key.stream == Stream.TRAFFIC else listened)
        assert_on_borders(record)


def inside(at_ns: int, holes: Sequence[tuple[int, int]]) -> bool:
    return any(begin < at_ns < end for begin, end in holes)


def undisturbed(box: Box, whole: Box, until_ns: int) -> None:
    """Records of windows that ended before the first gap are those of the uninterrupted run."""
    for source in SOURCES:
        wanted = {r.from_ns: bare(r) for r in whole.of(source)}
        for record in box.of(source):
            if record.to_ns <= until_ns and "partial" not in record.body:
                assert bare(record) == wanted[record.from_ns]


def bare(record: Record) -> tuple[object, ...]:
    """A record without its number and the judges' say, whose state is kept every 15 min only."""
    body = {k: v for k, v in record.body.items() if k not in ("p_congested", "anomaly")}
    return record.source, record.from_ns, record.to_ns, body


def assert_covered(record: Record, holes: Sequence[tuple[int, int]]) -> None:
    """No record claims to have watched while nobody did; those of lanes watched when they could."""
    if "covered_s" not in record.body:
        return
    deaf_ns = sum(
        max(0, min(end, record.to_ns) - max(begin, record.from_ns)) for begin, end in holes
    )
    most_s = (record.to_ns - record.from_ns - deaf_ns) / 1e9
    assert record.body["covered_s"] <= most_s + 1e-5, (bare(record), holes)
    if record.key.stream == Stream.TRAFFIC:
        assert record.body["covered_s"] >= most_s - 1e-5, (bare(record), holes)


def assert_on_borders(record: Record) -> None:
    """A window ends where its period does, or says that it was cut; none is much longer."""
    if record.key.stream not in (Stream.TRAFFIC, Stream.AIR, Stream.ENERGY):
        return
    assert record.body.get("partial") or record.to_ns % PERIOD_NS == 0, bare(record)
    assert 1 < record.to_ns - record.from_ns <= LONGEST * PERIOD_NS, bare(record)


def test_the_uninterrupted_run_is_whole(whole: Box) -> None:
    check(whole, whole)
    assert volumes(whole, "north_1") == len(WIRES.rises("north_1.lead")) > 10
    assert [r.body["reason"] for r in whole.events("gap")] == ["start"]


@pytest.mark.parametrize("torn", [False, True])
@pytest.mark.parametrize("away_s", AWAY_S)
def test_killed_at_any_write_nothing_is_lost_but_what_the_gap_names(
    tmp_path: Path, whole: Box, writes: int, away_s: float, torn: bool
) -> None:
    first = 1 + AWAY_S.index(away_s) + len(AWAY_S) * torn  # all six together: at each write
    for left, folder in zip(range(first, writes, 6), folders(tmp_path), strict=False):
        box = lived(Box(folder), [(left, int(away_s * S))], torn=torn)
        assert box.kills == 1
        check(box, whole)
        last = box.events("gap")[-1].body
        assert last["reason"] in ("restart", "start")
        if last["reason"] == "restart":
            length_s = (last["gap"][1] - last["gap"][0]) / 1e6
            assert length_s <= away_s + 1.0, "a mark each half second bounds what is not known"


@settings(max_examples=50, deadline=None, derandomize=True)
@given(
    kills=st.lists(
        st.tuples(st.integers(0, 200), st.sampled_from([100, 400, 1900, 4900, 5100, 12_000])),
        min_size=2,
        max_size=4,
    ),
    torn=st.booleans(),
)
def test_killed_again_and_again(whole: Box, kills: list[tuple[int, int]], torn: bool) -> None:
    with tempfile.TemporaryDirectory() as name:
        box = Box(Path(name))
        lived(box, [(left, away_ms * MS) for left, away_ms in kills], torn=torn)
    check(box, whole)


def test_killed_twice_within_one_window_both_gaps_are_named(tmp_path: Path, whole: Box) -> None:
    box = Box(tmp_path)
    for from_s, to_s in ((0.0, 6.5), (7.0, 8.0)):
        Life(box, int(from_s * S)).run(int(to_s * S))  # and killed
    life = Life(box, int(8.4 * S))
    life.run(end_ns(0))
    closed(life)
    check(box, whole)
    holes = box.gaps()
    assert [(b // S, e / S) for b, e in holes] == [(6, 7.0), (7, 8.4)]
    window = next(r for r in box.of("north_1") if r.to_ns == 2 * PERIOD_NS)
    deaf_s = sum(e - b for b, e in holes) / 1e9
    assert window.body["covered_s"] == pytest.approx(5.0 - deaf_s, abs=1e-5)


@pytest.mark.parametrize("gone_s", [7.2, 7.75, 7.95, 9.4, 12.3])
def test_killed_before_it_could_tell_how_long_its_lines_were_closed_the_next_start_tells(
    tmp_path: Path, whole: Box, gone_s: float
) -> None:
    """A start at 7 s whose lines open at 7.7 s is killed before the commit that says so."""
    box = Box(tmp_path)
    Life(box, 0).run(int(6.5 * S))  # and killed
    if gone_s < 7.7:
        with contextlib.suppress(KilledError):
            Life(box, 7 * S, 2).run(8 * S)  # with its lines closed
    else:
        second = Life(box, 7 * S, opening_ns=700 * MS)
        second.left = second.steps  # before its next write
        with contextlib.suppress(KilledError):
            second.run(int(gone_s * S))
    life = Life(box, int((gone_s + 0.4) * S))
    life.run(end_ns(0))
    closed(life)
    check(box, whole)


def test_lines_that_never_opened_make_no_gap_of_what_meters_have_seen(tmp_path: Path) -> None:
    """Nor does a site without lines: it was listening all the time."""
    box = Box(tmp_path)
    Life(box, 0, opening_ns=None).run(int(22.5 * S))  # and killed
    life = Life(box, 23 * S)
    life.run(30 * S)
    closed(life)
    assert [(begin // S, end // S) for begin, end in box.gaps()] == [(22, 23)]


@pytest.mark.parametrize("back_s", [7.0, 10.3])
def test_killed_while_it_recovers_the_first_gap_is_not_forgotten(
    tmp_path: Path, whole: Box, back_s: float
) -> None:
    """At each write of a start that goes on with an open window, or comes after its end."""
    for left, folder in zip(range(10), folders(tmp_path), strict=False):
        box = Box(folder)
        Life(box, 0).run(6 * S)  # and killed
        with contextlib.suppress(KilledError):
            Life(box, int(back_s * S), left).run(int((back_s + 1) * S))
        last = Life(box, int((back_s + 2) * S))
        last.run(end_ns(0))
        closed(last)
        check(box, whole)
        begins = {record.from_ns for record in box.of("north_1")}
        assert begins >= set(range(0, end_ns(0), PERIOD_NS)), "windows that are not long stay whole"


def test_killed_between_the_new_segment_and_the_commit_the_window_comes_once(
    tmp_path: Path, whole: Box, writes: int
) -> None:
    """The record of the window that had ended is made again, and only once."""
    found = 0
    for left, folder in zip(range(1, writes), folders(tmp_path), strict=False):
        box = Box(folder)
        with contextlib.suppress(KilledError):
            Life(box, 0, left).run(3 * PERIOD_NS)
        if len(box.stage()) < 2:
            continue
        found += 1
        ended_ns = max((r.to_ns for r in box.of("north_1")), default=0)
        now_ns = ended_ns + PERIOD_NS + 800 * MS
        life = Life(box, now_ns)
        life.run(end_ns(now_ns))
        closed(life)
        check(box, whole)
        windows = [r.from_ns for r in box.of("north_1")]
        assert len(windows) == len(set(windows))
    assert found >= 2, "no kill fell between a rotation and its commit"


def test_killed_in_a_rotation_and_again_soon_after_what_came_early_is_not_lost(
    tmp_path: Path, whole: Box, writes: int
) -> None:
    """A segment that was begun and not filled must not become the only memory of a window."""
    found = 0
    for left, folder in zip(range(1, writes), folders(tmp_path), strict=False):
        box = Box(folder)
        first = Life(box, 0)
        first.left = first.steps + left
        with contextlib.suppress(KilledError):
            first.run(PERIOD_NS + 500 * MS)
        if len(box.stage()) < 2:
            if found:
                break
            continue
        found += 1
        second = Life(box, first.now_ns + SLOT_NS)
        assert len(box.stage()) == 1, "what was committed is forgotten"
        with contextlib.suppress(KilledError):
            second.left = second.steps
            second.run(second.now_ns + S)
        third = Life(box, second.now_ns + SLOT_NS)
        third.run(end_ns(0))
        closed(third)
        check(box, whole)
    assert found >= 2, "no kill fell into a rotation"


def test_away_for_many_periods_records_go_on_where_the_gap_ends(tmp_path: Path, whole: Box) -> None:
    for number, after_ms in enumerate((5050, 5150, 5240, 6000, 7400, 9990)):
        folder = tmp_path / str(number)
        folder.mkdir()
        box = Box(folder)
        Life(box, 0).run(after_ms * MS // SLOT_NS * SLOT_NS)  # and killed
        life = Life(box, 23 * S + 300 * MS)
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
    tmp_path: Path, whole: Box
) -> None:
    """Killed right after a window's end, and away for long: what the next window had begun with
    belongs to the time before the gap, and no later window counts it as its own."""
    box = Box(tmp_path)
    life = Life(box, 0)
    life.run(5 * S)
    early = presences("north_1.lead", (5.02, 5.08), (5.1, 5.18))
    life.take(early, [])  # stamped after the end of the window that is still open; then killed
    later = Life(box, 23 * S)
    later.run(end_ns(0))
    closed(later)
    report = box.audit()
    assert report.clean, [finding.text for finding in report.findings]
    for record in box.of("north_1"):
        own = [at for at in WIRES.rises("north_1.lead") if record.from_ns <= at < record.to_ns]
        if record.from_ns >= 23 * S:
            assert record.body["volume"] == len(own)
            assert not any(word.endswith(":gap") for word in record.body["quality"])


def test_an_edge_under_way_at_the_kill_is_lost_within_the_gap(tmp_path: Path) -> None:
    """Buses bring what they have independently: a sweep may be staged before an older edge."""
    box = Box(tmp_path)
    life = Life(box, 0)
    life.run(1 * S)
    edge = next(c for c in WIRES.contacts if c.on and c.mono_ns >= S and c.source == "east_1.lead")
    _, swept = WIRES.between(edge.mono_ns, edge.mono_ns + S)
    life.now_ns = swept[0].mono_ns
    before = [c for c in WIRES.between(S, life.now_ns)[0] if c.mono_ns < edge.mono_ns]
    life.take(before, [])
    life.take([], swept[:1])  # and killed: the edge had not crossed yet
    later = Life(box, life.now_ns + SLOT_NS)
    later.run(end_ns(0))
    closed(later)
    (gap,) = box.gaps()
    assert gap[0] <= edge.mono_ns <= gap[1], "a vehicle was lost, and no gap names its moment"


def test_another_boot_begins_with_a_gap_of_power_and_totals_go_on(tmp_path: Path) -> None:
    box = Box(tmp_path)
    Life(box, 0).run(13 * S)  # the power fails in the third window
    box.reboot(zero_ns=-10 * S)
    life = Life(box, 20 * S)
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
    box = Box(tmp_path)
    Life(box, 0).run(13 * S)
    assert dark == []
    box.reboot(zero_ns=(up_s - 20) * S)
    life = Life(box, 20 * S)
    assert dark == [((up_s - 3600) * S, up_s * S)]
    assert AWAY_NS == 3600 * S
    life.run(30 * S)
    assert len(dark) == 1
    life.stage.close()


def test_after_a_kill_models_miss_what_the_gap_names_and_no_hour(
    tmp_path: Path, dark: list[tuple[int, int]]
) -> None:
    box = Box(tmp_path)
    life = Life(box, 0)
    life.run(7 * S)
    life.stop()
    Life(box, 9 * S).stage.close()
    assert dark == [(7 * S, 9 * S)]


def test_what_was_known_of_an_approach_before_a_power_cut_is_not_known_after_it(
    tmp_path: Path,
) -> None:
    """What was known of an approach is an hour old: until a loop says more, nothing is."""
    for cut in (False, True):
        folder = tmp_path / str(cut)
        folder.mkdir()
        box = Box(folder)
        Life(box, 0).run(41 * S)  # a slot of 30 s has ended
        if cut:
            box.reboot(zero_ns=-40 * S)
        judge = Life(box, 42 * S).pipeline.judge
        ages_s = [min(one["age_s"]) for one in judge.flags()["approaches"].values()]
        assert len(ages_s) == 2
        assert all((age_s >= 3600.0) is cut for age_s in ages_s), ages_s


def test_the_stage_of_another_boot_counts_for_nothing(tmp_path: Path) -> None:
    """A tmpfs that somehow outlived its boot: its times mean nothing now."""
    box = Box(tmp_path)
    Life(box, 0).run(7 * S)
    box.boot, box.boot_id = 2, "boot-2"  # the files stay
    life = Life(box, 8 * S)
    life.run(end_ns(0))
    closed(life)
    assert box.audit().clean
    later = [at for at in WIRES.rises("north_1.lead") if at > 8 * S]
    assert sum(r.body["volume"] for r in box.of("north_1") if r.boot == 2) == len(later)


def test_the_first_start_names_that_there_is_nothing_before(tmp_path: Path) -> None:
    box = Box(tmp_path)
    closed(Life(box, 7 * S))
    (event,) = box.events("gap")
    assert event.body["reason"] == "start"
    assert event.body["gap"] == [None, 7_000_000]
    assert event.body["sources"] == ["*"]
    assert event.body["boot_before"] is None
    assert "former" not in event.body


def test_a_clean_stop_and_start_lose_only_the_time_between(tmp_path: Path, whole: Box) -> None:
    box = Box(tmp_path)
    life = Life(box, 0)
    life.run(7 * S)
    life.stop()
    later = Life(box, 9 * S)
    later.run(end_ns(0))
    closed(later)
    check(box, whole)
    (gap,) = box.gaps()
    assert gap == (7 * S, 9 * S)
    former = box.events("gap")[-1].body["former"]
    assert former == {"epoch": 1 << 32, "last": {"traffic": 4, "air": 2, "energy": 4, "event": 1}}


def test_a_stage_that_is_gone_is_a_gap_since_the_last_commit(
    tmp_path: Path, whole: Box, dark: list[tuple[int, int]]
) -> None:
    box = Box(tmp_path)
    Life(box, 0).run(8 * S)
    for path in box.stage():
        path.unlink()  # somebody cleaned the tmpfs
    life = Life(box, 9 * S)
    assert dark == [(5 * S, 9 * S)]
    life.run(end_ns(0))
    closed(life)
    check(box, whole)
    assert box.gaps() == [(5 * S, 9 * S)]


def test_a_line_that_was_closed_is_not_watched_after_a_kill_either(tmp_path: Path) -> None:
    box = Box(tmp_path)
    life = Life(box, 0)
    life.run(6 * S)
    life.intake.line("c", Reason.FAULT, "it chatters and is closed", 6 * S)
    life.stage.mark(7 * S - SLOT_NS)  # and killed, before anybody has opened it again
    later = Life(box, 7 * S)
    later.run(end_ns(0))
    closed(later)
    window = next(r for r in box.of("east_1") if r.to_ns == 10 * S)
    assert window.body["covered_s"] <= 4.0 + 0.1
