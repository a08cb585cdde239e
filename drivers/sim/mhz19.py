"""A simulated MH-Z19: it answers what it is asked, and starts as slowly as the real one.

Source: Winsen MH-Z19B manual, serial port protocol; zeros right after power-on: avaldebe/PyPMS.
That it tells a fixed value while it heats up is what its users report. It confirms the command for
its self-calibration, as some models do.

Faults: `silent` says nothing; `late` answers after the question has been given up; `half`, `sum`
and `garbage` spoil the answer; `zeros` is a sensor that does not come to itself.
"""

import time
from collections.abc import Callable, Mapping
from typing import Final

from drivers.sim._responder import Responder, TimedReply
from drivers.sim._winsen import SIZE, encode_frame, split_commands, spoil_frame

Values = Mapping[str, float] | Callable[[float], Mapping[str, float]]

FAULTS: Final = ("silent", "late", "half", "sum", "garbage", "zeros")
READ, SELF_CALIBRATION = 0x86, 0x79
ZEROS_S: Final = 2.0
HEATING_S: Final = 180.0
HEATING_PPM: Final = 410
ANSWER_S: Final = 0.01


class Mhz19(Responder):
    """One sensor behind `port`, running for `powered_s`.

    Faults: those of `FAULTS`; `bias` is added to a point. `self_calibrating` is as it was told.
    """

    faults_known = FAULTS

    def __init__(
        self,
        values: Values,
        powered_s: float = 0.0,
        clock: Callable[[], float] = time.monotonic,
        fault: str = "",
    ) -> None:
        super().__init__(fault)
        self.values, self.clock = values, clock
        self.bias: dict[str, float] = {}
        self.self_calibrating = True
        self._powered_at = clock() - powered_s

    def power_cycle(self) -> None:
        """Off and on: it heats up again, and calibrates itself."""
        self._powered_at = self.clock()
        self.self_calibrating = True

    def hear(self, heard: bytes) -> tuple[bytes, list[TimedReply]]:
        """Answer whole commands."""
        replies: list[TimedReply] = []
        left = heard
        for code, argument, rest in split_commands(heard):
            left = rest
            if code == READ:
                replies += self._reply()
            elif code == SELF_CALIBRATION and self.fault != "silent":
                self.self_calibrating = argument == 0xA0
                replies.append((ANSWER_S, encode_frame(bytes((code, 1)))))
        return left[-SIZE:], replies

    def _reply(self) -> list[TimedReply]:
        fault = self.due()
        if fault == "silent":
            return []
        data = spoil_frame(fault, encode_frame(bytes([READ]) + self._held(fault)))
        return [(ANSWER_S + self.late_s * (fault == "late"), data)]

    def _held(self, fault: str) -> bytes:
        now = self.clock()
        powered_s = now - self._powered_at
        if fault == "zeros" or powered_s < ZEROS_S:
            return bytes(6)
        found = self.values(now) if callable(self.values) else self.values
        values = {key: value + self.bias.get(key, 0.0) for key, value in found.items()}
        ppm = HEATING_PPM if powered_s < HEATING_S else round(values.get("co2", 0.0))
        inner = round(values.get("inner_temperature", 25.0)) + 40
        return max(0, min(0xFFFF, ppm)).to_bytes(2) + bytes((max(0, min(255, inner)), 0, 0, 0))


DEVICE: Final = Mhz19
