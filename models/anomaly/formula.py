"""The anomaly model as a formula: one step for all series, state in and out.

Fourteen measures of oddity (`measures.py`) are turned into surprise in nats, each against a
quantile and a tail that follow the series itself. Exact repeats are compared with the repeats that
the series is used to at this level, and a small network looks at all of it. The largest surprise
decides. Right after an alarm only what is odder still is an alarm again.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, Final

from models.anomaly.features import anomaly_features
from models.anomaly.knownsteps import is_known_step
from models.anomaly.layout import RANKED, WIDTHS, Params
from models.anomaly.measures import LONG_GAP, Measurements, measure_sample
from models.anomaly.onlinelearning import learn_sample

MOST_NATS: Final = 20.0
STEADY: Final = [float(name not in ("pace", "shift")) for name in RANKED]  # slow ones teach on
TEACHES: Final = 60.0  # samples before the learned part has a say
ASIDE: Final = 5  # what neither measures nor network say: calm, spike, young, dense, unsure
RECORDS: Final = 120.0  # samples before a residual is a record: the forecast has to settle
USUAL: Final = 12.0  # samples an hour: with more of them an alarm must be rarer among samples
STUCK: Final = len(RANKED) + 1

Net = Sequence[tuple[Any, Any]]  # layers: weights [in, out], bias [out]


def anomaly_step(
    o: Any, x: Any, present: Any, quantum: Any, hour: Any, state: Any, p: Params, net: Net
) -> tuple[Any, ...]:
    """One sample of every series: (onset, level, oddity, state_out). Columns are [N, 1].

    `present` is 1, or 0 for a missing sample, which only counts the gap. `quantum` is the step of
    one count of the series, 0 if not known. `hour` is 0..23 on working days and 24..47 at weekends,
    -1 when nobody knows the time, -2 when what was known about it was wrong. The state of a new
    series is `start(its first value)`; that first value itself is not a step.
    """
    onset, level, oddity, _, _, _, out = anomaly_step_in_full(
        o, x, present, quantum, hour, state, p, net
    )
    return onset, level, oddity, out


def anomaly_step_in_full(
    o: Any, x: Any, present: Any, quantum: Any, hour: Any, state: Any, p: Params, net: Net
) -> tuple[Any, ...]:
    """As `anomaly_step`, with surprise (nats of MEASURES but the learned one), features, and
    ASIDE before state."""
    s = dict(zip(WIDTHS, o.split(state, list(WIDTHS.values())), strict=True))
    here = present > 0.5
    v = measure_sample(o, o.where(here, x, o.columns(s["lags"], 0, 1)), quantum, hour, s, p)
    nats, stuck = surprise(o, v, s, p)
    known = o.join([nats, stuck])
    seen = anomaly_features(o, v, s, known)
    learned = o.clip(logit(o, seen, net) * p.learned_gain + p.learned_bias, 0.0, MOST_NATS)
    learned = learned * o.number(v.n > TEACHES)

    # a step that is known quiets all but what repeats; a clean series has a gate for its spikes
    calm = o.maximum(is_known_step(o, v, s, p), p.calming * s["calm"])
    spike, record = spike_surprise(o, v, s, p)
    young = unknown_day(o, v)
    # a lamp that is dark all day repeats its zero; the network was taught without this relief
    told = o.join([nats, stuck * o.number(v.run > v.often)])
    gained = told * o.const([list(p.gains)])
    quiet = o.join([o.columns(gained, 0, len(RANKED)), learned, spike]) * (1.0 - calm)
    stuck = o.columns(gained, len(RANKED), len(RANKED) + 1)
    dense = o.number(v.timed) * o.log(o.clip(v.an_hour, USUAL, 360.0) * (1.0 / USUAL))
    grown = p.ageing * o.log(o.clip(v.n, 50.0, p.oldest) * 0.001) + p.dense * dense
    most = o.maximum(o.highest(o.columns(quiet, 0, len(RANKED) + 1)), stuck)
    sharp = o.columns(quiet, len(RANKED) + 1, len(RANKED) + 2)
    r = o.maximum(o.maximum(most - grown, sharp) - p.first_day * young, 0.0)
    rest = o.clip(p.rest * v.n, p.rest_min, p.rest_max)
    peak = s["peak"] * o.exp(-1.0 / rest)
    is_raised = o.number(r > peak * p.louder)
    unsure = o.maximum(o.number(s["gap"] > LONG_GAP), 1.0 - o.number(v.timed))
    bar, worst = alarm_threshold(o, v, o.maximum(p.quiet_most * unsure, s["worst"]), r, dense, p)
    raw = o.sigmoid(p.slope * (r - bar)) * o.number(v.n > p.warm)
    level = o.maximum(raw, s["level"] * p.hold + raw * (1.0 - p.hold))

    top = o.maximum(o.highest(nats * o.const([STEADY])), o.columns(known, len(RANKED), STUCK))
    pace = o.where(top > p.odd, p.slow, 1.0)
    new = learn_sample(o, v, s, pace, p)
    new["peak"], new["level"] = o.maximum(peak, o.minimum(r, p.loudest)), level
    new["calm"], new["record"], new["worst"] = calm, record, worst
    out = o.where(here, o.join([new[name] for name in WIDTHS]), missing_step(o, s))
    columns = o.join(
        [
            o.maximum(o.columns(quiet, 0, 1), sharp),  # a spike is a residual
            o.columns(quiet, 1, len(RANKED)),
            stuck,
            o.columns(quiet, len(RANKED), len(RANKED) + 1),
        ]
    )
    oddity = o.join([v.signed, o.clip(v.u, -1e6, 1e6), columns * (1.0 / p.alarm)])
    onset = raw * is_raised * present
    level = o.where(here, level, s["level"])
    aside = o.join([calm, spike, young, dense, unsure])
    return onset, level, oddity, told, seen, aside, out


def spike_surprise(o: Any, v: Measurements, s: Mapping[str, Any], p: Params) -> tuple[Any, Any]:
    """(nats, record) of a residual beside the largest one that the series is used to.

    Where the record is large, as tails are heavy, a spike must be more times as large. The record
    fades over weeks of minutes. What is told raises it only a little, so that the next spike is
    told as well; what comes again and again is known after a few times.
    """
    size = o.abs(v.e)
    z = o.minimum(size / o.maximum(v.scale, v.tiny), 100.0) * o.number(size > 10.0 * v.tiny)
    usual = o.maximum(s["record"], p.spike_least)
    factor = p.spike + p.spike_heavy * (usual - p.spike_least)
    ratio = z / (factor * usual * (1.0 + p.young / v.n))
    grown = o.minimum(z, o.where(ratio > 1.0, p.spike_grow * usual, z))
    # after a gap, of one sample as well, the forecast is of other values than it is used to
    whole = o.number(o.abs(s["gap"]) < 0.5)
    steady = o.number(v.n > RECORDS) * whole
    record = o.maximum(s["record"] * (1.0 - p.spike_fade), grown * steady)
    return p.alarm * o.minimum(ratio, 3.0) * o.number(ratio > 1.0) * steady, record


def alarm_threshold(
    o: Any, v: Measurements, worst: Any, r: Any, dense: Any, p: Params
) -> tuple[Any, Any]:
    """(nats at which onset is one half, the worst that is remembered) of a series.

    Where nothing came near an alarm for days, what is less odd is told. What comes near it now and
    then raises the threshold to what it is everywhere else, and so do a long gap and an unknown
    time: nobody knows then how many samples a day has.
    """
    # as long in days for a series of minutes as for one of five
    kept = worst * o.exp(o.exp(-dense) * (-1.0 / p.quiet_rest))
    least = p.quiet_alarm + p.quiet_dense * dense
    bar = o.minimum(o.maximum(p.quiet_louder * kept, least), p.alarm)
    return o.where(v.n > p.quiet_young, bar, p.alarm), o.maximum(kept, o.minimum(r, p.quiet_most))


def unknown_day(o: Any, v: Measurements) -> Any:
    """How new the day is to the series where the clock is known: 1 on the first one, and less on
    the second."""
    return o.number(v.timed) * o.clip(2.0 - v.visits * (1.0 / 24.0), 0.0, 1.0)


def missing_step(o: Any, s: Mapping[str, Any]) -> Any:
    """The state after a missing sample: nothing is learnt, the gap is longer."""
    gap = o.minimum(o.maximum(s["gap"], 0.0) + 1.0, 1e6)
    return o.join([gap if k == "gap" else s[k] for k in WIDTHS])


def surprise(o: Any, v: Measurements, s: Mapping[str, Any], p: Params) -> tuple[Any, Any]:
    """Nats of RANKED [N, 14] and of repeats [N, 1]. What few samples have taught counts less."""
    base = -math.log(1.0 - p.alpha)
    old = 1.0 + p.young / v.n
    q = s["quantile"]
    d = v.ranked
    over = (d / old - q) / o.sqrt(s["tail"] * q * p.tau)
    far = o.where(over > 0.0, o.log(1.0 + p.xi * o.maximum(over, 0.0)) * (1.0 / p.xi), over)
    nats = o.where(d > q, o.maximum(base + far, 0.0), base * d / q / old)
    ramp = o.clip((v.n - p.warm) * 0.05, 0.0, 1.0)
    return o.minimum(nats, MOST_NATS) * ramp, o.minimum(v.stuck * p.odd, MOST_NATS) * ramp


def logit(o: Any, x: Any, net: Net) -> Any:
    """What a small network makes of the features [N, 62]: log odds of a fault [N, 1]."""
    for i, (weights, bias) in enumerate(net):
        x = o.matmul(x, o.const(weights)) + o.const([bias])
        if i + 1 < len(net):
            x = o.maximum(x, 0.0)
    return x
