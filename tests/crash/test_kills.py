"""SIGKILL at the boundaries of system calls: what was acknowledged is there, once, in order.

`CRASH_KILLS=all` takes every boundary; without it there is a handful for each scene.
"""

import copy
import os
import random
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from edge.core import Record, RecordKey
from edge.outbox import Epoch, Outbox, StoredRecord
from tests.crash.killing import STRACE, Stage
from tests.crash.model import Model
from tests.crash.scenes import (
    ENDED,
    REPLACED,
    SCENES,
    OutboxScene,
    before_it_is_replaced,
    drafts,
    mark,
    opened,
    replaced_well,
)
from tests.kit.asread import as_read
from tests.kit.promises import Wish, everything
from tests.long import one_in

WHOLE = os.environ.get("CRASH_KILLS") == "all"
HANDFUL = 6


@pytest.fixture(scope="module")
def stage() -> Iterator[Stage]:
    if not Path(STRACE).exists():
        pytest.skip("strace is not installed: apt-get install strace")
    one = Stage()
    yield one
    one.close()


@one_in(2)
@pytest.mark.parametrize("name", SCENES)
def test_a_kill_at_any_system_call_loses_nothing_and_doubles_nothing(
    tmp_path: Path, stage: Stage, name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    scene, made = SCENES[name], tmp_path / "made"
    made.mkdir()
    model = prepared(scene, made)
    folder = fresh(tmp_path, made)
    calls = stage.count(name, folder)
    assert (folder / "far").read_bytes()[0] == ENDED
    assert did(name, folder), "the scene does not do what it is called"
    boundaries = [(call, n + 1) for call, count in sorted(calls.items()) for n in range(count)]
    assert len(boundaries) > 40, calls
    chosen = boundaries if WHOLE else random.Random(name).sample(boundaries, HANDFUL)
    killed = 0
    for call, number in chosen:
        folder = fresh(tmp_path, made)
        far = stage.kill(name, folder, call, number)
        killed += far != ENDED
        wrong = looked(scene, folder, copy.deepcopy(model), far)
        assert not wrong, f"{name}, killed at {call} {number} after {far} commits: {wrong}"
    with capsys.disabled():
        print(f"\n{name}: {len(boundaries)} boundaries, {killed} kills")
    assert killed > len(chosen) * 0.8


def did(name: str, folder: Path) -> bool:
    outbox = opened(folder)
    outbox.begin()
    bodies = [stored.record.body for stored in everything(outbox)]
    lost = any(reason == "full" for _, _, reason in outbox._losses.pending)
    kept = outbox.counts().quarantined
    outbox.close()
    if name == "downsampling":
        return any("covers" in body for body in bodies) and not lost
    return {"making room": lost, "quarantine": kept == 1}.get(name, bool(bodies))


@pytest.mark.parametrize("name", REPLACED)
def test_a_file_that_is_replaced_is_the_old_one_or_the_new_one(
    tmp_path: Path, stage: Stage, name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    made = tmp_path / "made"
    made.mkdir()
    before_it_is_replaced(made)
    calls = stage.count(name, fresh(tmp_path, made))
    boundaries = [(call, n + 1) for call, count in sorted(calls.items()) for n in range(count)]
    chosen = boundaries if WHOLE else random.Random(name).sample(boundaries, HANDFUL)
    for call, number in chosen:
        folder = fresh(tmp_path, made)
        assert stage.kill(name, folder, call, number) != ENDED
        assert replaced_well(name, folder) == [], f"killed at {call} {number}"
    with capsys.disabled():
        print(f"\n{name}: {len(boundaries)} boundaries, {len(chosen)} kills")


def prepared(scene: OutboxScene, folder: Path) -> Model:
    """What is in the folder before the scene."""
    model = Model()
    if scene.before is None:
        return model
    scene.before(folder)
    outbox = opened(folder)
    epoch = outbox.begin()
    model.begun(epoch)
    model.adopt(outbox, epoch, ["x", "y"])
    outbox.close()
    if scene.harm is not None:
        scene.harm(folder)
    return model


def fresh(tmp_path: Path, made: Path) -> Path:
    folder = tmp_path / "scene"
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(made, folder)
    return folder


def looked(scene: OutboxScene, folder: Path, model: Model, far: int) -> list[str]:
    """The next start of all: what is wrong with it."""
    outbox = opened(folder)
    try:
        epoch = outbox.begin()
        if outbox.opened.in_memory:
            return [outbox.opened.in_memory]
        if scene.harm is not None:
            return damaged(scene, outbox, far)
        wrong = [] if outbox.opened.damage is None else [outbox.opened.damage]
        wrong += model.begun(epoch)
        there = {stored.record.key for stored in everything(outbox)}
        replay(scene, model, epoch, len(scene.acts) if far == ENDED else far, there)
        found = model.check(outbox, epoch, killed=True)
        wrong += found.wrong
        made = outbox.commit(drafts(2, 90_000), clock=mark(90_000))
        return wrong if len(made) >= 2 else [*wrong, "it takes no records"]
    finally:
        outbox.close()


def replay(scene: OutboxScene, model: Model, epoch: Epoch, far: int, there: set[RecordKey]) -> None:
    """Tell the model what the child has done."""
    if epoch.former is None:
        return
    of = epoch.former.epoch
    following: dict[str, int] = {}
    waiting = list(model.rows)
    for number, act in enumerate(scene.acts[: far + 1]):
        gone, waiting = waiting[: act.confirm], waiting[act.confirm :]
        model.starts(Wish(of, act.drafts, act.states))
        if far == number:
            # the kill came somewhere in this one, before or after the journal knew
            model.confirmed([key for key in gone if key not in there])
            return
        model.confirmed(gone)
        rows = []
        for draft in act.drafts:
            seq = following.get(draft.stream, 1)
            following[draft.stream] = seq + 1
            key = RecordKey(of, draft.stream, seq)
            record = Record(key, draft.source, 1, draft.from_ns, draft.to_ns, as_read(draft))
            rows.append(StoredRecord(0, record))
        model.returned(rows, following, gone)


def damaged(scene: OutboxScene, outbox: Outbox, far: int) -> list[str]:
    """A database of no use: put aside, kept and declared, and what came after it is there."""
    there = [stored.record for stored in everything(outbox)]
    bodies = [record.body for record in there]
    one, two = scene.acts
    expected = [*one.drafts[1:], *(two.drafts if far > 1 else ())] if far else []  # one may be told
    wrong = [f"{draft} is gone" for draft in expected if draft.body not in bodies]
    declared = any(body.get("event") == "drop" for body in bodies)
    if not declared and not any(stream == "*" for _, stream, _ in outbox._losses.pending):
        wrong.append("nothing declares what was lost")
    if outbox.counts().quarantined != 1:
        wrong.append(f"{outbox.counts().quarantined} are in quarantine")
    return wrong
