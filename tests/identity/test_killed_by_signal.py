"""SIGKILL at the system calls of a real process that enrols at a real server: what is left works.

At each call that changes one of its files or talks to the server the process dies, the call not
done; so it dies before each, and after the one before. Then it is started again.
`CRASH_KILLS=all` takes every boundary; without it there is a handful of each scene.
"""

import os
import random
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.identity import traced_process
from tests.identity.card import usable
from tests.identity.real_server import ApprovingServer
from tests.identity.scenes import SCENES
from tests.kit.memory import in_memory
from tests.long import more, one_in

WHOLE = os.environ.get("CRASH_KILLS") == "all"


@pytest.fixture(scope="module")
def town(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ApprovingServer]:
    if not Path(traced_process.STRACE).exists():
        pytest.skip("strace is not installed: apt-get install strace")
    with in_memory(tmp_path_factory.mktemp("town")) as folder:
        made = ApprovingServer(folder)
        made.start()
        yield made
        made.close()


@one_in(2)
@more
@pytest.mark.parametrize("name", SCENES)
def test_a_kill_at_any_system_call_leaves_a_claim_or_an_identity_that_works(
    tmp_path: Path, town: ApprovingServer, name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    scene = SCENES[name]
    box = scene.before(town, tmp_path / "0")
    found, done = traced_process.boundaries(box.root, *scene.words(box))
    assert done.code == 0, done
    assert len(found) >= scene.least, found
    # what one read brings is not always the same, and so is their number
    last = max((at.number for at in found if at.call == "read"), default=0)
    sure = [at for at in found if at.call != "read" or at.number < 0.8 * last]
    chosen = found if WHOLE else random.Random(name).sample(sure, scene.handful)
    died, seen = 0, set()
    for number, at in enumerate(chosen, 1):
        box = scene.before(town, tmp_path / str(number))
        killed = traced_process.killed(box.root, at, *scene.words(box))
        works = usable(box.root)
        died += killed
        seen.add(works)
        assert works in scene.works, f"{name}, killed at {at}: {works or 'nothing works'}"
        assert scene.after(town, box) == [], f"{name}, killed at {at}"
    assert died >= 0.9 * len(chosen)
    assert not WHOLE or seen == scene.works
    with capsys.disabled():
        print(f"\n{name}: {len(found)} boundaries, {died} kills")
