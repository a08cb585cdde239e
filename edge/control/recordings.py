"""Recordings of the flight recorder, fetched from a running daemon piece by piece."""

import base64
import binascii
from collections.abc import Callable, Mapping
from typing import Any, Final

from edge.control.protocol import VerbError

LARGEST: Final = 64 << 20  # bytes of a recording
NO_RECORDING: Final = "the daemon's answer is no recording"
Ask = Callable[..., Mapping[str, Any]]
"""Arguments of the verb `recorder` -> its answer. Raises VerbError."""


def fetch_recording(ask: Ask, number: int) -> bytes:
    """All of one that is there. Raises VerbError."""
    data = bytearray()
    while True:
        piece = ask(act="read", number=number, at=len(data))
        try:
            data += base64.b64decode(piece["data"], validate=True)
            size = int(piece["size"])
        except (KeyError, TypeError, ValueError, binascii.Error) as error:
            raise VerbError(f"{NO_RECORDING}: {error!r}") from error
        if len(data) >= size:
            return bytes(data)
        if not piece["data"] or size > LARGEST:
            raise VerbError(NO_RECORDING)
