"""Flags as spans: from the event that raises one to the event that clears it."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

SPANS_LIMIT: Final = 2000  # spans that are kept; the rest is counted
NAMING_KEYS: Final = (
    "point",
    "part",
    "fault",
    "kind",
    "loop",
    "bay",
)  # with the source: which flag


@dataclass(slots=True)
class FlagSpan:
    """`to_ns` None: it is up still. A moment that is no flag begins and ends at once."""

    kind: str
    source: str
    row: str  # what it is called at the side of the picture
    from_ns: int
    to_ns: int | None
    text: str
    cleared: str = ""

    @property
    def moment(self) -> bool:
        return self.to_ns == self.from_ns

    def sentence(self) -> str:
        """All that was said of it."""
        return " ".join(part for part in (self.text, self.cleared) if part)


@dataclass(slots=True)
class FlagSpans:
    """All that events said, in order."""

    spans: list[FlagSpan] = field(default_factory=list)
    more: int = 0  # events that are not among them
    _open: dict[tuple[str, ...], FlagSpan] = field(default_factory=dict)

    def take(self, source: str, at_ns: int, body: Mapping[str, Any]) -> None:
        """An event's record."""
        kind = str(body.get("event", "event"))
        parts = [str(body[name]) for name in NAMING_KEYS if body.get(name) is not None]
        key = (kind, source, *parts)
        state, text = body.get("state"), str(body.get("text") or kind)
        if state == "off":
            if (span := self._open.pop(key, None)) is not None:
                span.to_ns, span.cleared = at_ns, text
            return
        if state == "on" and key in self._open:
            return
        if len(self.spans) == SPANS_LIMIT:
            self.more += 1
            return
        row = " ".join([source, *parts])
        span = FlagSpan(kind, source, row, at_ns, None if state == "on" else at_ns, text)
        self.spans.append(span)
        if state == "on":
            self._open[key] = span

    def of(self, sources: Iterable[str]) -> list[FlagSpan]:
        """Those of these sources."""
        wanted = set(sources)
        return [span for span in self.spans if span.source in wanted]
