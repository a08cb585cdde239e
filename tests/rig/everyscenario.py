"""`python -m tests.rig.everyscenario [NAME ...]`: the library on real processes, many at a time.

A scenario on pseudo-terminals lasts as long as it says, and mostly waits. So several run beside
each other, the longest first, each as `kerbstone rig run` with a box, a broker and a folder of its
own in build/rig. Ends with 1 when one has not passed, and when none could be run.

With --defects the box is a daemon with a planted defect (tests/rig/planted.py), and incident.toml
has to fail as its defect says, at the moment that it says.
"""

import argparse
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from edge.core import ConfigError
from edge.rig.faultcatalogue import able_layers
from edge.rig.judging import judge
from edge.rig.runfile import read_run
from edge.rig.scenario import LayerName
from edge.rig.scenariofile import CheckedScenario, check_scenario
from edge.rig.scenariolibrary import LIBRARY, library_files
from tests.rig.planted import DEFECTS, missed

ROOT: Final = Path(__file__).parents[2]
OUT: Final = ROOT / "build" / "rig"
LAYER: Final[LayerName] = "pty"
WORKERS: Final = 16
START_S: Final = 240.0  # beside others a box may need so long to start and to end
LONG_SHORT_S: Final = 300.0  # of a scenario that is part of the short form
KERBSTONE: Final = (sys.executable, "-m", "edge.cli.main")
PLANTED: Final = "incident"
APART_S: Final = 5.0  # between two starts: sixteen programs that load at once hold each other up
LINES: Final = 6  # of what a program has said, of one that has not passed

Judge = Callable[[int, Path], str]
"""Exit code and folder of a run -> what is wrong with it, "" for nothing."""


@dataclass(frozen=True, slots=True)
class Job:
    """One run: for so long at most, and who says whether it is right."""

    name: str
    file: Path
    limit_s: float
    wrong: Judge
    box: str = ""


@dataclass(frozen=True, slots=True)
class Ended:
    """`why`: "" for one that has passed. `again`: it says nothing, for the rig stood still."""

    job: Job
    took_s: float
    why: str
    again: bool = False


def why_not(one: CheckedScenario) -> str:
    """Why it cannot be run on this layer; "" where it can."""
    about = one.scenario.about
    if LAYER in (about.layers or able_layers(one.kinds.values())):
        return ""
    reasons = {row.cannot[LAYER] for row in one.kinds.values() if LAYER in row.cannot}
    if reasons:
        return "; ".join(sorted(reasons))
    head = Path(one.scenario.file).read_text(encoding="utf-8").split("\n\n")[0]
    said = " ".join(line.removeprefix("#").strip() for line in head.splitlines())
    return f"{about.duration_s:.0f} s, only on {', '.join(about.layers or ())}: {said}"


def passed(code: int, folder: Path) -> str:
    return "" if code == 0 else f"exit code {code}"


def stood_still(folder: Path) -> bool:
    """Whether the rig itself did, in a run."""
    try:
        return bool(read_run(folder / "run.json")[1].stalls)
    except ConfigError:
        return False


def scenario_jobs(names: Sequence[str], *, short: bool) -> tuple[list[Job], dict[str, str]]:
    """Those that are chosen, all without names; and of those that cannot be run, why not. Raises
    KeyError for a name that is none."""
    known = {file.stem: file for file in library_files()}
    jobs, left = [], {}
    for name in names or known:
        one = check_scenario(known[name])
        about = one.scenario.about
        if why := why_not(one):
            left[name] = why
        elif not (short and about.duration_s > LONG_SHORT_S):
            limit_s = about.duration_s + about.settle_s + START_S
            jobs.append(Job(name, known[name], limit_s, passed))
    return jobs, left


def defect_jobs(names: Sequence[str]) -> list[Job]:
    """Raises KeyError for a name that is none."""
    file = LIBRARY / f"{PLANTED}.toml"
    about = check_scenario(file).scenario.about
    limit_s = about.duration_s + about.settle_s + START_S

    def noticed(name: str) -> Judge:
        def wrong(code: int, folder: Path) -> str:
            if code != 1:
                return f"exit code {code} in place of 1: it was not noticed"
            scenario, log = read_run(folder / "run.json")
            return missed(DEFECTS[name], log, judge(scenario, log))

        return wrong

    if strange := set(names) - set(DEFECTS):
        raise KeyError(min(strange))
    box = f"{sys.executable} -m tests.rig.planted"
    return [
        Job(f"defect_{name}", file, limit_s, noticed(name), f"{box} {name} run {{site}}")
        for name in names or DEFECTS
    ]


class Runner:
    """Runs jobs. `stop` ends those that run, and lets no other begin."""

    def __init__(
        self, out: Path, program: Sequence[str] = KERBSTONE, apart_s: float = APART_S
    ) -> None:
        self._out, self._program, self._apart_s = out, program, apart_s
        self._starts = threading.Lock()  # held for so long after each start
        self._lock = threading.Lock()
        self._running: set[subprocess.Popen[str]] = set()
        self._stopped = False

    def run(self, job: Job) -> Ended:
        with self._starts:
            begin_s = time.monotonic()
            process = self._begin(job)
            if process is not None:
                time.sleep(self._apart_s)
        if process is None:
            return Ended(job, 0.0, "it was not begun")
        folder = self._out / job.name
        try:
            said, _ = process.communicate(timeout=job.limit_s)
            why = job.wrong(process.returncode, folder)
        except subprocess.TimeoutExpired:
            process.terminate()
            said, _ = process.communicate()
            why = f"it had not ended after {job.limit_s:.0f} s"
        finally:
            with self._lock:
                self._running.discard(process)
        # what a box has failed at is not tried again
        again = bool(why) and (process.returncode == 4 or bool(job.box)) and stood_still(folder)
        if why:
            why = "\n    ".join([why, *said.strip().splitlines()[:LINES]])
        return Ended(job, time.monotonic() - begin_s, why, again)

    def _begin(self, job: Job) -> "subprocess.Popen[str] | None":
        """None: it was stopped before."""
        folder = self._out / job.name
        shutil.rmtree(folder, ignore_errors=True)
        words = ["rig", "run", str(job.file), "--layer", LAYER, "--out", str(folder), "--quiet"]
        words += ["--box", job.box] if job.box else []
        with self._lock:
            if self._stopped:
                return None
            process = subprocess.Popen(
                [*self._program, *words], cwd=ROOT, text=True,
                stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
            )  # fmt: skip
            self._running.add(process)
        return process

    def stop(self) -> None:
        with self._lock:
            self._stopped = True
            for process in self._running:
                process.terminate()


def all_of(runner: Runner, jobs: Sequence[Job], workers: int) -> Iterator[Ended]:
    """As they end; the longest begin first, so that none is left alone at the end."""
    ordered = sorted(jobs, key=lambda job: -job.limit_s)
    with ThreadPoolExecutor(workers) as pool:
        ends = [pool.submit(runner.run, job) for job in ordered]
        try:
            for each in as_completed(ends):
                yield each.result()
        except BaseException:
            runner.stop()
            raise


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.rig.everyscenario", description=__doc__)
    add = parser.add_argument
    add("names", nargs="*", metavar="NAME", help="such as killed; all, if none is named")
    add("--workers", type=int, default=WORKERS, help="so many at a time")
    add("--short", action="store_true", help=f"only those of {LONG_SHORT_S:.0f} s and less")
    add("--defects", action="store_true", help="planted defects in place of the library")
    add("--out", type=Path, default=OUT, help="where each leaves its run and its report")
    options = parser.parse_args(arguments)
    left: Mapping[str, str] = {}
    try:
        if options.defects:
            jobs = defect_jobs(options.names)
        else:
            jobs, left = scenario_jobs(options.names, short=options.short)
    except KeyError as error:
        print(f"{error.args[0]!r} is none of them", file=sys.stderr)
        return 2
    for name, why in left.items():
        print(f"not on {LAYER}: {name}: {why}", flush=True)
    begin_s = time.monotonic()
    runner, workers = Runner(options.out), max(1, options.workers)
    ends = _told(runner, jobs, workers)
    if again := [end.job for end in ends if end.again]:
        workers = max(1, workers // 4)
        print(f"once more, {workers} at a time, for the rig stood still: {_names(again)}")
        ends = [end for end in ends if not end.again] + _told(runner, again, workers)
    bad = [end.job.name for end in ends if end.why]
    minutes = (time.monotonic() - begin_s) / 60
    what = "defects noticed" if options.defects else f"scenarios passed on {LAYER}"
    print(
        f"{len(ends) - len(bad)} of {len(ends)} {what}, {len(bad)} not, {len(left)} cannot be run "
        f"there, in {minutes:.1f} min; reports are in {options.out}"
    )
    if bad:
        print(f"not passed: {' '.join(sorted(bad))}", file=sys.stderr)
    if not ends:
        print("nothing was shown: no scenario could be run", file=sys.stderr)
    return 1 if bad or not ends else 0


def _told(runner: Runner, jobs: Sequence[Job], workers: int) -> list[Ended]:
    """Each is told as it ends."""
    ends: list[Ended] = []
    for end in all_of(runner, jobs, workers):
        ends.append(end)
        word = f"NOT PASSED: {end.why}" if end.why else "passed"
        print(f"{len(ends):3}/{len(jobs)}  {end.took_s:6.0f} s  {end.job.name}: {word}", flush=True)
    return ends


def _names(jobs: Sequence[Job]) -> str:
    return " ".join(sorted(job.name for job in jobs))


if __name__ == "__main__":
    sys.exit(main())
