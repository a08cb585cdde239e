"""Small pieces for the tests of processing: sites, contacts, sweeps, windows.

An example:

    made = engine(PAIR, AIR)
    made.contacts(found("north_1.lead", "north_1.trail") + car("north_1", at_s=5, kmh=50))
    assert body(made.close(MINUTE), "north_1")["volume"] == 1
"""

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from typing import Any

from edge.core.edge import Contact
from edge.core.looptick import DoubtedLoop, LoopTick
from edge.core.point import Point, PointKind, Quantity
from edge.core.reading import Sample, Sweep, sweep
from edge.core.record import Draft, Stream
from edge.infer.judge import Verdict
from edge.process.engine import DeviceSetup, Engine, EngineSetup, LaneSetup, PulseSetup
from tests.kit.asread import as_read

Answer = Callable[[Sequence[LoopTick], Sequence[Draft]], Collection[DoubtedLoop]]

MS = 1_000_000
S = 1_000_000_000
MINUTE = 60 * S

PM25 = Point("pm2_5", Quantity.MASS_CONCENTRATION, low=0, high=1000)
TEMPERATURE = Point("temperature", Quantity.TEMPERATURE, low=-40, high=125)
POWER = Point("power", Quantity.POWER)
ENERGY = Point("energy_import", Quantity.ENERGY, low=0, high=999_999, kind=PointKind.TOTAL)

PAIR = LaneSetup("north_1", "north", spacing_m=4.0, loop_m=2.0)
SINGLE = LaneSetup("east_1", "east")
AIR = DeviceSetup("hut_air", Stream.AIR, (PM25, TEMPERATURE), 1.0)
METER = DeviceSetup("main_meter", Stream.ENERGY, (POWER, ENERGY), 1.0)
HEAT = PulseSetup("heat", 1000)


def engine(*parts: LaneSetup | DeviceSetup | PulseSetup, start_ns: int = 0) -> Engine:
    """A started engine for these parts."""
    made = Engine(setup(*parts))
    made.start(start_ns)
    return made


class Doubting:
    """A judge that only says which loops are not to be believed: `answer` of ticks and events."""

    def __init__(self, answer: Answer) -> None:
        self._answer = answer

    def doubt(
        self, end_ns: int, ticks: Sequence[LoopTick], events: Sequence[Draft], wall_s: float | None
    ) -> Collection[DoubtedLoop]:
        return self._answer(ticks, events)

    def judge(
        self, end_ns: int, drafts: Sequence[Draft], ticks: Sequence[LoopTick], wall_s: float | None
    ) -> Verdict:
        return Verdict(list(drafts), [])


def close_doubted(
    made: Engine, end_ns: int, answer: Answer, *, partial: bool = False
) -> list[Draft]:
    """The window ends, and this once somebody judges it."""
    before, made._judge = made._judge, Doubting(answer)
    try:
        return made.close(end_ns, partial=partial)
    finally:
        made._judge = before


def setup(*parts: LaneSetup | DeviceSetup | PulseSetup) -> EngineSetup:
    return EngineSetup(
        tuple(part for part in parts if isinstance(part, LaneSetup)),
        tuple(part for part in parts if isinstance(part, DeviceSetup)),
        tuple(part for part in parts if isinstance(part, PulseSetup)),
    )


def found(*sources: str, at_s: float = 0, on: bool = False) -> list[Contact]:
    """The level found at opening the lines."""
    return [Contact(source, on, round(at_s * S), initial=True) for source in sources]


def presences(source: str, *pairs: tuple[float, float]) -> list[Contact]:
    """Contacts of a loop that is occupied from..to, in seconds; whole microseconds."""
    return [
        Contact(source, on, round(at * 1e6) * 1000)
        for begin, end in pairs
        for on, at in ((True, begin), (False, end))
    ]


def car(lane: str, at_s: float, kmh: float, length_m: float = 4.5) -> list[Contact]:
    """What a vehicle at constant speed does to PAIR's geometry (4 m apart, loops of 2 m)."""
    v = kmh / 3.6
    on = (length_m + 2.0) / v
    return presences(f"{lane}.lead", (at_s, at_s + on)) + presences(
        f"{lane}.trail", (at_s + 4.0 / v, at_s + 4.0 / v + on)
    )


def sweeps(source: str, rows: Iterable[tuple[float, tuple[Sample, ...]]]) -> list[Sweep]:
    return [sweep(source, round(at * S), row) for at, row in rows]


def body(drafts: Iterable[Draft], source: str) -> Mapping[str, Any]:
    """The one summary of a source."""
    (found,) = [d for d in drafts if d.source == source and d.stream is not Stream.EVENT]
    return as_read(found)


def events(drafts: Iterable[Draft]) -> list[Draft]:
    return [draft for draft in drafts if draft.stream is Stream.EVENT]
