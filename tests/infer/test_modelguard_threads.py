"""A model loads in a thread of its own while windows are judged."""

import shutil
import threading
from pathlib import Path
from typing import Any

from edge.core import LoopTick
from edge.infer.approaches import ApproachJudge
from edge.infer.bundlemanifest import ModelError
from edge.infer.modelguard import ModelGuard
from edge.infer.modelsession import ModelSession
from edge.infer.sites import LaneSite
from models import BUNDLES
from tests.infer.street import SHIPPED, tick

FOLDER = BUNDLES / "congestion"
SECOND = 1_000_000_000
LANES = (LaneSite("north_1", "north", "mid"),)


def _slot(at_s: int) -> tuple[LoopTick, ...]:
    return (tick("north_1", at_s * SECOND, 0.5, 5 * SECOND),)


def test_windows_are_judged_by_the_rule_while_a_slow_model_loads() -> None:
    opened: list[str] = []
    begun, go_on = threading.Event(), threading.Event()

    def slow(folder: Path) -> ModelSession:
        opened.append(threading.current_thread().name)
        begun.set()
        assert go_on.wait(60)
        return ModelSession(folder)

    late = ApproachJudge(LANES, ModelGuard("congestion", FOLDER, hurry=False, open_session=slow))
    early = ApproachJudge(LANES, ModelGuard("congestion", FOLDER, hurry=False))
    assert early.guard.load()
    loading = threading.Thread(target=late.guard.load, name="loading")
    loading.start()
    try:
        assert begun.wait(60)
        for at in range(5, 300, 5):
            early.step(at * SECOND, _slot(at), {})
            assert late.step(at * SECOND, _slot(at), {})[0].by == "rule occupancy"
    finally:
        go_on.set()
        loading.join(60)
    one, two = (judge.step(300 * SECOND, _slot(300), {})[0] for judge in (early, late))
    assert one.by == two.by == SHIPPED["congestion"]
    assert one.p == two.p  # it caught up with the windows of before
    assert opened == ["loading"]


class Interleaved(ModelGuard):
    """Another thread gets its turn after every attribute that a load sets."""

    turns = 0

    def __setattr__(self, name: str, value: Any) -> None:
        object.__setattr__(self, name, value)
        if self.__dict__.get("loading"):
            object.__setattr__(self, "loading", False)
            object.__setattr__(self, "turns", self.turns + 1)
            self.turn()
            object.__setattr__(self, "loading", True)

    def turn(self) -> None:
        if self.is_ready(1_000 * SECOND):
            assert self.session is not None
            assert self.manifest is not None
            self.failed(1_000 * SECOND, "late: 80 ms")


def test_whatever_moment_a_window_ends_in_the_model_loads_once_and_no_failure_is_lost() -> None:
    opened: list[Path] = []

    def counted(folder: Path) -> ModelSession:
        opened.append(folder)
        return ModelSession(folder)

    guard = Interleaved("congestion", FOLDER, open_session=counted)
    object.__setattr__(guard, "loading", True)
    assert guard.load()
    object.__setattr__(guard, "loading", False)
    assert guard.turns >= 3
    assert len(opened) == 1
    assert guard.failures == 1  # told by the turn after the last step of the load
    assert guard.why == "late: 80 ms"


def test_a_load_that_failed_in_its_thread_is_not_tried_again_at_once() -> None:
    opened: list[Path] = []

    def broken(folder: Path) -> ModelSession:
        opened.append(folder)
        raise ModelError("broken")

    guard = ModelGuard("congestion", FOLDER, open_session=broken)
    up_for_days = 500_000 * SECOND
    assert not guard.is_ready(up_for_days)
    assert not guard.load()
    assert not guard.is_ready(up_for_days + 5 * SECOND)
    assert len(opened) == 1
    guard.is_ready(up_for_days + 65 * SECOND)
    assert len(opened) == 2


def test_the_former_model_loads_in_the_same_thread_and_nobody_waits_for_it(
    tmp_path: Path,
) -> None:
    for name in ("congestion", "congestion.previous"):
        shutil.copytree(FOLDER, tmp_path / name)
    opened: list[str] = []
    begun, go_on = threading.Event(), threading.Event()

    def slow(folder: Path) -> ModelSession:
        opened.append(folder.name)
        if folder.name == "congestion":
            raise ModelError("broken")
        begun.set()
        assert go_on.wait(60)
        return ModelSession(folder)

    guard = ModelGuard("congestion", tmp_path / "congestion", open_session=slow)
    loading = threading.Thread(target=guard.load, name="loading")
    loading.start()
    try:
        assert begun.wait(60)
        assert not any(guard.is_ready(at * SECOND) for at in range(0, 300, 5))
    finally:
        go_on.set()
        loading.join()
    assert guard.is_ready(300 * SECOND)
    assert opened == ["congestion", "congestion.previous"]
    assert guard.status().instead.endswith(": broken")
