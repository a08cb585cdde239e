"""A small `make models`: the commands train on the sample; the gateway takes what they write.

They need scikit-learn: of this environment, or of the one that `make models` has made.
"""

import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Final

import numpy as np
import pytest

from edge.infer.judge import Judge, JudgeSetup
from edge.infer.modelguard import ModelGuard
from models import BUNDLES
from models.congestion.scenarios.loopfaults import inject_faults
from models.congestion.scenarios.playstreet import play_ticks
from models.congestion.scenarios.simstreet import (
    SAMPLE,
    Floats,
    Interval,
    SimStreet,
    load_streets,
    save_street,
)
from models.loopfault.playedstreets import site_of_street
from tests.kit.asread import as_read
from tests.kit.judging import judged

ROOT: Final = Path(__file__).parents[2]
ELSEWHERE: Final = ROOT / ".venv-train/bin/python"
HERE: Final = find_spec("sklearn") is not None
TRAINED: Final = ("loopfault", "congestion")
TIMES: Final = 2  # that the sample is played: 25 minutes alone are too short for golden cases
# more threads only wait for cores, and tests beside this one watch real time
ALONE: Final = {**os.environ, "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
POLITE: Final = ("nice", "-n", "10")
PERIOD_S: Final = 60
EARLY_S: Final = 120.0  # a flag may be so long before the truth calls it a jam

Train = Callable[[str], Path]

pytestmark = [
    pytest.mark.long,  # `test_loopfault`, `test_trees` and `test_congestion` fit less each time
    pytest.mark.timeout(700),
    pytest.mark.skipif(
        not (HERE or ELSEWHERE.exists()),
        reason="scikit-learn is not here: make models installs it",
    ),
]


def _spans(spans: tuple[Interval, ...], whole_s: float) -> tuple[Interval, ...]:
    return tuple((a + k * whole_s, b + k * whole_s) for k in range(TIMES) for a, b in spans)


def _again(spans: Floats, whole_s: float) -> Floats:
    return np.concatenate([spans.clip(0, whole_s) + k * whole_s for k in range(TIMES)])


def longer(street: SimStreet) -> SimStreet:
    """The street several times in a row: its traffic and its truth."""
    whole_s = street.hours * 3600
    links = tuple(
        replace(
            link,
            events=_spans(link.events, whole_s),
            short=_spans(link.short, whole_s),
            density=np.tile(link.density, TIMES),
            speed=np.tile(link.speed, TIMES),
            green=None if link.green is None else _again(link.green, whole_s),
        )
        for link in street.links
    )
    stays = tuple(_again(stays[stays[:, 0] < whole_s], whole_s) for stays in street.stays)
    return replace(street, hours=TIMES * street.hours, links=links, stays=stays)


@pytest.fixture(scope="module")
def streets() -> list[SimStreet]:
    return [longer(street) for street in load_streets(SAMPLE)]


@pytest.fixture(scope="module")
def train(tmp_path_factory: pytest.TempPathFactory, streets: list[SimStreet]) -> Train:
    """Writes the bundle of a model once, by the command that `make models` runs, into the folder
    that it returns: the others that a test needs stand beside it."""
    kept, out = tmp_path_factory.mktemp("streets"), tmp_path_factory.mktemp("bundles")
    for street in streets:
        save_street(street, kept / street.name)
    played = str(tmp_path_factory.mktemp("played"))
    small = {
        "loopfault": [
            "--plays",
            "3",
            "--rounds",
            "6",
            "--leaves",
            "6",
            "--bins",
            "12",
            "--cache",
            played,
        ],
        "congestion": ["--rule", "stop"],
    }
    python = sys.executable if HERE else str(ELSEWHERE)
    trained: set[str] = set()

    def train_once(name: str) -> Path:
        if name in trained:
            return out
        command = [*POLITE, python, "-m", f"models.{name}.train", "--streets", str(kept)]
        ran = subprocess.run(
            [*command, "--out", str(out / name), *small[name]],
            cwd=ROOT, env=ALONE, capture_output=True, text=True, timeout=600,
        )  # fmt: skip
        assert ran.returncode == 0, ran.stderr
        trained.add(name)
        return out

    return train_once


@pytest.mark.parametrize("name", TRAINED)
def test_what_was_trained_proves_itself_to_the_gateway(name: str, train: Train) -> None:
    bundle = train(name) / name
    guard = ModelGuard(name, bundle, hurry=False)
    assert guard.load(), guard.why  # its checksum, its shapes, and all golden cases
    assert guard.manifest is not None
    assert (
        guard.manifest.sha256 != ModelGuard(name, BUNDLES / name).sha256
    )  # not the one that ships


def _judged(
    street: SimStreet, bundles: Path, event: str
) -> list[tuple[str, float, dict[str, Any]]]:
    """(where, when, what) of each flag that goes on."""
    lanes, approaches = site_of_street(street)
    setup = JudgeSetup(
        tuple(lanes), PERIOD_S * 1_000_000_000, anomaly=False, hurry=False,
        approaches=tuple(approaches),
    )  # fmt: skip
    judge = Judge(setup, bundles)
    judge.load()
    result = [
        draft
        for end_s, ticks in play_ticks(street, PERIOD_S)
        for draft in judged(judge, round(end_s * 1e9), [], ticks).events
    ]
    return [
        (draft.source, draft.to_ns / 1e9, as_read(draft))
        for draft in result
        if as_read(draft)["event"] == event and as_read(draft)["state"] == "on"
    ]


def test_it_finds_the_jams_of_the_sample_and_no_others(
    train: Train, streets: list[SimStreet]
) -> None:
    bundles = train("congestion")
    found = true = 0
    for street in streets:
        events = {link.name: link.events for link in street.links}
        true += sum(map(len, events.values()))
        for link, at_s, body in _judged(street, bundles, "congestion"):
            assert body["by"].startswith("model congestion")
            assert any(a - EARLY_S <= at_s <= b for a, b in events[link]), (link, at_s)
            found += 1
    assert true == 8
    assert found >= 5, found


@pytest.mark.long
def test_it_names_loops_that_are_stuck_and_no_sound_ones(
    train: Train, streets: list[SimStreet]
) -> None:
    bundles = train("loopfault")
    words: list[tuple[str, str]] = []
    for street in streets:
        assert _judged(street, bundles, "sensor_fault") == []
        injured, faults = inject_faults(street, 1, 0.3, ["stuck_on"])
        stuck = {(fault.lane, fault.part) for fault in faults}
        for lane, _, body in _judged(injured, bundles, "sensor_fault"):
            assert (lane, body["part"]) in stuck
            words.append((body["fault"], body["by"].rpartition(" ")[0]))
    assert set(words) == {("stuck_on", "model loopfault")}  # so small a model finds some
