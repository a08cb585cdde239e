"""Topics: where a record is published, and what a topic says about its message."""

import re
from dataclasses import dataclass
from typing import Final

from edge.core import TOPIC_PREFIX, Stream
from edge.wire.strict import WireError

IDENTIFIER: Final = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.:-]{0,63}")
STREAMS: Final = frozenset(str(stream) for stream in Stream)
ONE_LEVEL_KINDS: Final = frozenset({"status", "meta"})
TWO_LEVEL_KINDS: Final = frozenset({"last", "answer"})


def check_identifier(text: str) -> str:
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

    @property
    def branch(self) -> str:
        """Prefix, site and gateway: what its receipts and commands go to lies below it too."""
        return f"{self.prefix}/{self.site}/{self.gw}"


class Topics:
    """The topics of one gateway. All names are checked here, once."""

    def __init__(self, prefix: str, site: str, gw: str) -> None:
        levels = [check_identifier(level) for level in prefix.split("/")]
        self.up = "/".join([*levels, check_identifier(site), check_identifier(gw), "up"])
        self.down = self.up.removesuffix("up") + "down"
        self.receipt = f"{self.down}/receipt"
        self.reconnect_spread = f"{self.down}/reconnect_spread"
        self.commands = f"{self.down}/cmd/+"  # a filter
        self.status = f"{self.up}/status"
        self.meta = f"{self.up}/meta"
        self._known: dict[tuple[str, str], str] = {}

    def record(self, stream: Stream, source: str) -> str:
        """Where a record goes; an empty `source` is a batch."""
        found = self._known.get((stream, source))
        if found is None:
            tail = f"/{check_identifier(source)}" if source else ""
            found = f"{self.up}/{stream}{tail}"
            if len(self._known) < 1000:
                self._known[stream, source] = found
        return found

    def answer(self, verb: str) -> str:
        """Where the answer to a command goes."""
        return f"{self.up}/answer/{check_identifier(verb)}"

    def verb(self, topic: str) -> str | None:
        """The verb of a command's topic, None for another topic."""
        head, _, verb = topic.rpartition("/")
        return verb if head == f"{self.down}/cmd" and IDENTIFIER.fullmatch(verb) else None

    def last(self, source: str) -> str:
        """The retained topic of a source's newest record."""
        return f"{self.up}/last/{check_identifier(source)}"


def parse_topic(topic: str, prefix: str = TOPIC_PREFIX) -> Topic:
    """Take PREFIX/SITE/GATEWAY/up/KIND[/SOURCE] apart. Raises WireError.

    At fixed levels behind the prefix: a broker's ACL binds the gateway's level to a certificate,
    and a level that is looked for in any other way is one that the sender chooses.
    """
    site, gw, rest = _levels_below(topic, prefix)
    match rest:
        case ["up", *tail] if 0 < len(tail) <= 2:
            for level in (site, gw, *tail):
                check_identifier(level)
            if kind := _kind(tail):
                source = tail[1] if len(tail) == 2 else ""
                stream = tail[0] if kind == "record" else ""
                return Topic(prefix, site, gw, kind, stream, source)
    raise WireError(f"{topic!r:.200} is not a topic of a gateway ({prefix}/SITE/GATEWAY/up/...)")


def gateway_of(topic: str, prefix: str = TOPIC_PREFIX) -> str:
    """In whose branch a topic lies, whatever else is wrong with it; empty: in nobody's."""
    _, gw, _ = _levels_below(topic, prefix)
    return gw if IDENTIFIER.fullmatch(gw) else ""


def is_down(topic: str, prefix: str = TOPIC_PREFIX) -> bool:
    """Whether it goes to a gateway (receipts, commands): it is none of what gateways say."""
    _, _, rest = _levels_below(topic, prefix)
    return rest[:1] == ["down"]


def _levels_below(topic: str, prefix: str) -> tuple[str, str, list[str]]:
    """Site, gateway and the levels after them; empty where there are none."""
    head = f"{prefix}/"
    match topic.removeprefix(head).split("/") if topic.startswith(head) else []:
        case [site, gw, *rest]:
            return site, gw, rest
    return "", "", []


def _kind(rest: list[str]) -> str:
    if rest[0] in STREAMS:
        return "record"
    if len(rest) == 1 and rest[0] in ONE_LEVEL_KINDS:
        return rest[0]
    return rest[0] if len(rest) == 2 and rest[0] in TWO_LEVEL_KINDS else ""
