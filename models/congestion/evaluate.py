"""Scores the bundle that ships, as it ships, on simulated streets; prints tables in Markdown.

    python -m models.congestion.evaluate --streets DIR [--health simulated] [--bundle DIR]

The graph runs slot by slot through onnxruntime. Beside it: the occupancy rule that was tuned on the
same streets as the model and stands inside it; and mean occupancy above 30 % of the last minute,
the usual fixed rule. All see the same rows, without loops that are called broken: by the judge
of loop health that ships, or by a simulated one. Each position alone stands for a site
that has no other loops; `link` is all loops of a link, and those of the links beside it.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from models.confidence import bootstrap_interval
from models.congestion.approachrows import (
    ApproachRow,
    all_sound,
    parts_of,
    rows_after_usual_days,
    rows_of,
)
from models.congestion.congestionrunner import ShippedBundle, fixed_rule, rule_odds, rules_of
from models.congestion.eventscores import (
    EventTally,
    flag_starts,
    recent_level,
    tally_link,
    total_tally,
)
from models.congestion.scenarios.loopfaults import inject_faults
from models.congestion.scenarios.simstreet import SimStreet, find_streets, load_street, load_usual
from models.congestion.simulatedhealth import HEALTHS
from models.congestion.treelearning import AHEAD_S, UNSEEN, row_truth
from models.congestion.tuning import LEVEL_OFF

FAULTY: Final = 0.25
SEED: Final = 101  # not the faults of the training
FIXED: Final = 0.30
KINDS: Final[dict[str, Callable[[ApproachRow], bool]]] = {
    "corridor": lambda row: row.situation == "corridor" and row.whole,
    "corridor, no neighbours": lambda row: row.situation == "corridor" and row.alone,
    **{
        name: lambda row, name=name: row.situation == name and row.alone  # type: ignore[misc]
        for name in ("advance", "mid", "stop")
    },
    "link": lambda row: row.situation == "link" and row.whole,
    "link, no neighbours": lambda row: row.situation == "link" and row.alone and row.complete,
    "all whole links": lambda row: row.whole,
}


def _with_interval(
    of: Callable[[EventTally], float], digits: int
) -> Callable[[Sequence[EventTally]], str]:
    """The score of all parts and what it lies between, in words."""

    def shown(parts: Sequence[EventTally]) -> str:
        return bootstrap_interval(parts, lambda some: of(total_tally(some))).shown(digits)

    return shown


MEASURES: Final = (
    _with_interval(lambda t: t.f1, 3), _with_interval(lambda t: t.recall, 2),
    _with_interval(lambda t: t.wrong_a_day, 2),
    _with_interval(lambda t: t.delay_s, 0),
)  # fmt: skip


def played(
    streets: Sequence[tuple[SimStreet, SimStreet | None]], share: float, health: str
) -> list[ApproachRow]:
    """All rows that are scored, at sites that have seen their usual day, where there is one."""
    out: list[ApproachRow] = []
    for street, usual in streets:
        injured, faults = inject_faults(street, SEED, share) if share else (street, ())
        here = rows_of(injured, HEALTHS[health](injured, faults, SEED) if share else all_sound)
        out += rows_after_usual_days(here, rows_of(usual)) if usual else here
    return out + [part for row in out for part in parts_of(row)]


def flags(level: NDArray[Any], row: ApproachRow, on: float, off: float) -> EventTally:
    at = flag_starts(level, recent_level(level, float(row.dt_s[0])), on, off)
    return tally_link(row.ends_s[at], row.link.events, row.link.short, row.days)


def events_table(
    name: str, rows: Sequence[ApproachRow], by_model: Mapping[str, Sequence[EventTally]]
) -> Iterator[str]:
    """With what each score lies between in 95 % of draws of streets, with repeats."""
    yield ""
    yield f"### {name}"
    yield ""
    yield "| loops | who | F1 | detection | false / link-day | median delay, s | events |"
    yield "|---|---|---|---|---|---|---|"
    for kind, mine in KINDS.items():
        at = [i for i, row in enumerate(rows) if mine(row)]
        if not at or not sum(len(rows[i].link.events) for i in at):
            continue
        for who, tallies in by_model.items():
            parts = by_street((rows[i].street, tallies[i]) for i in at)
            cells = " | ".join(shown(parts) for shown in MEASURES)
            yield f"| {kind} | {who} | {cells} | {total_tally(parts).events} |"


def by_street(tallies: Iterable[tuple[str, EventTally]]) -> list[EventTally]:
    """One for each street: what is drawn again for an interval."""
    out: dict[str, EventTally] = {}
    for street, one in tallies:
        out[street] = out.get(street, EventTally()) + one
    return list(out.values())


def forecast_table(
    rows: Sequence[ApproachRow], outputs: Sequence[dict[str, NDArray[Any]]]
) -> Iterator[str]:
    """Brier scores of whole links, beside: it stays as it is; it is as often as on average."""
    at = [i for i, row in enumerate(rows) if row.whole]
    share = float(np.concatenate([rows[i].inside(rows[i].link.events) for i in at]).mean())
    yield ""
    yield "| ahead | Brier: model | flag stays | truth stays | always the share of all slots |"
    yield "|---|---|---|---|---|"
    for name, ahead_s in zip(("p", "p5", "p15"), AHEAD_S, strict=True):
        p, y, flag, now = [], [], [], []
        for i in at:
            there, counts = row_truth(rows[i], ahead_s)
            keep = counts > 0
            p.append(outputs[i][name][keep])
            y.append(there[keep])
            flag.append(outputs[i]["p"][keep] >= 0.5)
            now.append(rows[i].inside(rows[i].link.events)[keep])
        chance, was = np.concatenate(p), np.concatenate(y).astype(np.float64)
        brier = [
            float(np.mean((np.asarray(each, np.float64) - was) ** 2))
            for each in (
                chance,
                np.concatenate(flag),
                np.concatenate(now),
                np.full(len(was), share),
            )
        ]
        cells = " | ".join(f"{b:.4f}" for b in brier)
        yield f"| {ahead_s / 60:.0f} min | {cells} |"
    yield from calibration_table(rows, outputs, at)


def calibration_table(
    rows: Sequence[ApproachRow], outputs: Sequence[dict[str, NDArray[Any]]], at: Sequence[int]
) -> Iterator[str]:
    yield ""
    yield "| p from | slots | mean p | share congested |"
    yield "|---|---|---|---|"
    chance = np.concatenate([outputs[i]["p"] for i in at])
    was = np.concatenate([rows[i].inside(rows[i].link.events) for i in at])
    clear = np.concatenate([row_truth(rows[i], 0.0)[1] > 0 for i in at])
    for low, high in ((0, 0.05), (0.05, 0.2), (0.2, 0.4), (0.4, 0.6), (0.6, 0.8), (0.8, 1.01)):
        here = (chance >= low) & (chance < high) & clear
        if here.any():
            cells = f"{here.sum()} | {chance[here].mean():.3f} | {was[here].mean():.3f}"
            yield f"| {low:g} to {min(high, 1):g} | {cells} |"


def tables(args: argparse.Namespace) -> Iterator[str]:
    """All tables of the card, line by line, on streets that were never learned from."""
    every, health = getattr(args, "every", False), getattr(args, "health", "judged")
    cold = getattr(args, "cold", False)
    found = [
        (load_street(place), None if cold else load_usual(place))
        for place in find_streets(args.streets, final=getattr(args, "final", False))
    ]
    streets = [(street, usual) for street, usual in found if street.seed >= UNSEEN or every]
    if not streets:
        yield f"left out: no street below {args.streets} was kept from the training"
        return
    if getattr(args, "quick", False):
        streets = streets[::5]
    bundle = ShippedBundle(args.bundle)
    rules = rules_of(bundle.manifest)
    on, off = bundle.manifest["flags"]["on"], bundle.manifest["flags"]["off"]
    rule_off = float(np.log(LEVEL_OFF / (1 - LEVEL_OFF)))
    for name, share in (("Sound", 0.0), ("With injured loops", FAULTY)):
        rows = played(streets, share, health)
        outputs = bundle.run(rows)
        scores = {
            "model": [
                flags(np.round(one["level"] * one["known"], 3), row, on, off)
                for one, row in zip(outputs, rows, strict=True)
            ],
            "tuned occupancy": [
                flags(odds, row, 0.0, rule_off)
                for odds, row in zip(rule_odds(rows, rules), rows, strict=True)
            ],
            "over 30 %": [flags(fixed_rule(row), row, FIXED, 0.9 * FIXED) for row in rows],
        }
        days = sum(row.days for row in rows if row.whole)
        yield from events_table(
            f"{name}: {len(streets)} streets, {days:.1f} link-days", rows, scores
        )
        yield from forecast_table(rows, outputs)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--streets", type=Path, required=True)
    parser.add_argument("--bundle", type=Path, default=Path(__file__).parent)
    parser.add_argument("--health", choices=sorted(HEALTHS), default="judged")
    parser.add_argument("--cold", action="store_true", help="sites that have learned nothing yet")
    parser.add_argument("--every", action="store_true", help="streets of the training, too")
    for line in tables(parser.parse_args()):
        print(line, flush=True)


if __name__ == "__main__":
    main()
