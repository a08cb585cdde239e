"""Where loops lie: what the judges must know of a lane, and no more than its geometry."""

from dataclasses import dataclass
from typing import Literal

Role = Literal["mainline", "turn", "auxiliary", "bus", "bicycle"]
"""What a lane is for: how much of its neighbour's traffic it may have, and how long none."""


@dataclass(frozen=True, slots=True)
class LaneSite:
    """A lane. Lanes of one approach and position lie beside each other, in the site's order.

    `paired` lanes have a trail loop `spacing_m` behind the lead. `limit_kmh` None: not known.
    Those for bicycles are watched for silence alone: no model knows anything of them.
    """

    name: str
    approach: str
    position: str  # corridor, advance, mid, stop
    paired: bool = False
    spacing_m: float | None = None
    loop_m: float = 2.0
    mode: Literal["presence", "pulse"] = "presence"
    limit_kmh: float | None = None
    role: Role | None = None  # nobody said: see `presumed_roles`

    @property
    def judged(self) -> bool:
        """Whether models judge it."""
        return self.role != "bicycle"


@dataclass(frozen=True, slots=True)
class ApproachSite:
    """An approach, or a station of a corridor: what lies after it, and how far away."""

    name: str
    downstream: str | None = None
    distance_m: float | None = None
