"""Counts what is said of faults of several loops at once: falsely on sound days, and how late.

    python -m models.loopfault.commonfaults --days DIR [--logs DIR] [--counts FILE ...]

DIR of `--days` holds simulated days (see `models.congestion.scenarios.legacy`), that of `--logs`
what signal controllers logged, FILE counts by quarters of an hour (see `logged`). Nothing is tuned
here. Takes some minutes.
"""

from __future__ import annotations

import argparse
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Final

import numpy as np

from edge.core.looptick import LoopTick
from edge.infer.loops.burst import BurstRule
from edge.infer.loops.evidence import LoopKey
from edge.infer.loops.polarity import PolarityRule
from edge.infer.loops.silentsite import SilentSite
from models.congestion.scenarios.legacy import load_legacy
from models.congestion.scenarios.playstreet import play_ticks
from models.congestion.scenarios.simstreet import Floats, SimStreet
from models.loopfault import controllerlogs

DAY_S: Final = 86_400.0
SLOT_S: Final = 30.0
MONDAY_S: Final = 4 * DAY_S  # since 1970
CARD: Final = 4  # loops that a card has, of the planted ones
SILENT_H: Final = (3.0, 10.0, 17.0)  # when a whole site falls silent, on its last day

Slot = dict[LoopKey, LoopTick]
Turn = tuple[float, str, LoopKey]  # second, fault, loop


def street_slots(street: SimStreet) -> Iterator[Slot]:
    """What the loops of a street did, slot by slot."""
    for _, ticks in play_ticks(street):
        out: dict[int, Slot] = {}
        for tick in ticks:
            out.setdefault(tick.to_ns, {})[tick.lane, tick.part] = tick
        yield from (out[end] for end in sorted(out))


def fault_turns(
    keys: Sequence[LoopKey], played: Iterable[Slot], wall_s: float | None = None
) -> list[Turn]:
    """When each fault of a loop began to be said. `wall_s` is the moment 0, None: no clock."""
    rules = (PolarityRule(keys), BurstRule(keys), SilentSite(keys))
    up: set[tuple[str, LoopKey]] = set()
    out: list[Turn] = []
    for slot in played:
        end_s = max(tick.to_ns for tick in slot.values()) / 1e9
        now = {
            (ruling.fault, key)
            for rule in rules
            for key, ruling in rule.step(
                slot, {}, None if wall_s is None else wall_s + end_s
            ).items()
            if ruling.fault is not None
        }
        out += [(end_s, fault, key) for fault, key in sorted(now - up)]
        up = now
    return out


def keys_of(street: SimStreet) -> list[LoopKey]:
    return [(loop.lane, loop.part) for loop in street.loops]


def count_sites(found: Sequence[Turn]) -> Counter[str]:
    """How often each fault was said, that of several loops in one slot once."""
    return Counter(fault for _, fault in {(at, fault) for at, fault, _ in found})


def inverted_stays(stays: Floats, hours: float) -> Floats:
    """As an input with the other polarity tells them."""
    edges = np.concatenate([[0.0], stays[stays[:, 0] > 0.0].ravel(), [hours * 3600.0 + 60.0]])
    return edges.reshape(-1, 2)


def invert_loop(street: SimStreet) -> SimStreet:
    return replace(street, stays=tuple(inverted_stays(s, street.hours) for s in street.stays))


def stick_card(street: SimStreet, at_s: float) -> SimStreet:
    """The first CARD loops fail on within some milliseconds, and stay so."""
    stays = list(street.stays)
    for i, each in enumerate(stays[:CARD]):
        here = each[each[:, 1] < at_s - 0.5]
        end = np.array([[at_s + 0.004 * i, street.hours * 3600.0 + 60.0]])
        stays[i] = np.concatenate([here, end])
    return replace(street, stays=tuple(stays))


def silence_site(street: SimStreet, at_s: float) -> SimStreet:
    return replace(street, stays=tuple(s[s[:, 1] < at_s] for s in street.stays))


def counted_slots(
    series: Mapping[str, np.ndarray[tuple[int], np.dtype[np.float64]]], seed: int
) -> Iterator[Slot]:
    """Slots of detectors of which counts are known: their vehicles come at any moment of a bin.

    Bins that nobody counted are left out of time.
    """
    chance = np.random.default_rng(seed)
    each = round(controllerlogs.QUARTER_S / SLOT_S)
    step_ns = round(SLOT_S * 1e9)
    names = list(series)
    table = np.stack([series[name] for name in names])
    for i, bins in enumerate(table.T):
        if not np.isfinite(bins).all():
            continue
        came = np.stack([chance.multinomial(int(n), [1.0 / each] * each) for n in bins])
        for k in range(each):
            begin = (i * each + k) * step_ns
            yield {
                (name, "lead"): LoopTick(
                    name,
                    "lead",
                    begin,
                    begin + step_ns,
                    step_ns,
                    int(n) * 400_000_000,
                    stays_left_out=int(n),
                )
                for name, n in zip(names, came[:, k], strict=True)
            }


# --- figures --------------------------------------------------------------------------------------


def sound_report(some: Sequence[SimStreet]) -> str:
    """What is said of sound streets."""
    counter: Counter[str] = Counter()
    for street in some:
        counter += count_sites(fault_turns(keys_of(street), street_slots(street), MONDAY_S))
    days = sum(street.hours for street in some) / 24.0
    loops = sum(len(street.loops) for street in some)
    return f"{len(some)} sites, {loops} loops, {days:.2f} site-days: {_report_line(counter)}"


def inverted_report(some: Sequence[SimStreet]) -> Iterator[str]:
    """How soon an inverted loop is named, by where it lies; from midnight on, where days begin."""
    minutes: dict[str, list[float]] = {}
    for street in some:
        found = fault_turns(keys_of(street), street_slots(invert_loop(street)))
        first = {key: at for at, fault, key in reversed(found) if fault == "inverted"}
        for loop in street.loops:
            at = first.get((loop.lane, loop.part), np.inf)
            minutes.setdefault(loop.position, []).append(at / 60.0)
    for position, values in sorted(minutes.items()):
        q = [np.quantile(values, part, method="higher") for part in (0.1, 0.5, 0.9)]
        named = int(np.isfinite(values).sum())
        yield (
            f"inverted, {position}: {named} of {len(values)} named, 10 % within {q[0]:.0f}, half "
            f"within {q[1]:.0f}, 90 % within {q[2]:.0f} min"
        )


def card_report(some: Sequence[SimStreet]) -> str:
    delays, right = [], 0
    for street in some:
        at_s = street.hours * 1800.0
        found = [
            t
            for t in fault_turns(keys_of(street), street_slots(stick_card(street, at_s)))
            if t[0] > at_s
        ]
        named = {key: at for at, fault, key in found if fault == "stuck_on"}
        right += set(named) == set(keys_of(street)[:CARD])
        delays += [(at - at_s) / 60.0 for at in named.values()]
    return (
        f"a card of {CARD} loops fails on: {right} of {len(some)} named as one, after "
        f"{max(delays, default=np.nan):.1f} min at most"
    )


def silence_report(some: Sequence[SimStreet], wall_s: float | None) -> Iterator[str]:
    """How soon a site is dead that falls silent on a day, after days that were the same."""
    clock = "with" if wall_s is not None else "without"
    days = 8 if wall_s is not None else 2
    delays: dict[float, list[float]] = {hour: [] for hour in SILENT_H}
    for street in some:
        if street.hours != 24.0:
            continue
        day = [_counts_only(slot) for slot in street_slots(street)]
        before = SilentSite(keys_of(street))
        for i in range(days):
            _first_word(before, day, i * DAY_S, wall_s)
        for hour, found in delays.items():
            rule, dead_s = SilentSite(keys_of(street)), days * DAY_S + hour * 3600.0
            rule.restore(before.snapshot())
            dead = [
                _counts_only(slot) for slot in street_slots(silence_site(street, hour * 3600.0))
            ]
            found.append((_first_word(rule, dead, days * DAY_S, wall_s) - dead_s) / 60.0)
    for hour, found in delays.items():
        shown = ", ".join(f"{d:.0f}" for d in sorted(found))
        yield f"silent from {hour:.0f} o'clock, {clock} a clock: named after {shown} min"


def _first_word(
    rule: SilentSite, day: Sequence[Slot], from_s: float, wall_s: float | None
) -> float:
    """The second in which it speaks, on a day that begins at `from_s`."""
    by_ns = round(from_s * 1e9)
    for slot in day:
        end_s = from_s + next(iter(slot.values())).to_ns / 1e9
        later = {
            key: t._replace(from_ns=t.from_ns + by_ns, to_ns=t.to_ns + by_ns)
            for key, t in slot.items()
        }
        if rule.step(later, {}, None if wall_s is None else wall_s + end_s):
            return end_s
    return np.inf


def _counts_only(slot: Slot) -> Slot:
    """With counts in the place of stays; a loop that is occupied has just become so."""
    return {
        key: t._replace(
            stays=(),
            stays_left_out=t.stays_left_out + len(t.stays) + (t.since_ns is not None),
            since_ns=None,
        )
        for key, t in slot.items()
    }


def count_logs(path: Path) -> Iterator[str]:
    """Whole signals, and each detector as a site of its own: nobody is as lonely."""
    for counts in controllerlogs.logged_counts(path):
        signal, series = counts.signal, counts.from_monday()
        for what, parts in (
            ("as one site", [series]),
            ("each detector a site", [{name: one} for name, one in series.items()]),
        ):
            for clock, wall_s in (("a clock", MONDAY_S), ("no clock", None)):
                counter: Counter[str] = Counter()
                days = 0.0
                for i, part in enumerate(parts):
                    keys: list[LoopKey] = [(name, "lead") for name in part]
                    rule = SilentSite(keys)
                    up = False
                    for slot in counted_slots(part, i):
                        days += SLOT_S / DAY_S
                        end_ns = next(iter(slot.values())).to_ns
                        wall = None if wall_s is None else wall_s + end_ns / 1e9
                        now = rule.step(slot, {}, wall)
                        counter["silent"] += bool(now) and not up
                        up = bool(now)
                found = _report_line(counter)
                yield f"signal {signal}, {what}, {clock}: {days:.0f} site-days: {found}"


def _report_line(counter: Counter[str]) -> str:
    found = {fault: n for fault, n in counter.items() if n}
    return ", ".join(f"{n} {fault}" for fault, n in sorted(found.items())) or "nothing said"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--days", type=Path, help="folder of simulated days")
    parser.add_argument("--logs", type=Path, help="folder of logs of signal controllers")
    parser.add_argument("--counts", type=Path, nargs="*", default=[], help="files of counts")
    args = parser.parse_args()
    if args.days is not None:
        days = load_legacy(args.days)
        print("simulated:", sound_report(days))
        print(*inverted_report(days), card_report(days), sep="\n")
        print(*silence_report(days, None), *silence_report(days, MONDAY_S), sep="\n")
    if args.logs is not None:
        some = controllerlogs.logged_streets(args.logs)
        print("recorded:", sound_report(some))
        print(*inverted_report(some), sep="\n")
    for path in args.counts:
        print(*count_logs(path), sep="\n")


if __name__ == "__main__":
    main()
