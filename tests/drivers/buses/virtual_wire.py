"""A serial line of meters where waiting takes no time: what is due by the clock is exact."""

import heapq
from collections.abc import Mapping

from drivers.buses.serial_port import SerialPort
from drivers.sim.meter_line import checksum, encode_frame
from drivers.sim.meter_unit import Unit

TURNAROUND_NS = 5_000_000


class VirtualWire(SerialPort):
    """A port, its line, and what the master takes for `time`. An answer comes in one piece."""

    def __init__(
        self, units: Mapping[int, Unit], baud: int, parity: str = "N", stop: int = 1
    ) -> None:
        super().__init__("/dev/virtual", baud, parity, stop)
        self.units = units
        self.now_ns = 1_000_000_000_000
        self.silence_ns = 1_750_000 if baud > 19_200 else 7 * self.char_ns // 2
        self.both_ways = False  # two who speak at once do not hear each other
        self.gaps_ns: list[int] = []
        self.requests = self.early = self.collisions = 0
        self._free_ns = 0
        self._coming: list[tuple[int, int, bytes]] = []  # last byte, first byte, all of them
        self._opened = False

    def monotonic_ns(self) -> int:
        return self.now_ns

    def monotonic(self) -> float:
        return self.now_ns / 1e9

    def sleep(self, seconds: float) -> None:
        self.now_ns += int(seconds * 1e9)

    def open(self) -> bool:
        opened, self._opened = not self._opened, True
        return opened

    def close(self) -> None:
        self._opened = False

    def write(self, data: bytes) -> int:
        start_ns = self.now_ns
        end_ns = start_ns + len(data) * self.char_ns
        gap_ns, known, self._free_ns = start_ns - self._free_ns, self._free_ns > 0, end_ns
        for last_ns, first_ns, _ in self._coming:
            if first_ns < end_ns and start_ns < last_ns and not self.both_ways:
                self.collisions += 1
                return end_ns
        if known:
            self.gaps_ns.append(gap_ns)
            if gap_ns < self.silence_ns:
                self.early += 1
                return end_ns
        assert checksum(data[:-2]) == data[-2:]
        self.requests += 1
        unit = self.units.get(data[0])
        reply = unit.answer(data[0], data[1:-2]) if unit is not None else None
        if reply is not None:
            first_ns = end_ns + max(TURNAROUND_NS, self.silence_ns) + int(reply.late_s * 1e9)
            self.say(first_ns, encode_frame(reply))
        return end_ns

    def say(self, first_ns: int, data: bytes) -> None:
        """These bytes come, from then on."""
        heapq.heappush(self._coming, (first_ns + len(data) * self.char_ns, first_ns, data))

    def read(self, until_ns: int) -> bytes:
        if self._coming and self._coming[0][0] <= max(until_ns, self.now_ns):
            last_ns, _, said = heapq.heappop(self._coming)
            self.now_ns = max(self.now_ns, last_ns)
            self._free_ns = max(self._free_ns, last_ns)
            return said
        self.now_ns = max(self.now_ns, until_ns)
        return b""
