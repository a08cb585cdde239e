"""The events that come of judging: a flag goes on or off, and one sentence says so."""

from __future__ import annotations

from msgspec import UNSET

from edge.core import Draft, Stream
from edge.infer.approaches import ApproachVerdict
from edge.infer.cause import CAUSE_TEXTS, ORIGIN_TEXTS
from edge.infer.incident import IncidentVerdict
from edge.infer.series import SeriesVerdict
from edge.infer.seriesfeatures import SeriesKey
from edge.wire.contract.event import Anomaly, Congestion, Incident


def congestion_event(end_ns: int, v: ApproachVerdict) -> Draft:
    """The flag of an approach has turned."""
    seen = f", {v.reason}" if v.reason else ""
    if v.turn == "on":
        text = f"Congestion on {v.approach}: probability {v.p:.2f}{seen} (decided by the {v.by})."
    elif v.p is None:
        text = f"It is no longer known whether {v.approach} is congested: it has no healthy loop."
    else:
        seen = f": {v.reason}" if v.reason else ""
        text = f"The congestion on {v.approach} has ended{seen} (decided by the {v.by})."
    body = Congestion(
        state="on" if v.turn == "on" else "off",
        approach=v.approach,
        p=v.p,
        by=v.by,
        text=text,
        p5=UNSET if v.p5 is None else v.p5,
        p15=UNSET if v.p15 is None else v.p15,
        reason=v.reason or UNSET,
    )
    return Draft(Stream.EVENT, v.approach, end_ns, end_ns, body)


def anomaly_event(end_ns: int, v: SeriesVerdict) -> Draft:
    """The flag of a series has turned."""
    (source, point), odd = v.key, v.odd
    if v.turn == "on":
        whose = f"; {ORIGIN_TEXTS[v.meant]}" if v.meant and odd.cause != "event" else ""
        text = f"{point} of {source} {CAUSE_TEXTS[odd.cause or 'spike']}{whose}"
        text += f" (decided by the {v.by})."
    else:
        text = f"{point} of {source} behaves as usual again (decided by the {v.by})."
    body = Anomaly(
        state="on" if v.turn == "on" else "off",
        point=point,
        score=odd.level,
        onset=odd.onset,
        cause=odd.cause if v.turn == "on" else None,
        meant=v.meant if v.turn == "on" else None,
        by=v.by,
        text=text,
    )
    return Draft(Stream.EVENT, source, end_ns, end_ns, body)


def incident_event(end_ns: int, v: IncidentVerdict) -> Draft:
    """The suspicion between two stations, or on an approach, has turned."""
    between = _where(v.upstream, v.downstream)
    seen = f": {v.reason}" if v.reason else ""
    if v.turn == "on":
        text = f"Something may block the road {between}{seen} (decided by the {v.by})."
    elif v.reason:
        text = f"There is no sign of an incident {between} any more{seen} (decided by the {v.by})."
    else:
        text = f"It is no longer known whether something blocks the road {between}."
    body = Incident(
        state="on" if v.turn == "on" else "off",
        upstream=v.upstream,
        downstream=v.downstream,
        by=v.by,
        text=text,
    )
    return Draft(Stream.EVENT, v.upstream, end_ns, end_ns, body)


def unwatched_incident(end_ns: int, upstream: str, downstream: str) -> Draft:
    """A suspicion was up when the configuration gave up its stations."""
    road = f"The road {_where(upstream, downstream)}"
    text = f"{road} is no longer watched, so the flag is closed."
    body = Incident(state="off", upstream=upstream, downstream=downstream, text=text)
    return Draft(Stream.EVENT, upstream, end_ns, end_ns, body)


def _where(upstream: str, downstream: str) -> str:
    """Between two approaches; both are the same where it is between places of that approach."""
    return f"on {upstream}" if upstream == downstream else f"between {upstream} and {downstream}"


def unwatched_approach(end_ns: int, approach: str) -> Draft:
    """A flag was up when the configuration gave up its approach: nobody else would clear it."""
    text = f"Congestion on {approach} is no longer watched, so the flag is closed."
    body = Congestion(state="off", approach=approach, p=None, text=text)
    return Draft(Stream.EVENT, approach, end_ns, end_ns, body)


def unwatched_series(end_ns: int, key: SeriesKey) -> Draft:
    """A flag was up when the configuration gave up its series: nobody else would clear it."""
    source, point = key
    text = f"{point} of {source} is no longer watched, so the flag is closed."
    body = Anomaly(state="off", point=point, text=text)
    return Draft(Stream.EVENT, source, end_ns, end_ns, body)
