"""Which flags of a site are up: kept small with every window, and known again after a kill.

What was up and is judged by nobody any more goes off with the next window, and its text says why.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from edge.core import Draft, Stream
from edge.infer import judgeevents
from edge.infer.approaches import ApproachJudge
from edge.infer.incident import Incidents
from edge.infer.judgestate import (
    UNREADABLE,
    ApproachState,
    JudgeState,
    SeriesState,
    restore_approaches,
    restore_models,
    restore_series,
)
from edge.infer.loops.looppart import LoopPart, unwatched_loop_events
from edge.infer.series import SeriesJudge
from edge.infer.seriesfeatures import SeriesKey, series_samples
from edge.infer.sites import LaneSite

log = logging.getLogger(__name__)


class RaisedFlags:
    """The flags of all that judge; None for what does not."""

    def __init__(
        self,
        lanes: Mapping[str, LaneSite],
        loops: LoopPart | None,
        approaches: ApproachJudge | None,
        series: SeriesJudge | None,
        incidents: Incidents,
    ) -> None:
        self._lanes = lanes
        self._loops, self._approaches, self._series = loops, approaches, series
        self._incidents = incidents
        # flags that were up, of what is gone: approaches, pairs of stations, and perhaps series
        self._gone: dict[str, ApproachState] = {}
        self._gone_pairs: list[tuple[str, str]] = []
        self._gone_loops: Mapping[str, Any] = {}
        self._sought: dict[SeriesKey, SeriesState] = {}

    def snapshot(self) -> dict[str, object]:
        """For msgpack. Some 750 bytes for an approach, at signals 60 more for each of its lanes.

        1,700 for a series whose flag is up.
        """
        series = self._series.snapshot_flags() if self._series else {}
        kept = JudgeState(
            self._models(),
            {**self._gone, **(self._approaches.snapshot_flags() if self._approaches else {})},
            {**self._sought, **series},
        )
        loops: Mapping[str, Any] = {"loops": self._gone_loops} if self._gone_loops else {}
        if self._loops is not None:
            loops = {"loops": self._loops.snapshot_flags()}
        return {**kept.snapshot(), **loops, "incidents": self._incidents.snapshot()}

    def names(self) -> list[tuple[str, str, str]]:
        """What is up: the kind of event, its source, and which point or other approach."""
        congested = self._approaches.raised if self._approaches else ()
        odd = self._series.raised if self._series else ()
        return [
            *(("congestion", name, "") for name in congested),
            *(("incident", *pair) for pair in self._incidents.raised),
            *(("anomaly", *key) for key in odd),
        ]

    def restore(self, state: Mapping[str, Any]) -> bool:
        """Know again what is up, as of `snapshot`. Raises nothing; False when nothing was of use.

        What is damaged in one part costs that part alone: its flags are as in the older state, and
        a line in the log says so.
        """
        try:
            congestion, anomaly = restore_models(state)
        except UNREADABLE as error:
            log.warning("the flags that were up are damaged (%r): as in the older state", error)
            return False
        parts: dict[str, Callable[[], None]] = {
            "approaches": lambda: self._take_approaches(state, congestion),
            "series": lambda: self._take_series(state, anomaly),
            "loops": lambda: self._take_loops(state),
            "incidents": lambda: self._take_incidents(state),
        }
        taken = 0
        for what, take in parts.items():
            try:
                take()
                taken += 1
            except UNREADABLE as error:
                log.warning(
                    "the flags of %s that were up are damaged (%r): as in the older state",
                    what, error,
                )  # fmt: skip
        return taken > 0

    def look_for_series(self) -> None:
        """Devices have changed: a series with its flag up that the next window lacks is gone."""
        if self._series is not None:
            self._sought = self._series.snapshot_flags()

    def given_up(self, end_ns: int, drafts: Sequence[Draft]) -> list[Draft]:
        """A window has a record of every device, with all its points: what it lacks is gone."""
        if not (self._gone or self._gone_pairs or self._gone_loops or self._sought):
            return []
        if all(d.stream is Stream.EVENT for d in drafts):
            return []
        here = series_samples(drafts, 1.0, self._lanes) if self._series else {}
        lost = [key for key in self._sought if not (self._series and self._series.seek(key, here))]
        events = [judgeevents.unwatched_approach(end_ns, name) for name in self._gone]
        events += [judgeevents.unwatched_incident(end_ns, *pair) for pair in self._gone_pairs]
        events += [judgeevents.unwatched_series(end_ns, key) for key in lost]
        events += unwatched_loop_events(end_ns, self._gone_loops) if self._gone_loops else []
        self._gone, self._gone_pairs, self._gone_loops, self._sought = {}, [], {}, {}
        return events

    def _take_approaches(self, state: Mapping[str, Any], model: str) -> None:
        kept = restore_approaches(state)
        names: tuple[str, ...] = ()
        if self._approaches is not None:
            self._approaches.restore_flags(kept, model)
            names = self._approaches.names
        up = {name: one for name, one in kept.items() if one.raised}
        self._gone = {name: one for name, one in up.items() if name not in names}

    def _take_series(self, state: Mapping[str, Any], model: str) -> None:
        kept = restore_series(state)
        if self._series is not None:
            self._series.restore_flags(kept, model)
        self._sought = kept

    def _take_loops(self, state: Mapping[str, Any]) -> None:
        if "loops" not in state:  # nobody judged it
            return
        if self._loops is not None:
            self._loops.restore_flags(state["loops"])
        else:
            unwatched_loop_events(0, state["loops"])  # it can be read
            self._gone_loops = state["loops"]

    def _take_incidents(self, state: Mapping[str, Any]) -> None:
        self._gone_pairs = self._incidents.restore(state["incidents"])

    def _models(self) -> tuple[str, str]:
        parts = (self._approaches, self._series)
        congestion, anomaly = (part.guard.sha256 if part else "" for part in parts)
        return congestion, anomaly
