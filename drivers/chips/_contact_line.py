"""What an edge on a line means for whatever closes and opens there."""

from typing import Literal

from edge.core import Contact, Edge


class ContactLine:
    """A driver of a line on which something closes and opens. Its options have `active`."""

    __slots__ = ()
    active: Literal["low", "high"]

    def contact(self, source: str, edge: Edge) -> Contact:
        """On where the level is `active`. The first edge of a line is how it was found."""
        on = edge.high is (self.active == "high")
        return Contact(source, on, edge.mono_ns, edge.lost, edge.seqno == 0)
