"""The tables of the congestion card: who is scored on what, how far p is true, and a rival."""

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from models.congestion import evaluate, fusionbaseline, missedevents, treelearning
from models.congestion.approachrows import ApproachRow, parts_of, rows_of
from models.congestion.eventscores import EventTally
from models.congestion.scenarios.simstreet import SAMPLE, load_streets
from models.congestion.scoretables import (
    KINDS,
    delays_table,
    events_table,
    forecast_table,
    reliability_table,
)
from models.congestion.treelearning import ForestShape


@pytest.fixture(scope="module")
def rows() -> list[ApproachRow]:
    """The links of two streets, and what is left of them with fewer loops."""
    whole = [row for street in load_streets(SAMPLE) for row in rows_of(street)]
    return whole + [part for row in whole for part in parts_of(row)]


def _cells(line: str) -> list[str]:
    return [cell.strip() for cell in line.strip("|").split("|")]


def test_who_says_nothing_of_some_rows_is_left_out_of_their_kind(rows: list[ApproachRow]) -> None:
    found = [EventTally(1, 1, 1, 0, 0.1, [60.0], 100.0, 25.0, 10.0) for _ in rows]
    whole = [tally if row.whole else None for tally, row in zip(found, rows, strict=True)]
    lines = list(events_table("sample", rows, {"model": found, "rival": whole}))
    said = {tuple(_cells(line)[:2]) for line in lines[5:]}
    assert {who for kind, who in said if kind == "with signals"} == {"model", "rival"}
    assert {who for kind, who in said if kind == "advance"} == {"model"}
    (first, *_) = (_cells(line) for line in lines[5:])
    shown = [cell.split(" ")[0] for cell in first[2:8]]
    assert shown == ["1.000", "1.00", "0.00", "60", "25", "10"]
    delays = [_cells(line) for line in delays_table(rows, {"model": found, "rival": whole})][3:]
    assert {tuple(line[2:7]) for line in delays} == {("60",) * 5}


@pytest.mark.parametrize("kind", ["ramps", "workzone", "roundabout"])
def test_a_newer_kind_without_signals_is_no_row_of_those_with(
    rows: list[ApproachRow], kind: str
) -> None:
    signals = next(row for row in rows if KINDS["with signals"](row))
    assert not KINDS["with signals"](replace(signals, link=replace(signals.link, kind=kind)))
    assert KINDS["with signals"](replace(signals, link=replace(signals.link, kind="actuated")))


def test_p_is_compared_with_how_often_it_was_true(rows: list[ApproachRow]) -> None:
    sure = [np.where(row.inside(row.link.events), 0.95, 0.05) for row in rows]
    lines = [_cells(line) for line in reliability_table(rows, sure)]
    head = next(line for line in lines if line[0] == "p from")
    high = next(line for line in lines if line[0] == "0.9 to 0.98")
    low = next(line for line in lines if line[0] == "0.02 to 0.1")
    at = head.index("all whole links: true")
    assert high[at].startswith("1.00 (p 0.95, ")
    assert low[at].startswith("0.00 (p 0.05, ")
    assert lines[-1][at] == "0.0025"


def test_forecasts_are_scored_by_kind_of_site(rows: list[ApproachRow]) -> None:
    outputs = []
    for row in rows:
        now = row.inside(row.link.events)
        ahead = zip(("p", "p5", "p15"), treelearning.AHEAD_S, strict=True)
        p = {name: row.inside(row.link.events, ahead_s) * 1.0 for name, ahead_s in ahead}
        outputs.append({**p, "flag": now})
    lines = [_cells(line) for line in forecast_table(rows, outputs)][3:]
    assert {line[0] for line in lines} >= {"all whole links", "with signals"}
    assert {line[2] for line in lines} == {"0.0000"}
    assert all(line[3] == line[4] for line in lines)  # the flag is the truth of now


def test_a_missed_event_is_drawn(rows: list[ApproachRow]) -> None:
    row = next(row for row in rows if row.whole and row.link.events)
    down = np.zeros(len(row.ends_s), bool)
    missed = missedevents.missed_events(row, down)
    assert tuple(missed) == row.link.events
    begin, end = missed[0]
    found = down | (row.ends_s >= begin)
    assert (begin, end) not in missedevents.missed_events(row, found)
    output = {"p": np.full(len(down), 0.42), "flag": down}
    head, truth, *places, p, flag = missedevents.timeline(row, output, (begin, end))
    assert f"{end - begin:.0f} s from {begin:.0f} s on" in head
    assert "#" in truth
    assert "#" not in flag
    assert set(p.split()[1]) == {"4"}
    assert len(places) == sum(row.present[:, k].any() for k in range(4))


def test_a_rival_is_learned_from_whole_links_and_scored_on_streets_that_it_has_not_seen(
    rows: list[ApproachRow], monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("sklearn")
    monkeypatch.setattr(fusionbaseline, "SHAPE", ForestShape(5, 4, 10, 1.0))
    samples = treelearning.row_samples(row for row in rows if row.whole)
    folds = [frozenset([name]) for name in {sample.row.street for sample in samples}]
    fusion, scores = fusionbaseline.learn_fusion(samples, folds)
    assert [score.days for score in scores] == [sample.row.days for sample in samples]
    again = fusion.score(samples)
    assert sum(score.found for score in again) >= sum(score.found for score in scores)
    beside = evaluate.fusion_flags(fusion, rows)
    assert [tally is None for tally in beside] == [not row.whole for row in rows]


@pytest.mark.long
def test_every_table_is_printed_of_streets_that_are_given() -> None:
    args = SimpleNamespace(
        streets=SAMPLE, bundle=Path(evaluate.__file__).parent, health="nobody", every=True
    )
    lines = list(evaluate.tables(args))  # type: ignore[arg-type]
    text = "\n".join(lines)
    for word in ("tuned occupancy", "over 30 %", "Brier score", "15 min", "with signals"):
        assert word in text
