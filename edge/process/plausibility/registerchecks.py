"""What must hold between registers and power, over as many windows as it takes to see it.

Each of these adds up window by window until the registers have moved often enough to speak, says
what it has found, and begins anew. A register that moves at most once in a while moves only in the
direction of its name, whatever its resolution is.

Sign and registers are both named by the meter. A transformer that is mounted backwards turns both;
so where they contradict each other, it is the sign convention (`positive`). Where they agree, and
say for a day and a night that energy only flows out, a transformer or the meter is mounted
backwards (`reversed`): nothing that generates goes on by night as by day and never rests.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Protocol

from edge.core.point import Point
from edge.process.gaugewindow import GaugeFigure
from edge.process.plausibility.relations import PHASES, QUIET_W, Judgement
from edge.wire.contract.terms import Contradiction

HOUR_NS: Final = 3_600_000_000_000
WS_PER_KWH: Final = 3.6e6
LEAST_KWH: Final = 0.02
MOVES: Final = 3  # windows in which a register grew
WINDOWS: Final = 5
MOST_KWH: Final = 20.0  # without a word from the registers: begin anew
CLEAR: Final = 4.0  # one register grows so many times more than the other
COUNTS: Final = 30  # of the coarsest register: its last one is then worth little
TENTH: Final = 0.1
DAY_NS: Final = 26 * HOUR_NS  # a day, a night, and the morning after
MOSTLY: Final = 0.9
BALANCED: Final = 0.1  # of all that flows

GaugeLookup = Callable[[str], GaugeFigure | None]
GrowthLookup = Callable[[str], float | None]


class RegisterCheck(Protocol):
    """Judges windows one after another; `keys` are the points that contradict each other.

    Without `marks` they may still be right, and stay good.
    """

    @property
    def fault(self) -> Contradiction: ...
    @property
    def name(self) -> str: ...
    @property
    def keys(self) -> tuple[str, ...]: ...
    @property
    def look(self) -> str: ...
    @property
    def hold_s(self) -> float: ...
    @property
    def windows(self) -> int: ...
    @property
    def marks(self) -> bool: ...
    def step(self, gauges: GaugeLookup, grown: GrowthLookup, window_ns: int) -> Judgement: ...
    def snapshot(self) -> list[Any]: ...
    def restore(self, state: Sequence[Any]) -> None: ...


def register_checks(points: Sequence[Point]) -> list[RegisterCheck]:
    """All that can be said of these points."""
    keys = {point.key for point in points}
    found: list[RegisterCheck] = []
    taken, given = (_registers(way, points) for way in ("energy_import", "energy_export"))
    if "power" in keys and (taken or given):
        found.append(DirectionCheck("power", taken, given))
    if all("power" + phase in keys for phase in PHASES):
        found += [OneWayCheck(phase) for phase in PHASES]
    if "power" in keys and "energy_export" in keys:
        found.append(OneWayCheck(""))
    for way in ("energy_import", "energy_export"):
        parts = tuple(way + phase for phase in PHASES)
        if way in keys and all(part in keys for part in parts):
            other = "energy_export" if way == "energy_import" else "energy_import"
            found.append(PhaseSumCheck(way, parts, other if other in keys else ""))
    return found


def _registers(way: str, points: Sequence[Point]) -> tuple[str, ...]:
    """The register of one way, and those of its tariffs."""
    keys = [point.key for point in points]
    return tuple(key for key in keys if key == way or key.startswith(way + "_t"))


def _total_growth(grown: GrowthLookup, keys: Sequence[str]) -> float | None:
    """What the register of all has grown; where it tells nothing, those of the tariffs together."""
    whole = grown(keys[0]) if keys and "_t" not in keys[0] else None
    if whole is not None:
        return whole
    parts = [more for key in keys if "_t" in key and (more := grown(key)) is not None]
    return sum(parts) if parts else None


@dataclass(slots=True)
class DirectionCheck:
    """Which register grows, against the sign of power: of each way that of all, or its tariffs."""

    power: str
    taken: tuple[str, ...]
    given: tuple[str, ...]
    fault: Contradiction = "direction"
    look: str = (
        "a current transformer mounted backwards would change the sign of power and the register "
        "that grows, so the sign convention of the meter is the cause: "
        'set positive = "export", or remove positive if it is set'
    )
    hold_s: float = 180.0
    windows: int = 3
    marks: bool = True
    _kwh: float = 0.0
    _grew: list[float] = field(default_factory=lambda: [0.0, 0.0])
    _moves: int = 0
    _windows: int = 0

    @property
    def name(self) -> str:
        return f"{self.fault} {self.power}"

    @property
    def keys(self) -> tuple[str, ...]:
        return (self.power, *self.taken, *self.given)

    def step(self, gauges: GaugeLookup, grown: GrowthLookup, window_ns: int) -> Judgement:
        power = gauges(self.power)
        grew = [_total_growth(grown, keys) for keys in (self.taken, self.given)]
        if power is None or grew == [None, None] or power.low < 0 < power.high:
            self._begin()
            return None
        kwh = power.mean * window_ns / 1e9 / WS_PER_KWH
        if kwh * self._kwh < 0:
            self._begin()
        self._kwh += kwh
        self._windows += 1
        self._moves += any(grew)
        self._grew = [had + (more or 0.0) for had, more in zip(self._grew, grew, strict=True)]
        if abs(self._kwh) > MOST_KWH and self._moves < MOVES:
            self._begin()
        if abs(self._kwh) < LEAST_KWH or self._moves < MOVES or self._windows < WINDOWS:
            return None
        right, wrong = self._grew if self._kwh > 0 else self._grew[::-1]
        contradicts = wrong > abs(self._kwh) / 2 and wrong > CLEAR * right
        self._begin()
        return contradicts

    def snapshot(self) -> list[Any]:
        return [self._kwh, *self._grew, self._moves, self._windows]

    def restore(self, state: Sequence[Any]) -> None:
        kwh, taken, given, moves, windows = state
        self._kwh, self._grew = float(kwh), [float(taken), float(given)]
        self._moves, self._windows = int(moves), int(windows)

    def _begin(self) -> None:
        self._kwh, self._grew, self._moves, self._windows = 0.0, [0.0, 0.0], 0, 0


@dataclass(slots=True)
class OneWayCheck:
    """Power that flows out by day and by night, of one phase while that of the others flows in, or
    of all together. The whole may be meant so (there are generators that never rest): it is told,
    and stays good.
    """

    phase: str
    fault: Contradiction = "backwards"
    hold_s: float = 0.0
    windows: int = 1  # such a stretch needs no second one
    _ns: int = 0
    _out_ns: int = 0
    _others_ns: int = 0

    @property
    def marks(self) -> bool:
        return bool(self.phase)

    @property
    def name(self) -> str:
        return f"{self.fault} power{self.phase}"

    @property
    def look(self) -> str:
        if not self.phase:
            return (
                "if there is no generator, its current transformers or the meter are "
                "mounted backwards: set reversed = true, or remove reversed if it is set"
            )
        return (
            f"the current transformer of {self.phase[1:].upper()} is mounted backwards: turn it"
            " round, because the meter itself adds up the phases"
        )

    @property
    def keys(self) -> tuple[str, ...]:
        if not self.phase:
            return ("power", "energy_import", "energy_export")
        own = ("power", "current", "reactive_power", "energy_import", "energy_export")
        return (*(key + self.phase for key in own), "power", "energy_import", "energy_export")

    def step(self, gauges: GaugeLookup, grown: GrowthLookup, window_ns: int) -> Judgement:
        mine = gauges("power" + self.phase)
        rest = [each for each in PHASES if each != self.phase] if self.phase else []
        others = [gauges("power" + each) for each in rest]
        if mine is None or None in others:
            return None
        if mine.high > QUIET_W:
            self._ns = self._out_ns = self._others_ns = 0
            return False
        self._ns += window_ns
        self._out_ns += window_ns * (mine.mean < -QUIET_W)
        means = [other.mean for other in others if other]
        into = not rest or any(mean > QUIET_W for mean in means)
        # what is given here is what they take: a battery that keeps the whole at nothing
        taken = abs(mine.mean + sum(means)) > BALANCED * sum(map(abs, (mine.mean, *means)))
        self._others_ns += window_ns * (into and taken)
        if self._ns < DAY_NS:
            return None
        found = min(self._out_ns, self._others_ns) > MOSTLY * self._ns
        self._ns = self._out_ns = self._others_ns = 0
        return found or None

    def snapshot(self) -> list[Any]:
        return [self._ns, self._out_ns, self._others_ns]

    def restore(self, state: Sequence[Any]) -> None:
        self._ns, self._out_ns, self._others_ns = map(int, state)


@dataclass(slots=True)
class PhaseSumCheck:
    """Registers of phases against that of all. With `other` standing still they add up to it:
    a meter that adds phases with their signs counts less than its phases while one flows back.
    """

    whole: str
    parts: tuple[str, ...]
    other: str
    fault: Contradiction = "phase_sum"
    look: str = (
        "a phase or its transformer belongs to another meter, or two devices have one address"
    )
    hold_s: float = 180.0
    windows: int = 3
    marks: bool = True
    _grew: list[float] = field(default_factory=lambda: [0.0] * 4)
    _counts: list[float] = field(default_factory=lambda: [0.0] * 4)

    @property
    def name(self) -> str:
        return f"{self.fault} {self.whole}"

    @property
    def keys(self) -> tuple[str, ...]:
        return (self.whole, *self.parts)

    def step(self, gauges: GaugeLookup, grown: GrowthLookup, window_ns: int) -> Judgement:
        grew = [grown(key) for key in self.keys]
        if None in grew or (self.other and grown(self.other) != 0):
            self._begin()
            return None
        for at, more in enumerate(grew):
            if more:
                self._grew[at] += more
                had = self._counts[at]
                self._counts[at] = min(had, more) if had else more
        whole, *parts = self._grew
        count = max(self._counts)
        if not count or max(whole, *parts) < COUNTS * count:
            return None
        if not any(parts):  # without a neutral a meter has no energy of a phase
            self._begin()
            return None
        slack = TENTH * max(whole, sum(parts)) + sum(count for count in self._counts)
        contradicts = abs(whole - sum(parts)) > slack
        self._begin()
        return contradicts

    def snapshot(self) -> list[Any]:
        return [*self._grew, *self._counts]

    def restore(self, state: Sequence[Any]) -> None:
        figures = [float(each) for each in state]
        if len(figures) != 8:
            raise ValueError(f"{state!r:.80} is no state of four registers")
        self._grew, self._counts = figures[:4], figures[4:]

    def _begin(self) -> None:
        self._grew, self._counts = [0.0] * 4, [0.0] * 4
