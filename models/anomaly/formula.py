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
from models.anomaly.layout import RANKED, WIDTHS, Params
from models.anomaly.measures import Measurements, measure_sample
from models.anomaly.onlinelearning import learn_sample

MOST_NATS: Final = 20.0
STEADY: Final = [float(name not in ("pace", "shift")) for name in RANKED]  # slow ones teach on
TEACHES: Final = 60.0  # samples before the learned part has a say

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
    *answer, _, _, out = anomaly_step_in_full(o, x, present, quantum, hour, state, p, net)
    return (*answer, out)


def anomaly_step_in_full(
    o: Any, x: Any, present: Any, quantum: Any, hour: Any, state: Any, p: Params, net: Net
) -> tuple[Any, ...]:
    """As `step`, with surprise (nats of MEASURES but the learned one) and features before state."""
    s = dict(zip(WIDTHS, o.split(state, list(WIDTHS.values())), strict=True))
    here = present > 0.5
    v = measure_sample(o, o.where(here, x, o.columns(s["lags"], 0, 1)), quantum, hour, s, p)
    nats, stuck = surprise(o, v, s, p)
    known = o.join([nats, stuck])
    seen = anomaly_features(o, v, s, known)
    learned = o.clip(logit(o, seen, net) * p.learned_gain + p.learned_bias, 0.0, MOST_NATS)
    learned = learned * o.number(v.n > TEACHES)

    weighed = o.join([known * o.const([list(p.gains)]), learned])
    grown = p.ageing * o.log(o.clip(v.n, 50.0, p.oldest) * 0.001)
    r = o.maximum(o.highest(weighed) - grown, 0.0)
    rest = o.clip(p.rest * v.n, p.rest_min, p.rest_max)
    peak = s["peak"] * o.exp(-1.0 / rest)
    is_raised = o.number(r > peak * p.louder)
    raw = o.sigmoid(p.slope * (r - p.alarm)) * o.number(v.n > p.warm)
    level = o.maximum(raw, s["level"] * p.hold + raw * (1.0 - p.hold))

    top = o.maximum(o.highest(nats * o.const([STEADY])), stuck)
    pace = o.where(top > p.odd, p.slow, 1.0)
    new = learn_sample(o, v, s, pace, p)
    new["peak"], new["level"] = o.maximum(peak, o.minimum(r, p.loudest)), level
    out = o.where(here, o.join([new[name] for name in WIDTHS]), missing_step(o, s))
    oddity = o.join([v.signed, o.clip(v.u, -1e6, 1e6), weighed * (1.0 / p.alarm)])
    onset = raw * is_raised * present
    level = o.where(here, level, s["level"])
    return onset, level, oddity, known, seen, out


def missing_step(o: Any, s: Mapping[str, Any]) -> Any:
    """The state after a missing sample: nothing is learnt, the gap is longer."""
    return o.join([o.minimum(s[k] + 1.0, 1e6) if k == "gap" else s[k] for k in WIDTHS])


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
