"""What the rules say of loops that fail on a small street, and of those that do not."""

import math
import random
from collections.abc import Callable
from typing import Any

import pytest

from edge.core.looptick import STAYS_LIMIT, LoopTick, Stay
from edge.infer.loops.loopfeatures import FEATURES, LoopFeatures
from edge.infer.loops.looprules import COLUMN, LoopRule
from edge.infer.sites import ApproachSite, LaneSite, Role
from tests.long import one_in

S = 1_000_000_000
SLOT = 30
Spans = list[tuple[float, float]]
LoopKey = tuple[str, str]

LANES = tuple(
    LaneSite(f"{a}_{i}", a, "corridor", paired=True, spacing_m=4.0)
    for a in ("m", "n")
    for i in (0, 1)
)
SITES = (ApproachSite("m", "n", 500.0), ApproachSite("n"))


def street(hours: float, gap_s: float = 6.0, seed: int = 1) -> dict[LoopKey, Spans]:
    """Vehicles that come by chance in two lanes, over two stations half a minute apart."""
    chance = random.Random(seed)
    out: dict[LoopKey, Spans] = {}
    for i in (0, 1):
        at = 0.0
        passing: list[tuple[float, float, float]] = []
        while at < hours * 3600 - 60:
            at += 1.5 + chance.expovariate(1.0 / (gap_s - 1.5))
            long_m = 14.0 if chance.random() < 0.15 else chance.uniform(3.8, 5.0)
            passing.append((at, chance.gauss(22.0, 2.0), long_m))
        for station, later in (("m", 0.0), ("n", 30.0)):
            for part, behind in (("lead", 0.0), ("trail", 4.0)):
                out[f"{station}_{i}", part] = [
                    (t + later + behind / v, t + later + (behind + m + 2.0) / v)
                    for t, v, m in passing
                ]
    return out


def ticks(stays: dict[LoopKey, Spans], hours: float) -> list[list[LoopTick]]:
    """The slots of a street."""
    out: list[list[LoopTick]] = []
    at = dict.fromkeys(stays, 0)
    for slot in range(int(hours * 3600 / SLOT)):
        begin, end = slot * SLOT, (slot + 1) * SLOT
        here = []
        for key, spans in stays.items():
            ended: list[Stay] = []
            on = 0.0
            while at[key] < len(spans) and spans[at[key]][1] <= end:
                a, b = spans[at[key]]
                ended.append(Stay(round(a * S), round(b * S)))
                on += b - max(a, begin)
                at[key] += 1
            since = None
            if at[key] < len(spans) and spans[at[key]][0] < end:
                since = round(spans[at[key]][0] * S)
                on += end - max(spans[at[key]][0], begin)
            here.append(
                LoopTick(
                    key[0], "lead" if key[1] == "lead" else "trail", begin * S, end * S, SLOT * S,
                    round(on * S), tuple(ended[:STAYS_LIMIT]), max(0, len(ended) - STAYS_LIMIT),
                    since,
                )
            )  # fmt: skip
        out.append(here)
    return out


def ghosts(whole: Spans, source: Spans, share: float, late: float, length: float) -> Spans:
    """With some of another loop's vehicles; what touches is one stay."""
    chance = random.Random(7)
    added = [(a + late, a + late + length * (b - a)) for a, b in source if chance.random() < share]
    out: Spans = []
    for a, b in sorted(whole + added):
        if out and a <= out[-1][1]:
            out[-1] = (out[-1][0], max(out[-1][1], b))
        else:
            out.append((a, b))
    return out


def broken(whole: Spans) -> Spans:
    return [part for a, b in whole for part in (_halves(a, b) if b - a > 0.45 else [(a, b)])]


def _halves(a: float, b: float) -> Spans:
    middle = a + 0.6 * (b - a)
    return [(a, middle - 0.03), (middle + 0.03, b)]


def flutter(whole: Spans, hours: float) -> Spans:
    return [(t * 0.6, t * 0.6 + 0.1) for t in range(int(hours * 6000))]


def run(stays: dict[LoopKey, Spans], hours: float) -> dict[LoopKey, list[str | None]]:
    """What the rule says of each loop, slot by slot."""
    watch = LoopFeatures(LANES, SITES)
    rules = {key: LoopRule("corridor", "presence") for key in watch.places}
    reported: dict[LoopKey, list[str | None]] = {key: [] for key in watch.places}
    for slot in ticks(stays, hours):
        rows = watch.step(slot)
        for tick in slot:
            key: Any = (tick.lane, tick.part)
            reported[key].append(rules[key].step(rows[key], tick).fault)
    return reported


HOURS = 1.0
HURT = ("m_0", "lead")
FAULTS: dict[str, Callable[[dict[LoopKey, Spans]], Spans]] = {
    "stuck_on": lambda s: [*(x for x in s[HURT] if x[1] < 100.0), (100.0, 3600.0 * HOURS + 60)],
    "stuck_off": lambda s: [],
    "chatter": lambda s: flutter(s[HURT], HOURS),
    "breakup": lambda s: broken(s[HURT]),
    "crosstalk": lambda s: ghosts(s[HURT], s["m_1", "lead"], 0.6, 0.02, 0.8),
    "splashover": lambda s: ghosts(s[HURT], s["m_1", "lead"], 0.6, 0.1, 0.5),
    "undercount": lambda s: s[HURT][::2],
    "mismatch": lambda s: [(a - 0.03, b + 0.03) for a, b in s[HURT]],
    "swapped": lambda s: s["m_0", "trail"],
}


@one_in(3)
@pytest.mark.parametrize("fault", FAULTS)
def test_a_plain_fault_is_named_by_a_rule(fault: str) -> None:
    whole = street(HOURS)
    if fault == "swapped":
        whole["m_0", "trail"] = whole[HURT]
        whole[HURT] = street(HOURS)["m_0", "trail"]
    else:
        whole[HURT] = FAULTS[fault](whole)
    reported = run(whole, HOURS)
    said = reported[HURT][len(reported[HURT]) // 2 :]
    assert said.count(fault) > 0.8 * len(said)
    sound = [key for key in reported if key[0] != "m_0"]
    assert not any(word for key in sound for word in reported[key])


@pytest.mark.parametrize("gap_s", [3.0, 6.0, 60.0, 600.0])
def test_a_sound_street_gives_nothing(gap_s: float) -> None:
    reported = run(street(2.0, gap_s), 2.0)
    assert not any(word for words in reported.values() for word in words)


def _standing(
    green_s: float | None, slots: int, position: str, role: Role = "mainline"
) -> str | None:
    """A loop that is occupied for so many slots, of which so many seconds were green."""
    rule = LoopRule(position, "presence", role=role)
    row = [0.0] * len(FEATURES)
    green = None if green_s is None else round(green_s * S)
    row[COLUMN["on_green"]] = math.log1p(green_s or 0.0)
    end, whole = slots * SLOT * S, SLOT * S
    tick = LoopTick("x", "lead", end - whole, end, whole, whole, since_ns=0, green_ns=green)
    return rule.step(row, tick).fault


@pytest.mark.parametrize(
    ("green_s", "slots", "position", "fault"),
    [
        (None, 3, "corridor", None),
        (None, 4, "corridor", "stuck_on"),
        (None, 9, "stop", None),  # a long red
        (None, 10, "stop", "stuck_on"),
        (100.0, 12, "stop", None),
        (120.0, 12, "stop", "stuck_on"),
    ],
)
def test_a_stop_line_may_be_occupied_as_long_as_it_is_red(
    green_s: float | None, slots: int, position: str, fault: str | None
) -> None:
    assert _standing(green_s, slots, position) == fault


@pytest.mark.parametrize(
    ("slots", "position", "fault"),
    [(59, "corridor", None), (60, "corridor", "stuck_on"), (59, "stop", None)],
)
def test_an_exit_lane_may_be_occupied_for_half_an_hour(
    slots: int, position: str, fault: str | None
) -> None:
    assert _standing(None, slots, position, "auxiliary") == fault


def test_pulses_are_counted_but_their_lengths_mean_nothing() -> None:
    rule = LoopRule("corridor", "pulse")
    row = [50.0] * len(FEATURES)
    for name in ("idle", "due_mate"):
        row[COLUMN[name]] = 0.0
    stays = tuple(Stay(i * S, i * S + S // 8) for i in range(20))
    tick = LoopTick("x", "lead", 0, 30 * S, 30 * S, 2 * S, stays)
    assert rule.step(row, tick).fault is None
    assert rule.step(row, tick._replace(stays_left_out=18)).fault == "chatter"


def test_a_day_of_high_occupancy_is_a_high_value() -> None:
    rule, row = LoopRule("corridor", "presence"), [0.0] * len(FEATURES)
    row[COLUMN["slot_occupancy"]] = 0.8
    high = LoopTick("x", "lead", 0, 30 * S, 30 * S, 24 * S, (Stay(S, 25 * S),))
    free = high._replace(on_ns=3 * S)
    said = [rule.step(row, high if i % 4 == 0 else free).fault for i in range(1225)]
    assert said[1222] is None
    assert said[1223] == said[1224] == "stuck_on"
    again = LoopRule("corridor", "presence")
    again.restore(rule.snapshot())
    assert again.step(row, high).fault == "stuck_on"
