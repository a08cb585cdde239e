"""What judging adds to the records of a window."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import cast

from msgspec import UNSET
from msgspec.structs import replace

from edge.core import Body, Draft, Stream
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
            assert isinstance(draft.body, Lane)
            drafts[i] = _said_anew(draft, replace(draft.body, loops=notes[draft.source]))


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
        assert isinstance(draft.body, Lane)
        body = replace(
            draft.body,
            p_congested=v.p,
            p_congested_5=UNSET if v.p5 is None else v.p5,
            p_congested_15=UNSET if v.p15 is None else v.p15,
        )
        drafts[i] = _said_anew(draft, body)


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
            body, levels = draft.body, odd[draft.source]
            if isinstance(body, Lane):
                drafts[i] = _said_anew(draft, replace(body, anomaly=cast("LaneAnomalies", levels)))
            else:
                assert isinstance(body, Air | Energy)
                drafts[i] = _said_anew(draft, replace(body, anomaly=levels))


def _said_anew(draft: Draft, body: Body) -> Draft:
    """The draft with this body: `dataclasses.replace` would take five times as long."""
    return Draft(draft.stream, draft.source, draft.from_ns, draft.to_ns, body)
