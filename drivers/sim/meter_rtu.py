"""Simulated meters on a serial port that somebody else has opened, or on a pseudo-terminal.

Bytes leave as fast as the port takes them: on a real adapter the wire gives the time. (For a
pseudo-terminal with the true time of a wire there is `meter_line`.)
"""

from collections.abc import Mapping
from typing import Final

from drivers.sim._responder import Responder, TimedReply
from drivers.sim.meter_line import checksum, encode_frame
from drivers.sim.meter_unit import Unit

REQUEST: Final = 8  # bytes of a read of registers
FUNCTIONS: Final = (3, 4)
SHORTEST_S: Final = 0.002  # longer than 3.5 characters at 19200 baud
SILENCE_CHARS: Final = 3.5


class MeterRtu(Responder):
    """Units on one line; one that is not there stays silent. `baud` says how long a silence is."""

    def __init__(self, units: Mapping[int, Unit], baud: int = 9600) -> None:
        super().__init__()
        self.units = units
        self.turnaround_s = max(SHORTEST_S, SILENCE_CHARS * 11 / baud)

    def hear(self, heard: bytes) -> tuple[bytes, list[TimedReply]]:
        """Whole requests among what came, each answered by the unit that it is for."""
        replies: list[TimedReply] = []
        while len(heard) >= REQUEST:
            asked = heard[:REQUEST]
            if asked[1] not in FUNCTIONS or checksum(asked[:-2]) != asked[-2:]:
                heard = heard[1:]
                continue
            heard = heard[REQUEST:]
            self.asked += 1
            unit = self.units.get(asked[0])
            reply = unit.answer(asked[0], asked[1:-2]) if unit is not None else None
            if reply is not None:
                replies.append((self.turnaround_s + reply.late_s, encode_frame(reply)))
        return heard, replies
