"""Topics: where a record is published, and what a topic says about its message."""

import re
from dataclasses import dataclass
from typing import Final

from edge.core import Stream
from edge.uplink.wire.strict import WireError

IDENTIFIER: Final = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.:-]{0,63}")
STREAMS: Final = frozenset(str(stream) for stream in Stream)
SINGLES: Final = frozenset({"status", "meta"})
PAIRS: Final = frozenset({"last", "answer"})


def identifier(text: str) -> str:
    """`text` itself when it may be a level of a topic. Raises WireError: no + # / or blanks."""
    if not IDENTIFIER.fullmatch(text):
        raise WireError(
            f"{text!r:.80} cannot be part of a topic: use A-Z a-z 0-9 _ . : - (1 to 64)"
        )
    return text


@dataclass(frozen=True, slots=True)
class Topic:
    """What a topic says. `kind` is record, last, answer, status or meta; batches have no source.

    Of an answer `source` is the verb.
    """

    prefix: str
    site: str
    gw: str
    kind: str
    stream: str = ""
    source: str = ""


class Topics:
    """The topics of one gateway. All names are checked here, once."""

    def __init__(self, prefix: str, site: str, gw: str) -> None:
        levels = [identifier(level) for level in prefix.split("/")]
        self.up = "/".join([*levels, identifier(site), identifier(gw), "up"])
        self.down = self.up.removesuffix("up") + "down"
        self.receipt = f"{self.down}/receipt"
        self.spread = f"{self.down}/spread"
        self.commands = f"{self.down}/cmd/+"  # a filter
        self.status = f"{self.up}/status"
        self.meta = f"{self.up}/meta"
        self._known: dict[tuple[str, str], str] = {}

    def record(self, stream: Stream, source: str) -> str:
        """Where a record goes; an empty `source` is a batch."""
        found = self._known.get((stream, source))
        if found is None:
            tail = f"/{identifier(source)}" if source else ""
            found = f"{self.up}/{stream}{tail}"
            if len(self._known) < 1000:
                self._known[stream, source] = found
        return found

    def answer(self, verb: str) -> str:
        """Where the answer to a command goes."""
        return f"{self.up}/answer/{identifier(verb)}"

    def verb(self, topic: str) -> str | None:
        """The verb of a command's topic, None for another topic."""
        head, _, verb = topic.rpartition("/")
        return verb if head == f"{self.down}/cmd" and IDENTIFIER.fullmatch(verb) else None

    def last(self, source: str) -> str:
        """The retained topic of a source's newest record."""
        return f"{self.up}/last/{identifier(source)}"


def parse_topic(topic: str) -> Topic:
    """Take a topic of ours apart. Raises WireError."""
    levels = topic.split("/")
    # looked for from the end: a prefix may have any number of levels, one of them may be `up`
    for tail in (2, 3):
        if len(levels) >= tail + 3 and levels[-tail] == "up":
            head, rest = levels[: -tail - 2], levels[1 - tail :]
            site, gw = levels[-tail - 2], levels[-tail - 1]
            for level in (*head, site, gw, *rest):
                identifier(level)
            kind = _kind(rest)
            if kind:
                source = rest[1] if len(rest) == 2 else ""
                stream = rest[0] if kind == "record" else ""
                return Topic("/".join(head), site, gw, kind, stream, source)
    raise WireError(f"{topic!r:.200} is no topic of a gateway (PREFIX/SITE/GATEWAY/up/...)")


def _kind(rest: list[str]) -> str:
    if rest[0] in STREAMS:
        return "record"
    if len(rest) == 1 and rest[0] in SINGLES:
        return rest[0]
    return rest[0] if len(rest) == 2 and rest[0] in PAIRS else ""
