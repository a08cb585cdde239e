"""Two records of one source as one, for an outbox that has to downsample what it could not send.

Sums are integers, and all else is derived from them, so merging is associative bit for bit:
(a + b) + c equals a + (b + c), byte by byte. The order is that of time.
"""

from collections.abc import Mapping
from typing import Any, Final

from edge.process.baywindow import merge_bays
from edge.process.gaugewindow import merge_gauges
from edge.process.qualitycounts import sum_counts
from edge.process.registerwindow import merge_registers
from edge.process.signalmeasures import merge_measures
from edge.process.traffic.histogram import LENGTH_BINS, SPEED_BINS, TIME_BINS, merge_histograms
from edge.process.traffic.loopselection import HEALTH_STATES
from edge.process.traffic.loopwindow import merge_rare

HISTOGRAMS: Final = {
    "speed": SPEED_BINS,
    "length": LENGTH_BINS,
    "headway": TIME_BINS,
    "gap": TIME_BINS,
}


def merge_bodies(a: Mapping[str, Any], b: Mapping[str, Any]) -> dict[str, Any]:
    """The bodies of two traffic, bay, air or energy records as one, the earlier first.

    A null part does not count, it does not spread. Raises ValueError when they do not belong
    together (other lane, other bay, other points, other steps, or the form of another version).
    """
    try:
        if "lane" in a and "lane" in b:
            return _merge_lanes(a, b)
        if "bay" in a and "bay" in b:
            return merge_bays(a, b) | _rare(a, b)
        if "points" in a and "points" in b:
            return _merge_devices(a, b)
    except (LookupError, TypeError, AttributeError) as error:
        raise ValueError(f"not the form that this version knows: {error!r:.100}") from error
    raise ValueError("these two are no summaries of one source")


def _merge_lanes(a: Mapping[str, Any], b: Mapping[str, Any]) -> dict[str, Any]:
    if any(a.get(key) != b.get(key) for key in ("lane", "approach", "kind")):
        raise ValueError("two lanes cannot be one")
    covered, void = _us(a, b, "covered_s"), _us(a, b, "void_s")
    on_us, known = _sum(a["on_us"], b["on_us"]), covered - void
    body: dict[str, Any] = {
        "lane": a["lane"],
        "approach": a["approach"],
        "covered_s": covered / 1e6,
        "volume": _sum(a["volume"], b["volume"]),
        "occupancy": round(on_us / known, 4) if on_us is not None and known > 0 else None,
        "on_us": on_us,
    }
    for key, bins in HISTOGRAMS.items():
        one, two = a[key], b[key]
        body[key] = merge_histograms(bins, one, two) if one and two else _copy(one or two)
    body["quality"] = sum_counts(a["quality"], b["quality"])
    body["health"] = max(a["health"], b["health"], key=HEALTH_STATES.index)
    if "kind" in a:
        body["kind"] = a["kind"]
    body |= merge_rare(a, b)
    if void:
        body["void_s"] = void / 1e6
    if "signal" in a or "signal" in b:
        body["signal"] = merge_measures(a.get("signal"), b.get("signal"))
    return body | _rare(a, b)


def _merge_devices(a: Mapping[str, Any], b: Mapping[str, Any]) -> dict[str, Any]:
    if a["points"].keys() != b["points"].keys():
        raise ValueError("two devices cannot be one")
    points: dict[str, Any] = {}
    for key, one in a["points"].items():
        two = b["points"][key]
        if ("delta" in one) is not ("delta" in two):
            raise ValueError(f"{key} is a gauge here and a total there")
        points[key] = merge_registers(one, two) if "delta" in one else merge_gauges(one, two)
    body: dict[str, Any] = {"covered_s": _us(a, b, "covered_s") / 1e6, "points": points}
    marks = sum_counts(a.get("quality", {}), b.get("quality", {}))
    if marks:
        body["quality"] = marks
    health = sorted({*a.get("health", ()), *b.get("health", ())})
    if health:
        body["health"] = health
    return body | _rare(a, b)


def _rare(a: Mapping[str, Any], b: Mapping[str, Any]) -> dict[str, Any]:
    """The keys that stand in a record only when there is something to tell."""
    counts = {key: a.get(key, 0) + b.get(key, 0) for key in ("breakups", "wrong_way", "lost_edges")}
    merged: dict[str, Any] = {key: value for key, value in counts.items() if value}
    if a.get("partial") or b.get("partial"):
        merged["partial"] = True
    # what models said of them: of several minutes the worst stays
    for key in ("p_congested", "p_congested_5", "p_congested_15"):
        judged = [each[key] for each in (a, b) if each.get(key) is not None]
        if judged:
            merged[key] = max(judged)
    doubts = [each.get("loops", {}) for each in (a, b)]
    if any(doubts):
        merged["loops"] = {
            part: max((each[part] for each in doubts if part in each), key=_doubt)
            for part in sorted({*doubts[0], *doubts[1]})
        }
    odd = [each.get("anomaly", {}) for each in (a, b)]
    if any(odd):
        merged["anomaly"] = {
            key: max(each.get(key, 0) for each in odd) for key in sorted({*odd[0], *odd[1]})
        }
    return merged


def _doubt(loop: Mapping[str, Any]) -> tuple[float, str]:
    return loop["score"], loop["fault"] or ""


def _us(a: Mapping[str, Any], b: Mapping[str, Any], key: str) -> int:
    return sum(round(float(each.get(key, 0.0)) * 1e6) for each in (a, b))


def _sum(a: int | None, b: int | None) -> int | None:
    return b if a is None else a if b is None else a + b


def _copy(body: Mapping[str, Any] | None) -> dict[str, Any] | None:
    return None if body is None else dict(body)
