"""The tables of the loopfault model's card come from streets that training has not seen."""

import argparse
from pathlib import Path

import pytest

from models import BUNDLES
from models.congestion.scenarios.simstreet import SimStreet
from models.loopfault import evaluate
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
    ]
    assert sum(line.startswith("| all |") for line in result) == 2
    with pytest.raises(FileNotFoundError, match="meta"):
        list(evaluate.tables(argparse.Namespace(**{**vars(args), "streets": tmp_path / "none"})))
