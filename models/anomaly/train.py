"""Trains the learned part, tunes how the measures are weighed, and writes the bundle.

    python -m models.anomaly.train --data DIR --nab DIR --out models/anomaly [--seed 1]

DIR of --data holds real series with labelled sensor faults (`NAME.csv.gz` with value,label beside
`NAME.labels.json`), or `labelled_faults` with them beside the sets that `realseries.py` reads; that
of --nab the data and labels of numenta/NAB. Used are the series named in `labelledseries.TRAIN`,
the files named in `labelledseries.NAB_TUNED`, the part `learn` of the real series, and generated
series; `models.anomaly.evaluate` scores the others. The same data and seed give the same bundle on
the same machine.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import dataclass, replace
from importlib import import_module
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from models import bundle
from models.anomaly import (
    anomalyrunner,
    cabinetseries,
    faultinjection,
    faultscores,
    formula,
    goldencases,
    nab,
    realseries,
    reporting,
    smallnetwork,
    tuning,
)
from models.anomaly.faultinjection import TrainingSeries
from models.anomaly.formula import Net
from models.anomaly.labelledseries import (
    NAB_TUNED,
    TRAIN,
    Series,
    generate_series,
    load_labelled,
    sound_weeks,
)
from models.anomaly.layout import FEATURES, MEASURES, ODDITY, STATE, Params, start_state
from models.graph import NumpyOps

VERSION: Final = "2.2.0"
LABELLED: Final = "labelled_faults"
TUNED_FAULTS: Final = 5  # seed of the faults that trials find
BUDGET_MS: Final = 50.0
BUDGET_MB: Final = 32.0  # by which loading may grow the process; measured: 14 to 17
COPIES: Final = 12  # of a labelled series; of others fewer
OF_REAL: Final = 3  # of a real one without labels
OF_NAB: Final = 6
LONG: Final = 10_000  # samples of a generated series from which fewer copies do
NETS: Final = 3  # one alone says other things of strange series with each seed
SHARE: Final = 0.4  # of the sound samples that are learnt from
TIMELESS: Final = 0.4  # of the copies: the clock of a box is not always known
BATCH: Final = 128  # series that are run together


@dataclass(frozen=True)
class Sources:
    """What is learnt from."""

    labelled: Sequence[Series]
    real: Sequence[Series]  # sound as far as anyone knows, no labels
    files: Sequence[nab.NabFile]
    made: Sequence[Series]  # generated
    sound: Sequence[Series]  # of one minute


def training_lessons(known: Sources, seed: int) -> list[TrainingSeries]:
    """Each series as it is where that says something, and copies with faults, by their length."""
    rng = np.random.default_rng(seed)
    out: list[TrainingSeries] = []
    generated = {s.name for s in (*known.made, *known.sound) if not s.faults}
    for series, windows, copies in [
        *((s, (), COPIES) for s in known.labelled),
        *((s, (), OF_REAL) for s in known.real),
        *((f.series, f.windows, OF_NAB) for f in known.files),
        *((s, (), COPIES // (2 if len(s.values) < LONG else 6))
          for s in (*known.made, *known.sound) if not s.faults),
    ]:  # fmt: skip
        avoid = faultinjection.marked_samples(series, windows)
        if avoid.any() or series.name in generated:
            out.append(faultinjection.unchanged_series(series, avoid))
        for _ in range(copies):
            lesson = faultinjection.training_series(series, avoid, rng)
            if rng.random() < TIMELESS:
                lesson = replace(lesson, series=replace(lesson.series, wall=None))
            out.append(lesson)
    return sorted(out, key=lambda one: len(one.series.values))


def surprise_and_features(
    series: Sequence[Series], params: Params, net: Net
) -> list[tuple[tuning.Known, NDArray[Any]]]:
    """What trials weigh, without log odds, and the features of every sample."""
    session = anomalyrunner.make_session(
        anomalyrunner.anomaly_graph(params, net, VERSION, inner=True).SerializeToString()
    )
    length, count = max(len(s.values) for s in series), len(series)
    nats = np.zeros((length, count, len(MEASURES) - 1), np.float32)
    seen = np.zeros((length, count, FEATURES), np.float32)
    aside = np.zeros((length, count, formula.ASIDE), np.float32)

    def keep(t: int, answer: Sequence[NDArray[Any]]) -> None:
        nats[t], seen[t], aside[t] = answer[4], answer[5], answer[6]

    anomalyrunner.run_steps(session, series, keep)
    return [
        (tuning.Known(nats[:n, i], np.zeros(n), aside[:n, i]), seen[:n, i])
        for i, n in enumerate(len(s.values) for s in series)
    ]


def learn_network(taught: Sequence[TrainingSeries], params: Params, seed: int) -> Net:
    """The learned part, from lessons."""
    rng = np.random.default_rng(seed)
    rows, wrong, weight = [], [], []
    for part in range(0, len(taught), BATCH):
        some = taught[part : part + BATCH]
        looks = surprise_and_features(
            [one.series for one in some], params, anomalyrunner.empty_net()
        )
        for one, (_, seen) in zip(some, looks, strict=True):
            there = np.isfinite(one.series.values)
            keep = (one.truth == 1) | ((one.truth == 0) & (rng.random(len(one.truth)) < SHARE))
            keep &= there
            rows.append(seen[keep])
            wrong.append((one.truth[keep] == 1).astype(np.float32))
            weight.append(one.weight[keep].astype(np.float32))
    x = np.concatenate(rows)
    print(f"{len(taught)} lessons, {len(x)} samples", flush=True)
    truth, counts = np.concatenate(wrong), np.concatenate(weight)
    return smallnetwork.mean_network(
        [smallnetwork.fit_network(x, truth, counts, seed + k) for k in range(NETS)]
    )


def network_odds(net: Net, seen: NDArray[Any]) -> NDArray[Any]:
    return np.asarray(formula.logit(NumpyOps(), seen, net)[:, 0])


def tune_weights(known: Sources, params: Params, net: Net, rounds: int) -> Params:
    """How the measures and the learned part count against the threshold."""
    series = [*known.labelled, *realseries.with_faults(known.real, TUNED_FAULTS)]
    looked: list[tuning.Known] = []
    for some in ([f.series for f in known.files], series, known.sound):
        looks = surprise_and_features(some, params, anomalyrunner.empty_net())
        looked += [replace(one, odds=network_odds(net, seen)) for one, seen in looks]
    return tuning.tune_parameters(tuning.tuning_data(known.files, series, looked), params, rounds)


def export_bundle(
    params: Params, net: Net, out: Path, training: dict[str, Any], taught: Sequence[Series]
) -> None:
    """`taught` are the series that it was trained on, as they are."""
    fixed, times = start_state()
    model = anomalyrunner.anomaly_graph(params, net, VERSION)
    session = anomalyrunner.make_session(model.SerializeToString())
    about = {
        "name": "anomaly",
        "version": VERSION,
        "inputs": {"x": 1, "present": 1, "quantum": 1, "hour": 1, "state": STATE},
        "outputs": {
            "onset": {"width": 1, "low": 0.0, "high": 1.0},
            "level": {"width": 1, "low": 0.0, "high": 1.0},
            "oddity": {"width": len(ODDITY)},
            "state_out": {"width": STATE},
        },
        "state": {"start": fixed, "times_first": times},
        "oddity": list(ODDITY),
        "measures": list(MEASURES),
        "tolerance": 0.002,
        "budget_ms": BUDGET_MS,
        "budget_mb": BUDGET_MB,
        "flags": {"on": faultscores.ON, "off": faultscores.OFF},
        "false_alarms_per_series_day": reporting.false_alarms(session),
        "params": params.as_dict(),
        "training": training,
        "reference": goldencases.reference_distributions(session, taught),
    }
    anomalyrunner.write_net(out, net)
    bundle.write_bundle(out, model, about, goldencases.golden_cases(session, params, net))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--nab", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--rounds", type=int, default=0, help="of tuning, from what `layout` has")
    args = parser.parse_args()
    # with more threads sums are rounded otherwise: the bytes would depend on the number of cores
    with import_module("threadpoolctl").threadpool_limits(1):  # only where models are trained
        train(args)


def sources(args: argparse.Namespace) -> Sources:
    """What the folders hold of it."""
    folder = args.data / LABELLED if (args.data / LABELLED).is_dir() else args.data
    labelled = realseries.labelled_walls(load_labelled(folder), None)
    timeless = [replace(s, wall=None) for s in (*sound_weeks(2), *sound_weeks(5, 1440))]
    return Sources(
        [s for s in labelled if s.name in TRAIN],
        realseries.load_real(args.data).learn if realseries.has_real(args.data) else [],
        [f for f in nab.load_nab_files(args.nab) if f.series.name in NAB_TUNED],
        [*generate_series(1), *sound_weeks(1), *timeless],
        [*sound_weeks(4, 1440), *cabinetseries.learnt_from(1)],
    )


def train(args: argparse.Namespace) -> None:
    known, params = sources(args), Params()
    net = learn_network(training_lessons(known, args.seed), params, args.seed)
    if args.rounds:
        params = tune_weights(known, params, net, args.rounds)
    training = {
        "script": "models/anomaly/train.py",
        "series": [
            *(s.name for s in (*known.labelled, *known.real)),
            "generated, seed 1", "courses, seeds 1, 2, 4 and 5", "cabinets, seed 1",
        ],
        "nab": [f.series.name for f in known.files],
        "seed": args.seed,
        "rounds": args.rounds,
        "networks": NETS,
    }  # fmt: skip
    taught = [
        *known.labelled, *known.real, *(f.series for f in known.files),
        *(s for s in (*known.made, *known.sound) if not s.faults),
    ]  # fmt: skip
    export_bundle(params, net, args.out, training, taught)


if __name__ == "__main__":
    main()
