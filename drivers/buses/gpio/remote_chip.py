"""A simulated GPIO chip behind a Unix socket, with the parts of `gpiod.Chip` that we use.

A connection stands for a file descriptor of the kernel: one for the chip, one for each requested
line. When a process dies its connections end, and with them its requests. Packets, one at a time
(SOCK_SEQPACKET): we send a JSON object, the simulator answers with a JSON object or, to `read`,
with `E` and rows of (stamp, number in the request, number of the line, rising). A lone `!` comes
when edges wait, which makes the descriptor readable, as the kernel does.
"""

import errno
import json
import os
import select
import socket
import struct
import threading
from collections.abc import Callable, Mapping
from datetime import timedelta
from typing import Any, Final, Protocol

import gpiod
from gpiod.line import Bias, Clock, Direction, Drive, Edge, Value

PACKET: Final = 65_536  # longer than any answer: 1024 rows of 17 bytes
ANSWER_S: Final = 2.0  # a simulator that says nothing for so long is as good as gone
WAITING: Final = b"!"
ROW: Final = struct.Struct("<QIIB")
READ_MAX: Final = 1024
RISING: Final = gpiod.EdgeEvent.Type.RISING_EDGE.value
FALLING: Final = gpiod.EdgeEvent.Type.FALLING_EDGE.value
BIAS: Final = {
    Bias.AS_IS: "none",
    Bias.DISABLED: "none",
    Bias.PULL_UP: "up",
    Bias.PULL_DOWN: "down",
}


class PacketLink(Protocol):
    """A connection that keeps packets apart; `socket.socket` is one."""

    def fileno(self) -> int: ...
    def send(self, data: bytes, /) -> int: ...
    def recv(self, size: int, /) -> bytes: ...
    def close(self) -> None: ...


class _PacketDialogue:
    """Question and answer over one link. Raises OSError: ENODEV when the simulator is gone."""

    def __init__(self, link: PacketLink) -> None:
        self._link: PacketLink | None = link
        self._lock = threading.Lock()  # a LED may be set while another thread reads

    @property
    def link(self) -> PacketLink:
        if self._link is None:
            raise gpiod.RequestReleasedError
        return self._link

    def ask(self, question: Mapping[str, Any]) -> bytes:
        with self._lock:
            link = self.link
            try:
                link.send(json.dumps(question).encode())
                answer = link.recv(PACKET)
                while answer == WAITING:  # it comes again after the answer if edges still wait
                    answer = link.recv(PACKET)
            except (BrokenPipeError, ConnectionResetError, TimeoutError) as error:
                raise OSError(errno.ENODEV, "the simulated chip is gone") from error
        if not answer:
            raise OSError(errno.ENODEV, "the simulated chip is gone")
        return answer

    def ask_map(self, question: Mapping[str, Any], **kinds: type) -> dict[str, Any]:
        """As `ask`, for an answer that is an object with fields of these kinds."""
        try:
            answer = json.loads(self.ask(question))
        except ValueError as error:
            raise OSError(errno.EPROTO, "the simulated chip does not talk as agreed") from error
        if not isinstance(answer, dict):
            raise OSError(errno.EPROTO, "the simulated chip does not talk as agreed")
        number = answer.get("errno")
        if isinstance(number, int) and number:
            raise OSError(number, os.strerror(number))
        if not all(isinstance(answer.get(name), kind) for name, kind in kinds.items()):
            raise OSError(errno.EPROTO, "the simulated chip does not talk as agreed")
        return answer

    def close(self) -> None:
        with self._lock:
            if self._link is not None:
                self._link.close()
                self._link = None


class RemoteChip:
    """The chip. `connect` opens one more link to it."""

    def __init__(self, connect: Callable[[], PacketLink], name: str = "sim") -> None:
        self._connect, self.name = connect, name
        self._talk = _PacketDialogue(connect())

    @classmethod
    def at(cls, path: str) -> "RemoteChip":
        """The chip that a simulator serves at a path. Raises OSError (ENOENT, ECONNREFUSED)."""

        def connect() -> PacketLink:
            link = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
            try:
                link.settimeout(ANSWER_S)
                link.connect(path)
            except OSError:
                link.close()
                raise
            return link

        return cls(connect, path)

    def get_info(self) -> gpiod.ChipInfo:
        answer = self._talk.ask_map({"do": "chip"}, label=str, lines=int)
        return gpiod.ChipInfo(self.name, answer["label"], answer["lines"])

    def get_line_info(self, line: int) -> gpiod.LineInfo:
        answer = self._talk.ask_map({"do": "line", "line": line}, name=str, consumer=str)
        consumer = answer["consumer"]
        return gpiod.LineInfo(
            line,
            answer["name"],
            bool(consumer),
            consumer,
            Direction.INPUT.value,
            False,
            Bias.UNKNOWN.value,
            Drive.PUSH_PULL.value,
            Edge.NONE.value,
            Clock.MONOTONIC.value,
            False,
            0,
        )

    def request_lines(
        self, config: Mapping[int, gpiod.LineSettings], consumer: str, event_buffer_size: int
    ) -> "RemoteRequest":
        """Request one line. Raises OSError: EBUSY when another has it, EINVAL for no such line."""
        ((line, settings),) = config.items()
        talk = _PacketDialogue(self._connect())
        try:
            talk.ask_map(
                {
                    "do": "request",
                    "line": line,
                    "consumer": consumer,
                    "buffer": event_buffer_size,
                    "settings": _settings_map(settings),
                }
            )
        except OSError:
            talk.close()
            raise
        return RemoteRequest(talk, line)

    def close(self) -> None:
        self._talk.close()


class RemoteRequest:
    """One line that is ours, as `gpiod.LineRequest` has it. Events are real `gpiod.EdgeEvent`s."""

    def __init__(self, talk: _PacketDialogue, line: int) -> None:
        self._talk, self._line = talk, line
        self._waiting = False  # known from an answer, though its `!` may still be on the way

    @property
    def fd(self) -> int:
        return self._talk.link.fileno()

    def get_value(self, line: int) -> Value:
        answer = self._talk.ask_map({"do": "get"}, level=int, waiting=int)
        self._waiting = answer["waiting"] > 0
        return Value.ACTIVE if answer["level"] else Value.INACTIVE

    def set_value(self, line: int, value: Value) -> None:
        self._talk.ask_map({"do": "set", "level": int(value is Value.ACTIVE)})

    def reconfigure_lines(self, config: Mapping[int, gpiod.LineSettings]) -> None:
        self._talk.ask_map({"do": "reconfigure", "settings": _settings_map(config[self._line])})

    def wait_edge_events(self, timeout: timedelta | float | None = None) -> bool:
        if self._waiting:
            return True
        seconds = timeout.total_seconds() if isinstance(timeout, timedelta) else timeout
        poll = select.poll()
        poll.register(self.fd, select.POLLIN)
        return bool(poll.poll(None if seconds is None else seconds * 1000))

    def read_edge_events(self, max_events: int | None = None) -> list[gpiod.EdgeEvent]:
        """What waits, the oldest first; unlike the kernel it does not block when nothing does."""
        self._waiting = False
        answer = self._talk.ask({"do": "read", "max": min(max_events or READ_MAX, READ_MAX)})
        if answer[:1] != b"E" or (len(answer) - 1) % ROW.size:
            raise OSError(errno.EPROTO, "the simulated chip does not talk as agreed")
        return [
            gpiod.EdgeEvent(RISING if rising else FALLING, mono_ns, self._line, number, seqno)
            for mono_ns, number, seqno, rising in ROW.iter_unpack(answer[1:])
        ]

    def release(self) -> None:
        self._talk.close()


def _settings_map(settings: gpiod.LineSettings) -> dict[str, Any]:
    """Settings in words that need no libgpiod on the other side. Raises OSError (EOPNOTSUPP) for an
    output that only pulls: a simulated chip has none."""
    if settings.drive is not Drive.PUSH_PULL:
        raise OSError(errno.EOPNOTSUPP, "a simulated chip drives its outputs both ways")
    return {
        "direction": "output" if settings.direction is Direction.OUTPUT else "input",
        "bias": BIAS[settings.bias],
        "edges": settings.edge_detection.name.lower(),
        "debounce_ns": settings.debounce_period // timedelta(microseconds=1) * 1000,
        "level": int(settings.output_value is Value.ACTIVE),
    }
