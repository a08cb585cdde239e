"""The file of a recording: what came in, window by window, and what was made of it.

Frames as those of the stage; each body is MessagePack, deflated by zlib. First the head, then a
frame for each window. A window holds its segment of the stage byte by byte, so there is one format
of input; beside it stand how it was closed, the records that it gave, and the bytes on the buses.
The first window has the memory of the pipeline at its begin, too (`memoryimage`).
"""

import io
import zlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, Final, TypeVar

import msgpack
import msgspec

from edge.core import Draft
from edge.durable.framedlog import FrameFormat
from edge.durable.readfile import read_file
from edge.gateway.windowend import WindowEnd
from edge.wire.contract.body import body_map

VERSION: Final = 1
FRAMES: Final = FrameFormat(limit=32 << 20)
LONGEST: Final = 64 << 20  # bytes of one frame, inflated
MOST: Final = 256 << 20  # bytes of all frames, inflated
LONGEST_STATE: Final = 16 << 20  # with 64 lanes it has 4 MB
LARGEST: Final = 128 << 20  # bytes of a file that is read
QUICK: Final = 1  # zlib's level: a window is packed in the main loop

T = TypeVar("T")
BusFrame = tuple[int, str, bytes, int, str]
"""When it was (monotonic ns), out, in or error, its first bytes, its size, a note."""


class RecordingError(Exception):
    """It is no recording, or one of another version."""


@dataclass(frozen=True, slots=True)
class RecordingHead:
    """Whose it is and why it was kept. Monotonic ns of `boot`; `wall_offset_ns` makes wall time of
    them, None: nobody knew it. `setup` says what the engine was made of, see `setup_digest`."""

    site: str
    gateway: str
    boot: str
    program: str
    setup: str
    from_ns: int
    to_ns: int
    frozen_ns: int
    wall_offset_ns: int | None
    reasons: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class RecordedWindow:
    """`records` are those of its close, behind the events that did not wait for it, packed by
    `pack_drafts`; `models` says who answered for each model; `state` is of before the window."""

    end: WindowEnd
    segment: bytes
    records: tuple[bytes, ...]
    models: Mapping[str, str]
    frames: Mapping[str, Sequence[BusFrame]] = field(default_factory=dict)
    state: bytes = b""  # none: it goes on from the window before


def pack_drafts(drafts: Iterable[Draft]) -> list[bytes]:
    """Each as stream, source, from, to and body: what makes a record, but for its number."""
    return [
        msgpack.packb([str(d.stream), d.source, d.from_ns, d.to_ns, body_map(d.body)])
        for d in drafts
    ]


def pack_window(window: RecordedWindow) -> bytes:
    """Its frame, without `state`: that is set when it is known which window is the first."""
    body = {
        "end": window.end.snapshot(),
        "segment": window.segment,
        "records": list(window.records),
        "models": dict(window.models),
        "frames": {bus: [list(each) for each in frames] for bus, frames in window.frames.items()},
    }
    return _packed(body)


def pack_recording(head: RecordingHead, state: bytes, windows: Iterable[bytes]) -> bytes:
    """All of a file. `state` is the image at its begin (MessagePack), `windows` are frames."""
    first = {"recording": VERSION, **asdict(head)}
    return b"".join([_packed(first), _packed({"state": state}), *windows])


def read_head(path: Path) -> RecordingHead:
    """Raises OSError or RecordingError."""
    with path.open("rb") as file:
        return _head(next(_bodies(file), None))


def read_recording(path: Path) -> tuple[RecordingHead, list[RecordedWindow]]:
    """Raises OSError or RecordingError, also for one whose end is missing."""
    data = read_file(path, limit=LARGEST)
    if data is None:
        raise RecordingError("it is not there")
    bodies = _bodies(io.BytesIO(data))
    head = _head(next(bodies, None))
    state = _decoded(next(bodies, b""), _StateBody).state
    if len(state) > LONGEST_STATE:
        raise RecordingError("it is damaged: its state is too long")
    try:
        windows = [_window(_decoded(each, _WindowBody)) for each in bodies]
    except (TypeError, ValueError) as error:
        raise RecordingError(f"it is damaged: {error!r:.100}") from error
    if not windows or windows[-1].end.end_ns != head.to_ns:
        raise RecordingError("its end is missing")
    windows[0] = replace(windows[0], state=state)
    return head, windows


def without_frames(path: Path) -> bytes:
    """The same recording without the bytes on buses: a meter's password may be among them. Raises
    as `read_recording`."""
    head, windows = read_recording(path)
    return pack_recording(
        head, windows[0].state, (pack_window(replace(each, frames={})) for each in windows)
    )


class _Version(msgspec.Struct):
    recording: int


class _StateBody(msgspec.Struct):
    state: bytes


class _WindowBody(msgspec.Struct):
    """What a file holds is decoded as this: else 60 kB of it could become 4 GB of empty lists."""

    end: tuple[
        int, bool, float | None, dict[str, list[str]], dict[str, list[str]], bool, bool
    ]  # fmt: skip
    segment: bytes
    records: tuple[bytes, ...]
    models: dict[str, str]
    frames: dict[str, list[BusFrame]]


def _window(body: _WindowBody) -> RecordedWindow:
    """Raises TypeError or ValueError."""
    return RecordedWindow(
        WindowEnd.restore(body.end), body.segment, body.records, body.models, body.frames
    )


def _head(body: bytes | None) -> RecordingHead:
    try:
        version = msgspec.msgpack.decode(body or b"", type=_Version).recording
    except (msgspec.MsgspecError, RecursionError, ValueError) as error:
        raise RecordingError("it is no recording of a gateway") from error
    if version != VERSION:
        raise RecordingError(f"it is of version {version!r:.20}; this program reads {VERSION}")
    return _decoded(body or b"", RecordingHead)


def _decoded(body: bytes, kind: type[T]) -> T:
    try:
        return msgspec.msgpack.decode(body, type=kind)
    except (msgspec.MsgspecError, RecursionError, ValueError) as error:
        raise RecordingError(f"it is damaged: {error!r:.100}") from error


def _packed(body: Any) -> bytes:
    return FRAMES.pack(zlib.compress(msgpack.packb(body), QUICK))


def _bodies(file: Any) -> Iterator[bytes]:
    left = MOST
    for packed, _ in FRAMES.read(file):
        if packed is None:
            raise RecordingError("it is damaged")
        inflating = zlib.decompressobj()
        try:
            body = inflating.decompress(packed, min(LONGEST, left) + 1)
        except zlib.error as error:
            raise RecordingError(f"it is damaged: {error!r:.100}") from error
        left -= len(body)
        if len(body) > LONGEST or left < 0 or not inflating.eof:
            raise RecordingError("it is damaged: a frame is too long, or has no end")
        yield body
