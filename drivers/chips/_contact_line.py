"""What an edge on a line means for whatever closes and opens there."""

from typing import Literal

from edge.core import Contact, Edge


def contact(source: str, edge: Edge, active: Literal["low", "high"]) -> Contact:
    """On where the level is `active`. The first edge of a line is how it was found."""
    on = edge.high is (active == "high")
    return Contact(source, on, edge.mono_ns, edge.lost, edge.seqno == 0)
