"""Vehicles over pairs of inductive loops: exact contact times, with the flaws that roads have.

The schedule is a pure function of the passages; a LoopPair plays it on the wires of a SimChip and
says what was true. Distances are measured from a loop's leading edge, in the direction of travel.
"""

import csv
import gzip
import random
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Final, Literal, NamedTuple, Protocol

NS: Final = 1_000_000_000
HOLE_FROM: Final = 0.4  # where a high truck bed begins to be invisible, as a part of its presence
BACKLOG_MAX: Final = 256  # edges that may wait for a reader when playing as fast as possible


@dataclass(frozen=True, slots=True)
class SimVehicle:
    """One vehicle at constant speed; its front reaches the lead loop at `t_s`."""

    t_s: float
    speed_kmh: float
    length_m: float


@dataclass(frozen=True, slots=True)
class TrueTimes:
    """What was true of a vehicle: ns since the start of the schedule, before any flaw."""

    lead_on_ns: int
    lead_off_ns: int
    trail_on_ns: int
    trail_off_ns: int
    speed_kmh: float
    length_m: float


@dataclass(frozen=True, slots=True)
class Flaws:
    """What goes wrong. Each is off by default; `seed` makes bounce repeatable."""

    bounce_s: float = 0.0  # longest chatter after each change: 0.001 to 0.005 for a relay
    hole_s: float = 0.0  # a long vehicle is not seen for so long in its middle (pulse breakup)
    hole_from_m: float = 10.0  # what counts as long
    lead_dead_s: float | None = None  # from here on the card holds its contact closed
    trail_dead_s: float | None = None
    seed: int = 1


class ContactChange(NamedTuple):
    """A contact opens or closes at `t_ns` since the start of the schedule."""

    t_ns: int
    loop: Literal["lead", "trail"]
    on: bool


class WireDriver(Protocol):
    """The part of a SimChip that is played on."""

    def drive(self, line: int | str, level: bool | None, mono_ns: int) -> None: ...
    def wait_read(self, most: int = 0, timeout_s: float = 10.0) -> bool: ...


Mode = Literal["presence", "pulse"]
Spell = tuple[int, int]  # a contact is closed from, to


def true_times(passages: Iterable[SimVehicle], spacing_m: float, loop_m: float) -> list[TrueTimes]:
    """When each vehicle is over each loop. `spacing_m` is from leading to leading edge."""
    found = []
    for passage in passages:
        metre_s = 3.6 / passage.speed_kmh
        over_s = (passage.length_m + loop_m) * metre_s
        later_s = passage.t_s + spacing_m * metre_s
        found.append(
            TrueTimes(
                round(passage.t_s * NS),
                round((passage.t_s + over_s) * NS),
                round(later_s * NS),
                round((later_s + over_s) * NS),
                passage.speed_kmh,
                passage.length_m,
            )
        )
    return found


def schedule(
    vehicles: Sequence[TrueTimes],
    mode: Mode = "presence",
    pulse_s: float = 0.125,
    flaws: Flaws | None = None,
) -> list[ContactChange]:
    """The changes of both contacts in order of time. Each contact alternates, on first.

    Vehicles that are over a loop at once close it once.
    """
    flaws = flaws or Flaws()
    rng = random.Random(flaws.seed)
    changes: list[ContactChange] = []
    loops: tuple[tuple[Literal["lead", "trail"], float | None], ...] = (
        ("lead", flaws.lead_dead_s),
        ("trail", flaws.trail_dead_s),
    )
    for loop, dead_s in loops:
        spells: list[Spell] = []
        for vehicle in vehicles:
            on, off = _over(vehicle, loop)
            if mode == "pulse":
                spells.append((on, on + round(pulse_s * NS)))
            elif flaws.hole_s and vehicle.length_m >= flaws.hole_from_m:
                spells += _broken((on, off), round(flaws.hole_s * NS))
            else:
                spells.append((on, off))
        contact = [t for spell in _merge_spells(spells) for t in spell]
        contact = _bounced(contact, flaws.bounce_s, rng)
        if dead_s is not None:
            contact = _dead(contact, round(dead_s * NS))
        changes += [ContactChange(t_ns, loop, i % 2 == 0) for i, t_ns in enumerate(contact)]
    return sorted(changes, key=lambda change: change.t_ns)


class LoopPair:
    """Two loops of one lane on two lines of a chip. Building one drives both lines idle.

    `active` is the level while a contact is closed; `at_ns` when the idle lines are driven.
    """

    def __init__(
        self,
        chip: WireDriver,
        lead: int | str,
        trail: int | str,
        spacing_m: float = 4.0,
        loop_m: float = 2.0,
        active: Literal["low", "high"] = "low",
        mode: Mode = "presence",
        flaws: Flaws | None = None,
        at_ns: int | None = None,
    ) -> None:
        self._chip, self._lines = chip, {"lead": lead, "trail": trail}
        self._spacing_m, self._loop_m = spacing_m, loop_m
        self._active_high = active == "high"
        self._mode: Mode = mode
        self.flaws = flaws or Flaws()
        for line in self._lines.values():
            chip.drive(line, not self._active_high, time.monotonic_ns() if at_ns is None else at_ns)

    def plan(self, passages: Iterable[SimVehicle]) -> tuple[list[TrueTimes], list["LineLevel"]]:
        """What will be true, and the levels of both lines that say so."""
        vehicles = true_times(passages, self._spacing_m, self._loop_m)
        changes = schedule(vehicles, self._mode, flaws=self.flaws)
        rows = [LineLevel(c.t_ns, self._lines[c.loop], c.on is self._active_high) for c in changes]
        return vehicles, rows

    def play(
        self, passages: Iterable[SimVehicle], start_ns: int, pace: Literal["real", "fast"] = "fast"
    ) -> list[TrueTimes]:
        """Play the passages on the wires; time 0 of the passages is `start_ns`. See `play`."""
        vehicles, rows = self.plan(passages)
        play_levels(self._chip, rows, start_ns, pace)
        return vehicles


class LineLevel(NamedTuple):
    """A level of a line, since the start of a recording."""

    t_ns: int
    line: int | str
    level: bool


def read_rows(path: str | Path) -> Iterator[LineLevel]:
    """Rows of a file `t_ms,line,level` (.csv or .csv.gz); decimals of t_ms are kept, to the ns.

    A level that was found (`=0`, `=1`) is driven like any other. A wire whose level nobody watched
    (`?`) stays as it is. Raises ValueError with the number of the row that is wrong.
    """
    path = Path(path)
    opened = gzip.open if path.suffix == ".gz" else open
    with opened(path, "rt", encoding="utf-8", newline="") as file:
        for number, row in enumerate(csv.DictReader(file), 2):
            try:
                t_ns = int(Decimal(row["t_ms"]) * 1_000_000)
                if row["level"] != "?":
                    high = {"0": False, "1": True}[row["level"].removeprefix("=")]
                    yield LineLevel(t_ns, row["line"], high)
            except (KeyError, ArithmeticError, ValueError, TypeError, AttributeError) as error:
                raise ValueError(f"{path} row {number}: not t_ms,line,level: {row}") from error


def play_levels(
    chip: WireDriver,
    rows: Iterable[LineLevel],
    start_ns: int,
    pace: Literal["real", "fast"] = "fast",
) -> int:
    """Drive the wires; each change is stamped with its exact time, `start_ns` + `t_ns`.

    At the pace `real` a change is made when CLOCK_MONOTONIC says so, never before; `fast` waits
    only for the readers, so that none of them loses an edge. Gives the number of changes.
    Raises TimeoutError when a reader does not read.
    """
    count = 0
    for count, row in enumerate(rows, 1):
        at_ns = start_ns + row.t_ns
        if pace == "real":
            wait_ns = at_ns - time.monotonic_ns()
            if wait_ns > 0:
                time.sleep(wait_ns / NS)
        elif count % BACKLOG_MAX == 0 and not chip.wait_read(BACKLOG_MAX):
            raise TimeoutError("nobody reads the edges that wait")
        chip.drive(row.line, row.level, at_ns)
    return count


def _over(vehicle: TrueTimes, loop: str) -> Spell:
    if loop == "lead":
        return vehicle.lead_on_ns, vehicle.lead_off_ns
    return vehicle.trail_on_ns, vehicle.trail_off_ns


def _broken(spell: Spell, hole_ns: int) -> list[Spell]:
    """A presence with a hole; one shorter than the hole stays whole."""
    on, off = spell
    begin = on + round((off - on) * HOLE_FROM)
    end = begin + hole_ns
    return [(on, begin), (end, off)] if end < off else [spell]


def _merge_spells(spells: list[Spell]) -> list[Spell]:
    """Spells that touch or overlap are one."""
    joined: list[Spell] = []
    for on, off in sorted(spells):
        if joined and on <= joined[-1][1]:
            joined[-1] = (joined[-1][0], max(off, joined[-1][1]))
        else:
            joined.append((on, off))
    return joined


def _bounced(times: list[int], bounce_s: float, rng: random.Random) -> list[int]:
    """Each change followed by an even number of further ones within `bounce_s`.

    Chatter ends before the next change begins, so the first edge of each run keeps its time.
    """
    if not bounce_s:
        return times
    out: list[int] = []
    for i, t_ns in enumerate(times):
        until = t_ns + round(bounce_s * NS)
        if i + 1 < len(times):
            until = min(until, times[i + 1])
        out.append(t_ns)
        extra = 2 * rng.randint(1, 3)
        if until - t_ns > extra:
            out += sorted(rng.sample(range(t_ns + 1, until), extra))
    return out


def _dead(times: list[int], dead_ns: int) -> list[int]:
    """From `dead_ns` on the contact is closed for ever."""
    before = [t_ns for t_ns in times if t_ns < dead_ns]
    return before if len(before) % 2 else [*before, dead_ns]
