"""Readings, energy and vehicles of one source against what its simulator produced."""

from collections.abc import Sequence
from itertools import zip_longest
from typing import Final

from tests.oracle.findings import OracleVerdict, inside, name_of
from tests.oracle.found import PlatformRow, Span, Truth
from tests.oracle.world import EVERY_S

NEAR_US: Final = 50_000  # from a meter's answer to the moment that it is on the stage
BORDER_US: Final = 300_000  # a vehicle so near to a gap's border may be on either side
FORGIVEN: Final = 2  # polls at the borders of a window


def check_meter(
    rows: Sequence[PlatformRow],
    unit: int,
    truth: Truth,
    gaps: Sequence[Span],
    verdict: OracleVerdict,
) -> None:
    """Its power is the number of its answer: which answers are in which record, and their energy.

    `rows` are in the order of time.
    """
    answers, source = truth.answers[unit], rows[0].source
    first = last = None
    grown = 0
    for row in rows:
        power, energy = row.body["points"]["power"], row.body["points"]["energy_import"]
        bad = sum(count for word, count in power["quality"].items() if word != "good")
        verdict.figures["bad_readings"] += bad
        grown += round((energy["delta"] or 0) * 1000)
        verdict.figures["readings"] += power["n"]
        if not power["n"]:
            continue
        low, high = round(power["min"]), round(power["max"])
        total = round((power["origin"] * power["n"] + power["sum"]) * power["step"])
        if last is not None and low <= last:
            verdict.say(f"{source}: answers {low}..{last} are in two records ({name_of(row)})")
        lost: list[int] = [] if last is None else list(range(last + 1, low))
        within = high - low + 1 - power["n"]
        due = round(row.body["covered_s"] / EVERY_S)
        unsure = [n for n in range(low, high + 1) if _near(answers[n].at_us, gaps)]
        # what was heard just before a kill may lie in the gap: its begin is the last proof of life
        if not -FORGIVEN <= power["n"] + bad - due <= FORGIVEN + len(unsure):
            text = f"{power['n']} readings and {bad} bad ones, {due} were due"
            verdict.say(f"{source}: {name_of(row)}: {text}, {len(unsure)} answers in gaps")
        if within > len(unsure) + bad or within < 0:
            text = f"of answers {low}..{high}, {within} are missing, {len(unsure)} in gaps"
            verdict.say(f"{source}: {name_of(row)}: {text}, {bad} bad")
        elif not within and total != (low + high) * power["n"] // 2:
            verdict.say(
                f"{source}: {name_of(row)}: the sum of answers {low}..{high} is not {total}"
            )
        silent = [n for n in lost if not _near(answers[n].at_us, gaps)]
        if len(silent) > bad:
            text = f"{len(silent)} answers came to no record ({silent[:5]} before {name_of(row)})"
            verdict.say(f"{source}: {text}, and no gap names their time {answers[silent[0]].at_us}")
        verdict.figures["readings_in_gaps"] += len(lost) + within
        if not bad and round(energy["last"] * 1000) != answers[high].wh:
            verdict.say(f"{source}: {name_of(row)} ends with {energy['last']} kWh, not as answered")
        first, last = first or low, high
    if first is None or last is None:
        verdict.say(f"{source}: not one reading has come")
        return
    meant = answers[last].wh - answers[first].wh
    verdict.figures["energy_wh"] += grown
    if grown != meant:
        verdict.say(f"{source}: the records add up to {grown} Wh, the register grew by {meant}")


def check_lane(
    lane: str,
    rows: Sequence[PlatformRow],
    truth: Truth,
    gaps: Sequence[Span],
    verdict: OracleVerdict,
) -> None:
    """Vehicles away from gaps are counted; those in gaps or near them may be. At each window's end
    the sum so far is right, but for who is just passing."""
    begin, stop = rows[0].span[0], rows[-1].span[1] + BORDER_US
    passed = [v for v in truth.vehicles[lane] if v[1] >= begin and v[0] < stop]
    sure = [v for v in passed if begin + BORDER_US < v[0] and not _hidden(v, gaps)]
    counted = 0
    for row, after in zip_longest(rows, rows[1:]):
        end = row.span[1]
        counted += row.body["volume"] or 0
        least = sum(last < end - BORDER_US for _, last in sure)
        most = sum(first < end + BORDER_US for first, _ in passed)
        # a process that stood still at the window's end counts late, and says so in the next one
        if after is not None:
            least -= after.body["quality"].get("uncertain:gap", 0)
        if not least <= counted <= most:
            text = f"{least} had passed away from gaps by then, {most} in all"
            verdict.say(f"{lane}: by {name_of(row)} {counted} vehicles are counted, {text}")
            break
    verdict.figures["vehicles"] += counted
    verdict.figures["vehicles_passed"] += len(passed)
    verdict.figures["vehicles_away_from_gaps"] += len(sure)


def _hidden(vehicle: Span, gaps: Sequence[Span]) -> bool:
    return inside(vehicle[0] - BORDER_US, vehicle[1] + BORDER_US, gaps) > 0


def _near(at_us: int, gaps: Sequence[Span]) -> bool:
    return inside(at_us - NEAR_US, at_us + NEAR_US, gaps) > 0
