"""What a rule is that sees more than one loop."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

from edge.core.looptick import LoopTick
from edge.infer.loops.evidence import LoopKey
from edge.infer.loops.looprules import Ruling

Row = list[float]


class SiteRule(Protocol):
    """A rule that sees more than one loop. What it says counts whatever the model says."""

    def step(
        self, slot: Mapping[LoopKey, LoopTick], rows: Mapping[LoopKey, Row], wall_s: float | None
    ) -> Mapping[LoopKey, Ruling]:
        """One slot: a ruling for each loop that has a fault. `wall_s` as in `LoopJudge.step`."""
        ...

    def missing(self, gap_s: float) -> None:
        """Nobody watched for `gap_s`."""
        ...

    def snapshot(self) -> Any:
        """JSON-like, small."""
        ...

    def restore(self, saved: Any) -> None:
        """Raises KeyError, TypeError or ValueError for what is no snapshot."""
        ...
