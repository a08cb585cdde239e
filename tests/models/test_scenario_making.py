"""Scenarios are drawn from seeds; what SUMO wrote is read; with SUMO, one is driven."""

import json
import sys
from collections import Counter
from dataclasses import replace
from importlib.util import find_spec
from itertools import pairwise
from pathlib import Path

import numpy as np
import pyarrow
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pyarrow import parquet

from models.congestion.scenarios import crossings, generate, sumo, sumoreadings
from models.congestion.scenarios.crossings import load_crossings, read_crossings, save_crossings
from models.congestion.scenarios.generate import Task, draw_scene, make_scenario, tasks
from models.congestion.scenarios.legacy import load_legacy
from models.congestion.scenarios.scene import USUAL
from models.congestion.scenarios.simstreet import (
    Kind,
    Split,
    load_street,
    load_streets,
    load_usual,
    save_street,
)
from models.congestion.scenarios.streetkinds import KINDS

SAMPLE = Path(generate.__file__).parent / "sample"
SCENES = [draw_scene(task) for task in tasks(24, 12)]


def test_any_beginning_of_the_tasks_holds_all_kinds_of_both_splits() -> None:
    todo = list(tasks(66, 33))
    assert len({task.name for task in todo}) == 99
    first = Counter((task.kind, task.split) for task in todo[:18])
    assert set(first) == {(k, s) for k in generate.OLDER_KINDS for s in ("train", "held_out")}
    assert {task.calm for task in todo[:18]} == {True, False}


@given(
    seed=st.integers(0, 100_000),
    kind=st.sampled_from(sorted(KINDS)),
    split=st.sampled_from(["train", "held_out", "training", "choosing", "final"]),
    calm=st.booleans(),
)
def test_a_scene_fits_together(seed: int, kind: Kind, split: Split, calm: bool) -> None:
    scene = draw_scene(Task(f"{kind}_{seed}", kind, split, seed, calm))
    assert all(rate >= 0 for flow in scene.flows for rate in flow.rates)
    roads = {road.name: road for road in scene.roads}
    for incident in scene.incidents:
        here = roads[incident.roads[0]]
        assert incident.lane < here.lanes
        assert not here.uses or here.uses[incident.lane] == ""
    for start, lane, goal, to in scene.links:
        assert roads[start].end == roads[goal].begin
        assert lane < roads[start].lanes
        assert to < roads[goal].lanes
    for stop in scene.stops:
        assert 0 < stop.from_m < stop.to_m < roads[stop.road].length_m
    for bus in scene.buses:
        assert all(roads[a].end == roads[b].begin for a, b in pairwise(bus.roads))
    for ring in scene.rings:
        ends = [(roads[one].begin, roads[one].end) for one in ring.roads]
        assert ends == [*pairwise(ring.nodes), (ring.nodes[-1], ring.nodes[0])]
    assert len(scene.senses) in (0, len(scene.loops))
    assert {signal.node for signal in scene.signals} == {r.end for r in scene.roads if r.signal}
    assert len(roads) == len(scene.roads)
    for road in scene.roads:
        assert {road.begin, road.end} <= scene.nodes.keys()
    ways = [flow.roads for flow in scene.flows] + [each.roads for each in scene.incidents]
    for before, after in (pair for way in ways for pair in pairwise(way)):
        assert roads[before].end == roads[after].begin
    names = {(loop.lane, loop.part) for loop in scene.loops}
    assert len(names) == len(scene.loops) == len(scene.reach_m)
    places = [(loop.link, loop.position, loop.index, loop.part) for loop in scene.loops]
    assert len(set(places)) == len(places)
    for loop, reach in zip(scene.loops, scene.reach_m, strict=True):
        road = roads[loop.link]
        assert road.watched
        assert loop.index < road.lanes
        assert loop.at_m - reach / 2 > 0
        assert loop.at_m + loop.loop_m + reach / 2 < road.length_m
    assert {loop.link for loop in scene.loops} == {r.name for r in scene.roads if r.watched}
    for road in scene.roads:
        if road.downstream is not None:
            assert roads[road.downstream].watched
            assert road.distance_m is not None


def test_calm_scenes_have_no_cause_and_held_out_ones_other_geometry() -> None:
    for scene, task in zip(SCENES, tasks(24, 12), strict=True):
        assert (scene.about["cause"] == "none") == task.calm
    limits: dict[tuple[str, str], set[float]] = {}
    for scene in SCENES:
        limits.setdefault((scene.kind, scene.split), set()).add(scene.about["limit_kmh"])
    assert not limits["grid", "train"] & limits["grid", "held_out"]


def test_a_usual_day_is_the_same_street_with_nothing_in_the_way() -> None:
    for task in tasks(24, 12):
        day, usual = draw_scene(task), draw_scene(replace(task, usual=True))
        assert (usual.roads, usual.loops, usual.reach_m) == (day.roads, day.loops, day.reach_m)
        assert (usual.incidents, usual.slows, usual.about["cause"]) == ((), (), "none")
        assert usual.seed != day.seed
        share = min(1.0, USUAL / day.about["peak_of_capacity"])
        for one, other in zip(usual.flows, day.flows, strict=True):
            assert one.rates == pytest.approx([share * rate for rate in other.rates])
        place = generate.place_of(task, Path("out"))
        assert generate.place_of(replace(task, usual=True), Path("out")) == place / "usual"


def test_usual_days_are_not_streets_of_their_own(tmp_path: Path) -> None:
    (street,) = [s for s in load_streets(SAMPLE) if s.kind == "corridor"]
    save_street(street, tmp_path / "one")
    assert load_usual(tmp_path / "one") is None
    save_street(replace(street, name="quiet"), tmp_path / "one" / "usual")
    assert [s.name for s in load_streets(tmp_path)] == [street.name]
    found = load_usual(tmp_path / "one")
    assert found is not None
    assert found.name == "quiet"


def test_the_same_seed_draws_the_same_scene() -> None:
    again = [draw_scene(task) for task in tasks(24, 12)]
    assert again == SCENES
    assert len({scene.mix for scene in SCENES}) == len(SCENES)


def test_a_loop_is_on_from_a_front_at_its_begin_to_a_rear_at_its_end(tmp_path: Path) -> None:
    rows = [
        "0.on;700.0;enter;a;9.0", "0.on;700.2;leave;a;9.0", "0.off;700.1;enter;a;9.0",
        "0.on;700.5;stay;b;9.0", "0.off;700.4;leave;a;9.0",
        "0.on;710.0;enter;b;8.0", "0.on;711.5;leave;b;8.0",  # to the next lane, on the loop
        "1.off;711.6;enter;b;8.0", "1.off;712.0;leave;b;8.0",  # and there it leaves
        "1.on;720.0;enter;c;7.0",  # still there at the end
    ]  # fmt: skip
    first, second = sumoreadings.read_passes(points(tmp_path, rows), 2)
    assert [each[:3] for each in first] == [("a", 700.0, 700.4), ("b", 710.0, 711.5)]
    assert [each[:3] for each in second] == [("b", 711.6, 712.0), ("c", 720.0, float("inf"))]
    assert [each.speed_ms for each in first] == [9.0, 8.0]


def points(folder: Path, rows: list[str]) -> Path:
    """What SUMO writes of the two points of each loop."""
    names = ("id", "time", "state", "vehID", "speed")
    path = folder / "loops.csv"
    head = ";".join(f"instantOut_{name}" for name in names)
    path.write_text("\n".join([head, *rows]) + "\n", encoding="utf-8")
    return path


def test_what_vehicles_truly_did_over_a_pair_is_kept_beside_the_street(tmp_path: Path) -> None:
    scene = next(s for s in SCENES if s.loops[0].spacing_m)
    spacing = scene.loops[0].spacing_m
    assert spacing is not None
    loops, reach = scene.loops[:2], (0.4, 0.2)  # of the trail loop the front comes 0.1 m later
    scene = replace(scene, loops=loops, reach_m=reach)
    rows = [
        "0.on;700.0;enter;a;9.0", "0.off;700.5;leave;a;8.0",
        "1.on;700.4;enter;a;9.0", "1.off;701.1;leave;a;8.0",
        "0.on;710.0;enter;b;5.0", "0.off;711.0;leave;b;5.0",  # to the next lane, in between
    ]  # fmt: skip
    points(tmp_path, rows)
    found = read_crossings(scene, tmp_path)
    save_crossings(found, tmp_path)
    assert load_crossings(tmp_path).keys() == {loops[0].lane}
    one, other = load_crossings(tmp_path)[loops[0].lane]
    assert one[:4] == pytest.approx([100.0, 100.5, 100.4, 101.1])
    pace = (0.4 / (spacing + 0.1) + 0.6 / (spacing - 0.1)) / 2
    assert one[4:] == pytest.approx([pace, 9.0], rel=1e-3)
    assert np.isnan(other[2:5]).all()
    assert load_crossings(tmp_path / "elsewhere") == {}


def test_an_older_day_has_single_loops_on_links_with_their_truth(tmp_path: Path) -> None:
    place = tmp_path / "arterial_7"
    place.mkdir()
    lit = {"edge": "e0", "lanes": 1, "vf": 13.9, "link_len": 300.0}
    meta = {
        "kind": "arterial", "seed": 7, "hours": 0.1, "peak": 900.0,
        "stations": [
            {"id": "s0stop", "x": 296.0, "type": "stop", **lit},
            {"id": "s0adv", "x": 210.0, "type": "adv", **lit},
            {"id": "s1stop", "x": 696.0, "type": "stop", **lit, "edge": "e1", "link_len": 400.0},
        ],
        "detectors": ["s0stop_0", "s0adv_0", "s1stop_0"],
        "events": [{"station": "s0stop", "t0": 10, "t1": 200}],
    }  # fmt: skip
    (place / "meta.json").write_text(json.dumps(meta), encoding="utf-8")
    seen = {"det": [1, 0, 1], "t_on": [1000, 5000, 1500], "dur": [700, 400, 900]}
    parquet.write_table(pyarrow.table(seen), place / "passages.parquet")
    rows = {"st": [0, 1, 2, 2], "t": [0, 0, 0, 10], "k": [1.0, 1.0, 7.0, 8.0], "v": [9.0] * 4}
    parquet.write_table(pyarrow.table(rows), place / "truth.parquet")
    (street,) = load_legacy(tmp_path)
    assert [loop.position for loop in street.loops] == ["stop", "advance", "stop"]
    assert [loop.at_m for loop in street.loops] == [296.0, 210.0, 396.0]
    assert [stays.tolist() for stays in street.stays] == [[[5.0, 5.4]], [[1.0, 2.4]], []]
    first, second = street.links
    assert first.events == ((10, 200),)
    assert (first.downstream, first.distance_m) == ("e1", 400.0)
    assert second.density.tolist() == [7.0, 8.0]
    with pytest.raises(FileNotFoundError):
        load_legacy(place)


def test_a_scenario_that_fails_says_where_the_words_of_sumo_are(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    broken = tmp_path / "netconvert"
    broken.write_text("#!/bin/sh\necho no such node; exit 3\n", encoding="utf-8")
    broken.chmod(0o755)
    monkeypatch.setattr(sumo, "find_sumo", lambda: tmp_path)
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    result = make_scenario(next(tasks(1, 1)), tmp_path / "out")
    assert "netconvert failed" in result
    log = Path(result.rsplit(" ", 1)[1])
    assert "no such node" in log.read_text(encoding="utf-8")
    assert not list((tmp_path / "out").rglob("meta.json"))


def test_a_street_is_made_whose_usual_day_was_made_sooner(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sample = load_street(sorted(Path(generate.__file__).parent.glob("sample/*"))[0])
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    monkeypatch.setattr(sumo, "run_sumo", lambda _scene, _folder: None)
    monkeypatch.setattr(sumoreadings, "read_street", lambda _scene, _folder: sample)
    monkeypatch.setattr(crossings, "read_crossings", lambda _scene, _folder: {})
    monkeypatch.setattr(crossings, "save_crossings", lambda _crossed, _folder: None)
    task = next(tasks(1, 1))
    for usual in (True, False):  # as two processes may end
        assert "stays" in make_scenario(replace(task, usual=usual), tmp_path / "out")
    (place,) = tmp_path.glob("out/*/*")
    assert load_street(place).name == load_street(place / "usual").name == sample.name
    assert not list((tmp_path / "out").rglob(".*"))


def test_without_sumo_it_says_how_to_get_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "sumo", None)
    monkeypatch.setattr(sys, "argv", ["generate", "--out", str(tmp_path)])
    with pytest.raises(SystemExit):
        generate.main()
    assert "pip install eclipse-sumo" in capsys.readouterr().err


@pytest.mark.skipif(find_spec("sumo") is None, reason="needs eclipse-sumo")
@pytest.mark.parametrize("kind", sorted(KINDS))
def test_a_scenario_can_be_driven(tmp_path: Path, kind: Kind) -> None:
    split: Split = "train" if kind in generate.OLDER_KINDS else "training"
    seed = generate.SEEDS[split] + sorted(KINDS).index(kind)
    task = Task(f"{kind}_1", kind, split, seed, False, minutes=6)
    assert "stays" in make_scenario(task, tmp_path)
    street = load_street(tmp_path / split / task.name)
    assert street.hours == 0.1
    assert sum(map(len, street.stays)) > 50
    for stays in street.stays:
        assert (np.diff(stays.ravel()) > 0).all()
        assert not len(stays) or stays[-1, 1] <= 360
    again = make_scenario(task, tmp_path / "again")
    assert again.split("stays")[0] == make_scenario(task, tmp_path).split("stays")[0]
