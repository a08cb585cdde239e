"""The tables of the loopfault model's card come from streets that training has not seen."""

import argparse
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from models import BUNDLES
from models.congestion.scenarios.simstreet import SimStreet
from models.loopfault import evaluate
from models.loopfault.baselines import published_alarms
from tests.models.test_loopfault import small_street


@pytest.mark.parametrize("below", [True, False])
def test_tables_are_of_held_out_streets_where_there_are_some(
    below: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folders = [tmp_path / "train" / "a", tmp_path / "held_out" / "b"] if below else [tmp_path / "b"]
    for folder in folders:
        for place in (folder, folder / "usual"):  # usual days are no streets of their own
            place.mkdir(parents=True)
            (place / "meta.json").write_text("{}", encoding="utf-8")
    asked = []

    def street(folder: Path) -> SimStreet:
        asked.append(folder.name)
        return small_street()

    monkeypatch.setattr(evaluate, "load_street", street)
    args = argparse.Namespace(streets=tmp_path, bundle=BUNDLES / "loopfault", quick=True)
    result = list(evaluate.tables(args))
    assert asked == ["b"]
    assert [line for line in result if line.startswith("held out")] == [
        "held out, model: 1 streets, 0.0 sound detector-days",
        "held out, rules: 1 streets, 0.0 sound detector-days",
        "held out, all that judge",
    ]
    assert sum(line.startswith("| all |") for line in result) == 2
    judges = result[result.index("held out, all that judge") + 4 :]
    assert [line.split("|")[1].strip() for line in judges] == [
        "model",
        "rules",
        "trees alone",
        "published rules",
    ]
    with pytest.raises(FileNotFoundError, match="meta"):
        list(evaluate.tables(argparse.Namespace(**{**vars(args), "streets": tmp_path / "none"})))


def test_published_rules_flag_what_chatters_sticks_and_is_dead_and_nothing_else() -> None:
    street = replace(small_street(), hours=13.0)
    place = street.loops[0]
    sound = np.array([[at, at + 0.3] for at in np.arange(10.0, 46_000.0, 20.0)])
    chatters = np.sort(np.concatenate([sound[:, 0], np.arange(605.0, 630.0, 0.5)]))
    loops = {
        "sound": (sound, []),
        "chatters": (np.stack([chatters, chatters + 0.1], 1), [("chatter", 630.0, 660.0)]),
        "sticks": (np.array([[10.0, 11.0], [20.0, 4000.0], [4010.0, 4011.0]]),
                   [("stuck_on", 1830.0, 4020.0)]),
        "dead": (np.array([[10.0, 11.0]]), [("stuck_off", 43_230.0, 46_800.0)]),
    }  # fmt: skip
    made = replace(
        street,
        loops=tuple(replace(place, lane=name, position="stop") for name in loops),
        stays=tuple(stays for stays, _ in loops.values()),
    )
    found = published_alarms(made)
    for name, (_, expected) in loops.items():
        assert [(a.word, a.from_s, a.to_s) for a in found[name, place.part]] == expected, name
