"""Many scenarios beside each other: who passes, who does not, and who cannot be run."""

import sys
from pathlib import Path

import msgspec
import pytest

from edge.rig.runlog import RunLog, Stall
from edge.rig.scenariolibrary import LIBRARY, library_files
from tests.rig import everyscenario
from tests.rig.everyscenario import Job, Runner, all_of, defect_jobs, main, passed, scenario_jobs
from tests.rig.planted import DEFECTS

PROGRAM = """
import pathlib, sys, time
name, out = pathlib.Path(sys.argv[3]).stem, pathlib.Path(sys.argv[sys.argv.index("--out") + 1])
out.mkdir(parents=True)
(out / "words").write_text(" ".join(sys.argv[1:]))
print(f"{name} was tried")
time.sleep(60 if name == "slow" else 0)
sys.exit({"bad": 1, "slow": 0}.get(name, 0))
"""


def runner(folder: Path) -> Runner:
    program = folder / "program.py"
    program.write_text(PROGRAM)
    return Runner(folder / "out", (sys.executable, str(program)), 0.0)


def job(name: str, limit_s: float = 60.0, box: str = "") -> Job:
    return Job(name, Path(f"{name}.toml"), limit_s, passed, box)


def test_each_is_run_by_the_command_and_told_with_its_outcome(tmp_path: Path) -> None:
    ends = list(all_of(runner(tmp_path), [job("good"), job("bad", box="box {site}")], 2))
    assert {end.job.name: end.why for end in ends} == {
        "good": "", "bad": "exit code 1\n    bad was tried",
    }  # fmt: skip
    words = (tmp_path / "out" / "bad" / "words").read_text()
    assert words.startswith(f"rig run bad.toml --layer pty --out {tmp_path / 'out' / 'bad'}")
    assert words.endswith("--box box {site}")


def test_one_that_does_not_end_is_ended(tmp_path: Path) -> None:
    (end,) = all_of(runner(tmp_path), [job("slow", 0.5)], 1)
    assert end.why.startswith("it had not ended after 0 s")


def test_of_all_scenarios_each_is_run_or_has_a_reason() -> None:
    jobs, left = scenario_jobs((), short=False)
    assert {each.name for each in jobs} | left.keys() == {file.stem for file in library_files()}
    assert len(jobs) >= 40
    assert all(len(why) > 20 for why in left.values()), left
    short, _ = scenario_jobs((), short=True)
    assert 10 < len(short) < len(jobs)


def test_what_nobody_has_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["kiled"]) == main(["--defects", "kiled"]) == 2
    assert capsys.readouterr().err.count("'kiled' is none of them") == 2


def test_to_run_nothing_is_no_success(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["whole_day", "--out", str(tmp_path)]) == 1
    out, err = capsys.readouterr()
    assert "not on pty: whole_day: 86400 s, only on sim" in out
    assert "nothing was shown" in err


def test_the_end_says_how_many_passed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(everyscenario, "Runner", lambda out: runner(tmp_path))
    assert main(["killed", "packet_loss"]) == 0
    out = capsys.readouterr().out
    assert "1 of 1 scenarios passed on pty, 0 not, 1 cannot be run there" in out
    assert "TCP within one machine loses no packets" in out


STALLED = """
import pathlib, sys
out = pathlib.Path(sys.argv[sys.argv.index("--out") + 1])
out.mkdir(parents=True)
(out / "run.json").write_bytes(RUN)
tries = out.with_suffix(".tries")
tries.write_text(tries.read_text() + "x" if tries.exists() else "x")
sys.exit(0 if len(tries.read_text()) > 1 and CODE == 4 else CODE)
"""


@pytest.mark.parametrize(("code", "stalls", "tries"), [(4, 1, 2), (1, 1, 1), (4, 0, 1)])
def test_only_what_nobody_could_judge_because_the_rig_stood_still_is_tried_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: int, stalls: int, tries: int
) -> None:
    text = (LIBRARY / "killed.toml").read_text(encoding="utf-8")
    log = RunLog(scenario=text, layer="pty", seed=1, box="")
    log.stalls = [Stall(t_s=7.0, for_s=0.5)] * stalls
    program = tmp_path / "program.py"
    run = repr(msgspec.json.encode(log))
    program.write_text(STALLED.replace("RUN", run).replace("CODE", str(code)))
    made = Runner(tmp_path / "out", (sys.executable, str(program)), 0.0)
    monkeypatch.setattr(everyscenario, "Runner", lambda out: made)
    assert main(["killed"]) == (0 if tries == 2 else 1)
    assert (tmp_path / "out" / "killed.tries").read_text() == "x" * tries


def test_a_defect_that_nobody_notices_is_told(tmp_path: Path) -> None:
    jobs = defect_jobs(())
    assert [each.name for each in jobs] == [f"defect_{name}" for name in DEFECTS]
    (end,) = all_of(runner(tmp_path), jobs[:1], 1)
    assert end.why.startswith("exit code 0 in place of 1: it was not noticed")
