"""A final set has a seed of its own; only the final evaluation opens it, and each time counts."""

import shutil
import sys
from dataclasses import replace
from importlib import import_module
from pathlib import Path

import pytest

from models import evaluate
from models.congestion.scenarios.finalset import (
    FinalSetError,
    SetRecord,
    open_final,
    read_record,
    write_record,
)
from models.congestion.scenarios.generate import FINAL_FROM, set_seed
from models.congestion.scenarios.simstreet import SAMPLE, find_streets, load_streets, save_street


@pytest.fixture
def drawn(tmp_path: Path) -> Path:
    """A final set of one street."""
    folder = tmp_path / "final"
    write_record(folder, SetRecord("final", 12_345_678, "2026-11-30"))
    street = replace(load_streets(SAMPLE)[0], split="final", seed=12_345_678)
    save_street(street, folder / street.name)
    return folder


def test_its_seed_is_drawn_once_and_recorded(tmp_path: Path) -> None:
    seed = set_seed(tmp_path, "final", None)
    assert seed >= FINAL_FROM
    assert set_seed(tmp_path, "final", None) == seed
    record = read_record(tmp_path / "final")
    assert record is not None
    assert (record.name, record.seed, record.opened) == ("final", seed, ())
    assert set_seed(tmp_path / "other", "final", None) != seed
    assert set_seed(tmp_path / "known", "final", seed) == seed


def test_the_other_sets_have_seeds_of_their_own(tmp_path: Path) -> None:
    assert set_seed(tmp_path, "training", None) == 2000
    assert set_seed(tmp_path, "choosing", 4100) == 4100
    for name, seed in (("training", 2001), ("choosing", 2000), ("final", 2000)):
        with pytest.raises(ValueError, match=r"seed"):
            set_seed(tmp_path, name, seed)


def test_nobody_finds_its_streets_from_above_from_within_or_in_a_copy(
    drawn: Path, tmp_path: Path
) -> None:
    (street,) = find_streets(drawn, final=True)
    copy = tmp_path / "elsewhere" / "copy"
    shutil.copytree(street, copy)
    for folder in (drawn, tmp_path, street, copy, copy.parent):
        with pytest.raises(FinalSetError, match="only the final evaluation"):
            find_streets(folder)


def test_other_sets_are_found(tmp_path: Path) -> None:
    write_record(tmp_path / "training", SetRecord("training", 2000, "2026-11-30"))
    save_street(load_streets(SAMPLE)[0], tmp_path / "training" / "one")
    assert len(find_streets(tmp_path)) == 1


@pytest.mark.parametrize("name", ["congestion", "loopfault"])
def test_training_refuses_it(
    name: str, drawn: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("sklearn")
    train = import_module(f"models.{name}.train")
    argv = ["train", "--streets", str(drawn), "--out", str(drawn.parent / "out")]
    monkeypatch.setattr(sys, "argv", argv)
    with pytest.raises(SystemExit):
        train.main()
    assert "final set" in capsys.readouterr().err
    assert not (drawn.parent / "out").exists()


def test_each_opening_is_counted_and_other_models_are_told(drawn: Path) -> None:
    (line,) = open_final(drawn, {"congestion": "aa"}, "2026-12-01T10:00")
    assert line == (
        "Final set, drawn 2026-11-30 from seed 12345678; opened 1 times, now 2026-12-01T10:00."
    )
    assert len(open_final(drawn, {"congestion": "aa"}, "2026-12-01T11:00")) == 1
    assert len(open_final(drawn, {"loopfault": "cc"}, "2026-12-01T12:00")) == 1, "not of the same"
    line, warning = open_final(drawn, {"congestion": "bb"}, "2026-12-02T10:00")
    assert "opened 4 times" in line
    assert "2 times with other models" in warning
    record = read_record(drawn)
    assert record is not None
    assert [dict(each.models) for each in record.opened] == [
        {"congestion": "aa"}, {"congestion": "aa"}, {"loopfault": "cc"}, {"congestion": "bb"},
    ]  # fmt: skip


def test_what_is_no_final_set_is_not_opened(tmp_path: Path) -> None:
    write_record(tmp_path, SetRecord("training", 2000, "2026-11-30"))
    with pytest.raises(FinalSetError, match="no final set"):
        open_final(tmp_path, {}, "now")


def test_the_evaluation_tells_the_opening_first(
    drawn: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    seen = []

    def tables(name: str, args: object) -> list[str]:
        seen.append((name, vars(args)["streets"], vars(args)["final"]))
        return ["a table"]

    monkeypatch.setattr(evaluate, "_tables", tables)
    assert evaluate.main(["--final", str(drawn), "--models", "loopfault", "congestion"]) == 0
    assert "opened 1 times" in capsys.readouterr().out.splitlines()[0]
    assert seen == [("loopfault", drawn, True), ("congestion", drawn, True)]
    record = read_record(drawn)
    assert record is not None
    assert set(record.opened[0].models) == {"loopfault", "congestion"}
    with pytest.raises(SystemExit):
        evaluate.main(["--final", str(drawn), "--streets", str(drawn)])
