"""What a drive over a lane proves: order and polarity of its loops, their lane, spacing and speed.

Other traffic does not count as the drive. The drive is the passage that the technician has chosen
from the list, or the only vehicle that any lane saw since the command. Without that, only what
three vehicles agree in is found: the order of the pair, which is the same for everybody; lane,
speed and spacing stay unproven.

A speedometer never shows less than the true speed, and at most a tenth and 4 km/h more (UN R39).
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from edge.commission.looptrace import OPEN, DriveTrace, LoopPresence, LoopReading, read_all
from edge.commission.seenpassage import (
    SeenPassage,
    order_is_unclear,
    see_passages,
    vehicles_apart,
)
from edge.commission.verdict import StepFinding, finding
from edge.process.enginesetup import LaneSetup

AGREEING: Final = 3  # vehicles of others that show the order of a pair
FEET: Final = 3.28084
FEET_NEAR: Final = 0.12
READING_KMH: Final = 2.0  # nobody reads a speedometer better
SPACING_SHARE: Final = 0.05  # of the distance between two loops in asphalt
OWN_LENGTH_M: Final = (2.5, 9.0)  # a technician comes by car or van
LENGTH_M: Final = 1.2
LENGTH_SHARE: Final = 0.25
UNEVEN: Final = 0.25
SLACK_S: Final = 0.04
BOUNCES: Final = 6
BESIDE_NS: Final = 200_000_000  # cards of two lanes answer at other times
BEFORE_NS: Final = 1_000_000_000  # a plot begins so long before the passage


@dataclass(frozen=True, slots=True)
class ToldDrive:
    """What the technician says of it: `speed_kmh` by the speedometer, the vehicle's length, and
    which of the passages it was (by its place in the list); None: he has not said."""

    speed_kmh: float | None = None
    length_m: float | None = None
    mine: int | None = None


@dataclass(frozen=True, slots=True)
class DriveSeen:
    """What was found. `own` is the drive; None: nobody knows which passage it was."""

    findings: tuple[StepFinding, ...]
    passages: tuple[SeenPassage, ...]
    own: SeenPassage | None
    order: str = ""  # ordered or reversed, by the drive itself
    figures: Mapping[str, object] = field(default_factory=dict)  # for the plot of the drive


def judge_drive(
    lanes: Sequence[LaneSetup], driven: LaneSetup, trace: DriveTrace, to_ns: int, told: ToldDrive,
    before: str = "",
) -> DriveSeen:  # fmt: skip
    """All of it. `before` is the order that an earlier drive showed. Raises IndexError for a
    passage that is not in the list."""
    bounce = {source: round(lane.bounce_ms * 1e6) for lane in lanes for source in loops_of(lane)}
    readings = read_all(trace.loops, to_ns, bounce)
    passages = see_passages(lanes, readings, driven)
    own = _own(passages, driven, told)
    found = [*_lines(driven, readings, own)]
    if not passages:
        found.append(_still(driven, trace, to_ns))
        return DriveSeen(tuple(found), (), None)
    if own is None:
        if not any(readings[source].moved for source in loops_of(driven)):
            found.append(_still(driven, trace, to_ns))
        found += _by_others(driven, passages, readings)
        return DriveSeen(tuple(found), tuple(passages), None)
    found += _placed(driven, own, readings)
    found += _beside(driven, own, passages)
    order = own.kind if own.kind in ("ordered", "reversed") and own.lane == driven.name else ""
    if before and order and order != before:
        found.append(finding("disagrees", now=order, before=before))
    if order:
        found += _measured(driven, own, told)
    if not any(each.verdict != "passed" for each in found):
        found.insert(0, _seen(driven, own))
    return DriveSeen(tuple(found), tuple(passages), own, order, plot_figures(own, readings))


def loops_of(lane: LaneSetup) -> tuple[str, ...]:
    """The sources of its contacts, the lead loop first."""
    return (lane.lead, lane.trail) if lane.doubled else (lane.lead,)


def passage_groups(seen: DriveSeen) -> int:
    """How many vehicles there can have been."""
    return len(vehicles_apart(seen.passages))


def plot_figures(own: SeenPassage, readings: Mapping[str, LoopReading]) -> dict[str, object]:
    """The drive's own presences on each loop, in ms since BEFORE_NS before the first: others are
    left out, for they are nobody's business here."""
    start_ns = own.at_ns - BEFORE_NS
    loops = [
        [each.source, round((each.on_ns - start_ns) / 1e6),
         None if each.on_s is None else round((each.off_ns - start_ns) / 1e6)]
        for each in own.spans
    ]  # fmt: skip
    return {
        "loops": loops,
        "speed_kmh": own.speed_kmh,
        "length_m": own.length_m,
        "inverted": sorted(s for s in own.sources if readings[s].inverted),
    }


def _own(passages: Sequence[SeenPassage], driven: LaneSetup, told: ToldDrive) -> SeenPassage | None:
    if told.mine is not None:
        return passages[told.mine]
    groups = vehicles_apart(passages)
    if len(groups) != 1:
        return None
    return _joined(groups[0], driven)


def _joined(group: Sequence[SeenPassage], driven: LaneSetup) -> SeenPassage | None:
    """One vehicle, as two lanes or two loops saw it: on the lane of the drive if that saw it whole;
    else a pair of loops; else what single loops saw, put together."""
    pairs = [each for each in group if len(each.spans) > 1]
    here = [each for each in pairs if each.lane == driven.name and each.kind != "crossed"]
    for one in (here, pairs):
        if len(one) == 1:
            return None if any(_is_beside(each, one[0]) for each in group) else one[0]
    if pairs:
        return None  # two vehicles beside each other
    singles = [each for each in group if each.lane == driven.name]
    spans: dict[str, LoopPresence] = {}
    for each in singles or group:
        if each.spans[0].source in spans:
            return None  # two, one behind the other
        spans[each.spans[0].source] = each.spans[0]
    lane = driven.name if singles else group[0].lane
    return SeenPassage("single", lane, tuple(spans.values()))


def _lines(
    driven: LaneSetup, readings: Mapping[str, LoopReading], own: SeenPassage | None
) -> Iterable[StepFinding]:
    """What a line shows, whoever passed."""
    for source in dict.fromkeys((*loops_of(driven), *(own.sources if own else ()))):
        reading = readings[source]
        percent = round(100 * reading.share)
        if reading.inverted:
            yield finding("inverted", loop=source, percent=percent)
        elif reading.inverted is None:
            yield finding("polarity_unclear", loop=source, percent=percent)
        if reading.lost:
            yield finding("edges_lost", loop=source, count=reading.lost)
        if reading.bounces > BOUNCES:
            yield finding("bounces", loop=source, count=reading.bounces)


def _by_others(
    driven: LaneSetup, passages: Sequence[SeenPassage], readings: Mapping[str, LoopReading]
) -> Iterable[StepFinding]:
    """What vehicles show of which nobody knows whether one was the drive."""
    here = [each for each in passages if each.lane == driven.name]
    pairs = [each for each in here if each.kind in ("ordered", "reversed")]
    if len(pairs) >= AGREEING:
        first, second = loops_of(driven)
        if order_is_unclear(driven, readings):
            yield finding("unclear_order", lane=driven.name)
        elif all(each.kind == "ordered" for each in pairs):
            yield finding("order_seen", count=len(pairs), first=first, second=second)
        elif all(each.kind == "reversed" for each in pairs):
            yield finding(
                "swapped_by_others", count=len(pairs), lane=driven.name, first=first, second=second
            )
    yield finding("which_was_yours", count=len(vehicles_apart(passages)))


def _placed(
    driven: LaneSetup, own: SeenPassage, readings: Mapping[str, LoopReading]
) -> Iterable[StepFinding]:
    """On which loops the drive was, and in which order."""
    loops = loops_of(driven)
    if own.kind == "crossed":
        wrong = next((s for s in own.sources if s not in loops), own.sources[-1])
        right = next((s for s in loops if s not in own.sources), loops[-1])
        yield finding(
            "crossed", lane=driven.name, first=own.sources[0], second=own.sources[1], wrong=wrong,
            right=right,
        )  # fmt: skip
    elif own.lane != driven.name:
        yield finding("other_lane", lane=driven.name, other=own.lane)
    elif own.kind == "reversed":
        yield finding("swapped", lane=driven.name, first=loops[0], second=loops[1])
    elif own.kind == "single" and driven.doubled:
        silent = [source for source in loops if source not in own.sources]
        seen = ", ".join(own.sources)
        for source in silent:
            yield finding("loop_silent", loop=source, seen=seen)
        if not silent:
            lead, trail = (next(s for s in own.spans if s.source == name) for name in loops)
            yield finding("uneven", lane=driven.name, lead=lead.on_s, trail=trail.on_s)


def _beside(
    driven: LaneSetup, own: SeenPassage, passages: Sequence[SeenPassage]
) -> Iterable[StepFinding]:
    """Loops of other lanes that moved with it."""
    if own.lane != driven.name or own.kind == "crossed":
        return
    group = next((g for g in vehicles_apart(passages) if any(e is own for e in g)), [])
    others = {
        source
        for each in group
        if not _is_beside(each, own)
        for span in each.spans
        if (source := span.source) not in own.sources
        and source.rpartition(".")[0] != driven.name
        and any(_overlap(span, mine) for mine in own.spans)
    }
    for source in sorted(others):
        yield finding("splashover", other=source, lane=driven.name)


def _is_beside(each: SeenPassage, own: SeenPassage) -> bool:
    """Another vehicle: a pair of another lane that was reached before its own, or left after it.
    What a loop feels of the lane beside it begins later, and ends earlier."""
    if each.lane == own.lane or len(each.spans) < 2 or "crossed" in (each.kind, own.kind):
        return False
    return each.at_ns < own.at_ns - BESIDE_NS or _end_ns(each) > _end_ns(own) + BESIDE_NS


def _end_ns(passage: SeenPassage) -> int:
    return max(1 << 62 if each.off_ns == OPEN else each.off_ns for each in passage.spans)


def _overlap(one: LoopPresence, other: LoopPresence) -> bool:
    ends = [each.off_ns if each.on_s is not None else 1 << 62 for each in (one, other)]
    return one.on_ns < ends[1] and other.on_ns < ends[0]


def _measured(driven: LaneSetup, own: SeenPassage, told: ToldDrive) -> Iterable[StepFinding]:
    """Spacing against speed, length, and whether both loops felt the same."""
    first, second = own.spans
    if first.on_s and second.on_s and driven.mode == "presence":
        differ = abs(first.on_s - second.on_s)
        if differ > max(SLACK_S, UNEVEN * max(first.on_s, second.on_s)):
            by = {each.source: each.on_s for each in own.spans}
            yield finding("uneven", lane=driven.name, lead=by[driven.lead], trail=by[driven.trail])
    speed, spacing = own.speed_kmh, driven.spacing_m
    if speed is None or spacing is None:
        return
    if told.speed_kmh is None:
        yield finding("speed_untold", lane=driven.name, speed=speed, spacing=spacing)
        wrong = False
    else:
        wrong = not _agrees(speed, told.speed_kmh)
    if wrong and told.speed_kmh is not None:
        true_kmh = _middle_kmh(told.speed_kmh)
        right = spacing * true_kmh / speed
        feet = abs(speed / true_kmh / FEET - 1) < FEET_NEAR
        yield finding(
            "spacing_in_feet" if feet else "spacing_wrong", lane=driven.name, speed=speed,
            told=told.speed_kmh, spacing=spacing, right=round(spacing / FEET if feet else right, 1),
        )  # fmt: skip
        return
    length = own.length_m
    low, high = OWN_LENGTH_M
    if told.length_m is not None:
        slack = max(LENGTH_M, LENGTH_SHARE * told.length_m)
        low, high = told.length_m - slack, told.length_m + slack
    if length is not None and not low <= length <= high:
        yield finding(
            "length_odd", lane=driven.name, length=length, low=round(low, 1), high=round(high, 1)
        )


def speed_bounds(shown_kmh: float) -> tuple[float, float]:
    """What the loops may measure when a speedometer shows this, km/h."""
    least = (shown_kmh - 4.0) / 1.1 * (1 - SPACING_SHARE) - READING_KMH
    return max(0.0, least), shown_kmh * (1 + SPACING_SHARE) + READING_KMH


def _agrees(measured_kmh: float, shown_kmh: float) -> bool:
    low, high = speed_bounds(shown_kmh)
    return low <= measured_kmh <= high


def _middle_kmh(shown_kmh: float) -> float:
    """The true speed, most likely: half of what a speedometer may add."""
    return max(1.0, (shown_kmh + (shown_kmh - 4.0) / 1.1) / 2)


def _still(driven: LaneSetup, trace: DriveTrace, to_ns: int) -> StepFinding:
    return finding("nothing_moved", lane=driven.name, seconds=(to_ns - trace.from_ns) // 10**9)


def _seen(driven: LaneSetup, own: SeenPassage) -> StepFinding:
    if len(own.spans) < 2:
        return finding(
            "drive_seen_single", lane=driven.name, first=own.sources[0], on=own.spans[0].on_s
        )
    return finding(
        "drive_seen", lane=driven.name, first=own.sources[0], second=own.sources[1],
        speed=own.speed_kmh, length=own.length_m,
    )  # fmt: skip
