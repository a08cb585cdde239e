"""A run in virtual time: faults at their moments and on conditions, healing, and how it ends."""

from pathlib import Path
from typing import Any

import pytest
from msgspec import json
from msgspec.structs import replace

from edge.rig.layer import NO_BOUND_S
from edge.rig.runlog import Heard, RunLog, Seen
from edge.rig.runner import run, settled
from edge.rig.scenario import Condition, Fault
from tests.rig.fakelayer import FakeLayer, window
from tests.rig.scenes import scenario


def fault(name: str, **keys: Any) -> Fault:
    return Fault(**{"name": name, "target": "broker", "kind": "down", **keys})


def happened(layer: FakeLayer) -> list[tuple[float, str]]:
    return [(t_s, what) for t_s, what in layer.done if what.split()[0] in ("begin", "heal")]


def test_faults_begin_and_heal_at_their_moments(tmp_path: Path) -> None:
    layer = FakeLayer()
    faults = (fault("b", at_s=20.25, for_s=5.0), fault("a", at_s=7.5, for_s=30.1))
    log = run(scenario(tmp_path, 60.0, faults=faults), layer)
    assert happened(layer) == [
        (7.5, "begin a"), (20.25, "begin b"), (25.25, "heal b"), (37.6, "heal a"),
    ]  # fmt: skip
    assert [(one.name, one.began_s, one.ended_s) for one in log.faults] == [
        ("a", 7.5, 37.6), ("b", 20.25, 25.25),
    ]  # fmt: skip
    assert all(one.through == 3 and one.evidence for one in log.faults)
    assert log.ending == "whole"
    assert layer.done[-1][1] == "close"


def test_the_box_is_looked_at_each_second(tmp_path: Path) -> None:
    layer = FakeLayer()
    log = run(scenario(tmp_path, 30.0, settle_s=0.0), layer)
    assert layer.looks[:30] == [float(second) for second in range(30)]
    assert [one.t_s for one in log.seen] == layer.looks


def queue(t_s: float) -> Seen:
    """It grows by one each second to 20, and is empty then."""
    return Seen(t_s=t_s, queue=int(t_s) if t_s < 20 else 0)


CONDITIONS = [
    ("rising", 0.0, dict(above=10), 10.0),
    ("rising", 4.5, dict(above=10), 14.5),
    ("rising", 0.0, dict(below=5), 20.0),  # it was below from the start: not that
    ("none", 0.0, dict(below=5), 0.0),
    ("falling", 0.0, dict(above=10), 20.0),
    ("falling", 0.0, dict(below=5), 5.0),
    ("falling", 0.0, dict(above=50), None),
    ("rising", 0.0, dict(above=10, below=12), 10.0),
    ("rising", 0.0, dict(above=100), None),
]


@pytest.mark.parametrize(("edge", "after_s", "bounds", "at_s"), CONDITIONS)
def test_conditions_are_taken_at_their_edge(
    tmp_path: Path, edge: Any, after_s: float, bounds: dict[str, Any], at_s: float | None
) -> None:
    layer = FakeLayer(seen=queue)
    when = (Condition(state="queue", **bounds),)
    run(scenario(tmp_path, faults=(fault("x", when=when, edge=edge, after_s=after_s),)), layer)
    assert happened(layer) == ([] if at_s is None else [(at_s, "begin x")])


def test_all_conditions_have_to_hold_at_once(tmp_path: Path) -> None:
    layer = FakeLayer(seen=queue)
    when = (Condition(state="queue", above=10), Condition(state="queue", below=8))
    run(scenario(tmp_path, faults=(fault("x", when=when),)), layer)
    assert happened(layer) == []


@pytest.mark.parametrize("edge", ["rising", "falling", "none"])
def test_nothing_follows_from_what_nobody_knows(tmp_path: Path, edge: Any) -> None:
    layer = FakeLayer(seen=lambda t_s: Seen(t_s=t_s))
    when = (Condition(state="queue", above=0), Condition(state="connected", above=1))
    run(scenario(tmp_path, faults=(fault("x", when=when, edge=edge),)), layer)
    assert happened(layer) == []


def event(t_s: float, state: str) -> Heard:
    body = {"event": "incident", "state": state, "upstream": "north", "fault": "chatter"}
    return Heard(t_s=t_s, stream="event", source="north", body=body)


def air(t_s: float, mean: float | None) -> Heard:
    figures = {"n": 0} if mean is None else {"mean": mean}
    return Heard(t_s=t_s, stream="air", source="hut", body={"points": {"temperature": figures}})


OBSERVED = [
    (dict(state="volume", of="north_1", above=5), 6.0),
    (dict(state="records", above=5), 6.0),
    (dict(state="flag", of="north.incident", above=1), 8.0),
    (dict(state="flag", of="north.chatter", above=1), 8.0),
    (dict(state="value", of="hut.temperature", above=30), 12.0),
    (dict(state="volume", of="north_2", above=1), None),
]


@pytest.mark.parametrize(("condition", "at_s"), OBSERVED)
def test_conditions_see_what_has_come(
    tmp_path: Path, condition: dict[str, Any], at_s: float | None
) -> None:
    coming = [
        Heard(t_s=0.5, stream="status", source="", body={"volume": 99}),
        air(1.5, None),
        air(1.8, 20.0),
        window("north_1", 0.0, 2.0, 2.5, volume=2),
        window("north_1", 2.0, 4.0, 4.5, volume=None),
        window("north_1", 4.0, 5.0, 5.5, volume=3),
        event(7.5, "on"),
        air(11.5, 31.5),
        event(13.0, "off"),
    ]
    layer = FakeLayer(coming=coming)
    log = run(scenario(tmp_path, faults=(fault("x", when=(Condition(**condition),)),)), layer)
    assert happened(layer) == ([] if at_s is None else [(at_s, "begin x")])
    assert log.heard == coming


def test_what_is_over_at_once_has_its_end_at_its_beginning(tmp_path: Path) -> None:
    layer = FakeLayer()
    kill = fault("kill", target="gateway", kind="kill", at_s=5.0)
    (span,) = run(scenario(tmp_path, faults=(kill,)), layer).faults
    assert (span.began_s, span.ended_s) == (5.0, 5.0)
    assert span.evidence[-1].t_s > 5.0  # its traces come later
    assert happened(layer) == [(5.0, "begin kill")]


def test_one_that_never_heals_has_no_end(tmp_path: Path) -> None:
    (span,) = run(scenario(tmp_path, faults=(fault("x", at_s=5.0),)), FakeLayer()).faults
    assert span.ended_s is None
    (span,) = run(
        scenario(tmp_path, faults=(fault("x", at_s=5.0, for_s=999.0),)), FakeLayer()
    ).faults
    assert span.ended_s is None


def windows(last_s: int) -> list[Heard]:
    found = [window("north_1", t_s, t_s + 2.0, t_s + 2.1) for t_s in range(-1, last_s, 2)]
    return [replace(one, epoch="7", seq=number) for number, one in enumerate(found, 5)]


def test_the_end_comes_when_all_windows_are_told(tmp_path: Path) -> None:
    layer = FakeLayer(coming=windows(70))
    log = run(scenario(tmp_path, 60.0, settle_s=100.0), layer)
    assert 61.0 <= log.lasted_s <= 65.5


def test_a_box_that_dies_at_the_last_look_has_not_lasted(tmp_path: Path) -> None:
    end_s = run(scenario(tmp_path, 60.0, settle_s=100.0), FakeLayer(coming=windows(70))).lasted_s
    dies = FakeLayer(coming=windows(70), fails_s=end_s)
    assert run(scenario(tmp_path, 60.0, settle_s=100.0), dies).ending == "box_failed"


def test_the_end_waits_for_a_number_that_is_missing(tmp_path: Path) -> None:
    coming = windows(170)
    late = replace(coming.pop(10), t_s=80.5)
    layer = FakeLayer(coming=sorted([*coming, late], key=lambda one: one.t_s))
    assert 80.0 <= run(scenario(tmp_path, 60.0, settle_s=100.0), layer).lasted_s <= 85.0


@pytest.mark.parametrize("key", ["connected", "queue"])
def test_the_end_waits_for_a_box_that_cannot_send(tmp_path: Path, key: str) -> None:
    def seen(t_s: float) -> Seen:
        is_connected = key != "connected" or t_s > 80
        return Seen(t_s=t_s, connected=is_connected, queue=int(key == "queue" and t_s < 80))

    layer = FakeLayer(coming=windows(170), seen=seen)
    assert 80.0 <= run(scenario(tmp_path, 60.0, settle_s=100.0), layer).lasted_s <= 85.0


def test_who_tells_no_more_is_waited_for_to_the_end(tmp_path: Path) -> None:
    layer = FakeLayer(coming=windows(40))
    assert run(scenario(tmp_path, 60.0, settle_s=100.0), layer).lasted_s == 160.0


def test_events_are_no_windows_that_are_waited_for() -> None:
    heard = [*windows(70), event(3.0, "on"), event(5.0, "off")]
    assert settled(heard, 60.0)
    assert not settled([event(61.0, "on")], 60.0)
    assert not settled([*windows(70), *(window("south", t, t + 2, t) for t in (0, 2))], 60.0)


def test_a_box_that_ends_by_itself_ends_the_run(tmp_path: Path) -> None:
    layer = FakeLayer(fails_s=12.5)
    log = run(scenario(tmp_path), layer)
    assert (log.ending, log.text) == ("box_failed", "the box has ended with code 1")
    assert 12.5 <= log.lasted_s <= 13.5
    assert len(log.driven) == 1
    assert layer.done[-1][1] == "close"


def test_a_run_that_is_broken_off_gives_what_there_is(tmp_path: Path) -> None:
    layer = FakeLayer(coming=windows(70), interrupts_s=30.0)
    log = run(scenario(tmp_path, faults=(fault("x", at_s=5.0, for_s=50.0),)), layer)
    assert (log.ending, log.lasted_s) == ("broken_off", 30.0)
    assert len(log.heard) == 15
    assert len(log.driven) == 1
    assert log.faults[0].evidence
    assert layer.done[-1][1] == "close"


@pytest.mark.parametrize("where", ["open", "x"])
def test_what_the_rig_cannot_do_is_no_failure_of_the_box(tmp_path: Path, where: str) -> None:
    layer = FakeLayer(refuses=where)
    log = run(scenario(tmp_path, faults=(fault("x", at_s=5.0),)), layer)
    assert log.ending == "rig_failed"
    assert log.text
    assert not log.faults
    assert layer.done[-1][1] == "close"


def test_times_of_a_box_with_another_clock_become_times_of_the_rig(tmp_path: Path) -> None:
    layer = FakeLayer(coming=windows(70), clock=(100.0, 0.25))
    log = run(scenario(tmp_path, 60.0), layer)
    assert log.clock_bound_s == 0.25
    assert (log.heard[0].from_s, log.heard[0].to_s, log.heard[0].error_s) == (-101.0, -99.0, 0.25)
    layer = FakeLayer(coming=windows(70), clock=(0.0, NO_BOUND_S))
    log = run(scenario(tmp_path, 60.0), layer)
    assert log.clock_bound_s == NO_BOUND_S
    assert {one.to_s for one in log.heard} == {None}


def test_progress_says_what_happens(tmp_path: Path) -> None:
    said: list[tuple[float, str]] = []
    faults = (fault("flap", at_s=7.5, for_s=3.0),)
    layer = FakeLayer()
    run(scenario(tmp_path, 200.0, faults=faults), layer, lambda t_s, text: said.append((t_s, text)))
    words = [text for _, text in said]
    assert (7.5, "flap: broker down") in said
    assert (10.5, "flap: broker is healed") in said
    assert any("messages have come, 0 wait" in text for text in words)
    assert len(said) < 12


def test_the_same_run_gives_the_same_bytes_and_can_be_read_again(tmp_path: Path) -> None:
    def once() -> bytes:
        faults = (fault("x", when=(Condition(state="queue", above=10),), for_s=3.0),)
        return json.encode(run(scenario(tmp_path, faults=faults), FakeLayer(windows(70), queue)))

    first = once()
    assert first == once()
    assert json.encode(json.decode(first, type=RunLog)) == first
