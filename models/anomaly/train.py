"""Trains the learned part, tunes how the measures are weighed, and writes the bundle.

    python -m models.anomaly.train --data DIR --nab DIR --out models/anomaly [--seed 1]

DIR of --data holds real series with labelled sensor faults (`NAME.csv.gz` with value,label beside
`NAME.labels.json`), that of --nab the data and labels of numenta/NAB. Used are the series named in
`series.TRAIN`, the files named in `series.NAB_TUNED`, and generated series; all others are only
printed. The same data and seed give the same bundle on the same machine.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import replace
from importlib import import_module
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from models import bundle
from models.anomaly import (
    anomalyrunner,
    faultinjection,
    faultscores,
    formula,
    goldencases,
    nab,
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

VERSION: Final = "2.1.0"
BUDGET_MS: Final = 50.0
BUDGET_MB: Final = 32.0  # by which loading may grow the process; measured: 14 to 17
COPIES: Final = 20  # of a labelled series; of a file of NAB and of a generated one fewer
LONG: Final = 10_000  # samples of a generated series from which fewer copies do
NETS: Final = 3  # one alone says other things of strange series with each seed
SHARE: Final = 0.6  # of the sound samples that are learnt from


def training_lessons(
    real: Sequence[Series], files: Sequence[nab.NabFile], made: Sequence[Series], seed: int
) -> list[TrainingSeries]:
    rng = np.random.default_rng(seed)
    out: list[TrainingSeries] = []
    known = {s.name for s in made if not s.faults}
    for series, windows, copies in [
        *((s, (), COPIES) for s in real),
        *((f.series, f.windows, int(COPIES * 0.4)) for f in files),
        *((s, (), COPIES // (2 if len(s.values) < LONG else 10)) for s in made if not s.faults),
    ]:
        avoid = faultinjection.marked_samples(series, windows)
        if avoid.any() or series.name in known:
            out.append(faultinjection.unchanged_series(series, avoid))
        out += [faultinjection.training_series(series, avoid, rng) for _ in range(copies)]
    return out


def surprise_and_features(
    series: Sequence[Series], params: Params, net: Net
) -> list[tuple[NDArray[Any], NDArray[Any]]]:
    """(surprise, features) of every sample."""
    session = anomalyrunner.make_session(
        anomalyrunner.anomaly_graph(params, net, VERSION, inner=True).SerializeToString()
    )
    shape = max(len(s.values) for s in series), len(series)
    known = np.zeros((*shape, len(MEASURES) - 1), np.float32)
    seen = np.zeros((*shape, FEATURES), np.float32)

    def keep(t: int, answer: Sequence[NDArray[Any]]) -> None:
        known[t], seen[t] = answer[4], answer[5]

    anomalyrunner.run_steps(session, series, keep)
    lengths = [len(s.values) for s in series]
    return [(known[:n, i], seen[:n, i]) for i, n in enumerate(lengths)]


def learn_network(taught: Sequence[TrainingSeries], params: Params, seed: int) -> Net:
    """The learned part, from lessons."""
    rng = np.random.default_rng(seed)
    rows, wrong, weight = [], [], []
    for part in range(0, len(taught), 64):
        some = taught[part : part + 64]
        looks = surprise_and_features(
            [one.series for one in some], params, anomalyrunner.empty_net()
        )
        for one, (_, seen) in zip(some, looks, strict=True):
            keep = (one.truth == 1) | ((one.truth == 0) & (rng.random(len(one.truth)) < SHARE))
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


def tune_weights(
    real: Sequence[Series], files: Sequence[nab.NabFile], params: Params, net: Net, rounds: int
) -> Params:
    """How the measures and the learned part count against the threshold."""
    looks = surprise_and_features(
        [*(f.series for f in files), *real], params, anomalyrunner.empty_net()
    )
    known = [(nats, network_odds(net, seen)) for nats, seen in looks]
    return tuning.tune_parameters(tuning.tuning_data(files, real, known), params, rounds)


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
    bundle.write_bundle(out, model, about, goldencases.golden_cases(params, net))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--nab", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--rounds", type=int, default=2, help="of tuning")
    args = parser.parse_args()
    # with more threads sums are rounded otherwise: the bytes would depend on the number of cores
    with import_module("threadpoolctl").threadpool_limits(1):  # only where models are trained
        train(args)


def train(args: argparse.Namespace) -> None:
    real, files = load_labelled(args.data), nab.load_nab_files(args.nab)
    ours = [s for s in real if s.name in TRAIN]
    some = [f for f in files if f.series.name in NAB_TUNED]
    params = Params()
    unknown = [replace(s, wall=None) for s in (*sound_weeks(2), *sound_weeks(5, 1440))]
    made = [*generate_series(1), *sound_weeks(1), *sound_weeks(4, 1440), *unknown]
    net = learn_network(training_lessons(ours, some, made, args.seed), params, args.seed)
    params = tune_weights(ours, some, params, net, args.rounds)
    training = {
        "script": "models/anomaly/train.py",
        "series": [s.name for s in ours] + ["generated, seed 1", "courses, seeds 1, 2, 4 and 5"],
        "nab": [f.series.name for f in some],
        "seed": args.seed,
        "rounds": args.rounds,
        "networks": NETS,
    }
    taught = [*ours, *(f.series for f in some), *(s for s in made if not s.faults)]
    export_bundle(params, net, args.out, training, taught)
    reporting.print_report((args.out / "anomaly.onnx").read_bytes(), real, files)


if __name__ == "__main__":
    main()
