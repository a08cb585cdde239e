"""Tables of the card in Markdown: events by kind of approach, delays, and how far p is to be taken.

Each score comes with what it lies between in 95 % of draws of streets, with repeats.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import partial
from itertools import pairwise
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from models.confidence import bootstrap_interval
from models.congestion.approachrows import ApproachRow
from models.congestion.eventscores import EventTally, total_tally
from models.congestion.scenarios.simstreet import UNSIGNALLED
from models.congestion.treelearning import AHEAD_S, row_truth


def _is_alone(situation: str, row: ApproachRow) -> bool:
    return row.situation == situation and row.alone


KINDS: Final[dict[str, Callable[[ApproachRow], bool]]] = {
    "all whole links": lambda row: row.whole,
    "with signals": lambda row: row.whole and row.link.kind not in UNSIGNALLED,
    "corridor": lambda row: row.situation == "corridor" and row.whole,
    "corridor, no neighbours": lambda row: row.situation == "corridor" and row.alone,
    **{name: partial(_is_alone, name) for name in ("advance", "mid", "stop")},
    "link": lambda row: row.situation == "link" and row.whole,
    "link, no neighbours": lambda row: row.situation == "link" and row.alone and row.complete,
}
WHOLE: Final = ("all whole links", "with signals", "corridor")
BINS: Final = (0.0, 0.02, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.98, 1.01)
QUANTILES: Final = (0.1, 0.25, 0.5, 0.75, 0.9)

Outputs = Mapping[str, NDArray[Any]]
Tallies = Sequence[EventTally | None]  # by row; None: this one says nothing of such rows


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
    _with_interval(lambda t: 100 * t.cleared, 0),
    _with_interval(lambda t: 100 * t.over, 0),
)  # fmt: skip


def events_table(
    name: str, rows: Sequence[ApproachRow], by_model: Mapping[str, Tallies]
) -> Iterator[str]:
    """How events were found; `cleared` and `over` are percent of the time of found events."""
    yield ""
    yield f"### {name}"
    yield ""
    yield (
        "| loops | who | F1 | detection | false / link-day | median delay, s | cleared early, % "
        "| up beside events, % | events |"
    )
    yield "|---|---|---|---|---|---|---|---|---|"
    for kind, at in _kinds(rows, KINDS):
        for who, tallies in _telling(by_model, at):
            parts = by_street((rows[i].street, tally) for i, tally in zip(at, tallies, strict=True))
            cells = " | ".join(shown(parts) for shown in MEASURES)
            yield f"| {kind} | {who} | {cells} | {total_tally(parts).events} |"


def delays_table(rows: Sequence[ApproachRow], by_model: Mapping[str, Tallies]) -> Iterator[str]:
    """From the onset to the alarm, s: of the events that were found so many took no longer."""
    yield ""
    yield "| loops | who | " + " | ".join(f"{q:.0%}" for q in QUANTILES) + " | not found |"
    yield "|---|---|" + "---|" * (len(QUANTILES) + 1)
    for kind, at in _kinds(rows, WHOLE):
        for who, tallies in _telling(by_model, at):
            t = total_tally(tallies)
            found = np.quantile(t.delays, QUANTILES).tolist() if t.delays else []
            cells = " | ".join(f"{delay:.0f}" for delay in found) or " | ".join("-----")
            yield f"| {kind} | {who} | {cells} | {t.events - t.found} of {t.events} |"


def quiet_table(rows: Sequence[ApproachRow], by_model: Mapping[str, Tallies]) -> Iterator[str]:
    """False alarms on days on which nothing happens."""
    yield ""
    yield "| usual days | who | false alarms | link-days | false / link-day |"
    yield "|---|---|---|---|---|"
    for kind in WHOLE:
        at = [i for i, row in enumerate(rows) if KINDS[kind](row)]
        for who, tallies in _telling(by_model, at) if at else ():
            t = total_tally(tallies)
            yield f"| {kind} | {who} | {t.wrong} | {t.days:.1f} | {t.wrong_a_day:.2f} |"


def _kinds(rows: Sequence[ApproachRow], kinds: Iterable[str]) -> Iterator[tuple[str, list[int]]]:
    """Each kind that has events, and its rows."""
    for kind in kinds:
        at = [i for i, row in enumerate(rows) if KINDS[kind](row)]
        if any(rows[i].link.events for i in at):
            yield kind, at


def _telling(
    by_model: Mapping[str, Tallies], at: Sequence[int]
) -> Iterator[tuple[str, list[EventTally]]]:
    """Those that say something of these rows, and what."""
    for who, tallies in by_model.items():
        here = [tally for i in at if (tally := tallies[i]) is not None]
        if len(here) == len(at):
            yield who, here


def by_street(tallies: Iterable[tuple[str, EventTally]]) -> list[EventTally]:
    """One for each street: what is drawn again for an interval."""
    out: dict[str, EventTally] = {}
    for street, one in tallies:
        out[street] = out.get(street, EventTally()) + one
    return list(out.values())


def forecast_table(rows: Sequence[ApproachRow], outputs: Sequence[Outputs]) -> Iterator[str]:
    """Brier scores by kind of site, beside: it stays as it is; it is as often as on average."""
    yield ""
    yield "| loops | ahead | Brier: model | flag stays | truth stays | always the share of all |"
    yield "|---|---|---|---|---|---|"
    for kind, at in _kinds(rows, WHOLE):
        share = float(np.concatenate([rows[i].inside(rows[i].link.events) for i in at]).mean())
        for name, ahead_s in zip(("p", "p5", "p15"), AHEAD_S, strict=True):
            said: list[tuple[NDArray[Any], ...]] = []
            for i in at:
                there, counts = row_truth(rows[i], ahead_s)
                now, all_slots = rows[i].inside(rows[i].link.events), np.full(len(there), share)
                each = (outputs[i][name], outputs[i]["flag"], now, all_slots, there)
                said.append(tuple(one[counts > 0] for one in each))
            *chances, was = (
                np.concatenate(one).astype(np.float64) for one in zip(*said, strict=True)
            )
            cells = " | ".join(f"{np.mean((chance - was) ** 2):.4f}" for chance in chances)
            yield f"| {kind} | {ahead_s / 60:.0f} min | {cells} |"


def curve_table(
    rows: Sequence[ApproachRow],
    usual: Sequence[ApproachRow],
    by_limit: Mapping[float, tuple[Sequence[EventTally], Sequence[EventTally]]],
) -> Iterator[str]:
    """What other limits of p would make of these streets, and of their usual days."""
    yield ""
    yield (
        "| flag on at p | loops | F1 | detection | false / link-day | median delay, s "
        "| false / usual link-day |"
    )
    yield "|---|---|---|---|---|---|---|"
    for p, (busy, quiet) in by_limit.items():
        for kind, at in _kinds(rows, WHOLE):
            t = total_tally(busy[i] for i in at)
            days = total_tally(quiet[i] for i, row in enumerate(usual) if KINDS[kind](row))
            yield (
                f"| {p:.2f} | {kind} | {t.f1:.3f} | {t.recall:.2f} | {t.wrong_a_day:.2f} "
                f"| {t.delay_s:.0f} | {days.wrong_a_day:.2f} |"
            )


def reliability_table(
    rows: Sequence[ApproachRow], p: Sequence[NDArray[Any]], kinds: Iterable[str] = WHOLE
) -> Iterator[str]:
    """Reliability of p by kind of approach: how often it was true, and its Brier score."""
    columns, scores = [], []
    shown = list(_kinds(rows, kinds))
    for _, at in shown:
        truth = [row_truth(rows[i], 0.0) for i in at]
        chance = np.concatenate([p[i][w > 0] for i, (_, w) in zip(at, truth, strict=True)])
        was = np.concatenate([y[w > 0] for y, w in truth]).astype(np.float64)
        scores.append(float(np.mean((chance - was) ** 2)))
        cells = []
        for low, high in pairwise(BINS):
            here = (chance >= low) & (chance < high)
            n = int(here.sum())
            cells.append(f"{was[here].mean():.2f} (p {chance[here].mean():.2f}, {n})" if n else "-")
        columns.append(cells)
    yield ""
    yield "| p from | " + " | ".join(f"{kind}: true" for kind, _ in shown) + " |"
    yield "|---|" + "---|" * len(shown)
    for k, (low, high) in enumerate(pairwise(BINS)):
        cells = [column[k] for column in columns]
        yield f"| {low:g} to {min(high, 1):g} | " + " | ".join(cells) + " |"
    yield "| Brier score | " + " | ".join(f"{score:.4f}" for score in scores) + " |"
