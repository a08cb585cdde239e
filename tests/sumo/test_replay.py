"""A simulated day through `kerbstone replay`: congestion is raised and cleared where it was.

The days are some 10 MB: `RECORDED=DIR` names the folder with `sumo/` in it.
"""

import contextlib
import io
import json
import os
from pathlib import Path
from typing import Any

import pytest

from edge.cli.main import main
from tests.sumo.convert import convert, edges

DATA = Path(os.environ.get("RECORDED", ".")) / "sumo"
EARLY_S, LATE_S = 120, 600


def _replayed(folder: Path) -> list[dict[str, Any]]:
    out = io.StringIO()
    with contextlib.redirect_stdout(out):
        code = main(
            ["replay", "--config", str(folder / "site.toml"), "--edges",
             str(folder / "edges.csv.gz")]
        )  # fmt: skip
    assert code == 0
    records = [json.loads(line) for line in out.getvalue().splitlines()]
    return [r for r in records if r.get("event") == "congestion"]


@pytest.mark.skipif(not DATA.is_dir(), reason="RECORDED=DIR has no sumo/, simulated days")
@pytest.mark.parametrize(
    ("scenario", "sites", "hours"),
    [
        pytest.param("arterial_103", ["e0"], 24.0, marks=pytest.mark.scene),  # eight seconds
        pytest.param("corridor_104", ["s0", "s5"], 24.0, marks=pytest.mark.scene),
        ("corridor_104", ["s0", "s5"], 4.5),
    ],
)
def test_a_day_raises_and_clears_congestion(
    scenario: str, sites: list[str], hours: float, tmp_path: Path
) -> None:
    pytest.importorskip("pyarrow")
    meta = convert(DATA / scenario, tmp_path, to_s=hours * 3600)
    records = _replayed(tmp_path)
    links = {s["id"]: s["edge"] for s in meta["stations"]}
    for site in sites:
        flags = [(r["mono"][1] / 1e6, r["state"]) for r in records if r["approach"] == site]
        events = sorted(
            {
                (e["t0"], e["t1"])
                for e in meta["events"]
                if site in (e["station"], links[e["station"]]) and e["t1"] + LATE_S < hours * 3600
            }
        )
        assert events
        assert [state for _, state in flags] == ["on", "off"] * (len(flags) // 2)
        raised = [at for at, state in flags if state == "on"]
        for begin, end in events:
            assert any(begin - EARLY_S <= at <= end for at in raised), (begin, end, raised)
        for at in raised:
            assert any(begin - EARLY_S <= at <= end + LATE_S for begin, end in events), at


def test_vehicles_that_overlap_on_a_loop_are_one_presence() -> None:
    assert edges([100, 150, 400], [100, 20, 0], "a") == [
        (100, "a", 1), (200, "a", 0), (400, "a", 1), (401, "a", 0),
    ]  # fmt: skip
