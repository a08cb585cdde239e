"""What a gateway may try in order to be taken for another one: topics, and payloads that fit."""

from typing import Any

from hypothesis import strategies as st

from edge.core import TOPIC_PREFIX, Envelope, Record, RecordKey, Stream
from edge.wire import encode
from tests.kit.clock import NTP

EVIL, VICTIM = "gw-0001", "gw-0002"
SITE = "mitte"
EPOCH = (1 << 32) + 7
S = 1_000_000_000
NOON = 1_795_608_000 * S
STREAMS = [str(stream) for stream in Stream]
HEAD = TOPIC_PREFIX.split("/")
KINDS = [*STREAMS, "status", "meta", "last", "answer"]
# what is a level, or looks like one, or like several of them where a dot is a slash
WORDS = [
    *HEAD, *KINDS, SITE, "nord", EVIL, VICTIM, "up", "down", "receipt", "cmd", "hut", "", "+", "#",
    "*", "$share", "$SYS", "$queue", "%u", "%c", ".", "..", "city", "kerbstone.v1", "v1.mitte",
    f"{EVIL}.up", f"{VICTIM}.up", f"{SITE}.{VICTIM}", f"up.{SITE}.{VICTIM}.up", f".{VICTIM}",
    f"{VICTIM}.", VICTIM.upper(), f"{VICTIM} ", f" {VICTIM}", f"{VICTIM}\n", f"{EVIL}\n",
    "\uff47w-0002", "gw\u20100002", "\u202egw-0002", "gw-0002\u200b", "g\u0307w-0002", "\u00e4",
]  # fmt: skip


def record(gw: str, stream: str, source: str, seq: int, x: int = 0) -> bytes:
    """A record as this gateway would send it; `x` is its content."""
    made = Record(
        RecordKey(EPOCH, Stream(stream), seq), source, 1, seq * S, (seq + 1) * S, {"x": x}
    )
    sealed = Envelope(NOON + seq * S, NOON + (seq + 1) * S, NTP, False, False)
    return encode(made, sealed, gw, "json").data


def said(gw: str, topic: str, seq: int) -> bytes:
    """The payload that fits best to a topic, wherever its levels are looked for."""
    levels = topic.replace(".", "/").split("/")
    for at in (-2, -1):
        if len(levels) >= -at and levels[at] in STREAMS:
            return record(gw, levels[at], levels[-1] if at == -2 else "", seq)
    return b'{"v": 1, "gw": "%s", "epoch": %d, "state": "offline"}' % (gw.encode(), EPOCH)


def _changed(levels: list[str], change: tuple[int, int, str]) -> list[str]:
    how, at, word = change
    at %= len(levels) + 1
    if how == 0:
        return [*levels[:at], word, *levels[at:]]
    return [*levels[:at], *([word] if how == 1 else []), *levels[at + 1 :]]


level = st.one_of(st.sampled_from(WORDS), st.text(max_size=6))
tail = st.one_of(
    st.tuples(st.sampled_from(KINDS)), st.tuples(st.sampled_from(KINDS), st.sampled_from(WORDS))
)
branch = st.tuples(st.sampled_from([SITE, "nord", "up", VICTIM]), st.sampled_from([EVIL, VICTIM]))


@st.composite
def topics(draw: Any) -> str:
    """Near a topic of a gateway: its own, another one's, or one that goes on as another one."""
    levels = [*HEAD, *draw(branch), "up", *draw(tail)]
    if draw(st.booleans()):
        more = draw(st.sampled_from([[SITE, VICTIM, "up"], [*HEAD, SITE, VICTIM, "up"], [VICTIM]]))
        levels = [*HEAD, draw(level), EVIL, "up", *more, *draw(tail)]
    for change in draw(
        st.lists(st.tuples(st.integers(0, 2), st.integers(0, 12), level), max_size=2)
    ):
        levels = _changed(levels, change)
    text: str = draw(st.sampled_from(["/", "/", "/", "."])).join(levels)
    return text.encode("utf-8", "replace").decode()[:200]


# of whom the payload speaks; retained or not
attempts = st.tuples(topics(), st.sampled_from([VICTIM, VICTIM, EVIL]), st.booleans())
