"""Random input for a whole site: what wires may bring, in event time, the odd things included.

An example:

    @given(worlds())
    def test_nothing_is_counted_twice(world: SiteInput) -> None: ...
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from hypothesis import strategies as st

from edge.core.edge import Contact
from edge.core.quality import Reason
from edge.core.reading import Bad, Sample, Sweep, UncertainValue, sweep
from tests.kit.engine import AIR, HEAT, METER, MS, PAIR, SINGLE, car, setup

SITE = setup(PAIR, replace(SINGLE, limit_kmh=50), AIR, METER, HEAT)
LINES = ("north_1.lead", "north_1.trail", "east_1.lead", "heat")
Item = Contact | Sweep


@dataclass
class SiteInput:
    """Per source the items in the order of time, and the ends of windows."""

    sources: dict[str, list[Any]]
    ends: list[int]


@st.composite
def contacts(draw: st.DrawFn, source: str) -> list[Contact]:
    """Anything a line may do: alternate, repeat itself, bounce, lose edges, open anew, rage."""
    at = draw(st.integers(0, 2000)) * MS
    made = [Contact(source, draw(st.booleans()), at, initial=True)] if draw(st.booleans()) else []
    on = False
    waits = st.one_of(st.integers(0, 30), st.integers(0, 200), st.integers(0, 20_000))
    for wait, odd in draw(st.lists(st.tuples(waits, st.integers(0, 30)), max_size=40)):
        at += wait * MS
        on = on if odd == 0 else not on
        made.append(Contact(source, on, at, lost=odd if odd in (1, 2) else 0, initial=odd == 3))
        for _ in range(130 if odd == 4 else 0):
            on, at = not on, at + MS
            made.append(Contact(source, on, at))
    return made


@st.composite
def pair(draw: st.DrawFn) -> dict[str, list[Contact]]:
    """Vehicles over two loops, both ways, now and then with an edge missing."""
    made: dict[str, list[Contact]] = {"north_1.lead": [], "north_1.trail": []}
    at = 0.0
    vehicles = st.tuples(st.floats(0.1, 30), st.floats(3, 150), st.floats(2, 18), st.integers(0, 9))
    for wait, kmh, length, odd in draw(st.lists(vehicles, max_size=15)):
        at += wait + 30 / kmh
        for each in car("north_1", at, kmh, length):
            source = each.source
            if odd == 0:
                source = LINES[0] if source == LINES[1] else LINES[1]
            made[source].append(Contact(source, each.on, each.mono_ns))
        if odd == 1 and made[LINES[1]]:
            made[LINES[1]].pop()
    return {
        source: [Contact(source, False, 0, initial=True), *sorted(each, key=lambda c: c.mono_ns)]
        for source, each in made.items()
    }


@st.composite
def samples(draw: st.DrawFn, source: str, values: st.SearchStrategy[float]) -> list[Sweep]:
    """Mostly good values; some doubtful, bad or wild ones."""
    wild = st.sampled_from([float("nan"), -1e9, 1e12, 5.0])
    kinds = st.one_of(
        values,
        values,
        values,
        values.map(lambda v: UncertainValue(v, Reason.WARMUP)),
        wild,
        st.sampled_from([Bad(Reason.CRC), Bad(Reason.SILENT)]),
    )
    rows: list[tuple[int, Sample, Sample]] = draw(
        st.lists(st.tuples(st.integers(1, 8000), kinds, kinds), max_size=50)
    )
    at, made = 0, []
    for wait, one, two in rows:
        at += wait * MS
        made.append(sweep(source, at, (one, two)))
    return made


@st.composite
def worlds(draw: st.DrawFn) -> SiteInput:
    sources: dict[str, list[Any]] = {name: draw(contacts(name)) for name in LINES}
    if draw(st.booleans()):
        sources |= draw(pair())
    sources["hut_air"] = draw(samples("hut_air", st.floats(0, 100)))
    sources["main_meter"] = draw(samples("main_meter", st.floats(0, 1e4)))
    last = max((each[-1].mono_ns for each in sources.values() if each), default=0)
    steps = draw(st.lists(st.integers(1, 60_000), min_size=1, max_size=5))
    ends = [sum(steps[: i + 1]) * MS for i in range(len(steps))]
    return SiteInput(sources, [*ends, max(ends[-1], last) + 60_000 * MS])


def split(items: Sequence[Item]) -> tuple[list[Contact], list[Sweep]]:
    return (
        [each for each in items if isinstance(each, Contact)],
        [each for each in items if isinstance(each, Sweep)],
    )
