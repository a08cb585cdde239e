"""What the simulated SEN modules share: the layout of their values, and the state of an algorithm.

Source: Sensirion SEN5x and SEN6x datasheets; VOC index 0 in the first 45 s: Sensirion gas index
algorithm. What is in the eight bytes of its state is Sensirion's secret; here it is for how many
seconds it has learnt.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import ClassVar, Final

from drivers.sim._sensirion import arguments, with_checksums
from drivers.sim._sensirion_module import Module

STATE: Final = 0x6181
STATE_BYTES: Final = 8
NOX_S: Final = 10.5  # unknown for so long after power-on
VOC_S: Final = 45.0
CO2_S: Final = 5.5
LAYOUT: Final = (  # point, counts in one unit, signed
    ("pm1_0", 10, False),
    ("pm2_5", 10, False),
    ("pm4_0", 10, False),
    ("pm10", 10, False),
    ("humidity", 100, True),
    ("temperature", 200, True),
    ("voc_index", 10, True),
    ("nox_index", 10, True),
)


@dataclass
class AirModule(Module):
    """One module with a VOC algorithm; see `Module` for its faults."""

    START: ClassVar[bytes] = b"\x00\x21"
    LAYOUT: ClassVar[tuple[tuple[str, int, bool], ...]] = LAYOUT
    KEEPS_STATE: ClassVar[bool] = False  # over a stop and a start

    _learnt_s: float = field(default=0.0, init=False, repr=False)  # before this start
    _given_s: float | None = field(default=None, init=False, repr=False)  # for the next

    def encode(self, sample: Mapping[str, float]) -> bytes:
        """Counts, clamped below the words that mean unknown."""
        powered_s = self.clock() - self._powered_at
        early = {key for key, s in (("nox_index", NOX_S), ("co2", CO2_S)) if powered_s < s}
        words = []
        for key, scale, signed in self.LAYOUT:
            limit = 0x7FFF if signed else 0xFFFF
            value = sample.get(key)
            if value is None or key in early:
                count = limit
            elif key == "voc_index" and powered_s < VOC_S:
                count = 0
            else:
                count = max(-limit if signed else 0, min(limit - 1, round(value * scale)))
            words.append(count.to_bytes(2, signed=signed))
        return b"".join(words)

    @property
    def learnt_s(self) -> float:
        """For how long its algorithm has learnt, by this start and by what it was given."""
        since = self._started_at
        return self._learnt_s + (self.clock() - since if since is not None else 0.0)

    def _does(self, command: int, data: bytes, now: float) -> bool:
        if command != STATE:
            return super()._does(command, data, now)
        given = arguments(data)
        if not given:
            self._answer = with_checksums(int(self.learnt_s).to_bytes(STATE_BYTES))
        elif len(given) == STATE_BYTES and self._started_at is None:
            self._given_s = float(int.from_bytes(given))
        else:
            return False
        return True

    def _forget(self, now: float) -> None:
        self._learnt_s = 0.0
        self._given_s = None
        self._started_at = None
        super()._forget(now)

    def _begin(self, now: float) -> None:
        kept = self._learnt_s if self.KEEPS_STATE else 0.0
        self._learnt_s = kept if self._given_s is None else self._given_s
        self._given_s = None
        super()._begin(now)

    def _idle(self, now: float) -> None:
        self._learnt_s = self.learnt_s
        super()._idle(now)
