"""What older seeds draw, and what SUMO makes of it, does not change: digests of former versions.

Models that ship were trained on these streets; who makes them again must get the same.
"""

import hashlib
import json
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Final

import numpy as np
import pytest

from models.congestion.scenarios import sumo
from models.congestion.scenarios.generate import Task, draw_scene, make_scenario, place_of
from models.congestion.scenarios.scene import Scene
from models.congestion.scenarios.simstreet import Kind, Split, load_street

SUMO: Final = "1.28.0"
MINUTES: Final = 8.0

DRAWN: Final[dict[tuple[Kind, Split, int], str]] = {
    ("corridor", "train", 1000): "a4bfd8a27bd8426a",
    ("corridor", "held_out", 5003): "6bc52d92052495fb",
    ("arterial", "train", 1001): "b1206dde517753ea",
    ("arterial", "held_out", 5004): "a2ce3ee7684fd5d4",
    ("grid", "train", 1002): "0393e42048e598b8",
    ("grid", "held_out", 5068): "7b0e650991a05a6b",
}
DRIVEN: Final[dict[tuple[Kind, Split, int], str]] = {
    ("corridor", "train", 1000): "8f48e6673fc32153",
    ("arterial", "train", 1001): "9eb195fa1ebac670",
}


def _task(
    key: tuple[Kind, Split, int], *, usual: bool = False, minutes: float | None = None
) -> Task:
    kind, split, seed = key
    return Task(f"{kind}_{seed}", kind, split, seed, False, minutes, usual)


def _digest(*texts: str) -> str:
    return hashlib.sha256("\n".join(texts).encode()).hexdigest()[:16]


def _written(scene: Scene) -> str:
    loops = [
        f"{p.lane} {p.link} {p.position} {p.index} {p.part} {p.at_m} {p.loop_m} {p.spacing_m} {r}"
        for p, r in zip(scene.loops, scene.reach_m, strict=True)
    ]
    files = (sumo._nodes(scene), sumo._edges(scene), sumo._connections(scene), sumo._routes(scene))
    return _digest(*files, *loops, json.dumps(scene.about, sort_keys=True))


@pytest.mark.parametrize("key", DRAWN, ids=lambda key: f"{key[0]}_{key[2]}")
def test_an_older_seed_draws_the_same_street(key: tuple[Kind, Split, int]) -> None:
    day, usual = draw_scene(_task(key)), draw_scene(_task(key, usual=True))
    assert _digest(_written(day), _written(usual)) == DRAWN[key]


def _sumo() -> str | None:
    try:
        return version("eclipse-sumo")
    except PackageNotFoundError:
        return None


@pytest.mark.skipif(_sumo() != SUMO, reason=f"needs eclipse-sumo {SUMO}")
@pytest.mark.parametrize("key", DRIVEN, ids=lambda key: f"{key[0]}_{key[2]}")
def test_an_older_seed_gives_the_same_files(key: tuple[Kind, Split, int], tmp_path: Path) -> None:
    task = _task(key, minutes=MINUTES)
    assert "stays" in make_scenario(task, tmp_path)
    assert driven_digest(place_of(task, tmp_path)) == DRIVEN[key]


def driven_digest(place: Path) -> str:
    """Of all that was saved: a zip's own bytes have more in them than what it holds."""
    street = load_street(place)
    arrays = [*street.stays, *(link.density for link in street.links)]
    arrays += [link.speed for link in street.links]
    arrays += [link.green for link in street.links if link.green is not None]
    return _digest(
        (place / "meta.json").read_text(encoding="utf-8"),
        *(np.round(array, 4).tobytes().hex() for array in arrays),
    )
