"""A simulated ZH03B: it talks by itself or when it is asked, sleeps and wakes.

Source: Winsen ZH03B manual, serial port protocol; ShaggyDog18/SD_ZH03B (what confirms a command to
sleep or wake; nothing confirms a mode); order of an answer: avaldebe/PyPMS. That asleep it obeys
only the command to wake, and that it does not answer questions while it talks by itself, is the
strictest reading.

Faults: `silent` says nothing; `half`, `sum` and `garbage` spoil what it says; `zeros` is a sensor
without air; `deaf` confirms nothing.
"""

import struct
import time
from collections.abc import Callable, Mapping
from typing import Final

from drivers.sim._talker import Talker
from drivers.sim._winsen import SIZE, encode_frame, split_commands, spoil_frame

Values = Mapping[str, float] | Callable[[float], Mapping[str, float]]

FAULTS: Final = ("silent", "half", "sum", "garbage", "zeros", "deaf")
READ, MODE, REST = 0x86, 0x78, 0xA7
MASS: Final = ("pm1_0", "pm2_5", "pm10")


class Zh03b(Talker):
    """One sensor behind `port`. `zeros` frames of zeros come after a start.

    Faults: those of `FAULTS`; `bias` is added to a point; `say` puts any bytes on the wire.
    """

    faults_known = FAULTS

    def __init__(
        self,
        values: Values,
        every_s: float = 1.0,
        zeros: int = 2,
        clock: Callable[[], float] = time.monotonic,
        fault: str = "",
    ) -> None:
        super().__init__(every_s, fault)
        self.values, self.zeros, self.clock = values, zeros, clock
        self.bias: dict[str, float] = {}
        self.asked = self.asleep = False
        self._left = zeros

    def power_cycle(self) -> None:
        """Off and on: awake, and talking by itself."""
        self._left = self.zeros
        self.asked = self.asleep = False

    def speak(self) -> bytes:
        """A frame a second, unless it sleeps or waits to be asked."""
        if self.asleep or self.asked:
            return b""
        fault, (pm1, pm2_5, pm10) = self._next()
        body = b"\x42\x4d\x00\x14" + struct.pack(">9H", 0, 0, 0, pm1, pm2_5, pm10, 0, 0, 0)
        return spoil_frame(fault, body + sum(body).to_bytes(2))

    def hear(self, heard: bytes) -> bytes:
        """Obey whole commands."""
        left = heard
        for code, argument, rest in split_commands(heard):
            left = rest
            if not self.silent:
                self._obey(code, argument)
        return left[-SIZE:]

    def _obey(self, code: int, argument: int) -> None:
        if code == REST and argument in (0, 1):
            if self.asleep and argument == 0:
                self._left = self.zeros
            self.asleep = argument == 1
            if self.fault != "deaf":
                self.send(encode_frame(bytes((REST, 1))))
        elif self.asleep:
            return
        elif code == MODE and argument in (0x40, 0x41):
            self.asked = argument == 0x41
        elif code == READ and self.asked:
            fault, (pm1, pm2_5, pm10) = self._next()
            answer = encode_frame(bytes([READ]) + struct.pack(">3H", pm2_5, pm10, pm1))
            self.send(spoil_frame(fault, answer))

    def _next(self) -> tuple[str, list[int]]:
        """The fault that is due, and the three counts."""
        fault = self.due()
        if self._left > 0 or fault == "zeros":
            self._left -= self._left > 0
            return fault, [0, 0, 0]
        found = self.values(self.clock()) if callable(self.values) else self.values
        masses = [found.get(key, 0.0) + self.bias.get(key, 0.0) for key in MASS]
        return fault, [max(0, min(0xFFFF, round(mass))) for mass in masses]


DEVICE: Final = Zh03b
