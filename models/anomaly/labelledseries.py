"""Series to train and to score on: real ones with labelled faults, and small generated ones."""

from __future__ import annotations

import csv
import gzip
import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

TRAIN: Final = (
    "household_power", "no2_Changping", "no2_Gucheng", "pm25_Changping", "pm25_Dongsi",
    "pm25_Gucheng",
)  # fmt: skip
# of numenta/NAB: chosen by the first byte of the name's SHA-256 being even, then written down here
NAB_TUNED: Final = (
    "artificialNoAnomaly/art_daily_no_noise.csv",
    "artificialNoAnomaly/art_daily_small_noise.csv",
    "artificialWithAnomaly/art_daily_jumpsdown.csv",
    "artificialWithAnomaly/art_daily_nojump.csv",
    "artificialWithAnomaly/art_increase_spike_density.csv",
    "artificialWithAnomaly/art_load_balancer_spikes.csv",
    "realAWSCloudwatch/ec2_cpu_utilization_24ae8d.csv",
    "realAWSCloudwatch/ec2_cpu_utilization_53ea38.csv",
    "realAWSCloudwatch/ec2_cpu_utilization_77c1ca.csv",
    "realAWSCloudwatch/ec2_cpu_utilization_825cc2.csv",
    "realAWSCloudwatch/ec2_cpu_utilization_ac20cd.csv",
    "realAWSCloudwatch/ec2_cpu_utilization_c6585a.csv",
    "realAWSCloudwatch/ec2_disk_write_bytes_1ef3de.csv",
    "realAWSCloudwatch/ec2_network_in_5abac7.csv",
    "realAWSCloudwatch/elb_request_count_8c0756.csv",
    "realAWSCloudwatch/grok_asg_anomaly.csv",
    "realAdExchange/exchange-2_cpc_results.csv",
    "realAdExchange/exchange-2_cpm_results.csv",
    "realAdExchange/exchange-3_cpm_results.csv",
    "realAdExchange/exchange-4_cpc_results.csv",
    "realTraffic/TravelTime_387.csv",
    "realTraffic/occupancy_t4013.csv",
    "realTraffic/speed_t4013.csv",
    "realTweets/Twitter_volume_AMZN.csv",
    "realTweets/Twitter_volume_CRM.csv",
    "realTweets/Twitter_volume_CVS.csv",
    "realTweets/Twitter_volume_FB.csv",
    "realTweets/Twitter_volume_IBM.csv",
    "realTweets/Twitter_volume_PFE.csv",
    "realTweets/Twitter_volume_UPS.csv",
)
LENGTH: Final = 3000
DAY: Final = 288  # samples of five minutes
DAYS: Final = 14
MONDAY: Final = 1_767_571_200.0  # 5 January 2026, UTC
FAULTS: Final = ("spike", "stuck", "dropout", "noise", "shift", "drift")

Floats = NDArray[np.float64]
Shape = Callable[[Floats, np.random.Generator], Floats]


@dataclass(frozen=True)
class SeriesFault:
    """Samples first to last - 1 are wrong, in this way."""

    first: int
    last: int
    kind: str


@dataclass(frozen=True)
class Series:
    """One series; NaN is missing. `quantum` is the step of one count, 0 if not known.

    `wall` is when each sample was taken, in seconds since 1970, where that is known.
    """

    name: str
    values: Floats
    faults: tuple[SeriesFault, ...]
    quantum: float = 0.0
    wall: Floats | None = None


def load_labelled(folder: Path) -> list[Series]:
    """`NAME.csv.gz` (value,label) beside `NAME.labels.json`."""
    out = []
    for path in sorted(folder.glob("*.csv.gz")):
        name = path.name.removesuffix(".csv.gz")
        with gzip.open(path, "rt", encoding="utf-8") as file:
            rows = list(csv.reader(file))[1:]
        values = np.asarray([float(row[0]) if row[0] else np.nan for row in rows])
        labels = json.loads((folder / f"{name}.labels.json").read_text(encoding="utf-8"))["labels"]
        faults = tuple(SeriesFault(f["i0"], f["i1"], f["kind"]) for f in labels)
        out.append(Series(name, values, faults))
    if not out:
        raise FileNotFoundError(f"no *.csv.gz in {folder}")
    return out


def _waves(t: Floats, rng: np.random.Generator) -> Floats:
    slow, quick = rng.uniform(150, 400), rng.uniform(5, 12)
    return (
        9.5 + 1.2 * np.sin(t * 2 * np.pi / slow) + 0.4 * np.sin(t * 2 * np.pi / quick)
    ) * np.ones_like(t)


def _noisy(t: Floats, rng: np.random.Generator) -> Floats:
    return 20 + rng.normal(0, 0.5, len(t)) + np.sin(t * 2 * np.pi / 720)


def _wander(t: Floats, rng: np.random.Generator) -> Floats:
    level = np.empty_like(t)
    now = 0.0
    for i, push in enumerate(rng.normal(0, 1, len(t))):
        now = 0.98 * now + push
        level[i] = now
    return 50 + 3 * level


def _load(t: Floats, rng: np.random.Generator) -> Floats:
    steps = 60.0 * (t % rng.integers(15, 25) < 8)
    return np.asarray(410 + steps + 25 * np.sin(t * 2 * np.pi / 60) + rng.normal(0, 1, len(t)))


def _counts(t: Floats, rng: np.random.Generator) -> Floats:
    return rng.poisson(4 + 3 * np.sin(t * 2 * np.pi / 500)).astype(np.float64)


def _flat(t: Floats, rng: np.random.Generator) -> Floats:
    return 50 + 0.02 * rng.normal(0, 1, len(t))


SHAPES: Final[dict[str, tuple[Shape, float]]] = {
    "waves": (_waves, 0.1),
    "noisy": (_noisy, 0.01),
    "wander": (_wander, 0.1),
    "load": (_load, 0.1),
    "counts": (_counts, 1.0),
    "flat": (_flat, 0.01),
}


def generate_series(seed: int) -> list[Series]:
    """Six shapes, each once sound and once with one fault of each kind."""
    out = []
    for name, (shape, quantum) in SHAPES.items():
        rng = np.random.default_rng([seed, len(name), ord(name[0])])
        t = np.arange(LENGTH, dtype=np.float64)
        sound = np.round(shape(t, rng) / quantum) * quantum
        out.append(Series(f"{name}_{seed}", sound, (), quantum))
        wrong, faults = sound.copy(), []
        for i, kind in enumerate(FAULTS):
            first = 500 + 400 * i + int(rng.integers(0, 100))
            last = first + (1 if kind == "spike" else int(rng.integers(15, 60)))
            _break(wrong, kind, first, last, rng)
            faults.append(SeriesFault(first, last, kind))
        wrong = np.round(wrong / quantum) * quantum
        out.append(Series(f"{name}_{seed}_faults", wrong, tuple(faults), quantum))
    return out


def sound_weeks(seed: int, a_day: int = DAY) -> list[Series]:
    """Six sound series of two weeks, `a_day` samples a day, with nights in which little moves."""
    at = np.arange(DAYS * a_day, dtype=np.float64)
    wall = MONDAY + 86400.0 / a_day * at
    course = np.maximum(0.0, np.sin((at % a_day) / a_day * 2 * np.pi - np.pi / 2))
    weekend = (at // a_day) % 7 >= 5
    out = []
    values: NDArray[Any]
    for name in ("still", "solar", "volume", "speed", "load", "damp"):
        rng = np.random.default_rng([seed, len(name), ord(name[0]), ord(name[1])])
        noise = rng.normal(0, 1, len(at))
        match name:
            case "still":
                values, quantum = 20 + course * (30 + 2 * noise), 0.1
            case "solar":
                cloud = np.repeat(rng.uniform(0.3, 1.0, DAYS * 24), a_day // 24)
                values, quantum = course * 4000 * cloud * (1 + 0.05 * noise), 1.0
            case "volume":
                rate = 2 + 60 * course * np.where(weekend, 0.6, 1.0)
                values, quantum = rng.poisson(rate * (course > 0)) * 12.0, 12.0
            case "speed":
                values, quantum = np.where(course > 0, 60 - 15 * course + 4 * noise, 70.0), 1.0
            case "load":
                hour = at % a_day / a_day * 24
                on = (hour > 8) & (hour < 18) & ~weekend
                values, quantum = 120 + 800 * on + (3 + 40 * on) * noise, 10.0
            case _:
                values, quantum = np.minimum(100.0, 103 - 60 * course + 2 * noise), 0.5
        values = np.asarray(np.round(values / quantum) * quantum, np.float64)
        out.append(Series(f"{name}_{seed}", values, (), quantum, wall))
    return out


def _break(values: Floats, kind: str, first: int, last: int, rng: np.random.Generator) -> None:
    size = max(float(np.std(values[:500])), 1e-3) * rng.uniform(4, 8)
    part = values[first:last]
    match kind:
        case "spike":
            part += size * rng.choice([-1, 1])
        case "stuck":
            part[:] = part[0]
        case "dropout":
            part[:] = 0.0
        case "noise":
            part += rng.normal(0, size, len(part))
        case "shift":
            part += size
        case "drift":
            part += np.linspace(0, 2 * size, len(part))
        case _:
            raise ValueError(kind)
