"""Scores the bundle that ships, as it ships: labelled sensor faults, generated series, NAB, VUS-PR.

    python -m models.anomaly.evaluate --data DIR --nab-repo DIR [--python PYTHON] [--by-command]

DIR of --data holds real series with labelled faults; --nab-repo is a checked-out numenta/NAB, whose
own code optimises, scores and normalises (PYTHON is an interpreter that has pandas). Without NAB's
code --nab takes its data alone. NAB and VUS-PR score what `kerbstone score` prints: by the class
that this command uses or, with --by-command, by the command itself. With --batch all is scored by
the graph over many series at once, which takes minutes. The published rule (robust z) is scored
beside the model. Intervals are 95 %, drawn by series or file.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from edge.infer.bundlemanifest import read_manifest
from edge.infer.scorer import make_scorer
from models.anomaly import (
    daemonrun,
    daemontables,
    faultscores,
    nab,
    nabrepo,
    thresholdcurve,
    vus,
)
from models.anomaly.labelledseries import NAB_TUNED, Series
from models.confidence import bootstrap_interval

BUNDLE: Final = Path(__file__).parent
TRAFFIC: Final = nabrepo.TRAFFIC
PUBLISHED: Final = ("ARTime", "numenta", "contextOSE", "htmjava", "numentaTM", "randomCutForest")
CURVE: Final = (0.05, 0.1, 0.2, 0.35, 0.65, 0.8)  # other thresholds
QUICK: Final = 12  # files of NAB, with --quick

Pair = tuple[NDArray[Any], NDArray[Any]]  # onset, level
Scores = list[Pair]


def by_scorer(series: Sequence[Series], bundle: Path = BUNDLE) -> Scores:
    """The same by the code of `kerbstone score`, rounded as it prints."""
    out: Scores = []
    for s in series:
        scorer = make_scorer(bundle)
        walls = [None] * len(s.values) if s.wall is None else s.wall.tolist()
        pairs = zip(s.values.tolist(), walls, strict=True)
        rows = np.asarray([scorer.step(value, wall) for value, wall in pairs]).reshape(-1, 2)
        out.append((np.round(rows[:, 1], 3), np.round(rows[:, 0], 3)))
    return out


def by_command(paths: Sequence[Path]) -> Scores:
    """The same by the command itself, with the bundle that ships."""
    out: Scores = []
    for path in paths:
        words = [sys.executable, "-m", "edge.cli.main", "score", str(path)]
        done = subprocess.run(words, capture_output=True, text=True, check=True)
        out.append(nab.parse_scores(done.stdout.splitlines()))
    return out


def tables(args: argparse.Namespace) -> Iterator[str]:
    """All tables of the card, line by line. What is not given is left out and said."""
    known = read_manifest(args.bundle)
    yield f"## {known.name} {known.version} ({known.sha256[:12]})"
    yield ""
    groups: dict[str, list[Series]] = {}
    if not args.nab_only:
        if args.data is None:
            yield "labelled faults: left out, no --data"
        else:
            groups = daemontables.fault_groups(args.data, args.part)
            yield from daemontables.fault_tables(groups, args.bundle, batch=args.batch)
        yield ""
        yield from daemontables.sound_tables(args.bundle, args.part, batch=args.batch)
        yield ""
    folder = args.nab_repo or args.nab
    if folder is None:
        yield "NAB and VUS-PR: left out, no --nab-repo"
        return
    files = nab.load_nab_files(folder)
    files = files[:: max(1, len(files) // QUICK)] if args.quick else files
    if args.by_command:
        scores = by_command([folder / "data" / file.series.name for file in files])
    elif args.batch:
        scores = daemonrun.by_graph(args.bundle, [file.series for file in files])
    else:
        scores = by_scorer([file.series for file in files], args.bundle)
    yield from benchmark(files, scores, known.on, known.off)
    if args.nab_repo is not None:
        yield from official(files, scores, args.nab_repo, args.python, known.on, known.off)
    yield ""
    if groups:
        yield from thresholdcurve.table(groups, args.bundle, files, [onset for onset, _ in scores])
        yield ""
    yield from volume(files, scores)


def benchmark(files: Sequence[nab.NabFile], scores: Scores, on: float, off: float) -> Iterator[str]:
    """NAB by our own scorer, the threshold frozen in the manifest, with intervals by file."""
    yield f"NAB, {len(files)} files, standard profile, threshold frozen at {on:g}, own scorer:"
    yield ""
    groups: dict[str, str | tuple[str, ...]] = {
        "all": "",
        "tuned on": NAB_TUNED,
        "others": tuple(f.series.name for f in files if f.series.name not in NAB_TUNED),
        "realTraffic": TRAFFIC,
    }
    heads = " | ".join(groups)
    yield f"| detections | {heads} | detections in all | false / 1,000 |"
    yield "|---" * (3 + len(groups)) + "|"
    rule = daemonrun.by_rule([file.series for file in files])
    for name, series_scores in (
        ("rows with onset >= threshold", _detections(scores, on)),
        ("rows at which the flag goes on", _turns(scores, on, off)),
        ("the same, by the rule", _turns(rule, on, off)),
        *((f"rows with onset >= {other:g}", _detections(scores, other)) for other in CURVE),
    ):
        parts = [
            (f.series.name, (nab.raw_score(f, at), len(f.windows)))
            for f, at in zip(files, series_scores, strict=True)
        ]
        cells = []
        for prefix in groups.values():
            mine = [part for file, part in parts if file.startswith(prefix)]
            cells.append(
                bootstrap_interval(mine, nab.normalised_of_parts).shown(1) if mine else "-"
            )
        told, rows = sum(map(len, series_scores)), sum(len(f.series.values) for f in files)
        wrong = sum(nab.false_detections(f, at) for f, at in zip(files, series_scores, strict=True))
        yield f"| {name} | {' | '.join(cells)} | {told} | {1000 * wrong / rows:.2f} |"
    yield ""
    best = []
    for name, prefix in groups.items():
        picked = [i for i, f in enumerate(files) if f.series.name.startswith(prefix)]
        at, top = nab.best_threshold([files[i] for i in picked], [scores[i][0] for i in picked])
        best.append(f"{name} {top:.1f} at {at:g}")
    yield f"The best threshold of each, found with its labels: {', '.join(best)}."
    yield ""


def _detections(scores: Scores, on: float) -> list[NDArray[np.intp]]:
    return [nab.detections_at(on, onset) for onset, _ in scores]


def _turns(scores: Scores, on: float, off: float) -> list[NDArray[np.intp]]:
    return [
        faultscores.alarm_samples(np.round(onset, 3), np.round(level, 3), on, off)
        for onset, level in scores
    ]


def official(
    files: Sequence[nab.NabFile], scores: Scores, repo: Path, python: str, on: float, off: float
) -> Iterator[str]:
    """NAB by its own code: the frozen threshold, and the one that its optimiser finds.

    realTraffic is normalised over its files alone; the threshold is that of all files, as it was
    for the detectors whose results NAB's repository holds, and in the last column its own.
    """
    yield "NAB by its own code (numenta/NAB: optimise, score, normalise), standard profile:"
    yield ""
    yield "| detector | threshold | all | realTraffic | realTraffic, threshold of its own |"
    yield "|---|---|---|---|---|"
    onsets = [onset for onset, _ in scores]
    flags = []
    for (onset, _), at in zip(scores, _turns(scores, on, off), strict=True):
        only = np.zeros(len(onset))
        only[at] = onset[at]
        flags.append(only)
    for name, series_scores in (("onset", onsets), ("onset where the flag goes on", flags)):
        named = {f.series.name: values for f, values in zip(files, series_scores, strict=True)}
        whole = nabrepo.official_scores(repo, named, threshold=on, python=python)
        for word, threshold, score in (
            ("frozen", on, whole.frozen),
            ("optimised", whole.threshold, whole.optimised),
        ):
            traffic = _traffic(repo, named, threshold, python)
            yield f"| {name}, {word} | {threshold:g} | {score:.1f} | {traffic}"
    if len(files) < QUICK * 2:  # the others were scored on all files
        return
    all_of, traffic_of = nabrepo.published_scores(repo), nabrepo.published_scores(repo, TRAFFIC)
    for name in PUBLISHED:
        cells = f"optimised | {all_of[name]:.1f} | {traffic_of[name]:.1f} | |"
        yield f"| {name}, as published | {cells}"


def _traffic(repo: Path, named: nabrepo.Scores, threshold: float, python: str) -> str:
    if not any(name.startswith(TRAFFIC) for name in named):
        return "- | - |"
    own = nabrepo.official_scores(repo, named, threshold=threshold, only=TRAFFIC, python=python)
    return f"{own.frozen:.1f} | {own.optimised:.1f} |"


def volume(files: Sequence[nab.NabFile], scores: Scores) -> Iterator[str]:
    """VUS-PR of the state, buffers up to each file's own period; realTraffic, file by file.

    Beside it what a score gets that is drawn by lot.
    """
    file_volumes: dict[str, float] = {}
    base: dict[str, float] = {}
    rng = np.random.default_rng(1)
    for file, (_, level) in zip(files, scores, strict=True):
        if not file.windows or not file.series.name.startswith(TRAFFIC):
            continue
        labels = np.zeros(len(level))
        for begin, end in file.windows:
            labels[begin : end + 1] = 1
        widest = vus.period(file.series.values)
        file_volumes[file.series.name] = vus.vus_pr(labels, level, widest)
        base[file.series.name] = vus.vus_pr(labels, rng.random(len(labels)), widest)
    if not file_volumes:
        yield "VUS-PR: left out, no file of realTraffic"
        return
    yield "| VUS-PR of the state | model | drawn by lot |"
    yield "|---|---|---|"
    for name, value in file_volumes.items():
        yield f"| {name.removeprefix(TRAFFIC)} | {value:.2f} | {base[name]:.2f} |"
    mean = bootstrap_interval(list(file_volumes.values()), lambda parts: float(np.mean(parts)))
    yield f"| realTraffic, mean | {mean.shown()} | {np.mean(list(base.values())):.2f} |"


def options(parser: argparse.ArgumentParser) -> None:
    """What `tables` reads, but --data."""
    parser.add_argument("--nab-repo", type=Path, help="a checked-out numenta/NAB")
    parser.add_argument("--python", default=sys.executable, help="that has pandas, for NAB's code")
    parser.add_argument(
        "--part",
        choices=("choose", "report"),
        default="report",
        help="of real and of sound series; the card counts how often `report` was opened",
    )
    parser.add_argument("--nab-only", action="store_true", help="no labelled and no sound series")
    parser.add_argument("--batch", action="store_true", help="by the graph, all series at once")
    parser.add_argument("--by-command", action="store_true", help="score NAB by `kerbstone score`")
    parser.add_argument("--quick", action="store_true", help="every fifth file of NAB")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path)
    parser.add_argument("--nab", type=Path, help="NAB's data and labels without its code")
    parser.add_argument("--bundle", type=Path, default=BUNDLE)
    options(parser)
    for line in tables(parser.parse_args()):
        print(line, flush=True)


if __name__ == "__main__":
    main()
