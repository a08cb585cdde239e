"""A judge is killed at any window: what was said to be on is said to be off, once, when it is over.

With every window its flags are kept; its whole state is up to fifteen windows older, or lost.
"""

import copy
import os
import random
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any

import msgpack
import pytest

from edge.core import Draft
from edge.infer.judge import Judge
from tests.infer.street import air_of, setup, ticks_of, traffic
from tests.kit.asread import as_read
from tests.kit.bundles import proven_once
from tests.kit.judging import judged
from tests.long import more, one_in, size

MINUTE = 60_000_000_000
JAM = range(48, 62)
STUCK = range(46, 70)
DROPPED = range(52, 56)
CALM = 90  # from here on nothing was up
LAST = 125
JAMMED = ("congestion", "north", "")
OLD = 15  # windows that a snapshot may be older than the flags
# Kills: at every twelfth window where flags are up, in `make long` every sixth, and at some before;
# without the state at those between. With KILLS=all at every third window, with and without it.
WHOLE = os.environ.get("KILLS") == "all"
EVERY = size(12, 6)

Key = tuple[str, ...]
Log = list[tuple[int, Key, str]]  # window, what, on or off
Change = Callable[[dict[str, Any]], dict[str, Any]]


def _street() -> list[list[Draft]]:
    """A jam, a sensor that sticks, one that falls to nothing; everything ends."""
    rng = random.Random(11)
    windows = []
    for k in range(LAST):
        end_ns = (k + 1) * MINUTE
        full = 0.9 if k in JAM else 0.06
        pm, wet, noise = (round(base + rng.gauss(0, 0.5), 1) for base in (10, 50, 60))
        pm = 10.0 if k in STUCK else pm
        wet = 0.0 if k in DROPPED else wet
        noise = 95.0 if k == 57 else noise
        windows.append(
            [
                *traffic(end_ns, [full, full - 0.02], period_ns=MINUTE),
                air_of(MINUTE, end_ns, {"pm2_5": pm, "humidity": wet, "noise": noise}),
            ]
        )
    return windows


STREET = _street()


class JudgingGateway:
    """Judges the street; its lives share what is on the card."""

    def __init__(self, folder: Path | None) -> None:
        self.folder = folder
        self.log: Log = []
        self.window = 0
        self.flags: list[bytes] = []  # after each window
        self.snapshots: list[bytes] = []
        self.loads_in = 0  # windows
        self.judge = Judge(setup(period_ns=MINUTE), folder)
        self.judge.load()

    def kill(self, age: int | None, change: Change = dict, loads_in: int = 0) -> None:
        """Start again with the last flags and a state that is `age` windows older, or none."""
        self.loads_in = loads_in
        self.judge = Judge(setup(period_ns=MINUTE), self.folder)
        if loads_in == 0:
            self.judge.load()
        if age is not None and age < len(self.snapshots):
            self.judge.restore(change(msgpack.unpackb(self.snapshots[-1 - age])))
        self.judge.restore_flags(change(msgpack.unpackb(self.flags[-1])))

    def at(self, window: int) -> "JudgingGateway":
        """Its past up to this window, for another future; to be killed first."""
        other = copy.copy(self)
        other.window = window
        other.log = [each for each in self.log if each[0] < window]
        other.flags, other.snapshots = self.flags[:window], self.snapshots[:window]
        return other

    def run(self, until: int, *, kept: bool = True) -> None:
        """`kept`: what is on the card after each window; who is not killed again needs none."""
        while self.window < until:
            if self.loads_in:
                self.loads_in -= 1
                if not self.loads_in:
                    self.judge.load()
            drafts = STREET[self.window]
            end_ns = (self.window + 1) * MINUTE
            verdict = judged(self.judge, end_ns, drafts, ticks_of(drafts))
            self.log += [
                (self.window, _key(each), as_read(each)["state"]) for each in verdict.events
            ]
            if kept:
                self.flags.append(msgpack.packb(self.judge.snapshot_flags()))
                self.snapshots.append(msgpack.packb(self.judge.snapshot()))
            self.window += 1


def _key(draft: Draft) -> Key:
    return (as_read(draft)["event"], draft.source, as_read(draft).get("point", ""))


def _at(age: int | None) -> list[int]:
    if WHOLE:
        return list(range(1, CALM, 3))
    return [*range(1, 40, 13), *range(40 if age is None else 40 + EVERY // 2, CALM, EVERY)]


def _another_model(state: dict[str, Any]) -> dict[str, Any]:
    if "models" in state:
        return {**state, "models": ["0" * 64, "0" * 64]}
    parts = {name: {**state[name], "model": "0" * 64} for name in ("congestion", "anomaly")}
    return {**state, **parts}


def _by_key(log: Log) -> Mapping[Key, list[tuple[int, str]]]:
    reported: dict[Key, list[tuple[int, str]]] = defaultdict(list)
    for window, key, state in log:
        reported[key].append((window, state))
    return reported


def _alternates(log: Log) -> None:
    for key, reported in _by_key(log).items():
        states = [state for _, state in reported]
        assert states == (["on", "off"] * len(reported))[: len(reported)], (key, reported)


def _ends_off(log: Log) -> None:
    assert {key for key, reported in _by_key(log).items() if reported[-1][1] == "on"} == set()


@pytest.fixture(autouse=True, scope="module")
def proven() -> Iterator[None]:
    with proven_once():
        yield


@pytest.fixture(scope="module")
def nothing(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("nothing")


@pytest.fixture(params=["model", "rule"])
def folder(request: pytest.FixtureRequest, nothing: Path) -> Path | None:
    return None if request.param == "model" else nothing


@cache
def _whole(folder: Path | None) -> JudgingGateway:
    gateway = JudgingGateway(folder)
    gateway.run(LAST)
    return gateway


@pytest.fixture
def street(folder: Path | None) -> JudgingGateway:
    """Nobody kills it."""
    return _whole(folder)


def _up(log: Log, window: int) -> dict[Key, int]:
    """Flags that are up before this window, and where they go off."""
    up: dict[Key, int] = {}
    for key, reported in _by_key(log).items():
        for (on, _), (off, _) in zip(reported[::2], reported[1::2], strict=True):
            if on < window <= off:
                up[key] = off
    return up


def test_the_street_raises_every_flag(street: JudgingGateway) -> None:
    _alternates(street.log)
    _ends_off(street.log)
    assert {key for _, key, _ in street.log} == {
        JAMMED,
        ("anomaly", "hut_air", "pm2_5"),
        ("anomaly", "hut_air", "humidity"),
        ("anomaly", "hut_air", "noise"),
    }
    assert max(window for window, _, _ in street.log) < CALM


@one_in(2)
@more
@pytest.mark.parametrize("age", [OLD, None])
def test_killed_at_any_window_a_flag_that_is_up_goes_off_when_it_would_have(
    street: JudgingGateway, age: int | None
) -> None:
    expected = _by_key(street.log)
    for k in _at(age):
        gateway = street.at(k)
        before = len(gateway.log)
        gateway.kill(age)
        gateway.run(LAST, kept=False)
        _alternates(gateway.log)
        if street.folder is None:  # the rule, anew amid a fault, may take the fault for usual
            _ends_off(gateway.log)
        later = _by_key(gateway.log[before:])
        for key, off in _up(street.log, k).items():
            assert later[key][0] == (off, "off"), (k, key)
        assert _by_key(gateway.log)[JAMMED] == expected[JAMMED]


@more
@pytest.mark.parametrize("folder", [None])
@pytest.mark.parametrize("age", [OLD, pytest.param(None, marks=pytest.mark.long)])
def test_killed_at_any_window_with_another_model_no_flag_goes_off_too_early(
    street: JudgingGateway, age: int | None
) -> None:
    for k in _at(age):
        gateway = street.at(k)
        before = len(gateway.log)
        gateway.kill(age, _another_model)
        gateway.run(LAST, kept=False)
        _alternates(gateway.log)
        _ends_off(gateway.log)
        later = _by_key(gateway.log[before:])
        for key, off in _up(street.log, k).items():
            least = JAM.stop if key == JAMMED else off  # one that saw less of a jam forgets sooner
            assert (least, "off") <= later[key][0] <= (max(off, k + 32), "off"), (k, key)
        assert len(_by_key(gateway.log)[JAMMED]) == 2


@one_in(2)
@more
@pytest.mark.parametrize("seed", range(size(3, 8)))
def test_killed_again_and_again_flags_alternate(folder: Path | None, seed: int) -> None:
    rng = random.Random(seed)
    gateway = JudgingGateway(folder)
    often = rng.choice([1, 2, 5, 20])
    while gateway.window < CALM:
        gateway.run(min(CALM, gateway.window + rng.randint(1, often)))
        change: Change = _another_model if rng.random() < 0.3 else dict
        gateway.kill(rng.choice([0, 4, OLD, None]), change, loads_in=rng.choice([0, 0, 1, 3]))
    gateway.run(LAST, kept=False)
    _alternates(gateway.log)
    assert [state for _, state in _by_key(gateway.log)[JAMMED]] == ["on", "off"]


@one_in(2)
@pytest.mark.parametrize("k", [50, 55, 58, 75])
def test_killed_before_its_first_window_a_judge_has_forgotten_nothing(
    street: JudgingGateway, k: int
) -> None:
    """A start commits what it has before any window ends."""
    once, twice = street.at(k), street.at(k)
    for gateway in (once, twice):
        gateway.kill(0)
    kept = once.judge.snapshot_flags()
    assert msgpack.packb(kept) == street.flags[k - 1]
    for loads_in in (2, 0):
        twice.flags[-1] = msgpack.packb(twice.judge.snapshot_flags())
        twice.snapshots[-1] = msgpack.packb(twice.judge.snapshot())
        twice.kill(0, loads_in=loads_in)
    assert twice.judge.snapshot_flags() == kept
    assert twice.judge.snapshot() == once.judge.snapshot()
    once.run(LAST, kept=False)
    twice.run(LAST, kept=False)
    assert twice.log == once.log
