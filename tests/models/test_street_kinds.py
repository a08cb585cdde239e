"""The newer kinds of streets: what is special of each, their sets, drivers, loops and demand."""

import json
import sys
from collections import defaultdict
from dataclasses import fields, replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.congestion.scenarios import generate, sumo, sumoreadings
from models.congestion.scenarios.dayshapes import FOLDER, day_shapes, draw_demand
from models.congestion.scenarios.drivers import CYCLE, GENERAL, draw_population
from models.congestion.scenarios.generate import ROOM, Task, draw_scene, set_tasks
from models.congestion.scenarios.loopstandards import OF_SET, STANDARDS
from models.congestion.scenarios.planpicture import example_scenes, plans_svg
from models.congestion.scenarios.roundabouts import ENTRY, GIVE_WAY_S
from models.congestion.scenarios.scene import (
    ActuatedSignal,
    CoordinatedSignal,
    LoopSense,
    Scene,
    ShuttleSignal,
)
from models.congestion.scenarios.setgeometry import TOWN_LIMITS
from models.congestion.scenarios.simstreet import (
    SAMPLE,
    LoopPlace,
    Split,
    load_street,
    load_streets,
    save_street,
)
from models.congestion.scenarios.streetkinds import KINDS, NEWER, kinds_table
from models.congestion.scenarios.sumosignals import signal_programs
from models.congestion.treelearning import UNSEEN

ROOT = Path(__file__).parents[2]
SETS: tuple[Split, ...] = ("training", "choosing", "final")
FIRST = {"training": 2000, "choosing": 4000, "final": 20_000_000}
SCENES = {s: [draw_scene(t) for t in set_tasks(s, FIRST[s], 56)] for s in SETS}


def of_kind(kind: str, split: Split = "training") -> list[Scene]:
    return [scene for scene in SCENES[split] if scene.kind == kind]


def test_there_are_more_than_twice_as_many_kinds_as_before() -> None:
    assert len(KINDS) >= 3 * 2
    names = {task.kind for task in set_tasks("training", 2000, len(NEWER))}
    assert names == {kind.name for kind in NEWER}
    assert {task.kind for task in set_tasks("final", 20_000_000, len(KINDS))} == set(KINDS)


def test_generate_lists_each_kind_in_a_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["generate", "--kinds"])
    assert generate.main() == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines == kinds_table()
    assert [line.split()[0] for line in lines] == list(KINDS)
    assert all(len(line) <= 100 for line in lines)


def test_no_seed_is_in_two_sets_and_training_leaves_none_out() -> None:
    assert not set(ROOM["training"]) & set(ROOM["choosing"])
    assert max(ROOM["choosing"]) < generate.SEEDS["held_out"] < UNSEEN < generate.FINAL_FROM
    assert min(ROOM["training"]) > generate.SEEDS["train"] + 500


def test_each_set_has_loops_and_limits_that_the_others_do_not_have() -> None:
    limits, loops = defaultdict(set), defaultdict(set)
    for split in SETS:
        for scene in SCENES[split]:
            if scene.kind in {kind.name for kind in NEWER} and not scene.about.get("shuttle"):
                limits[split].add(scene.about["limit_kmh"])
                loops[split].add(scene.about["loops"])
        assert loops[split] <= set(OF_SET[split])
    assert not limits["training"] & limits["choosing"]
    assert not limits["training"] & limits["final"]
    assert not limits["choosing"] & limits["final"]
    assert loops["final"] - loops["training"] - loops["choosing"]
    assert set(STANDARDS) == {name for names in OF_SET.values() for name in names}


def test_every_fourth_street_of_a_kind_is_calm() -> None:
    for split in SETS:
        for scene, task in zip(SCENES[split], set_tasks(split, FIRST[split], 56), strict=True):
            assert (scene.about["cause"] == "none") == task.calm
            assert scene.split == split


def test_a_roundabout_has_no_signal_and_the_busiest_entry_has_the_load_that_was_drawn() -> None:
    for scene in of_kind("roundabout"):
        assert not scene.signals
        entries = [road for road in scene.roads if road.watched]
        assert {road.give_way_s for road in entries} == {GIVE_WAY_S}
        # at its highest, no entry gets more than it can serve with an empty ring
        for road in entries:
            most = sum(max(f.rates) for f in scene.flows if road.name in f.roads)
            assert most < 1.35 * scene.about["peak_of_capacity"] * road.lanes * ENTRY[0] + 0.02


def test_motorways_have_auxiliary_lanes_whose_loops_say_so() -> None:
    roles = [{loop.role for loop in scene.loops} for scene in of_kind("ramps")]
    assert all(found <= {"mainline", "auxiliary"} for found in roles)
    assert any("auxiliary" in found for found in roles)
    for scene in of_kind("ramps"):
        ends = {(one, lane) for one, lane, _, _ in scene.links}
        for loop in scene.loops:
            if loop.role == "auxiliary":
                to = [b for a, lane, b, _ in scene.links if (a, lane) == (loop.link, 0)]
                assert loop.index == 0
                assert [name[:4] for name in to] == ["off_"]
                assert (loop.link, 1) in ends


def test_signals_follow_the_traffic_or_the_time_of_the_day() -> None:
    assert all(isinstance(s.signals[0], ActuatedSignal) for s in of_kind("actuated"))
    plans = [s.signals[0] for s in of_kind("coordinated")]
    assert all(isinstance(signal, CoordinatedSignal) for signal in plans)
    assert {len(s.plans) for s in plans if isinstance(s, CoordinatedSignal)} == {1, 2}
    assert any(loop.role == "turn" for s in of_kind("actuated") for loop in s.loops)


def test_buses_stop_in_the_slow_lane_or_have_it_for_themselves() -> None:
    scenes = of_kind("buses") + of_kind("buses", "choosing") + of_kind("buses", "final")
    for scene in scenes:
        assert scene.stops
        assert len(scene.buses) > 5
        assert [bus.from_s for bus in scene.buses] == sorted(bus.from_s for bus in scene.buses)
        buses = {loop.index for loop in scene.loops if loop.role == "bus"}
        assert buses == ({0} if scene.about["bus_lane"] else set())
    assert {scene.about["bus_lane"] for scene in scenes} == {True, False}


def test_bicycles_ride_among_the_cars_and_do_not_make_the_truth() -> None:
    for scene in of_kind("bicycles"):
        assert scene.beside
        assert any(flow.who == CYCLE for flow in scene.flows)
        assert scene.counted == GENERAL
        assert CYCLE not in scene.counted


def test_work_zones_close_lanes_or_share_one() -> None:
    scenes = [s for split in SETS for s in of_kind("workzone", split)]
    for scene in scenes:
        lanes = {road.lanes for road in scene.roads}
        if scene.about["shuttle"]:
            assert lanes == {1}
            assert isinstance(scene.signals[0], ShuttleSignal)
            assert scene.about["cause"] != "works"
        elif scene.about["cause"] == "works":
            assert scene.incidents[0].length_s > 600
            assert len(scene.slows) == 2
        else:
            assert max(lanes) - min(lanes) == 1
    assert {scene.about["shuttle"] for scene in scenes} == {True, False}


@given(seed=st.integers(0, 10_000))
def test_no_two_streets_have_the_same_drivers(seed: int) -> None:
    one = draw_population(np.random.default_rng(seed), 13.9, (0.0, 0.3))
    other = draw_population(np.random.default_rng(seed + 1), 13.9, (0.0, 0.3))
    assert one.mix != other.mix
    assert 1.0 < one.headway_s < 4.5
    assert 0.8 < one.pace <= 1.0


def test_shapes_of_a_day_are_whole_and_say_where_they_come_from() -> None:
    shapes = day_shapes()
    assert len(shapes) >= 3
    for name, shape in shapes.items():
        assert len(shape) == 24
        assert max(shape) == 1.0
        assert min(shape) >= 0.0
        assert "# source:" in (FOLDER / f"{name}.csv").read_text(encoding="utf-8")


@given(seed=st.integers(0, 10_000), hours=st.floats(1.0, 3.0))  # as long as streets are
def test_a_demand_is_never_below_nothing_and_reaches_its_height(seed: int, hours: float) -> None:
    demand = draw_demand(np.random.default_rng(seed), hours)
    assert len(demand.shares) >= (hours * 3600 + 600) / 300
    assert min(demand.shares) >= 0
    assert 0.5 < max(demand.shares) <= 1.25
    assert (demand.start_h is None) == (demand.shape == "a rise")


def test_a_card_is_late_and_misses_the_same_bicycles_each_time(tmp_path: Path) -> None:
    scene = of_kind("bicycles")[0]
    loops = scene.loops[:2]
    senses = (LoopSense(0.05, 0.1, 1.0), LoopSense(0.0, 0.0, 0.5))
    scene = replace(scene, hours=0.1, loops=loops, reach_m=(0.0, 0.0), senses=senses)
    rows = ["0.on;700.0;enter;f1", "0.off;700.4;leave;f1"]
    rows += ["0.on;710.0;enter;cycle7", "0.off;712.0;leave;cycle7"]
    for k in range(100):
        rows += [f"1.on;{720 + k}.0;enter;cycle{k}", f"1.off;{720 + k}.5;leave;cycle{k}"]
    head = "instantOut_id;instantOut_time;instantOut_state;instantOut_vehID;instantOut_speed"
    path = tmp_path / "loops.csv"
    path.write_text("\n".join([head, *(f"{row};8.0" for row in rows), ""]), encoding="utf-8")
    first, second = sumoreadings._stays(scene, path)
    assert first == pytest.approx(np.array([[100.05, 100.5]]), abs=0.007)
    assert 30 < len(second) < 70
    assert np.array_equal(sumoreadings._stays(scene, path)[1], second)


NET = """<net>
 <connection from="e0_0" to="e0_1" dir="s" tl="c1_1" linkIndex="0"/>
 <connection from="n0_0" to="n0_1" dir="s" tl="c1_1" linkIndex="1"/>
 <tlLogic id="c1_1"><phase duration="9" state="Gr"/><phase duration="3" state="yr"/>
 <phase duration="9" state="rG"/><phase duration="3" state="ry"/></tlLogic>
</net>"""


@pytest.mark.parametrize("kind", ["actuated", "coordinated"])
def test_programs_have_the_times_that_were_drawn(tmp_path: Path, kind: str) -> None:
    (tmp_path / "net.xml").write_text(NET, encoding="utf-8")
    scene = of_kind(kind)[1]
    scene = replace(scene, signals=scene.signals[:1])
    (signal,) = scene.signals
    text = "".join(signal_programs(scene, tmp_path / "net.xml"))
    if isinstance(signal, ActuatedSignal):
        assert f'minDur="{signal.least_s[0]:.1f}" maxDur="{signal.most_s[0]:.1f}"' in text
        assert f'minDur="{signal.least_s[1]:.1f}" maxDur="{signal.most_s[1]:.1f}"' in text
        assert text.count('type="actuated"') == 1
    else:
        assert isinstance(signal, CoordinatedSignal)
        assert text.count("<tlLogic") == len(signal.plans)
        assert text.count("<wautSwitch") == len(signal.plans) - 1


def test_a_cycle_that_depends_on_the_traffic_is_the_usual_one() -> None:
    begins = np.array([0.0, 60, 130, 190, 250, 400])
    green = np.stack([begins, begins + 20], axis=1)
    assert sumoreadings.usual_cycle_s(green) == 60.0
    assert sumoreadings.usual_cycle_s(green[:2]) == sumoreadings.CYCLE_S[0]


def test_a_role_is_saved_where_it_is_not_the_usual_one(tmp_path: Path) -> None:
    street = load_streets(SAMPLE)[0]
    turn = replace(street.loops[0], role="turn")
    save_street(replace(street, loops=(turn, *street.loops[1:])), tmp_path)
    meta = json.loads((tmp_path / "meta.json").read_text(encoding="utf-8"))
    assert meta["roles"] == {turn.lane: "turn"}
    assert set(meta["loops"][0]) == {f.name for f in fields(LoopPlace)} - {"role"}
    assert load_street(tmp_path).loops[0] == turn
    save_street(street, tmp_path / "older")
    assert "roles" not in (tmp_path / "older" / "meta.json").read_text(encoding="utf-8")


def test_a_usual_day_keeps_buses_and_has_no_works() -> None:
    for scene in SCENES["training"]:
        task = Task(scene.name, scene.kind, "training", scene.seed, False)
        if scene.about["cause"] == "none":
            continue
        usual = draw_scene(replace(task, usual=True))
        assert usual.buses == scene.buses
        assert (usual.incidents, usual.slows) == ((), ())


def test_what_sumo_reads_of_a_street_is_well_formed() -> None:
    from xml.etree import ElementTree

    for scene in SCENES["training"][:14]:
        for text in (sumo._nodes(scene), sumo._edges(scene), sumo._routes(scene)):
            ElementTree.fromstring(text)
        ids = [each.get("id") for each in ElementTree.fromstring(sumo._routes(scene))]
        assert len(set(ids)) == len(ids)


def test_the_page_names_every_kind_and_what_each_set_has() -> None:
    page = (ROOT / "docs/streets.md").read_text(encoding="utf-8")
    for kind in KINDS:
        assert f"`{kind}`" in page
    rows = {row.split("|")[1].strip(" `"): row for row in page.splitlines() if row[:3] == "| `"}
    for split in SETS:
        cells = [cell.strip() for cell in rows[split].split("|")]
        assert cells[-4] == ", ".join(f"{int(limit)}" for limit in TOWN_LIMITS[split])
        assert cells[-2] == ", ".join(OF_SET[split])
    for name, seeds in ROOM.items():
        assert f"{seeds.start} to {seeds.stop - 1}" in rows[name]


def test_the_picture_of_the_plans_is_that_of_the_code() -> None:
    picture = plans_svg(example_scenes())
    assert (ROOT / "docs/streets.svg").read_text(encoding="utf-8") == picture
