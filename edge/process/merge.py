"""Two records of one source as one, for an outbox that has to downsample what it could not send.

Sums are integers, and all else is derived from them, so merging is associative bit for bit:
(a + b) + c equals a + (b + c), byte by byte. The order is that of time.
"""

from typing import Final, Literal, TypeVar

from msgspec import UNSET, UnsetType

from edge.core.record import StoredBody
from edge.process.baywindow import BAY_STATES, STAY_BINS, occupied_share
from edge.process.gaugewindow import merge_gauges
from edge.process.qualitycounts import sum_counts
from edge.process.registerwindow import merge_registers
from edge.process.signalmeasures import merge_measures
from edge.process.traffic.histogram import LENGTH_BINS, SPEED_BINS, TIME_BINS, summed
from edge.process.traffic.loopselection import HEALTH_STATES
from edge.process.traffic.singleloopspeed import merge_single_speeds
from edge.wire.contract.bay import Bay
from edge.wire.contract.body import body_map
from edge.wire.contract.histogram import Lengths, Times
from edge.wire.contract.points import Energy, Gauge, Total, read_body
from edge.wire.contract.single import Tailgating
from edge.wire.contract.traffic import Lane, LoopDoubt

Name = TypeVar("Name", bound=str)

LEAD: Final = "lead"  # of a record that does not say it, and has a count


def merge_bodies(a: StoredBody, b: StoredBody) -> StoredBody:
    """The bodies of two traffic, bay, air or energy records as one, the earlier first.

    A null part does not count, it does not spread. Raises ValueError when they do not belong
    together (other lane, other bay, other points, other steps, or the form of another version), or
    when one of them cannot be.
    """
    try:
        if "lane" in a and "lane" in b:
            return body_map(_merge_lanes(read_body(Lane, a), read_body(Lane, b)))
        if "bay" in a and "bay" in b:
            return body_map(_merge_bays(read_body(Bay, a), read_body(Bay, b)))
        if "points" in a and "points" in b:  # a meter has each field that any device has
            return body_map(_merge_devices(read_body(Energy, a), read_body(Energy, b)))
    except (LookupError, ArithmeticError) as error:  # each field is possible, and together not
        raise ValueError(f"one of them contradicts itself: {error!r}") from error
    raise ValueError("these two are no summaries of one source")


def _merge_lanes(a: Lane, b: Lane) -> Lane:
    if (a.lane, a.approach, a.kind) != (b.lane, b.approach, b.kind):
        raise ValueError("two lanes cannot be one")
    covered, void = _sum_us(a.covered_s, b.covered_s), _sum_us(a.void_s, b.void_s)
    on_us = _sum(a.on_us, b.on_us)
    speeds = [each.speed for each in (a, b) if each.speed]
    lengths = [each.length for each in (a, b) if each.length]
    headways = [each.headway for each in (a, b) if each.headway]
    gaps = [each.gap for each in (a, b) if each.gap]
    one_signal = a.signal or b.signal
    merged = Lane(
        lane=a.lane,
        approach=a.approach,
        covered_s=covered / 1e6,
        volume=_sum(a.volume, b.volume),
        occupancy=occupied_share(covered - void, on_us),
        on_us=on_us,
        speed=summed(SPEED_BINS, speeds).speeds() if speeds else None,
        length=summed(LENGTH_BINS, lengths).form(Lengths) if lengths else None,
        headway=summed(TIME_BINS, headways).form(Times) if headways else None,
        gap=summed(TIME_BINS, gaps).form(Times) if gaps else None,
        quality=sum_counts(a.quality, b.quality),
        health=max(a.health, b.health, key=HEALTH_STATES.index),
        kind=a.kind,
        void_s=void / 1e6 or UNSET,
        breakups=_sum_rare(a.breakups, b.breakups),
        wrong_way=_sum_rare(a.wrong_way, b.wrong_way),
        lost_edges=_sum_rare(a.lost_edges, b.lost_edges),
        signal=merge_measures(a.signal, b.signal) if a.signal and b.signal else one_signal,
        partial=a.partial or b.partial,
        # what models said of them: of several minutes the worst stays
        p_congested=_worse(a.p_congested, b.p_congested),
        p_congested_5=_worse(a.p_congested_5, b.p_congested_5),
        p_congested_15=_worse(a.p_congested_15, b.p_congested_15),
        anomaly=_odder(a.anomaly, b.anomaly),
    )
    _merge_rare(merged, a, b)
    if doubts := [each.loops for each in (a, b) if each.loops]:
        merged.loops = {
            part: max((each[part] for each in doubts if part in each), key=_doubt)
            for part in sorted({part for each in doubts for part in each})
        }
    return merged


def _merge_rare(merged: Lane, a: Lane, b: Lane) -> None:
    """Into a record what stands in two only when there is something to tell."""
    if by := _merged_by(a, b):
        merged.counted_by = by
    if a.classes or b.classes:
        merged.classes = sum_counts(a.classes or {}, b.classes or {})
    if a.speed_single and b.speed_single:
        merged.speed_single = merge_single_speeds(a.speed_single, b.speed_single)
    else:
        merged.speed_single = a.speed_single or b.speed_single
    if gaps := [each.tailgating for each in (a, b) if each.tailgating]:
        merged.tailgating = Tailgating(
            n=sum(each.n for each in gaps), of=sum(each.of for each in gaps)
        )
    merged.stopped = _sum_rare(a.stopped, b.stopped)
    merged.queue_us = _sum_rare(a.queue_us, b.queue_us)


def _merged_by(a: Lane, b: Lane) -> Literal["trail", "both"] | None:
    """Which loop counted: `both`, one after the other, or None for the lead, or for nobody."""
    by = {each.counted_by or LEAD for each in (a, b) if each.volume is not None}
    return None if by <= {LEAD} else "trail" if by == {"trail"} else "both"


def _merge_bays(a: Bay, b: Bay) -> Bay:
    if (a.bay, a.kind) != (b.bay, b.kind):
        raise ValueError("two bays cannot be one")
    covered, void = _sum_us(a.covered_s, b.covered_s), _sum_us(a.void_s, b.void_s)
    occupied_us = _sum(a.occupied_us, b.occupied_us)
    stays = [each.stay for each in (a, b) if each.stay is not None]
    return Bay(
        bay=a.bay,
        kind=a.kind,
        covered_s=covered / 1e6,
        occupied_us=occupied_us,
        occupancy=occupied_share(covered - void, occupied_us),
        arrivals=_sum(a.arrivals, b.arrivals),
        departures=_sum(a.departures, b.departures),
        stay=summed(STAY_BINS, stays).form(Times) if stays else None,
        overstays=_sum(a.overstays, b.overstays),
        overstay_us=_sum(a.overstay_us, b.overstay_us),
        occupied=b.occupied,  # as it is now
        since_s=b.since_s,
        quality=sum_counts(a.quality, b.quality),
        health=max(a.health, b.health, key=BAY_STATES.index),
        void_s=void / 1e6 or UNSET,
        passers=_sum_rare(a.passers, b.passers),
        lost_edges=_sum_rare(a.lost_edges, b.lost_edges),
        partial=a.partial or b.partial,
    )


def _merge_devices(a: Energy, b: Energy) -> Energy:
    if a.points.keys() != b.points.keys():
        raise ValueError("two devices cannot be one")
    return Energy(
        covered_s=_sum_us(a.covered_s, b.covered_s) / 1e6,
        points={key: _merge_points(key, one, b.points[key]) for key, one in a.points.items()},
        quality=sum_counts(a.quality or {}, b.quality or {}) or UNSET,
        partial=a.partial or b.partial,
        health=sorted({*(a.health or ()), *(b.health or ())}) or UNSET,
        lost_edges=_sum_rare(a.lost_edges, b.lost_edges),
        anomaly=_odder(a.anomaly, b.anomaly),
    )


def _merge_points(key: str, one: Gauge | Total, two: Gauge | Total) -> Gauge | Total:
    if isinstance(one, Total) and isinstance(two, Total):
        return merge_registers(one, two)
    if isinstance(one, Gauge) and isinstance(two, Gauge):
        return merge_gauges(one, two)
    raise ValueError(f"{key} is a gauge here and a total there")


def _doubt(loop: LoopDoubt) -> tuple[float, str]:
    return loop.score, loop.fault or ""


def _sum(a: int | None, b: int | None) -> int | None:
    """Of two windows; a null one does not count."""
    return b if a is None else a if b is None else a + b


def _sum_rare(a: int | UnsetType, b: int | UnsetType) -> int | UnsetType:
    """A count that stands in a record only when there is something to count."""
    return (a or 0) + (b or 0) or UNSET


def _sum_us(a_s: float | UnsetType, b_s: float | UnsetType) -> int:
    """Microseconds: sums of floats would depend on their order."""
    return round((a_s or 0.0) * 1e6) + round((b_s or 0.0) * 1e6)


def _worse(a: float | UnsetType | None, b: float | UnsetType | None) -> float | UnsetType:
    return max((p for p in (a, b) if p is not None and p is not UNSET), default=UNSET)


def _odder(
    a: dict[Name, float] | UnsetType, b: dict[Name, float] | UnsetType
) -> dict[Name, float] | UnsetType:
    odd = [each for each in (a, b) if each]
    keys = sorted({key for each in odd for key in each})
    return {key: max(each.get(key, 0) for each in odd) for key in keys} or UNSET
