"""The last frames on a wire, for a person who looks at them, and for the flight recorder.

A bus has a `tap` while somebody wants its frames: its thread then writes down what goes over the
wire, as it is. Who looks has to ask again and again: when nobody has asked for ASKED_NS, and the
recorder is off, the bus forgets its tap.
"""

from collections import deque
from dataclasses import dataclass
from threading import Lock
from typing import Final, Literal

FRAMES: Final = 64
BYTES: Final = 256  # of a frame that are kept
JOINED_NS: Final = 50_000_000  # pieces of one answer come with smaller pauses
ASKED_NS: Final = 30_000_000_000
RECORDED: Final = 512  # frames that the recorder has not taken: 80 kB, of the longest 210 kB
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
    """Belongs to a bus's thread, but for `asked`, `frames` and `take_recorded`: these may be called
    from another. `recorded`: frames are kept until they are taken, too; of more than RECORDED the
    oldest are dropped."""

    def __init__(self, now_ns: int, *, recorded: bool = False) -> None:
        self._frames: deque[TappedFrame] = deque(maxlen=FRAMES)
        self._recorded: deque[TappedFrame] | None = deque(maxlen=RECORDED) if recorded else None
        self._asked_ns = now_ns
        self._lock = Lock()

    def asked(self, now_ns: int) -> None:
        """Somebody looks."""
        self._asked_ns = now_ns

    def add(self, way: Direction, data: bytes, now_ns: int, note: str = "") -> bool:
        """Write it down. False: nobody looks any more, and the bus forgets its tap."""
        if self._recorded is None and now_ns - self._asked_ns > ASKED_NS:
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
                last = TappedFrame(now_ns, way, data[:BYTES], len(data), note)
                self._frames.append(last)
                if self._recorded is not None:
                    self._recorded.append(last)
        return True

    def frames(self) -> list[TappedFrame]:
        """The oldest first."""
        with self._lock:
            return [_copied(each) for each in self._frames]

    def take_recorded(self) -> list[TappedFrame]:
        """Those since the last call, the oldest first."""
        with self._lock:
            if self._recorded is None:
                return []
            found = [_copied(each) for each in self._recorded]
            self._recorded.clear()
            return found


def _copied(frame: TappedFrame) -> TappedFrame:
    return TappedFrame(frame.at_ns, frame.way, frame.data, frame.size, frame.note)
