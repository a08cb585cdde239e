"""Finding frames in what a serial line brought."""

from collections.abc import Callable

from edge.core import Framer


def partial_head(data: bytes, head: bytes) -> int:
    """How many bytes at the end of `data` may be the beginning of `head`: they have to stay."""
    return next((n for n in range(len(head) - 1, 0, -1) if data.endswith(head[:n])), 0)


def fixed_size_framer(head: bytes, size: int, is_whole: Callable[[bytes], bool]) -> Framer:
    """A cut for frames of one size that begin with `head`, among whatever else comes.

    One that is not whole is given too, so that the damage is seen, unless another begins inside it:
    then the first was only half.
    """

    def found(data: bytes) -> tuple[bytes | None, int]:
        start = data.find(head)
        if start < 0:
            return None, len(data) - partial_head(data, head)
        if len(data) - start < size:
            return None, start
        frame = data[start : start + size]
        if not is_whole(frame):
            inner = frame.find(head, 1)
            if inner < 0 and (some := partial_head(frame, head)):
                inner = size - some
            if inner > 0:
                return None, start + inner
        return frame, start + size

    return found


def filtered_framer(cut: Framer, fits: Callable[[bytes], bool]) -> Framer:
    """A cut that gives the next frame that fits, and passes over the others."""

    def mine(data: bytes) -> tuple[bytes | None, int]:
        done = 0
        while True:
            found, used = cut(data[done:])
            done += used
            if found is None or fits(found):
                return found, done

    return mine
