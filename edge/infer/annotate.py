"""What judging adds to the records of a window."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from edge.core import Draft, Stream
from edge.infer.approaches import ApproachVerdict
from edge.infer.loops.looppart import LoopNotes
from edge.infer.series import SHOWN_ONSET, SeriesVerdict
from edge.infer.sites import LaneSite


def annotate_loops(drafts: list[Draft], notes: Mapping[str, LoopNotes]) -> None:
    """Which loops of a lane are not to be believed."""
    if not notes:
        return
    for i, draft in enumerate(drafts):
        if draft.stream is Stream.TRAFFIC and draft.source in notes:
            drafts[i] = _with(draft, {"loops": notes[draft.source]})


def annotate_approaches(
    drafts: list[Draft], lanes: Mapping[str, LaneSite], verdicts: Sequence[ApproachVerdict]
) -> None:
    """How likely the lane's approach is congested, now and later."""
    last = {verdict.approach: verdict for verdict in verdicts}
    for i, draft in enumerate(drafts):
        site = lanes.get(draft.source) if draft.stream is Stream.TRAFFIC else None
        v = last.get(site.approach) if site else None
        if v is None:
            continue
        later = {"p_congested_5": v.p5, "p_congested_15": v.p15}
        ahead = {key: p for key, p in later.items() if p is not None}
        drafts[i] = _with(draft, {"p_congested": v.p, **ahead})


def annotate_series(drafts: list[Draft], verdicts: Sequence[SeriesVerdict]) -> None:
    """How odd the points of a source are, where they are."""
    odd: dict[str, dict[str, float]] = {}
    for verdict in verdicts:
        if verdict.odd.level > SHOWN_ONSET:
            source, point = verdict.key
            odd.setdefault(source, {})[point] = verdict.odd.level
    if not odd:
        return
    for i, draft in enumerate(drafts):
        if draft.stream is not Stream.EVENT and draft.source in odd:
            drafts[i] = _with(draft, {"anomaly": odd[draft.source]})


def _with(draft: Draft, more: Mapping[str, Any]) -> Draft:
    body = {**draft.body, **more}
    return Draft(draft.stream, draft.source, draft.from_ns, draft.to_ns, body)
