"""What the learned part looks at: surprise, the last residuals and levels, and the series' ways."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from models.anomaly.layout import FORECAST, RANKED
from models.anomaly.measures import Measurements

AT: Final = {name: i for i, name in enumerate(RANKED)}


def height_ratio(o: Any, v: Measurements, s: Mapping[str, Any]) -> Any:
    """By what the height above the lowest value has grown, as a logarithm."""
    room = 0.15 * v.sd
    return o.log(
        (o.maximum(v.x - s["low"], 0.0) + room) / (o.maximum(v.last - s["low"], 0.0) + room)
    )


def anomaly_features(o: Any, v: Measurements, s: Mapping[str, Any], known: Any) -> Any:
    """[N, 62], all of about the size of one. `known` is the surprise of the measures [N, 15]."""
    third = 1.0 / 3.0
    sd, low = v.sd, s["low"]
    z = o.clip(v.raw, -12.0, 12.0)
    q, tail = s["quantile"], s["tail"]

    def deep(value: Any) -> Any:
        return o.clip(value / sd, -5.0, 5.0)

    def of(row: Any, name: str) -> Any:
        return o.columns(row, AT[name], AT[name] + 1)

    floor = 0.02 * sd + 1e-12
    zero = o.number(v.x == 0.0) * o.number(v.last == 0.0) * o.number(s["repeat"] < 0.5)
    peaks = s["peaks"] * o.const([[third, third, 1.0, 1.0]])
    return o.join(
        [
            known * 0.2 - 0.5,
            z * third,
            s["residuals"] * third,
            height_ratio(o, v, s),
            s["ratios"],
            o.clip(v.u, -5.0, 5.0) * 0.5,
            deep(v.x - low) * 0.5,
            o.log(o.maximum(s["burst"], floor) / o.maximum(v.scale, floor)),
            o.log(1.0 + v.run) - 1.0,
            o.minimum(v.stuck, 2.0) - 0.5,
            v.drift,
            v.zigzag - 0.5,
            deep(v.x - o.columns(v.lags, 0, FORECAST)) * (1.0 / 1.5),
            o.minimum(v.n * (1.0 / 2000.0), 1.0) * 2.0 - 1.0,
            o.log(o.maximum(v.error, 0.01 * sd) / sd) + 1.0,
            o.number(v.x < 0.0) * o.number(low >= 0.0),
            zero,
            o.minimum(v.below, 3.0),
            peaks,
            deep(v.x - v.mean8),
            deep(v.x - v.mean32) * (1.0 / 1.5),
            o.log(o.maximum(s["sd32"], floor) / o.maximum(sd, 1e-12)) + 0.5,
            o.log(1.0 + v.turned),
            o.log(1.0 + v.bump) - 0.5,
            o.log(1.0 + o.abs(z)) - 0.5,
            deep(s["before"] - v.x),
            o.log(1.0 + s["age"] * 0.125) - 1.0,
            o.log(of(q, "residual")) - 1.5,
            o.log(of(q, "step")) - 1.5,
            o.log(of(q, "bump")) - 1.0,
            o.log(of(q, "pace")),
            o.log(of(tail, "residual") / of(q, "residual")) + 1.0,
            o.log(of(tail, "bump") / of(q, "bump")) + 1.0,
            s["repeat"] * 2.0 - 0.5,
            o.minimum((s["mean"] - low) / sd, 4.0) * 0.5 - 0.5,
            o.minimum((s["high"] - s["mean"]) / sd, 8.0) * 0.25 - 0.7,
            o.where(v.n > 30.0, o.log(v.scale / v.error), 0.0),
        ]
    )
