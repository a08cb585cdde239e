"""A simulated Canoga loop card: it tells the newest vehicle of each of its four channels.

Source: mnit-rtmc/iris, package comm.canoga. What a real card does with a damaged request, or one
that it does not know, is not public: this one stays silent.
"""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Final

from drivers.sim._responder import NOISE, Responder, TimedReply

Values = Mapping[str, float]

FAULTS: Final = ("silent", "late", "sum", "half", "garbage", "first_byte")
CHANNELS: Final = 4
ANYBODY: Final = 255
ANSWER_S: Final = 0.005
OWN_S: Final = 0.4  # how long a vehicle of its own stays


@dataclass(frozen=True, slots=True)
class Vehicle:
    """The newest of a channel."""

    duration_ms: int = 0
    start_ms: int = 0
    count: int = 0
    state: int = 0


class Canoga(Responder):
    """One card behind `port`, or one of several on a line.

    `values` gives what it has counted (`ch1_volume`) and its state (`ch1_state`). A vehicle comes
    with `passes`; with `every_s` one comes by itself on each channel that often. Faults: those of
    `FAULTS` ("first_byte" is lost, and a zero behind makes up for it: the checksum is right).
    """

    faults_known = FAULTS

    def __init__(
        self,
        values: Values,
        clock: Callable[[], float] = time.monotonic,
        fault: str = "",
        address: int = 0,
        serial: str = "C924-0012345",
        every_s: float = 0.0,
    ) -> None:
        super().__init__(fault)
        self.clock, self.address, self.serial, self.every_s = clock, address, serial, every_s
        self.channels = [
            Vehicle(
                count=int(values.get(f"ch{number}_volume", 0)) & 0xFF,
                state=int(values.get(f"ch{number}_state", 0)) & 0xFF,
            )
            for number in range(1, CHANNELS + 1)
        ]
        self.reset_at = self._own_at = clock()

    def passes(self, channel: int, start_ms: int, duration_ms: int) -> None:
        """A vehicle has left the loop of channel 1 to 4."""
        before = self.channels[channel - 1]
        self.channels[channel - 1] = replace(
            before,
            duration_ms=duration_ms & 0xFFFFFF,
            start_ms=start_ms & 0xFFFFFFFF,
            count=(before.count + 1) & 0xFF,
        )

    def reset(self) -> None:
        """It lost power: clock and counts begin anew."""
        self.channels = [Vehicle(state=each.state) for each in self.channels]
        self.reset_at = self._own_at = self.clock()

    def hear(self, heard: bytes) -> tuple[bytes, list[TimedReply]]:
        """Questions of 8 bytes that are for it."""
        replies: list[TimedReply] = []
        while (at := heard.find(b"<08")) >= 0 and len(heard) - at >= 8:
            question, heard = heard[at : at + 8], heard[at + 8 :]
            if question != _summed(question[:-3]) or question[3] not in (self.address, ANYBODY):
                continue
            answer = self._reply(question[4:5])
            if answer:
                replies += self._spoilt(answer)
        return heard[-8:], replies

    def _reply(self, code: bytes) -> bytes:
        if code == b"*":
            self._own()
            return _events(self.channels)
        if code in (b"a", b"B"):
            text = self.serial.encode()[:12].ljust(12) if code == b"a" else b"1.25 (2007)"[:10]
            return _summed(b"<%02X%c" % (len(text) + 8, self.address) + code + text)
        return b""

    def _own(self) -> None:
        """Vehicles that came by themselves since it was asked last."""
        while self.every_s and self._own_at + self.every_s <= self.clock():
            self._own_at += self.every_s
            start_ms = int((self._own_at - self.reset_at - OWN_S) * 1000)
            for channel in range(1, CHANNELS + 1):
                self.passes(channel, max(0, start_ms), int(OWN_S * 1000))

    def _spoilt(self, data: bytes) -> list[TimedReply]:
        match self.due():
            case "silent":
                return []
            case "late":
                return [(self.late_s, data)]
            case "half":
                return [(ANSWER_S, data[: len(data) // 2])]
            case "sum":
                return [(ANSWER_S, bytes([data[0] ^ 0x01]) + data[1:])]
            case "garbage":
                return [(ANSWER_S, NOISE + data)]
            case "first_byte":
                return [(ANSWER_S, data[1:] + b"\0")]
        return [(ANSWER_S, data)]


def _events(channels: list[Vehicle]) -> bytes:
    event_bytes = b"".join(
        each.duration_ms.to_bytes(3) + each.start_ms.to_bytes(4) + bytes([each.count, each.state])
        for each in channels
    )
    return event_bytes + bytes([_xor(event_bytes)])


def _xor(data: bytes) -> int:
    found = 0
    for byte in data:
        found ^= byte
    return found


def _summed(head: bytes) -> bytes:
    return head + b"%02X>" % _xor(head)


DEVICE: Final = Canoga
