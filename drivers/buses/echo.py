"""What was just said, coming back: adapters on two wires hear themselves."""

from typing import Final

_SEVEN: Final = bytes(byte & 0x7F for byte in range(256))


class Echo:
    """Takes one echo of `said` out of the beginning of what comes after it.

    Only a whole copy that comes first is one. Bytes that may still become one are held back, and
    `release` gives them when nothing more comes: an answer may begin as its question did. Of
    characters of 7 `bits` the eighth is the parity, which a port takes away.
    """

    def __init__(self, sent: bytes, bits: int = 8) -> None:
        self._sent, self._seven = sent, bits == 7
        self._held = b""

    def without(self, chunk: bytes) -> bytes:
        """What of this came from somebody else."""
        if not self._sent or not chunk:
            return chunk
        held, size = self._held + chunk, len(self._sent)
        if self._plain(held[:size]) != self._plain(self._sent[: len(held)]):
            return self._end(held)
        if len(held) >= size:
            return self._end(held[size:])
        self._held = held
        return b""

    def release(self) -> bytes:
        """What was held back: nothing more has come, so it was no echo."""
        return self._end(self._held)

    def _end(self, rest: bytes) -> bytes:
        self._sent = self._held = b""
        return rest

    def _plain(self, data: bytes) -> bytes:
        return data.translate(_SEVEN) if self._seven else data
