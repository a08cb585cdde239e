"""What judging adds to the records of a window."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from copy import copy
from dataclasses import replace
from typing import cast

from msgspec import UNSET

from edge.core import Draft, Stream
from edge.infer.approaches import ApproachVerdict
from edge.infer.loops.looppart import LoopNotes
from edge.infer.series import SHOWN_ONSET, SeriesVerdict
from edge.infer.sites import LaneSite
from edge.wire.contract.points import Air, Energy
from edge.wire.contract.traffic import Lane, LaneAnomalies


def annotate_loops(drafts: list[Draft], notes: Mapping[str, LoopNotes]) -> None:
    """Which loops of a lane are not to be believed."""
    if not notes:
        return
    for i, draft in enumerate(drafts):
        if draft.stream is Stream.TRAFFIC and draft.source in notes:
            body = copy(draft.body)
            assert isinstance(body, Lane)
            body.loops = notes[draft.source]
            drafts[i] = replace(draft, body=body)


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
        body = copy(draft.body)
        assert isinstance(body, Lane)
        body.p_congested = v.p
        body.p_congested_5 = UNSET if v.p5 is None else v.p5
        body.p_congested_15 = UNSET if v.p15 is None else v.p15
        drafts[i] = replace(draft, body=body)


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
            body = copy(draft.body)
            if isinstance(body, Lane):
                body.anomaly = cast("LaneAnomalies", odd[draft.source])
            else:
                assert isinstance(body, Air | Energy)
                body.anomaly = odd[draft.source]
            drafts[i] = replace(draft, body=body)
