"""A simulated SDS011: it reports, answers commands, and keeps its working period.

Source: Nova Fitness "Laser Dust Sensor Control Protocol" V1.3; menschel/sds011 (with a working
period it reports once, when it has worked); mkfrey/sds011-esp-raw (asleep it obeys nothing but the
command to work); arendst/Tasmota (at rest it answers a query with its last values: `talks_asleep`).
"""

import time
from collections.abc import Callable, Mapping
from typing import Final

from drivers.sim._talker import Talker

Values = Mapping[str, float] | Callable[[float], Mapping[str, float]]

FAULTS: Final = ("silent", "half", "sum", "garbage", "zeros", "deaf")
VALUES, REPLY, TAIL = b"\xaa\xc0", b"\xaa\xc5", 0xAB
COMMAND: Final = b"\xaa\xb4"
COMMAND_SIZE: Final = 19
MODE, QUERY, ID, SLEEP, FIRMWARE, PERIOD = 2, 4, 5, 6, 7, 8
WORK_S: Final = 30.0
DATE: Final = (18, 11, 16)  # of its firmware


class Sds011(Talker):
    """One sensor behind `port`, as it leaves the factory: active, continuous.

    Faults: those of `FAULTS` ("deaf" does not reply to commands), and `bias`, which is added to a
    point. `zeros` frames of zeros come after a start. `writes` counts what went into its memory.
    """

    faults_known = FAULTS

    def __init__(
        self,
        values: Values,
        every_s: float = 1.0,
        zeros: int = 1,
        clock: Callable[[], float] = time.monotonic,
        fault: str = "",
        device_id: str = "58d9",
        talks_asleep: bool = False,
    ) -> None:
        super().__init__(every_s, fault)
        self.values, self.zeros, self.clock = values, zeros, clock
        self.device_id, self.talks_asleep = bytes.fromhex(device_id), talks_asleep
        self.bias: dict[str, float] = {}
        self.query = self.asleep = False
        self.period_min = self.writes = 0
        self._left = zeros
        self._since = clock()
        self._reported = -1  # in which of its periods it has reported

    @property
    def resting(self) -> bool:
        """Whether fan and laser stand still."""
        phase_s = (self.clock() - self._since) % (60 * self.period_min or WORK_S)
        return self.asleep or (self.period_min > 0 and phase_s >= WORK_S)

    def speak(self) -> bytes:
        """A report a second; with a working period one at its end."""
        if self.query or self.asleep:
            return b""
        if not self.period_min:
            return self._next()
        period, phase_s = divmod(self.clock() - self._since, 60 * self.period_min)
        if phase_s < WORK_S or self._reported == period:
            return b""
        self._reported = int(period)
        return self._next()

    def _next(self) -> bytes:
        found = self.values(self.clock()) if callable(self.values) else self.values
        counts = [found.get(key, 0.0) + self.bias.get(key, 0.0) for key in ("pm2_5", "pm10")]
        fault = self.due()
        if self._left > 0 or fault == "zeros":
            self._left -= self._left > 0
            counts = [0.0, 0.0]
        words = [max(0, min(0xFFFF, round(10 * count))).to_bytes(2, "little") for count in counts]
        data = self._framed(VALUES, b"".join(words))
        match fault:
            case "half":
                return data[:5]
            case "sum":
                return data[:-2] + bytes([data[-2] ^ 0x01, TAIL])
            case "garbage":
                return b"\xaa\xc0\x00\xab\xff" + data
        return data

    def _framed(self, start: bytes, data: bytes) -> bytes:
        body = data + self.device_id
        return start + body + bytes([sum(body) & 0xFF, TAIL])

    def hear(self, heard: bytes) -> bytes:
        """Obey commands of 19 bytes that are for it or for anybody."""
        while (at := heard.find(COMMAND)) >= 0 and len(heard) - at >= COMMAND_SIZE:
            command, heard = heard[at : at + COMMAND_SIZE], heard[at + COMMAND_SIZE :]
            whole = command[-2] == sum(command[2:-2]) & 0xFF and command[-1] == TAIL
            mine = command[15:17] in (b"\xff\xff", self.device_id)
            if whole and mine and not self.silent:
                self._obey(command[2], command[3] == 1, command[4])
        return heard[-COMMAND_SIZE:]

    def _obey(self, code: int, write: bool, value: int) -> None:
        wakes = code == SLEEP and write and value == 1
        if self.resting and not wakes and not (code == QUERY and self.talks_asleep):
            return
        if code == QUERY:
            self.send(self._next())
            return
        if code == MODE:
            self.writes += write
            self.query = bool(value) if write else self.query
            settings = [write, self.query, 0]
        elif code == SLEEP:
            settings = [write, self._sleeps(value) if write else not self.asleep, 0]
        elif code == PERIOD:
            if write:
                self.writes += 1
                self.period_min, self._since, self._reported = value, self.clock(), -1
            settings = [write, self.period_min, 0]
        elif code == FIRMWARE:
            settings = list(DATE)
        else:
            return
        if self.fault != "deaf":
            self.send(self._framed(REPLY, bytes([code, *settings])))

    def _sleeps(self, value: int) -> int:
        if value == 1 and self.asleep:
            self._left = self.zeros
            self._since, self._reported = self.clock(), -1
        self.asleep = value == 0
        return value


DEVICE: Final = Sds011
