"""Each cell of the tables in docs/traffic.md: what a record says by the states of both loops.

The records are made by the running code, from edges and from flags of the judge. What they must say
is read from the document, so that the two cannot part.
"""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final, Literal

import pytest

from edge.core import Contact, Stream
from edge.gateway.pipeline import Pipeline
from edge.infer.judge import Judge, JudgeSetup, LaneSite
from edge.infer.loops.loopflag import FAULTS, LoopFlag
from edge.infer.loops.looprules import LoopRule, Ruling
from edge.process.engine import Engine, EngineSetup, LaneSetup
from tests.kit.asread import as_read
from tests.kit.engine import MINUTE, S, car, found, presences
from tests.long import one_in

PAGE = Path(__file__).parents[2] / "docs" / "traffic.md"
Row = tuple[str, ...]
Mode = Literal["presence", "pulse"]


def tables() -> Iterator[list[Row]]:
    """Those of the section, without their headers' lines."""
    text = PAGE.read_text(encoding="utf-8").split("## Records of loops in doubt")[1]
    rows: list[Row] = []
    for line in [*text.split("\n## ")[0].splitlines(), ""]:
        if line.startswith("|---"):
            continue
        if line.startswith("|"):
            rows.append(tuple(cell.strip().strip("`") for cell in line.strip("|").split("|")))
        elif rows:
            yield rows
            rows = []


STATES_TABLE, TABLE = tables()
STATE: Final[Mapping[str, Row]] = {row[0].split("`")[0]: row[1:] for row in STATES_TABLE[1:]}
"""Of each: its count, why nothing counts, health as lead, health as trail."""
COLUMNS: Final = TABLE[0][1:]
CELLS: Final = {
    (row[0], trail): cell
    for row in TABLE[1:]
    for trail, cell in zip(COLUMNS, row[1:], strict=True)
    if cell != "-"
}
FROM_S: Final = 120.0  # the window that is looked at is the third
PASSED: Final = {"lead": 5, "trail": 7}
AT_S: Final = (124.0, 131.0, 140.0, 149.0, 160.0)
MORE_S: Final = (134.0, 154.0)  # what the lead loop does not see


@pytest.fixture(autouse=True)
def judged_before(monkeypatch: pytest.MonkeyPatch) -> None:
    """In these three minutes the judge finds nothing more: a chattering loop's mate looks dead."""
    monkeypatch.setattr(LoopRule, "step", lambda *_: Ruling(None, 0.0))


def test_the_tables_are_whole() -> None:
    assert set(STATE) == {row[0] for row in TABLE[1:]} == set(COLUMNS) - {"none"}
    assert set(STATE) > set(FAULTS)
    cells = set(CELLS.values())
    assert cells == {"all", "lead", "lead~", "lead?", "trail", "trail~", "trail?", "null"}
    assert len(CELLS) == 16 * 17 - 2  # one loop alone is neither swapped nor another than its mate


def edges(part: str, state: str, mode: Mode) -> list[Contact]:
    """What a loop in this state tells in three minutes."""
    line = f"n_1.{part}"
    if state == "unobserved":
        return []
    seen = found(line)
    if state in ("stuck_off", "never_active", "no_activity"):
        return seen
    seen += _stays(part, mode, 20.0, 80.0)
    if state == "stuck_on":
        return [*seen, Contact(line, True, 90 * S)]
    if state == "chatter":
        return [*seen, *presences(line, *((125 + i / 2, 125.2 + i / 2) for i in range(50)))]
    if state == "flooded":
        return [*seen, *(Contact(line, i % 2 == 0, 130 * S + i * S // 5000) for i in range(900))]
    more = MORE_S if part == "trail" else ()
    return [*seen, *_stays(part, mode, *sorted((*AT_S, *more)))]


def _stays(part: str, mode: Mode, *at_s: float) -> list[Contact]:
    both = [each for at in at_s for each in car("n_1", at, 50.0)]
    mine = [each for each in both if each.source.endswith(part)]
    if mode == "presence":
        return mine
    return [
        e for c in mine if c.on
        for e in presences(c.source, (c.mono_ns / S, c.mono_ns / S + 0.125))
    ]  # fmt: skip


def raised(judge: Judge, states: Mapping[str, str]) -> None:
    """Flags for those states that the judge finds, as if they had been up since before."""
    up: dict[str, Any] = {}
    for part, state in states.items():
        if state in FAULTS and state not in ("stuck_on", "chatter"):
            flag = LoopFlag(0.6, 0.3)
            flag.fault, flag.since_ns = state, 0
            flag.smooth = [0.0] * len(flag.smooth)
            flag.smooth[1 + FAULTS.index(state)] = 1.0
            up[f"n_1|{part}"] = flag.snapshot()
    flags = judge.snapshot_flags()
    judge.restore_flags({**flags, "loops": {**flags["loops"], "raised": up}})


def reported(states: Mapping[str, str], mode: Mode, folder: Path) -> Mapping[str, Any]:
    """The record of the third minute."""
    spacing_m = 4.0 if "trail" in states else None
    lane = LaneSetup(
        "n_1", "north", spacing_m, mode=mode, max_presence_s=20.0,
        no_activity_s=90.0 if "no_activity" in states.values() else 0.0,
    )  # fmt: skip
    site = LaneSite("n_1", "north", "mid", "trail" in states, spacing_m, mode=mode)
    judge = Judge(JudgeSetup((site,), MINUTE, hurry=False), folder)
    pipeline = Pipeline(Engine(EngineSetup((lane,))), judge)
    pipeline.engine.start(0)
    for part, state in states.items():
        pipeline.engine.contacts(edges(part, state, mode))
    for minute in (1, 2):
        pipeline.close(minute * MINUTE)
    raised(judge, states)
    (draft,) = [d for d in pipeline.close(3 * MINUTE) if d.stream is Stream.TRAFFIC]
    return as_read(draft)


def expected(cell: str, states: Mapping[str, str], mode: Mode) -> dict[str, Any]:
    """What the document says of it."""
    kinds = [STATE[state] for state in states.values()]
    reasons = [why for _, why, _, _ in kinds if why != "-"]
    lead, trail = states["lead"], states.get("trail", "ok")
    health = STATE[lead][2] if lead != "ok" else STATE[trail][3]
    by = None if cell == "null" else "lead" if cell == "all" else cell.rstrip("~?")
    n = PASSED[by] if by else None
    if by is None:
        quality = {reasons[0]: 1}
    else:
        quality = {"uncertain:loop" if cell.endswith("?") else "good": PASSED[by]}
        if mode == "pulse":
            quality["bad:suppressed"] = 1
        else:
            if cell.endswith("~"):
                quality["uncertain:loop"] = 1
            if cell != "all" and "trail" in states:
                quality[reasons[0] if reasons else "bad:loop"] = 1
    timed = by is not None and mode == "presence"
    return {
        "volume": n,
        "headway": n,  # of the first vehicle, too: the one before is not forgotten
        "gap": n if timed else None,
        "occupancy": round(PASSED[by] * 0.468 / 60, 4) if timed and by else None,
        "speed": 5 if cell == "all" and mode == "presence" else None,
        "length": 5 if cell == "all" and mode == "presence" else None,
        "quality": quality,
        "health": health,
        "counted_by": "trail" if by == "trail" else None,
        "void": by is None,
    }


def said(body: Mapping[str, Any]) -> dict[str, Any]:
    """The same of a record."""
    counts = {
        key: None if body[key] is None else body[key]["n"]
        for key in ("headway", "gap", "speed", "length")
    }
    return {
        **{key: body.get(key) for key in
           ("volume", "occupancy", "quality", "health", "counted_by")},
        **counts,
        "void": body["volume"] is None and body.get("void_s", 0) == body["covered_s"],
    }  # fmt: skip


@one_in(5)
@pytest.mark.parametrize("mode", ["presence", "pulse"])
@pytest.mark.parametrize(("lead", "trail"), CELLS)
def test_a_record_says_what_its_cell_says(
    lead: str, trail: str, mode: Mode, tmp_path: Path
) -> None:
    states = {"lead": lead} if trail == "none" else {"lead": lead, "trail": trail}
    body = reported(states, mode, tmp_path)
    assert said(body) == expected(CELLS[lead, trail], states, mode)
    for key in ("speed_single", "classes", "wrong_way", "tailgating", "stopped", "queue_us"):
        assert body["volume"] is not None or key not in body
    assert "classes" not in body or CELLS[lead, trail] == "all"
