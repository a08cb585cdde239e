"""In which order starts followed each other, as each says of the one before it."""

from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.platform.declaredlosses import DeclaredLosses
from edge.platform.epochorder import EpochClaims, EpochOrder, order_epochs

Pairs = Sequence[tuple[int, int]]


def ordered(formers: Pairs, lost: Pairs = (), known: Sequence[int] = ()) -> EpochOrder:
    words = EpochClaims()
    for by, of in formers:
        words.former(by, of, {})
    for by, of in lost:
        words.lost.setdefault(by, set()).add(of)
    return order_epochs(known, words)


@pytest.mark.parametrize(
    ("formers", "lost", "lines"),
    [
        ([(2, 1), (3, 2)], [], [[1, 2, 3]]),
        ([(1, 9), (5, 1)], [], [[9, 1, 5]]),
        ([], [], []),
        ([(2, 1), (3, 1), (4, 2)], [], [[1, 3], [2, 4]]),
        ([(3, 1), (3, 2)], [], [[1], [2, 3]]),
        ([], [(2, 1)], [[1, 2]]),
        ([], [(2, 2)], [[2]]),
        # 3 did not know of 2, and names 1; that 2 is lost says where it stood
        ([(2, 1), (3, 1)], [(3, 2)], [[1, 2, 3]]),
        ([(3, 1)], [(3, 2)], [[1, 3], [2]]),
        # what it says of older ones is only said again
        ([(2, 1), (3, 2)], [(3, 1)], [[1, 2, 3]]),
        ([(2, 1), (3, 2)], [(3, 2)], [[1, 2, 3]]),
    ],
)
def test_lines_are_what_starts_say(formers: Pairs, lost: Pairs, lines: list[list[int]]) -> None:
    found = ordered(formers, lost)
    assert found.chains == lines
    assert found.cycles == []
    followed = {each for line in lines for each in line[:-1]}
    assert found.ends == sorted({each for line in lines for each in line} - followed)


def test_forks_and_several_formers_are_told() -> None:
    found = ordered([(2, 1), (3, 1)])
    assert (found.forks, found.contradictions, found.ends) == ({1: [2, 3]}, {}, [2, 3])
    found = ordered([(3, 2), (3, 1)])
    assert (found.forks, found.contradictions, found.ends) == ({}, {3: [1, 2]}, [1, 3])
    assert found.before == {3: 2}


def test_circles_are_told_and_what_hangs_on_them_is_placed() -> None:
    found = ordered([(1, 2), (2, 1), (3, 2)])
    assert found.cycles == [[2, 1], [3]]
    assert found.chains == found.cycles
    assert found.until(1) == {1, 2}
    assert ordered([(7, 7)]).cycles == [[7]]


def test_what_lies_between_and_before() -> None:
    found = ordered([(2, 1), (3, 2), (4, 3), (9, 8)])
    assert found.between(1, 4) == [2, 3]
    assert found.between(2, 3) == found.between(1, 9) == []
    assert found.until(3) == {1, 2, 3}
    assert found.until(77) == {77}
    assert found.place[3] == (0, 2)


def test_last_numbers_are_kept_as_they_are_said() -> None:
    words = EpochClaims()
    words.former(2, 1, {"air": 3, "energy": "many"})
    words.former(3, 1, {"air": 4})
    assert (words.last(1, "air"), words.last(1, "energy"), words.last(2, "air")) == (
        {3, 4}, set(), set(),
    )  # fmt: skip


EVENT: dict[str, Any] = {"boot": 5, "mono": [7, 8]}


def test_events_say_what_was_lost_and_what_came_before(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("edge.platform.declaredlosses.METERS_LIMIT", 2)
    declared = DeclaredLosses()

    def event(number: int, **data: Any) -> None:
        declared.event(("gw", 2, "event", number), {**EVENT, **data})

    event(1, event="drop", epoch_of=1, stream_of="*")
    event(2, event="drop", epoch_of=1, stream_of="*", range=[1, 2], count=2)
    event(3, event="drop", epoch_of=3, stream_of="air")
    event(4, event="drop", epoch_of=1, stream_of="air", range=[1, 4], count=3)
    assert declared.claims.lost == {2: {1}}
    assert order_epochs([2], declared.claims).chains == [[1, 2]]
    lost = [(each.key[3], each.epoch, each.stream) for each in declared.lost]
    assert lost == [(1, 1, "*"), (2, 1, "*"), (3, 3, "air")]
    assert declared.unexplained(1, "air", [(2, 6)]) == ([(5, 6)], 3, 3)
    assert declared.unexplained(1, "air", [(2, 6)], lambda _key: False) == ([(2, 6)], 0, 0)
    assert declared.unexplained(3, "air", [(2, 6)]) == ([(2, 6)], 0, 0)
    event(5, event="gap", gap=[None, 9], sources=["a", 7], former={"epoch": 1, "last": {"air": 3}})
    event(6, event="gap", gap=[4, 9], sources=["*"], boot_before=4)
    first, second = declared.gaps
    assert (first.from_us, first.to_us, first.boot, first.boot_before) == (0, 9, 5, 5)
    assert [first.names(each) for each in ("a", "7", "b")] == [True, True, False]
    assert (second.from_us, second.boot_before, second.names("b")) == (4, 4, True)
    assert declared.claims.last(1, "air") == {3}
    event(7, event="meter", source="hut", point="energy")
    event(8, event="swap", source="hut", point=7)
    event(9, event="start", source="hut")
    event(10, event="meter", source="one too many")
    assert [(each.source, each.point, each.at_us) for each in declared.meters] == [
        ("hut", "energy", 8), ("hut", None, 8),
    ]  # fmt: skip


SMALL = st.integers(1, 7)
PAIRS = st.lists(st.tuples(SMALL, SMALL), max_size=8)


@given(PAIRS, PAIRS, st.lists(SMALL, max_size=3))
def test_whatever_starts_say_each_has_one_place(
    formers: Pairs, lost: Pairs, known: list[int]
) -> None:
    found = ordered(formers, lost, known)
    nodes = {*known, *(each for pair in (*formers, *lost) for each in pair)}
    assert sorted(each for line in found.chains for each in line) == sorted(nodes)
    for epoch in nodes:
        line, at = found.place[epoch]
        assert found.chains[line][at] == epoch
        assert epoch in found.until(epoch)
        if at:
            assert found.before[epoch] == found.chains[line][at - 1]
        assert (epoch in found.ends) == (epoch not in found.before.values())
    for of, successors in found.forks.items():
        assert successors == sorted(by for by, at in found.before.items() if at == of)
        assert len(successors) > 1
    for circle in found.cycles:
        assert all(each in found.before for each in circle)
