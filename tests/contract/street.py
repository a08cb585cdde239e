"""The scene that says most: a street through an hour, from edges of loops to records."""

from collections.abc import Iterator
from dataclasses import replace

from edge.core import (
    Bad,
    Contact,
    Draft,
    Point,
    PointKind,
    Quantity,
    Reason,
    Sample,
    Stream,
    Sweep,
    UncertainValue,
)  # fmt: skip
from edge.gateway.pipeline import Pipeline
from edge.infer.judge import Judge, JudgeSetup, LaneSite
from edge.process.engine import DeviceSetup, EngineSetup, LaneSetup
from edge.process.enginesetup import ContactSetup
from tests.contract import roads
from tests.kit.engine import (
    AIR,
    HEAT,
    METER,
    MINUTE,
    PAIR,
    SINGLE,
    S,
    car,
    found,
    presences,
    sweeps,
)  # fmt: skip

BICYCLES = LaneSetup("bikes_1", "north", spacing_m=1.0, loop_m=0.5, kind="bicycle")
PULSED = LaneSetup("west_1", "west", mode="pulse")
CARD = DeviceSetup(
    "card", Stream.TRAFFIC,
    (Point("count_1", Quantity.COUNT, low=0, kind=PointKind.TOTAL), Point("state", Quantity.STATE)),
    1.0,
)  # fmt: skip
SITE = EngineSetup(
    (replace(PAIR, no_activity_s=1200.0), SINGLE, BICYCLES, PULSED, *roads.LANES),
    (AIR, METER, CARD),
    (HEAT,),
    tuple(ContactSetup(kind, kind) for kind in ("door", "tamper", "plug", "contact")),
    bays=(roads.BAY,),
    signals=(roads.SIGNAL,),
)  # fmt: skip
WALL_S = 1_790_000_000.0  # in September 2026
LOOPS = ("north_1.lead", "north_1.trail", "east_1.lead", "bikes_1.lead", "bikes_1.trail",
         "west_1.lead", "heat", *roads.LINES)  # fmt: skip
JUDGED = (
    LaneSite("north_1", "north", "corridor", paired=True, spacing_m=4.0),
    LaneSite("east_1", "east", "corridor"),
    LaneSite("west_1", "west", "corridor", mode="pulse"),
    *roads.SITES,
)


def street() -> list[Draft]:
    """A street through an hour: traffic, a jam, a stuck loop, a wild sensor, a swapped meter.

    Beside it are a signal, a bay, and a corridor that something blocks.
    """
    judged = JudgeSetup(JUDGED, MINUTE, hurry=False, approaches=roads.APPROACHES)
    one = Pipeline(SITE, Judge(judged))
    one.load()
    one.engine.start(0)
    drafts = one.engine.contacts(found(*LOOPS) + found("door"))
    for minute in range(64):
        on_roads = sorted(roads.on_the_roads(minute), key=lambda contact: contact.mono_ns)
        drafts += one.engine.contacts(_on_the_road(minute)) + one.engine.contacts(on_roads)
        drafts += one.engine.contacts(_switched(minute))
        drafts += one.engine.sweeps(list(_measured(minute)))
        if minute == 3:
            one.engine.mark(Reason.CLOCK)
        drafts += one.engine.close((minute + 1) * MINUTE, wall_s=WALL_S + 60.0 * (minute + 1))
    return drafts + one.engine.close(64 * MINUTE + 10 * S, partial=True)


def _on_the_road(minute: int) -> list[Contact]:
    at, contacts = 60.0 * minute, list[Contact]()
    if minute < 12 or 40 < minute < 62:  # a jam from 40 on; nothing at all in between
        speed = 50.0 if minute < 12 else 4.0
        for i in range(6):
            contacts += car("north_1", at + 9 * i + 1, speed)
        contacts += presences("bikes_1.lead", (at + 5, at + 5.3))
        contacts += presences("bikes_1.trail", (at + 5.2, at + 5.5))
        contacts += presences("west_1.lead", (at + 7, at + 7.125))
    if minute == 9:
        contacts += _odd(at + 55)
    if minute == 11:  # the lead loop reports more than can pass: the trail loop counts
        contacts = [each for each in contacts if each.source != "north_1.lead"]
        contacts += presences(
            "north_1.lead", *((at + i / 2, at + i / 2 + 0.2) for i in range(9, 60))
        )
    if minute == 2:
        contacts += [Contact("east_1.lead", True, round((at + 2) * S))]  # and stays for 20 min
    if minute == 22:
        contacts += [Contact("east_1.lead", False, round((at + 2) * S), lost=0)]
        contacts += [Contact("east_1.lead", True, round((at + 9) * S), lost=3)]
        contacts += [Contact("east_1.lead", False, round((at + 9.5) * S))]
    if minute == 30:  # more than can pass
        contacts += presences("west_1.lead", *((at + i / 2, at + i / 2 + 0.12) for i in range(60)))
    contacts += presences("heat", *((at + i, at + i + 0.05) for i in range(2, 50, 5)))
    return sorted(contacts, key=lambda contact: contact.mono_ns)


def _odd(at: float) -> list[Contact]:
    """A vehicle that a loop breaks up, and one that comes the wrong way."""
    broken = presences("north_1.lead", (at, at + 0.2), (at + 0.23, at + 0.45))
    wrong = [
        replace(each, source=each.source.replace("lead", "x").replace("trail", "lead"))
        for each in car("north_1", at + 2, 50.0)
    ]
    wrong = [replace(each, source=each.source.replace(".x", ".trail")) for each in wrong]
    pulse = [
        Contact("heat", on, round((at + s) * S), lost=2) for s, on in ((0.4, True), (0.45, False))
    ]
    return broken + wrong + pulse


def _switched(minute: int) -> list[Contact]:
    if minute not in (1, 2):
        return []
    at = 60 * minute
    contacts = [Contact(kind, minute == 1, (at + 5) * S) for kind in ("door", "plug", "contact")]
    if minute == 1:  # it flickers, with edges lost
        contacts += [
            Contact("tamper", i % 2 == 0, (at + 10 + i) * S, lost=int(i == 3)) for i in range(30)
        ]
    return contacts


def _measured(minute: int) -> Iterator[Sweep]:
    dust = 900.0 if minute == 50 else 9.0 + minute % 3
    for second in range(0, 60, 5):
        at = 60 * minute + second
        reported: Sample = Bad(Reason.CRC) if minute == 5 else dust
        warm: Sample = UncertainValue(17.5, Reason.WARMUP) if minute == 0 else 17.5
        yield from sweeps("hut_air", [(at + 0.2, (reported, warm))])
        register = 5230 + at / 1000 if minute < 20 else at / 1000 - 1200
        yield from sweeps("main_meter", [(at + 0.3, (600.0 + second, max(register, 0.0)))])
        yield from sweeps("card", [(at + 0.4, (float(at // 10), 1.0))])
