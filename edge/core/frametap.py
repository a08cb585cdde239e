"""The last frames on a wire, for a person who looks at them: kept only while somebody looks.

A bus has a `tap`, which is None nearly always. When somebody has asked, the bus's thread writes
down what goes over the wire, as it is; when nobody has asked for ASKED_NS, it stops by itself.
"""

from collections import deque
from dataclasses import dataclass
from threading import Lock
from typing import Final, Literal

FRAMES: Final = 64
BYTES: Final = 256  # of a frame that are kept
JOINED_NS: Final = 50_000_000  # pieces of one answer come with smaller pauses
ASKED_NS: Final = 30_000_000_000
Direction = Literal["out", "in", "error"]


@dataclass(slots=True)
class TappedFrame:
    """`out`: we wrote it, `in`: we read it, `error`: neither, and `note` says why. `note` may name
    the address. `size` counts bytes, of which `data` has the first. Monotonic ns."""

    at_ns: int
    way: Direction
    data: bytes
    size: int
    note: str = ""


class FrameTap:
    """Belongs to a bus's thread, but for `asked` and `frames`: these may be called from another."""

    def __init__(self, now_ns: int) -> None:
        self._frames: deque[TappedFrame] = deque(maxlen=FRAMES)
        self._asked_ns = now_ns
        self._lock = Lock()

    def asked(self, now_ns: int) -> None:
        """Somebody looks."""
        self._asked_ns = now_ns

    def add(self, way: Direction, data: bytes, now_ns: int, note: str = "") -> bool:
        """Write it down. False: nobody looks any more, and the bus forgets its tap."""
        if now_ns - self._asked_ns > ASKED_NS:
            return False
        with self._lock:
            last = self._frames[-1] if self._frames else None
            if (
                last is not None
                and last.way == way == "in"
                and last.note == note
                and now_ns - last.at_ns < JOINED_NS
            ):
                last.data = (last.data + data)[:BYTES]
                last.size += len(data)
            else:
                self._frames.append(TappedFrame(now_ns, way, data[:BYTES], len(data), note))
        return True

    def frames(self) -> list[TappedFrame]:
        """The oldest first."""
        with self._lock:
            return [
                TappedFrame(each.at_ns, each.way, each.data, each.size, each.note)
                for each in self._frames
            ]
