"""What simulated Plantower sensors share: frames of words with a sum, zeros at first, commands.

Source: Plantower PMS3003, PMS5003 and PMS7003 datasheets, transport protocol; drivers
avaldebe/PyPMS, ESPHome pmsx003.
"""

import struct
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import ClassVar, Final

from drivers.sim._talker import Talker

Values = Mapping[str, float] | Callable[[float], Mapping[str, float]]

FAULTS: Final = ("silent", "half", "sum", "garbage", "error", "zeros")
VERSION: Final = 0x97
ERROR: Final = 0x04  # of the fault of this name; the datasheet does not list the codes
MODE, READ, SLEEP = 0xE1, 0xE2, 0xE4
COMMAND: Final = 7  # bytes
MASS: Final = ("pm1_0", "pm2_5", "pm10")


@dataclass(frozen=True, slots=True)
class WordLayout:
    """The words of one model after the masses, each with its counts per unit, and what follows."""

    words: tuple[tuple[str, int], ...]
    reserved: tuple[int, ...] = ()
    errors: bool = True
    obeys: bool = True

    def frame(self, values: Mapping[str, float], error: int = 0) -> bytes:
        """One frame. Without values it is the frame of zeros of a sensor that starts."""
        masses = [_count(values.get(key, 0.0)) for key in MASS]
        others = [_count(values.get(key, 0.0) * scale, key) for key, scale in self.words]
        # indoors ("CF=1") and outdoors differ at high concentrations only; the same here
        reserved = self.reserved if values else (0,) * len(self.reserved)
        words = [*masses, *masses, *others, *reserved]
        body = struct.pack(f">{len(words)}H", *words)
        if self.errors:
            body += bytes([VERSION if values else 0, error])
        body = b"\x42\x4d" + (len(body) + 2).to_bytes(2) + body
        return body + sum(body).to_bytes(2)


def _count(value: float, key: str = "") -> int:
    if key == "temperature":
        return max(-0x8000, min(0x7FFF, round(value))) & 0xFFFF
    return max(0, min(0xFFFF, round(value)))


class Plantower(Talker):
    """One sensor behind `port`.

    Faults: those of `FAULTS`; `error` is its error code; `bias` is added to a point; `say` puts any
    bytes on the wire. `zeros` frames of zeros come after power-on.
    """

    faults_known: tuple[str, ...] = FAULTS
    FORM: ClassVar[WordLayout]

    def __init__(
        self,
        values: Values,
        every_s: float = 0.8,
        zeros: int = 2,
        clock: Callable[[], float] = time.monotonic,
        fault: str = "",
    ) -> None:
        super().__init__(every_s, fault)
        self.values, self.zeros, self.clock = values, zeros, clock
        self.error = 0
        self.bias: dict[str, float] = {}
        self.passive = self.asleep = False
        self._left = zeros

    def power_cycle(self) -> None:
        """Off and on: it starts with zeros, awake and in active mode."""
        self._left = self.zeros
        self.passive = self.asleep = False

    def speak(self) -> bytes:
        """Its next frame, unless it sleeps or waits to be asked."""
        return b"" if self.asleep or self.passive else self._next()

    def _next(self) -> bytes:
        if self._left > 0:
            self._left -= 1
            return self.FORM.frame({})
        found = self.values(self.clock()) if callable(self.values) else self.values
        values = {key: value + self.bias.get(key, 0.0) for key, value in found.items()}
        fault = self.due()
        data = self.FORM.frame(values, self.error or ERROR * (fault == "error"))
        match fault:
            case "half":
                return data[:17]
            case "sum":
                return data[:-1] + bytes([data[-1] ^ 0x01])
            case "garbage":
                return b"\x42\x00\xffBM\x00" + data
            case "zeros":
                return self.FORM.frame({})
        return data

    def hear(self, heard: bytes) -> bytes:
        """Obey a command of 7 bytes; a PMS3003 has none."""
        while (at := heard.find(b"\x42\x4d")) >= 0 and len(heard) - at >= COMMAND:
            command, heard = heard[at : at + COMMAND], heard[at + COMMAND :]
            if sum(command[:-2]) != int.from_bytes(command[-2:]) or self.silent:
                continue
            if self.FORM.obeys:
                self._obey(command[2], command[4])
        return heard[-COMMAND:]

    def _obey(self, command: int, argument: int) -> None:
        if command == MODE:
            self.passive = argument == 0
        elif command == SLEEP:
            if self.asleep and argument == 1:
                self._left = self.zeros
            self.asleep = argument == 0
        elif command == READ and not self.asleep:
            self.send(self._next())
            return
        answer = b"\x42\x4d\x00\x04" + bytes([command, argument])
        self.send(answer + sum(answer).to_bytes(2))
