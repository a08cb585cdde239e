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
from typing import Any, Final

import msgpack

from edge.core import Draft
from edge.durable.framedlog import FrameFormat
from edge.durable.readfile import read_file
from edge.gateway.windowend import WindowEnd
from edge.wire.contract.body import body_map

VERSION: Final = 1
FRAMES: Final = FrameFormat(limit=32 << 20)
LONGEST: Final = 64 << 20  # bytes of one frame, inflated
LARGEST: Final = 128 << 20  # bytes of a file that is read
QUICK: Final = 1  # zlib's level: a window is packed in the main loop

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
    try:
        state = bytes(next(bodies)["state"])
        windows = [_window(each) for each in bodies]
        if not windows or windows[-1].end.end_ns != head.to_ns:
            raise RecordingError("its end is missing")
    except (AttributeError, LookupError, StopIteration, TypeError, ValueError) as error:
        raise RecordingError(f"it is damaged: {error!r:.100}") from error
    windows[0] = replace(windows[0], state=state)
    return head, windows


def without_frames(path: Path) -> bytes:
    """The same recording without the bytes on buses: a meter's password may be among them. Raises
    as `read_recording`."""
    head, windows = read_recording(path)
    return pack_recording(
        head, windows[0].state, (pack_window(replace(each, frames={})) for each in windows)
    )


def _window(body: Any) -> RecordedWindow:
    frames = {
        str(bus): [
            (int(at), str(way), bytes(data), int(size), str(note))
            for at, way, data, size, note in each
        ]
        for bus, each in dict(body["frames"]).items()
    }
    return RecordedWindow(
        WindowEnd.restore(body["end"]),
        bytes(body["segment"]),
        tuple(map(bytes, body["records"])),
        {str(name): str(who) for name, who in dict(body["models"]).items()},
        frames,
    )


def _head(body: Any) -> RecordingHead:
    try:
        version = body.pop("recording")
        if version != VERSION:
            raise RecordingError(f"it is of version {version!r:.20}; this program reads {VERSION}")
        return RecordingHead(**{**body, "reasons": tuple(map(str, body["reasons"]))})
    except (AttributeError, LookupError, TypeError) as error:
        raise RecordingError("it is no recording of a gateway") from error


def _packed(body: Any) -> bytes:
    return FRAMES.pack(zlib.compress(msgpack.packb(body), QUICK))


def _bodies(file: Any) -> Iterator[Any]:
    for packed, _ in FRAMES.read(file):
        if packed is None:
            raise RecordingError("it is damaged")
        inflating = zlib.decompressobj()
        try:
            body = inflating.decompress(packed, LONGEST)
            if inflating.unconsumed_tail or not inflating.eof:
                raise RecordingError("it is damaged: a frame is too long")
            yield msgpack.unpackb(body, strict_map_key=False)
        except (zlib.error, ValueError) as error:
            raise RecordingError(f"it is damaged: {error!r:.100}") from error
