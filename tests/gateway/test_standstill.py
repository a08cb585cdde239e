"""A process that stood still, or whose bus threads had no turn: edges count in their own window."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest

from edge.core import Draft
from edge.gateway.windowcommitter import AGAIN_NS, WAIT_FOR_EDGES_NS, WINDOWS_AT_ONCE
from edge.gateway.windowschedule import GRACE_NS
from tests.kit.engine import MS, S
from tests.kit.lives import (
    PERIOD_NS,
    SLOT_NS,
    GatewayLife,
    GatewayStorage,
    KilledError,
    closed,
    end_ns,
    grown,
    volumes,
)
from tests.kit.ports import FOREVER_NS
from tests.kit.waiting import done
from tests.kit.wires import WIRES


class Stopped(GatewayLife):
    """Its main loop has its turn before the thread that reads the lines."""

    def stand_still(self, seconds: float, heard_after: int) -> None:
        """SIGSTOP and SIGCONT; the edges come after so many ticks of the committer."""
        from_ns = self.now_ns
        self.buses.heard_ns = min(self.now().mono_ns, self.buses.heard_ns)
        self.now_ns += int(seconds * S)
        for _ in range(heard_after):
            done(self.committer.tick(self.now()))
            self.now_ns += SLOT_NS
        contacts, _ = WIRES.between(from_ns, self.now_ns)  # nobody asked the meters
        self.take(contacts, [])
        self.buses.heard_ns = self.now().mono_ns
        done(self.committer.tick(self.now()))
        self.buses.heard_ns = FOREVER_NS


def of_lines(box: GatewayStorage) -> list[tuple[str, int, int, object]]:
    return [
        (r.source, r.from_ns, r.to_ns, r.body.get("volume"))
        for name in ("north_1", "east_1")
        for r in box.of(name)
    ]


@pytest.mark.parametrize("seconds", [3.0, 18.0])
def test_after_a_stop_edges_count_in_the_window_in_which_they_were(
    tmp_path: Path, whole: GatewayStorage, seconds: float
) -> None:
    box = GatewayStorage(tmp_path)
    life = Stopped(box, 0)
    life.run(int(7.4 * S))
    life.stand_still(seconds, heard_after=3)
    life.run(end_ns(0))
    closed(life)
    assert of_lines(box) == of_lines(whole)
    assert not any("uncertain:gap" in r.body["quality"] for r in box.of("north_1"))
    assert grown(box, "heat") == grown(whole, "heat")
    assert box.audit().clean


@pytest.mark.parametrize("heard_ns", [2 * PERIOD_NS - 100 * MS, 2 * PERIOD_NS + 100 * MS])
def test_a_stop_right_after_a_look_at_the_lines_does_not_use_up_their_time(
    tmp_path: Path, whole: GatewayStorage, heard_ns: int
) -> None:
    """Amid the waiting for edges, or when a window was just closed: what the lines' thread showed
    last is known already, and it stood still as we did."""
    box = GatewayStorage(tmp_path)
    life = Stopped(box, 0)
    life.run(2 * PERIOD_NS)
    life.buses.heard_ns = heard_ns
    life.run(2 * PERIOD_NS + GRACE_NS + 10 * MS)
    life.stand_still(18.0, heard_after=3)
    life.run(end_ns(0))
    closed(life)
    assert of_lines(box) == of_lines(whole)
    assert not any("uncertain:gap" in r.body["quality"] for r in box.of("north_1"))
    assert box.audit().clean


def test_windows_that_have_piled_up_are_one_commit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    box = GatewayStorage(tmp_path)
    life = Stopped(box, 0)
    life.run(int(7.4 * S))
    commits: list[int] = []
    commit = box.commit

    def counted(drafts: Sequence[Draft], states: Mapping[str, tuple[int, bytes]]) -> None:
        commits.append(len(drafts))
        commit(drafts, states)

    monkeypatch.setattr(box, "commit", counted)
    assert not life.committer.windows_due(life.now())
    life.now_ns = 3 * PERIOD_NS + GRACE_NS - 1  # the second window is not over yet
    assert not life.committer.windows_due(life.now())
    life.now_ns += 1
    assert life.committer.windows_due(life.now())
    life.now_ns = 5 * PERIOD_NS + GRACE_NS  # which it is at this very moment
    done(life.committer.tick(life.now()))
    assert not life.committer.windows_due(life.now())
    assert len(commits) == 1
    assert [r.to_ns // S for r in box.of("east_1")][-4:] == [10, 15, 20, 25]


def test_however_many_have_piled_up_others_have_their_turn(tmp_path: Path) -> None:
    box = GatewayStorage(tmp_path)
    life = Stopped(box, 0)
    life.run(7 * S)
    life.now_ns += 40 * PERIOD_NS
    found = [len(box.of("east_1"))]
    while life.committer.windows_due(life.now()):
        done(life.committer.tick(life.now()))
        found.append(len(box.of("east_1")))
    assert found == [1, 1 + WINDOWS_AT_ONCE, 1 + 2 * WINDOWS_AT_ONCE, 41]


def test_a_bus_that_never_comes_delays_a_window_and_stops_none(tmp_path: Path) -> None:
    """Its thread hangs: it is given so long once, and not once for each window."""
    box = GatewayStorage(tmp_path)
    life = Stopped(box, 0)
    life.run(4 * S)
    life.buses.heard_ns = life.now().mono_ns
    life.run(5 * S + GRACE_NS)
    assert not box.of("east_1")
    now_ns = life.now().mono_ns
    assert now_ns < life.committer.next_ns <= now_ns + AGAIN_NS, "and nobody looks all the time"
    life.run(30 * S)
    ends = [r.to_ns for r in box.of("east_1")]
    assert ends[-1] == 25 * S
    assert ends == sorted(set(ends))
    assert WAIT_FOR_EDGES_NS <= PERIOD_NS


def test_a_bus_that_never_comes_stops_no_window_of_a_slow_main_loop(tmp_path: Path) -> None:
    """Each of its ticks looks as if it had stood still, and none gives the thread all its time."""
    box = GatewayStorage(tmp_path)
    life = Stopped(box, 0)
    life.run(4 * S)
    life.buses.heard_ns = life.now().mono_ns
    while life.now_ns < 60 * S:
        life.now_ns += 2 * S
        done(life.committer.tick(life.now()))
    ends = [r.to_ns for r in box.of("east_1")]
    assert ends == list(range(PERIOD_NS, 60 * S, PERIOD_NS))


def test_killed_amid_windows_that_have_piled_up_nothing_is_lost(
    tmp_path: Path, whole: GatewayStorage
) -> None:
    """At each write of closing four windows together."""
    left = 0
    while True:
        folder = tmp_path / str(left)
        folder.mkdir()
        box = GatewayStorage(folder)
        life = Stopped(box, 0)
        life.run(int(7.4 * S))
        life.left = life.steps + left
        try:
            life.stand_still(18.0, heard_after=0)
        except KilledError:
            back = GatewayLife(box, life.now_ns + 300 * MS)
            back.run(end_ns(0))
            closed(back)
            assert box.audit().clean
            holes = box.gaps()
            for lane, source in (("north_1", "north_1.lead"), ("east_1", "east_1.lead")):
                seen = [at for at in WIRES.rises(source) if not any(a < at < b for a, b in holes)]
                assert volumes(box, lane) == len(seen), (left, holes)
                whole_s = [r.body["covered_s"] for r in box.of(lane) if r.to_ns <= holes[0][0]]
                assert whole_s == [5.0] * len(whole_s), "they were listened to up to their ends"
            left += 1
            continue
        break
    assert left > 8
