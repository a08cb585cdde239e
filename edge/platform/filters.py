"""Which topic filters can prove completeness: numbers run per stream, so all sources are needed."""

from typing import Final

from edge.core import Stream

STREAMS: Final = frozenset(str(stream) for stream in Stream)
BESIDE: Final = frozenset({"status", "meta", "last", "answer"})


def is_down(topic: str) -> bool:
    """Whether a message goes to a gateway (receipts, commands): it is none of what is recorded."""
    levels = topic.split("/")
    return levels[-2:-1] == ["down"] or levels[-3:-1] == ["down", "cmd"]


def refusal(topic_filter: str) -> str | None:
    """Why messages of this filter cannot be checked; None when they can."""
    levels = topic_filter.split("/")
    if levels[0] == "$share":
        return "a shared subscription brings each subscriber only a part of the numbers"
    if "up" not in levels:
        if levels[-1] == "#" and not (STREAMS | {"down"}).intersection(levels):
            return None
        return "it does not name what is checked; end it with /up/#"
    tail = levels[len(levels) - levels[::-1].index("up") :]
    match tail:
        case ["#"] | ["+", "#"]:
            return None
        case [stream, "#"] if stream in STREAMS:
            return None
        case [stream, *_] if stream in BESIDE:
            return f"{stream} holds no numbered records; end it with /up/#"
        case [stream, *_] if stream in STREAMS:
            return f"numbers run per stream, over all sources; end it with /up/{stream}/#"
    return "numbers run per stream, over all sources; end it with /up/# or /up/STREAM/#"


def subscriptions(topic_filter: str, *, check: bool) -> list[str]:
    """What to subscribe. A check of one stream needs the events too: they declare losses."""
    stream = topic_filter.split("/")[-2:-1]
    if check and topic_filter.endswith("/#") and stream and stream[0] in STREAMS - {"event"}:
        return [topic_filter, topic_filter.removesuffix(f"{stream[0]}/#") + "event/#"]
    return [topic_filter]
