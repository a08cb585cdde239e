"""Killed anywhere, once or twice: what comes after adds up to what passed, but for named gaps."""

import contextlib
import tempfile
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from edge.acquire.stage import Stage, StageHeader, find_segments
from edge.core import Contact
from edge.gateway.pipeline import Pipeline
from edge.gateway.recover import PreviousRun, recover
from edge.infer.judge import Judge, JudgeSetup
from edge.process.enginesetup import EngineSetup
from edge.process.inputmeanings import input_meanings
from tests.gateway.adding_up import check, folders
from tests.kit.engine import MS, SINGLE, S, body
from tests.kit.lives import (
    PERIOD_NS,
    SLOT_NS,
    GatewayLife,
    GatewayStorage,
    KilledError,
    closed,
    end_ns,
    lived,
    volumes,
)
from tests.kit.wires import WIRES
from tests.long import examples, more, one_in, size

AWAY_S = [0.3, 3.1, 13.0]


@pytest.fixture(scope="module")
def writes(tmp_path_factory: pytest.TempPathFactory) -> int:
    """How many moments there are at which the uninterrupted run may be killed."""
    life = GatewayLife(GatewayStorage(tmp_path_factory.mktemp("writes")), 0)
    life.run(end_ns(0))
    return life.steps


def test_the_uninterrupted_run_is_whole(whole: GatewayStorage) -> None:
    check(whole, whole)
    assert volumes(whole, "north_1") == len(WIRES.rises("north_1.lead")) > 10
    assert [r.body["reason"] for r in whole.events("gap")] == ["start"]


@one_in(2)
@more
@pytest.mark.parametrize("torn", [False, True])
@pytest.mark.parametrize("away_s", AWAY_S)
def test_killed_at_any_write_nothing_is_lost_but_what_the_gap_names(
    tmp_path: Path, whole: GatewayStorage, writes: int, away_s: float, torn: bool
) -> None:
    # all six together: at each third write, in `make long` at each
    step = 6 * size(3, 1)
    first = 1 + (AWAY_S.index(away_s) + len(AWAY_S) * torn) * size(3, 1)
    for left, folder in zip(range(first, writes, step), folders(tmp_path), strict=False):
        box = lived(GatewayStorage(folder), [(left, int(away_s * S))], torn=torn)
        assert box.kills == 1
        check(box, whole)
        last = box.events("gap")[-1].body
        assert last["reason"] in ("restart", "start")
        if last["reason"] == "restart":
            length_s = (last["gap"][1] - last["gap"][0]) / 1e6
            assert length_s <= away_s + 1.0, "a mark each half second bounds what is not known"


@settings(max_examples=examples(50), deadline=None, derandomize=True)
@given(
    kills=st.lists(
        st.tuples(st.integers(0, 200), st.sampled_from([100, 400, 1900, 4900, 5100, 12_000])),
        min_size=2,
        max_size=4,
    ),
    torn=st.booleans(),
)
# whole windows pass, and the start after them is killed before its first commit
@example(kills=[(2, 12_000), (1, 100)], torn=False)
@example(kills=[(2, 17_300), (1, 100)], torn=False)
@example(kills=[(150, 12_000), (1, 100)], torn=True)
def test_killed_again_and_again(
    whole: GatewayStorage, kills: list[tuple[int, int]], torn: bool
) -> None:
    with tempfile.TemporaryDirectory() as name:
        box = GatewayStorage(Path(name))
        lived(box, [(left, away_ms * MS) for left, away_ms in kills], torn=torn)
    check(box, whole)


def test_killed_twice_within_one_window_both_gaps_are_named(
    tmp_path: Path, whole: GatewayStorage
) -> None:
    box = GatewayStorage(tmp_path)
    for from_s, to_s in ((0.0, 6.5), (7.0, 8.0)):
        GatewayLife(box, int(from_s * S)).run(int(to_s * S))  # and killed
    life = GatewayLife(box, int(8.4 * S))
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
    tmp_path: Path, whole: GatewayStorage, gone_s: float
) -> None:
    """A start at 7 s whose lines open at 7.7 s is killed before the commit that says so."""
    box = GatewayStorage(tmp_path)
    GatewayLife(box, 0).run(int(6.5 * S))  # and killed
    if gone_s < 7.7:
        with contextlib.suppress(KilledError):
            GatewayLife(box, 7 * S, 2).run(8 * S)  # with its lines closed
    else:
        second = GatewayLife(box, 7 * S, opening_ns=700 * MS)
        second.left = second.steps  # before its next write
        with contextlib.suppress(KilledError):
            second.run(int(gone_s * S))
    life = GatewayLife(box, int((gone_s + 0.4) * S))
    life.run(end_ns(0))
    closed(life)
    check(box, whole)


@pytest.mark.parametrize("back_s", [7.0, 10.3])
def test_killed_while_it_recovers_the_first_gap_is_not_forgotten(
    tmp_path: Path, whole: GatewayStorage, back_s: float
) -> None:
    """At each write of a start that goes on with an open window, or comes after its end."""
    for left, folder in zip(range(10), folders(tmp_path), strict=False):
        box = GatewayStorage(folder)
        GatewayLife(box, 0).run(6 * S)  # and killed
        with contextlib.suppress(KilledError):
            GatewayLife(box, int(back_s * S), left).run(int((back_s + 1) * S))
        last = GatewayLife(box, int((back_s + 2) * S))
        last.run(end_ns(0))
        closed(last)
        check(box, whole)
        begins = {record.from_ns for record in box.of("north_1")}
        assert begins >= set(range(0, end_ns(0), PERIOD_NS)), "windows that are not long stay whole"


def test_killed_between_the_new_segment_and_the_commit_the_window_comes_once(
    tmp_path: Path, whole: GatewayStorage, writes: int
) -> None:
    """The record of the window that had ended is made again, and only once."""
    found = 0
    for left, folder in zip(range(1, writes), folders(tmp_path), strict=False):
        box = GatewayStorage(folder)
        with contextlib.suppress(KilledError):
            GatewayLife(box, 0, left).run(3 * PERIOD_NS)
            break  # later kills do not fall into these windows
        if len(box.stage()) < 2:
            continue
        found += 1
        ended_ns = max((r.to_ns for r in box.of("north_1")), default=0)
        now_ns = ended_ns + PERIOD_NS + 800 * MS
        life = GatewayLife(box, now_ns)
        life.run(end_ns(now_ns))
        closed(life)
        check(box, whole)
        windows = [r.from_ns for r in box.of("north_1")]
        assert len(windows) == len(set(windows))
        cut = [r.to_ns for r in box.of("north_1") if r.body.get("partial")]
        assert cut in ([], [max(r.to_ns for r in box.of("north_1"))]), "only by the stop at the end"
    assert found >= 2, "no kill fell between a rotation and its commit"


def test_killed_before_the_commit_of_a_window_that_was_cut_its_record_says_so(
    tmp_path: Path, whole: GatewayStorage
) -> None:
    """The daemon is stopped in the middle of a window: the next segment is there, no record yet."""
    found = 0
    for left, folder in zip(range(10), folders(tmp_path), strict=False):
        box = GatewayStorage(folder)
        life = GatewayLife(box, 0)
        life.run(PERIOD_NS + 2 * S)
        life.left = life.steps + left
        with contextlib.suppress(KilledError):
            life.stop()
            break
        last = GatewayLife(box, PERIOD_NS + 3 * S)
        last.run(end_ns(0))
        closed(last)
        check(box, whole)
        [record] = [r for r in box.of("north_1") if r.from_ns == PERIOD_NS]
        if record.to_ns == PERIOD_NS + 2 * S:
            assert record.body["partial"]
            found += 1
        else:  # the next segment was not begun: the window went on
            assert record.to_ns == 2 * PERIOD_NS
    assert found, "no kill fell between the rotation and its commit"


def test_killed_in_a_rotation_and_again_soon_after_what_came_early_is_not_lost(
    tmp_path: Path, whole: GatewayStorage, writes: int
) -> None:
    """A segment that was begun and not filled must not become the only memory of a window."""
    found = 0
    for left, folder in zip(range(1, writes), folders(tmp_path), strict=False):
        box = GatewayStorage(folder)
        first = GatewayLife(box, 0)
        first.left = first.steps + left
        with contextlib.suppress(KilledError):
            first.run(PERIOD_NS + 500 * MS)
        if len(box.stage()) < 2:
            if found:
                break
            continue
        found += 1
        second = GatewayLife(box, first.now_ns + SLOT_NS)
        assert len(box.stage()) == 1, "what was committed is forgotten"
        with contextlib.suppress(KilledError):
            second.left = second.steps
            second.run(second.now_ns + S)
        third = GatewayLife(box, second.now_ns + SLOT_NS)
        third.run(end_ns(0))
        closed(third)
        check(box, whole)
    assert found >= 2, "no kill fell into a rotation"


def test_an_edge_under_way_at_the_kill_is_lost_within_the_gap(tmp_path: Path) -> None:
    """Buses bring what they have independently: a sweep may be staged before an older edge."""
    box = GatewayStorage(tmp_path)
    life = GatewayLife(box, 0)
    life.run(1 * S)
    edge = next(c for c in WIRES.contacts if c.on and c.mono_ns >= S and c.source == "east_1.lead")
    _, swept = WIRES.between(edge.mono_ns, edge.mono_ns + S)
    life.now_ns = swept[0].mono_ns
    before = [c for c in WIRES.between(S, life.now_ns)[0] if c.mono_ns < edge.mono_ns]
    life.take(before, [])
    life.take([], swept[:1])  # and killed: the edge had not crossed yet
    later = GatewayLife(box, life.now_ns + SLOT_NS)
    later.run(end_ns(0))
    closed(later)
    (gap,) = box.gaps()
    assert gap[0] <= edge.mono_ns <= gap[1], "a vehicle was lost, and no gap names its moment"


def test_a_window_that_was_watched_to_its_very_end_leaves_the_next_one_without_a_gap(
    tmp_path: Path,
) -> None:
    """Killed before the commit of the first: only from the last mark on nobody listened."""
    setup = EngineSetup(lanes=(SINGLE,), period_ns=5 * S)
    pipeline = Pipeline(setup, Judge(JudgeSetup(period_ns=5 * S)))
    pipeline.engine.start(0)
    stage = Stage(tmp_path, "boot", staged=StageHeader(input_meanings(setup)))
    stage.rotate(0, 5 * S, [], [])
    stage.add_contacts([Contact("east_1.lead", False, 0, initial=True)])
    stage.mark(5 * S)
    stage.rotate(5 * S, 10 * S, [], [])
    stage.mark(7 * S)
    before = PreviousRun(boot=1, segment=1, start_ns=0)
    left = find_segments(tmp_path, "boot", 1)
    back = recover(pipeline, before, 1, left, 8 * S, 10 * S, None)
    assert body(back.drafts, "east_1")["covered_s"] == 5.0
    pipeline.engine.contacts([Contact("east_1.lead", False, 8 * S, initial=True)])
    assert body(pipeline.engine.close(10 * S), "east_1")["covered_s"] == 4.0
