"""A serial port that is written and read as it is, to see whether its wires carry anything."""

import time
from typing import Final, Self

import serial

BAUD: Final = 9600
STEP_S: Final = 0.1


class SerialProbe:
    """Open from the begin, at 9600 baud 8N1. Raises OSError for a port that cannot be had."""

    def __init__(self, port: str) -> None:
        try:
            self._port = serial.Serial(port, BAUD, timeout=STEP_S, write_timeout=STEP_S * 10,
                                       exclusive=True)  # fmt: skip
        except serial.SerialException as error:
            raise OSError(f"{port}: {error}") from error

    def write(self, data: bytes) -> None:
        """All of it. Raises OSError."""
        self._port.reset_input_buffer()
        self._port.write(data)
        self._port.flush()

    def read(self, count: int, within_s: float) -> bytes:
        """What came, up to so many bytes and for so long."""
        found, end_s = b"", time.monotonic() + within_s
        while len(found) < count and time.monotonic() < end_s:
            found += self._port.read(count - len(found))
        return found

    def close(self) -> None:
        """Always safe."""
        self._port.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
