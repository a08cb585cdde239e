"""What registers of energy grew by in the last window, and what their power made of it.

Commissioning compares both: a wrong unit makes a factor of ten, a hundred or a thousand.
"""

from collections.abc import Iterable, Iterator
from typing import Final

from edge.commission.devicetest import RegisterGrowth
from edge.core import Draft
from edge.wire.contract.body import body_map
from edge.wire.contract.points import Energy

WS_PER_KWH: Final = 3.6e6
REGISTERS: Final = (("energy_import", 1), ("energy_export", -1))


class LastEnergy:
    """The last record of each meter. Belongs to the main loop."""

    def __init__(self) -> None:
        self._records: dict[str, Draft] = {}

    def see_records(self, drafts: Iterable[Draft]) -> None:
        """What a window has come to."""
        for draft in drafts:
            if isinstance(draft.body, Energy):
                self._records[draft.source] = draft

    def growth(self, device: str) -> Iterator[RegisterGrowth]:
        """Of its registers, each with what the mean power of the window makes."""
        draft = self._records.get(device)
        if draft is None:
            return
        body = body_map(draft.body)
        points = body["points"]
        mean = points.get("power", {}).get("mean")
        if not isinstance(mean, int | float):
            return
        for key, sign in REGISTERS:
            total = points.get(key, {})
            grown, step = total.get("delta"), total.get("step")
            if grown is not None and step and mean * sign > 0:
                made = abs(mean) * body["covered_s"] / WS_PER_KWH
                yield RegisterGrowth(key, float(grown), made, float(step))
