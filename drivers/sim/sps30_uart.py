"""A simulated SPS30 on its UART: it answers SHDLC commands, and measures once it is started.

Source: Sensirion SPS30 datasheet, UART interface; drivers Sensirion/embedded-uart-sps and
Sensirion/python-uart-sps30. The pulse that wakes a sleeping module is any byte 0xFF.
"""

import struct
import time
from collections.abc import Callable, Mapping
from typing import Final

from drivers.sim._responder import Responder, TimedReply

Values = Mapping[str, float]

FAULTS: Final = ("silent", "late", "sum", "half", "garbage", "foreign", "fan", "laser", "speed")
KEYS: Final = (
    *("pm1_0", "pm2_5", "pm4_0", "pm10"),
    *("nc0_5", "nc1_0", "nc2_5", "nc4_0", "nc10"),
    "typical_size",
)
BITS: Final = {"fan": 4, "laser": 5, "speed": 21}
ERRORS: Final = 1 << 4 | 1 << 5  # those of which the state byte speaks
FLAG: Final = 0x7E
START, STOP, READ, SLEEP, WAKE, CLEAN = 0x00, 0x01, 0x03, 0x10, 0x11, 0x56
INTERVAL, INFO, VERSION, STATUS, RESET = 0x80, 0xD0, 0xD1, 0xD2, 0xD3
UNKNOWN, NOT_ALLOWED, WRONG_LENGTH = 0x02, 0x43, 0x01
SAMPLE_S: Final = 1.0
CLEANING_S: Final = 10.0
AWAKE_S: Final = 0.1  # for the command to wake, after the pulse
ANSWER_S: Final = 0.002


class Sps30Uart(Responder):
    """One module behind `port`. `firmware` before 2.2 has no status register.

    Commands in `deaf` it does not even refuse. Its first `zeros` samples after a start are zeros.

    Faults: those of `FAULTS`; the last three are bits of its status register. `damage` spoils
    nothing else. `power_cycle` makes it idle. `measuring` and `asleep` are for tests.
    """

    faults_known = FAULTS

    def __init__(
        self,
        values: Values,
        clock: Callable[[], float] = time.monotonic,
        fault: str = "",
        serial: str = "8CCABCFAE3201F49",
        firmware: tuple[int, int] = (2, 3),
    ) -> None:
        super().__init__(fault)
        self.values, self.clock = values, clock
        self.serial, self.firmware = serial, firmware
        self.measuring = self.asleep = False
        self.interval_s = 604_800
        self.deaf: set[int] = set()
        self.zeros = 0
        self._samples = 0  # since the start
        self._due_at = self._pulse_at = 0.0
        self._register = 0

    def misbehave(self, fault: str) -> None:
        before = self.fault
        super().misbehave(fault)
        if before in BITS and not fault:
            self.power_cycle()  # another module is in its place

    def power_cycle(self) -> None:
        """Off and on: it has forgotten that it measured."""
        self.measuring = self.asleep = False
        self._register = 0

    def hear(self, heard: bytes) -> tuple[bytes, list[TimedReply]]:
        """Whole frames among what came; what is damaged is not answered."""
        replies: list[TimedReply] = []
        if self.asleep and b"\xff" in heard:
            self._pulse_at = self.clock()
        while (start := heard.find(FLAG)) >= 0 and (end := heard.find(FLAG, start + 1)) >= 0:
            body = _unstuff(heard[start + 1 : end])
            heard = heard[end + bool(body) :]
            if body:
                replies += self._answered(body)
        return heard if FLAG in heard else b"", replies

    def tried(self) -> None:
        struct.pack(">10f", *(self.values.get(key, 0.0) for key in KEYS))

    def _answered(self, body: bytes) -> list[TimedReply]:
        command, data = body[1], body[3:-1]
        if self.asleep and (command != WAKE or self.clock() - self._pulse_at > AWAKE_S):
            self._pulse_at = self.clock()  # the first of two commands to wake is a pulse, too
            return []
        if command in self.deaf:
            return []
        fault = self.due()
        if fault in BITS:
            self._register |= 1 << BITS[fault]
        error, content = self._does(command, data)
        state = error | (0x80 if self._register & ERRORS else 0)
        frame = _framed(bytes([0, command, state, len(content)]) + content)
        match fault:
            case "silent":
                return []
            case "late":
                return [(self.late_s, frame)]
            case "half":
                return [(ANSWER_S, frame[: len(frame) // 2])]
            case "sum":
                return [(ANSWER_S, frame[:-2] + bytes([frame[-2] ^ 0x01, FLAG]))]
            case "garbage":
                return [(ANSWER_S, b"\xfe\x7e\x00\x13" + frame)]
            case "foreign":
                return [(ANSWER_S, _framed(bytes([0, command ^ 0x55, 0, 0])) + frame)]
        return [(ANSWER_S, frame)]

    def _does(self, command: int, data: bytes) -> tuple[int, bytes]:
        """What it answers: (error, data)."""
        now = self.clock()
        match command, data:
            case 0x00, b"\x01\x03":
                if self.measuring:
                    return NOT_ALLOWED, b""
                self.measuring, self._due_at, self._samples = True, now + SAMPLE_S, 0
                return 0, b""
            case 0x01, b"":
                if not self.measuring:
                    return NOT_ALLOWED, b""
                self.measuring = False
                return 0, b""
            case 0x03, b"":
                return self._read(now)
            case 0x10, b"":
                if self.measuring:
                    return NOT_ALLOWED, b""
                self.asleep = True
                return 0, b""
            case 0x11, b"":
                was, self.asleep = self.asleep, False
                return 0 if was else NOT_ALLOWED, b""
            case 0x56, b"":
                if not self.measuring:
                    return NOT_ALLOWED, b""
                self._due_at = now + CLEANING_S
                return 0, b""
            case 0x80, b"\x00":
                return 0, self.interval_s.to_bytes(4)
            case 0xD0, b"\x03":
                return 0, self.serial.encode() + b"\0"
            case 0xD0, b"\x00":
                return 0, b"00080000\0"
            case 0xD1, b"":
                return 0, bytes([*self.firmware, 0, 7, 0, 2, 0])
            case 0xD2, b"\x00" | b"\x01" if self.firmware >= (2, 2):
                content = self._register.to_bytes(4) + b"\0"
                if data == b"\x01":
                    self._register = 0
                return 0, content
            case 0xD3, b"":
                self.power_cycle()
                return 0, b""
        known = (START, STOP, READ, SLEEP, WAKE, CLEAN, INTERVAL, INFO, VERSION, RESET)
        return (WRONG_LENGTH if command in known else UNKNOWN), b""

    def _read(self, now: float) -> tuple[int, bytes]:
        if not self.measuring:
            return NOT_ALLOWED, b""
        if now < self._due_at:
            return 0, b""
        self._samples += int(1 + (now - self._due_at) // SAMPLE_S)
        self._due_at += SAMPLE_S * (1 + (now - self._due_at) // SAMPLE_S)
        values = {} if self._samples <= self.zeros else self.values
        return 0, struct.pack(">10f", *(values.get(key, 0.0) for key in KEYS))


def _unstuff(stuffed: bytes) -> bytes:
    """What is between two flags; b"" when it is not a whole request."""
    plain = bytearray()
    inner = iter(stuffed)
    for byte in inner:
        plain.append(next(inner, 0) ^ 0x20 if byte == 0x7D else byte)
    whole = len(plain) >= 4 and sum(plain) & 0xFF == 0xFF and plain[2] == len(plain) - 4
    return bytes(plain) if whole and plain[0] == 0 else b""


def _framed(body: bytes) -> bytes:
    body += bytes([~sum(body) & 0xFF])
    for plain in (0x7D, 0x7E, 0x11, 0x13):
        body = body.replace(bytes([plain]), bytes([0x7D, plain ^ 0x20]))
    return bytes([FLAG]) + body + bytes([FLAG])


DEVICE: Final = Sps30Uart
