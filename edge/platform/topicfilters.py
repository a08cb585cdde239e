"""Which topic filters bring what is wanted, at the fixed levels PREFIX/SITE/GATEWAY/up/..."""

from typing import Final

from edge.core import TOPIC_PREFIX, Stream

STREAMS: Final = frozenset(str(stream) for stream in Stream)
OTHER_KINDS: Final = frozenset({"status", "meta", "last", "answer"})
SHARED_PREFIXES: Final = (
    "$share",
    "$queue",
)  # the second is EMQX's word for a group without a name
SOME_SOURCES: Final = "it may leave out sources, so missing numbers cannot be found"


def receive_refusal(topic_filter: str, prefix: str = TOPIC_PREFIX) -> str | None:
    """Why nothing can be received and answered by this filter; None when something can."""
    levels = topic_filter.split("/")
    if levels[0] in SHARED_PREFIXES:
        return (
            "each member of a shared subscription gets only a part, and any client can join it:"
            " mosquitto refuses no member, and discards messages that a member may not read"
        )
    for level, wanted in zip(levels, _branch(prefix), strict=False):
        if level == "#":
            return None
        if wanted is not None and level not in (wanted, "+"):
            return f"it matches nothing below {prefix}/SITE/GATEWAY/up; end it with /up/#"
    if len(levels) <= len(_branch(prefix)):
        return f"it ends above gateways' topics; end it with /up/# ({prefix}/SITE/GATEWAY/up/#)"
    return None


def check_refusal(topic_filter: str, prefix: str = TOPIC_PREFIX) -> str | None:
    """Why messages of this filter cannot be checked; None when they can.

    Numbers run per stream, so all sources are needed.
    """
    levels = topic_filter.split("/")
    if (why := receive_refusal(topic_filter, prefix)) is not None:
        return why
    depth = len(_branch(prefix))
    if "#" in levels[:depth]:
        return None
    if levels[depth - 1] != "up":
        return "it does not include the records; end it with /up/#"
    match levels[depth:]:
        case ["#"] | ["+", "#"]:
            return None
        case [stream, "#"] if stream in STREAMS:
            return None
        case [stream, *_] if stream in OTHER_KINDS:
            return f"{stream} holds no numbered records; end it with /up/#"
        case [stream, *_] if stream in STREAMS:
            return f"{SOME_SOURCES}; end it with /up/{stream}/#"
    return f"{SOME_SOURCES}; end it with /up/# or /up/STREAM/#"


def subscriptions(
    topic_filter: str, prefix: str = TOPIC_PREFIX, *, check: bool = False
) -> list[str]:
    """What to subscribe. A check of one stream needs the events too: they declare losses.

    A `#` behind `up` becomes the levels that there are: a broker's ACL lets nobody ask for more.
    """
    *head, end = topic_filter.split("/")
    depth = len(_branch(prefix))
    if end != "#" or len(head) < depth or head[depth - 1] != "up":
        return [topic_filter]
    branch, tail = "/".join(head[:depth]), head[depth:]
    match tail:
        case []:
            return [f"{branch}/+", f"{branch}/+/+"]
        case [stream]:
            streams = [stream]
            if check and stream in STREAMS - {"event"}:
                streams.append("event")
            return [name for each in streams for name in (f"{branch}/{each}", f"{branch}/{each}/+")]
    return [topic_filter]


def _branch(prefix: str) -> list[str | None]:
    """The levels down to `up`; None is any."""
    return [*prefix.split("/"), None, None, "up"]
