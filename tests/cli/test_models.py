"""`kerbstone models`: what lies there, what is wrong with it, how the daemon's models fare."""

import json
import random
import shutil
from pathlib import Path
from typing import Any

import pytest

from models import BUNDLES
from tests.cli.answering_daemon import answering
from tests.infer.street import copied
from tests.kit.command import Command, MakeSite
from tests.kit.tinymodel import tiny
from tests.long import one_in

SHIPPED = sorted(path.parent.name for path in BUNDLES.glob("*/manifest.json"))


@pytest.fixture(autouse=True)
def _no_site_here(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("edge.core.boxfiles.OWN_SITE_FILE", tmp_path / "none.toml")


@pytest.fixture
def edited(tmp_path: Path) -> Path:
    """The anomaly bundle that ships, with a threshold that nothing reaches."""
    folder = copied(tmp_path) / "anomaly"
    changed(folder, flags={"on": 1.1, "off": 0.25}, version="9.9.9")
    return folder


def changed(folder: Path, **changes: Any) -> Path:
    path = folder / "manifest.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))
    return folder


def series(path: Path, count: int = 300) -> Path:
    rng = random.Random(7)
    rows = [f"{i},{12 + rng.gauss(0, 0.8):.3f}" for i in range(count)]
    rows[200] = "200,80"
    path.write_text("timestamp,value\n" + "".join(f"{row}\n" for row in rows))
    return path


def test_each_shipped_bundle_is_listed_and_proves_itself(kerbstone: Command) -> None:
    said = kerbstone("models")
    assert said.code == 0
    heads = [line for line in said.lines if not line.startswith(" ")]
    assert [head.split()[0] for head in heads[:-1]] == SHIPPED
    assert heads[-1] == "shipped with this command; no site file was read"
    assert said.out.count(" reproduced; ") == len(SHIPPED)
    assert "WRONG" not in said.out
    assert "note: " not in said.out  # with all that a bundle can be held to, memory too


@pytest.mark.parametrize("words", [["models", "--json"], ["models", "list", "--json"]])
def test_list_for_programs(kerbstone: Command, words: list[str]) -> None:
    said = kerbstone(*words)
    reported = json.loads(said.out)
    assert [one["name"] for one in reported["bundles"]] == SHIPPED
    for one in reported["bundles"]:
        assert one["ok"]
        assert one["golden"] >= 2
        assert one["ms"] > 0
        assert 0 < one["ms_64"] < 50
        assert len(one["sha256"]) == 64
    assert reported["live"] is None


def test_check_says_that_all_can_be_used(kerbstone: Command, tmp_path: Path) -> None:
    tiny(tmp_path / "anomaly", budget_mb=64)
    said = kerbstone("models", "check", tmp_path)
    assert (said.code, said.err) == (0, "")
    assert said.lines[-1] == "1 checked: all can be used"
    assert "note: it has no CARD.md: write CARD.md" in said.out
    assert "budget_mb" not in said.out


def damage(folder: Path, how: str) -> None:
    graph = folder / "anomaly.onnx"
    match how:
        case "graph":
            graph.write_bytes(graph.read_bytes()[:-3] + b"xyz")
        case "missing":
            (folder / "golden.json").unlink()
        case "manifest":
            (folder / "manifest.json").write_text("{")
        case "golden":
            golden = json.loads((folder / "golden.json").read_text())
            golden["cases"][1]["outputs"]["onset"][0][0] += 0.3
            (folder / "golden.json").write_text(json.dumps(golden))
        case "opset":
            changed(folder, opset=21)
        case "time":
            changed(folder, budget_ms=0.0)
        case "memory":
            changed(folder, budget_mb=-1.0)


@pytest.mark.parametrize(
    ("how", "says", "do"),
    [
        ("graph", "checksum", "copy the bundle here again"),
        ("missing", "golden.json: No such file", "copy the bundle here again"),
        ("manifest", "not a manifest", "copy the bundle here again"),
        ("golden", "a golden case gives another onset", "do not use it here"),
        ("opset", "has opset 17; its manifest says 21", "copy the bundle here again"),
        ("time", "0 are allowed", "try again when the machine is idle"),
        ("memory", "-1 are allowed", "try again when the machine is idle"),
    ],
)
def test_what_is_wrong_with_a_bundle_is_said_with_what_to_do(
    kerbstone: Command, tmp_path: Path, how: str, says: str, do: str
) -> None:
    damage(tiny(tmp_path / "anomaly"), how)
    said = kerbstone("models", "check", tmp_path)
    assert said.code == 1
    wrong = [line for line in said.lines if line.startswith("  WRONG: ")]
    assert any(says in line and do in line for line in wrong), wrong
    assert said.lines[-1] == "1 checked: 1 cannot"
    (reported,) = [
        json.loads(line) for line in kerbstone("models", "check", tmp_path, "--json").lines
    ]
    assert not reported["ok"]
    assert says in str(reported["faults"])


def test_one_bundle_may_be_named_itself(kerbstone: Command, tmp_path: Path) -> None:
    assert kerbstone("models", "check", tiny(tmp_path / "x")).code == 0


def test_a_folder_without_a_bundle_is_wrong_use(kerbstone: Command, tmp_path: Path) -> None:
    said = kerbstone("models", "check", tmp_path)
    assert said.code == 2
    assert "manifest.json" in said.err


def test_while_the_daemon_runs_it_is_asked_how_they_fare(
    kerbstone: Command, site: MakeSite, tmp_path: Path
) -> None:
    tiny(tmp_path / "bundles" / "anomaly")
    config = site(more=f'[store]\nrun_dir = "{tmp_path / "run"}"\n').read_text()
    config = config.replace("[models]\n", f'[models]\ndir = "{tmp_path / "bundles"}"\n')
    file = tmp_path / "site.toml"
    file.write_text(config)
    shadow = {
        "model": "anomaly 1.1.0", "dropped": "", "ms": 0.2, "samples": 1000, "agree": 990,
        "on_live": 3, "on_candidate": 1, "difference": 0.01,
        "last": [{"before_s": 60.0, "row": "air.no2", "live": "on", "candidate": "off",
                  "live_score": 0.7, "candidate_score": 0.2}],
    }  # fmt: skip
    reported = {
        "model": "anomaly 0.9.0", "answers": "model", "why": "", "ms": 0.14, "shadow": shadow,
        "instead": "model anomaly 1.0.0: out of its mind",
        "drift": {"psi": 0.31, "column": "level", "hours": 24,
                  "text": "answers differ from the training data; most in level"},
    }  # fmt: skip
    answers = {"status": {"models": {"anomaly": reported, "congestion": None}}}
    with answering(tmp_path / "run", answers):
        said = kerbstone("models", "--config", file)
        for_programs = json.loads(kerbstone("models", "list", "--config", file, "--json").out)
    assert said.code == 0
    lives = [line.removeprefix("  live: ") for line in said.lines if "  live: " in line]
    assert lives == [
        "anomaly 0.9.0 answers, 0.1 ms for the last answer",
        "the previous version is used; model anomaly 1.0.0: out of its mind",
        "drift: answers differ from the training data; most in level (PSI 0.31, level)",
        "candidate anomaly 1.1.0 runs beside it, 0.20 ms a run: flags agree in 99% of 1,000 "
        "samples; live raised its flag 3 times, candidate 1 time; mean difference 0.01",
        "  60 s before the last window air.no2: live on (0.7), candidate off (0.2)",
        "off in the configuration",
    ]
    assert for_programs["live"] == answers["status"]["models"]
    alone = kerbstone("models", "--config", file)
    assert alone.lines[-1] == "the daemon does not run: how they perform is not known"


def test_a_configuration_that_is_not_there_is_wrong_use(kerbstone: Command, tmp_path: Path) -> None:
    assert kerbstone("models", "--config", tmp_path / "no.toml").code == 2


def test_a_bundle_agrees_with_itself_over_a_series(kerbstone: Command, tmp_path: Path) -> None:
    path = series(tmp_path / "s.csv")
    said = kerbstone("models", "compare", BUNDLES / "anomaly", BUNDLES / "anomaly",
                     "--series", path)  # fmt: skip
    assert (said.code, said.err) == (0, "")
    assert said.lines[0].startswith(
        f"{path}: flags agree in 100% of 300 samples; A raised its flag "
    )


def test_where_two_bundles_differ_is_told_with_the_timestamp(
    kerbstone: Command, tmp_path: Path, edited: Path
) -> None:
    path = series(tmp_path / "s.csv")
    words = ["models", "compare", BUNDLES / "anomaly", edited, "--series", path, path]
    said = kerbstone(*words)
    assert said.code == 1
    assert "  from 200: A on (" in said.out
    reported = [json.loads(line) for line in kerbstone(*words, "--json").lines]
    assert len(reported) == 2
    assert reported[0]["differs"][0]["timestamp"] == "200"
    assert reported[0]["only_live"] > 0


@pytest.mark.parametrize(
    ("words", "says"),
    [
        ([], "--series"),
        (["--series", "none.csv"], "none.csv"),
        (["--edges", "e.csv"], "--config"),
    ],
)
def test_wrong_use_of_compare_is_exit_2(kerbstone: Command, words: list[str], says: str) -> None:
    said = kerbstone("models", "compare", BUNDLES / "anomaly", BUNDLES / "anomaly", *words)
    assert (said.code, said.out) == (2, "")
    assert says in said.err


def test_models_of_different_purposes_are_not_compared(kerbstone: Command, tmp_path: Path) -> None:
    path = series(tmp_path / "s.csv")
    said = kerbstone("models", "compare", BUNDLES / "anomaly", BUNDLES / "congestion",
                     "--series", path)  # fmt: skip
    assert said.code == 2
    said = kerbstone("models", "compare", *[BUNDLES / "congestion"] * 2, "--series", path)
    assert said.code == 2
    assert "--edges" in said.err


def edges(path: Path) -> Path:
    """An hour: free traffic, and from minute 20 to 40 cars that stand on the loop."""
    rows, now = [], 1000
    while now < 3_600_000:
        stays = 9_000 if 1_200_000 <= now < 2_400_000 else 300
        rows += [f"{now},c,0", f"{now + stays},c,1"]
        now += 10_000
    path.write_text("t_ms,line,level\n" + "\n".join(rows) + "\n")
    return path


@pytest.mark.long
def test_two_bundles_are_compared_over_recorded_edges(
    kerbstone: Command, site: MakeSite, tmp_path: Path
) -> None:
    config, file = site(period_s=60, models=True), edges(tmp_path / "e.csv")
    words = ["--edges", file, "--config", config]
    other = changed(copied(tmp_path) / "congestion", flags={"on": 1.1, "off": 0.35}, version="2")
    shipped = BUNDLES / "congestion"
    same = kerbstone("models", "compare", shipped, shipped, *words)
    assert same.code == 0
    assert "p differs by 0.0 on average" in same.out
    said = kerbstone("models", "compare", shipped, other, *words)
    assert said.code == 1
    assert "only A: congestion east" in said.out
    reported = json.loads(kerbstone("models", "compare", shipped, other, *words, "--json").out)
    assert reported["turns_a"] > reported["turns_b"]
    assert reported["only_a"][0]["state"] == "on"
    assert reported["windows"] > 50


@one_in(2)
@pytest.mark.parametrize("first", [False, True])
@pytest.mark.parametrize(
    ("how", "says", "do"),
    [
        ("graph", "checksum", "copy the bundle here again"),
        ("missing", "golden.json", "copy the bundle here again"),
        ("golden", "a golden case gives another onset", "do not use it here"),
        ("manifest", "not a manifest", "copy the bundle here again"),
    ],
)
def test_a_candidate_that_cannot_run_is_not_compared(
    kerbstone: Command, site: MakeSite, tmp_path: Path, how: str, says: str, do: str, first: bool
) -> None:
    """Neither over series nor over edges: its rule would answer in its place."""
    broken = tmp_path / "broken"
    shutil.copytree(BUNDLES / "anomaly", broken)
    damage(broken, how)
    two = [broken, BUNDLES / "anomaly"] if first else [BUNDLES / "anomaly", broken]
    over_edges = ["--edges", edges(tmp_path / "e.csv"), "--config", site(models=True)]
    for words in (over_edges, ["--series", series(tmp_path / "s.csv")]):
        said = kerbstone("models", "compare", *two, *words)
        assert said.code == 2
        assert said.out == ""
        (line,) = said.err.splitlines()
        assert line.startswith(f"kerbstone models: {broken} cannot be compared: ")
        assert says in line
        assert do in line


def test_a_model_that_is_switched_off_at_the_site_is_not_compared_over_edges(
    kerbstone: Command, site: MakeSite, tmp_path: Path
) -> None:
    config = site(models=False)
    two = [BUNDLES / "congestion"] * 2
    words = ["--edges", edges(tmp_path / "e.csv"), "--config", config]
    said = kerbstone("models", "compare", *two, *words)
    assert (said.code, said.out) == (2, "")
    assert said.err == (
        f"kerbstone models: {config} switches congestion off, so neither would judge: give a copy "
        "with congestion = true under [models]\n"
    )
