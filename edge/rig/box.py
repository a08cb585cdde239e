"""Adapters: what a box under test says, in words that every box has in common.

A box of ours is read with its own decoder. For one that is not ours a function is enough:
`--adapter module:function`, or a file that says where its messages have what (`boxtable`).
"""

import contextlib
import importlib
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any, Final, Protocol, cast

from msgspec import Struct, convert, json, structs

from edge.config import Site
from edge.control.protocol import VerbError, ask_daemon
from edge.core import ConfigError
from edge.platform.subscription import ArrivedMessage, subscriptions
from edge.rig.runlog import Heard, Seen
from edge.wire import DecodedMessage, WireError, decode, is_down

ASK_S: Final = 1.0
TOPIC: Final = "topic"
TEXT_LIMIT: Final = 200
FAR_S: Final = 1e11  # 3,000 years: a time that is further away is no time
UNREADABLE: Final = (
    ValueError, ArithmeticError, LookupError, TypeError, AttributeError, RecursionError
)  # fmt: skip
"""What a reader raises for a message that is something else than it expects, whatever that is."""


class Said(Struct, frozen=True, kw_only=True):
    """One record or event of any box. Times are its own: seconds since 1970.

    `from_s`, `to_s`: the window that it is about; `sent_s`: when it was sent, where it says so.
    """

    stream: str
    source: str
    body: Mapping[str, Any]
    epoch: str = ""
    seq: int = 0
    from_s: float | None = None
    to_s: float | None = None
    sent_s: float | None = None


Reader = Callable[[str, bytes], Sequence[Said]]
"""Topic and payload -> what it says. What is none of its business it answers with an empty list,
what it cannot read with ValueError: that is shown, and a run with it has not passed."""


class Adapter(Protocol):
    """Of one kind of box."""

    filters: Sequence[str]
    """What to subscribe to."""
    shares_clock: bool
    """Whether `hear` gives times of the rig's own clock."""

    def hear(self, t_s: float, zero_ns: int, message: ArrivedMessage) -> list[Heard]:
        """What a message says, which came at `t_s`; `zero_ns` is when the scenario began: by
        CLOCK_MONOTONIC if it shares the clock, else as ns since 1970 of the rig's wall clock."""

    def look(self, t_s: float) -> Seen:
        """What the box says of itself now."""


class KerbstoneAdapter:
    """A gateway of ours. `run_dir` is where its control socket is, None: on another machine."""

    def __init__(self, site: Site, run_dir: Path | None) -> None:
        branch = f"{site.uplink.prefix}/{site.place.id}/{site.place.gateway}/up/#"
        self.filters: Sequence[str] = subscriptions(branch, site.uplink.prefix)
        self._prefix, self._run_dir = site.uplink.prefix, run_dir
        self.shares_clock = run_dir is not None
        self._status: Mapping[str, Any] = {}
        self._came: set[tuple[str, str, int]] = set()
        """Numbers of records since it published its status."""

    def hear(self, t_s: float, zero_ns: int, message: ArrivedMessage) -> list[Heard]:
        if is_down(message.topic, self._prefix):
            return []
        try:
            found = decode(
                message.topic, message.payload, message.content_type, prefix=self._prefix
            )
        except WireError as error:
            return [undecodable(t_s, message.topic, str(error))]
        topic = message.topic
        return [self._heard(t_s, zero_ns, topic, one) for one in found if one.kind != "last"]

    def look(self, t_s: float) -> Seen:
        if self._run_dir is None:
            return self._published(t_s)
        try:
            self._status = ask_daemon(self._run_dir, "status", ASK_S) or {}
        except (VerbError, OSError):  # it stands still, or is being killed
            self._status = {}
        return seen_of(t_s, self._status)

    @property
    def wall_s(self) -> float | None:
        """Its wall clock at the last look, in whole seconds since 1970; None: it said nothing."""
        told = _map(self._status.get("clock")).get("wall_s")
        return float(told) if isinstance(told, int) else None

    def _published(self, t_s: float) -> Seen:
        """By the status that it has published last: of what waited then, some has come since."""
        seen = seen_of(t_s, self._status)
        if seen.queue is None:
            return seen
        return structs.replace(seen, queue=max(0, seen.queue - len(self._came)))

    def _heard(self, t_s: float, zero_ns: int, topic: str, one: DecodedMessage) -> Heard:
        data = one.data
        if one.kind == "status":
            self._status = data
            self._came.clear()
        stream = one.topic.stream or one.kind
        from_s = to_s = None
        if not self.shares_clock:
            from_s, to_s = (wall_s(data.get(key), zero_ns) for key in ("from", "to"))
        elif isinstance(mono := data.get("mono"), list):
            from_s, to_s = ((us * 1000 - zero_ns) / 1e9 for us in mono)
        seq = data.get("seq")
        if isinstance(seq, int):
            self._came.add((str(data.get("epoch", "")), stream, seq))
        return Heard(
            t_s=t_s, stream=stream, source=one.topic.source, epoch=str(data.get("epoch", "")),
            seq=seq if isinstance(seq, int) else 0, from_s=from_s, to_s=to_s,
            body={TOPIC: topic, "kind": one.kind, **data},
        )  # fmt: skip


class ReaderAdapter:
    """A box of any maker, whose messages a function reads."""

    def __init__(self, filters: Sequence[str], reader: Reader) -> None:
        self.filters, self._reader = filters, reader
        self.shares_clock = False

    def hear(self, t_s: float, zero_ns: int, message: ArrivedMessage) -> list[Heard]:
        try:
            found = self._reader(message.topic, message.payload)
            return [_heard(t_s, zero_ns / 1e9, message.topic, one) for one in found]
        except UNREADABLE as error:
            why = str(error) if isinstance(error, ValueError) else repr(error)
            return [undecodable(t_s, message.topic, why)]

    def look(self, t_s: float) -> Seen:
        return Seen(t_s=t_s)


def seen_of(t_s: float, status: Mapping[str, Any]) -> Seen:
    """The status of a gateway of ours, by its socket or as it was published."""
    outbox, link = (_map(status.get(key)) for key in ("outbox", "link"))
    health = _map(_map(status.get("box")).get("health"))
    queue = outbox.get("rows", health.get("queue_rows"))
    if isinstance(queue, int) and isinstance(arrived := outbox.get("confirmed"), int):
        queue = max(0, queue - arrived)  # those go with the next commit
    connected = link.get("connected", health.get("connected"))
    issues = status.get("issues") if isinstance(status.get("issues"), list) else []
    rows = [row for row in cast("list[Any]", issues) if isinstance(row, dict)]
    return Seen(
        t_s=t_s,
        queue=queue if isinstance(queue, int) else None,
        connected=connected if isinstance(connected, bool) else None,
        issues=tuple(f"{row.get('kind', '')} {row.get('about', '')}".strip() for row in rows),
    )


def undecodable(t_s: float, topic: str, why: str) -> Heard:
    """A message that the adapter cannot read: it is shown, and expected by nobody."""
    why = why[:TEXT_LIMIT].encode("utf-8", "backslashreplace").decode()  # it may quote anything
    return Heard(t_s=t_s, stream="undecodable", source="", body={TOPIC: topic, "text": why})


def wall_s(text: object, zero_ns: int) -> float | None:
    """A time in ISO 8601, in seconds after `zero_ns` since 1970."""
    if not isinstance(text, str):
        return None
    try:
        return datetime.fromisoformat(text).timestamp() - zero_ns / 1e9
    except (ValueError, OverflowError):
        return None


def load_reader(name: str) -> ReaderAdapter:
    """`module:function`: a function that is called without arguments, and gives the topic filters
    and a Reader. The module may lie in the folder where one works. Raises ConfigError."""
    module, _, function = name.partition(":")
    try:
        with _found_here():
            made = getattr(importlib.import_module(module), function)()
        filters, reader = made
        return ReaderAdapter([str(one) for one in filters], reader)
    except (ImportError, AttributeError, TypeError, ValueError) as error:
        raise ConfigError(
            f"--adapter {name}: write MODULE:FUNCTION, a function that gives a list of topic "
            f"filters and a function from topic and payload to records ({error})"
        ) from error


@contextlib.contextmanager
def _found_here() -> Iterator[None]:
    """As with `python -m`; a command that was installed has only its own folder."""
    here = str(Path.cwd())
    sys.path.insert(0, here)
    try:
        yield
    finally:
        with contextlib.suppress(ValueError):
            sys.path.remove(here)


def _heard(t_s: float, zero_s: float, topic: str, said: Said) -> Heard:
    """As a run's file will have it: a judge who reads that must see the same. Raises one of
    UNREADABLE for what no file can hold."""
    from_s, to_s, sent_s = (_moment(one, zero_s) for one in (said.from_s, said.to_s, said.sent_s))
    body = {TOPIC: topic, **said.body, **({} if sent_s is None else {"sent_s": sent_s})}
    made = Heard(
        t_s=t_s, stream=said.stream, source=said.source, epoch=said.epoch, seq=said.seq,
        from_s=from_s, to_s=to_s, body=body,
    )  # fmt: skip
    return json.decode(json.encode(made), type=Heard)


def _moment(said_s: float | None, zero_s: float) -> float | None:
    if said_s is None:
        return None
    moment_s = convert(said_s, float) - zero_s
    if not abs(moment_s) < FAR_S:  # so is what is no number
        raise ValueError(f"{said_s:g} is no time")
    return moment_s


def _map(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}
