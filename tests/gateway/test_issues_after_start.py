"""After a start the list of open issues and those who will tell the end of a fault agree: else one
would be open for ever, or would never have been."""

import json
from pathlib import Path

from edge.core import Draft
from edge.gateway.issuefindings import event_finding, known_faults
from edge.health.openissues import IssueFinding
from edge.process.engine import Engine
from tests.gateway.brokenparts import WELL, fault
from tests.gateway.issueparts import Parts, at
from tests.kit.engine import MINUTE, S, events
from tests.process.test_engine_restored import BAD, troubled
from tests.process.windows import packed


def keys(findings: list[IssueFinding]) -> set[tuple[str, str]]:
    return {(each.kind, each.about) for each in findings}


def test_what_processing_has_up_is_what_it_has_told() -> None:
    """Before and after a start, and after a time in which nobody looked."""
    engine = troubled()
    up = keys([*known_faults({}, engine.faults_up())])
    assert up == {
        ("loop_fault", "north_1 trail stuck_on"),
        ("loop_fault", "east_1 lead chatter"),
        ("loop_fault", "east_2 lead no_activity"),
        ("contact_fault", "heat stuck_on"),
        ("signal_fault", "north_green"),
    }
    restored = Engine(BAD)
    restored.restore(packed(engine.snapshot()))
    restored.start(2000 * S)
    assert keys([*known_faults({}, restored.faults_up())]) == up
    for minute in range(1, 10):
        for each in events(restored.close(2000 * S + minute * MINUTE)):
            up = after(up, each)
        assert keys([*known_faults({}, restored.faults_up())]) == up
    assert len(up) == 4


def after(up: set[tuple[str, str]], event: Draft) -> set[tuple[str, str]]:
    """The same with what an event tells."""
    if (told := event_finding(event)) is None:
        return up
    return up | keys([told[0]]) if told[1] else up - keys([told[0]])


def test_what_ends_with_its_source_is_up_until_that_is_told() -> None:
    other = Engine(BAD)
    other.restore(packed(troubled().snapshot()))
    state = packed(other.snapshot())
    end = {"event": "sensor_fault", "state": "off", "by": "rule stuck_on", "fault": "stuck_on"}
    state["over"] = [["gone_1", {**end, "part": "lead", "text": "gone_1: over."}]]
    other.restore(state)
    gone = ("loop_fault", "gone_1 lead stuck_on")
    assert gone in keys([*known_faults({}, other.faults_up())])
    other.close(13 * MINUTE)
    assert gone not in keys([*known_faults({}, other.faults_up())])


def test_what_nobody_knows_any_more_is_over_after_a_start(tmp_path: Path) -> None:
    """The state of the judge was damaged; the list was not."""
    parts = Parts(events=[fault("on", fault="swapped", part="lead")])
    watch = parts.watch(tmp_path)
    watch.see_events(parts.events, at(1))
    kept = json.loads(json.dumps(watch.to_keep(at(2))["issues"]))
    knowing, damaged = Parts(up=parts.told).watch(tmp_path), WELL.watch(tmp_path)
    knowing.restore(kept, at(3))
    damaged.restore(kept, at(3))
    (one,) = knowing.issues
    assert (one.opened.mono_ns, one.cause) == (1 * S, next(iter(watch.issues)).cause)
    assert not len(damaged.issues)


def test_what_is_up_is_in_the_list_of_a_start_that_has_none(tmp_path: Path) -> None:
    """A version without a list has told it; its end closes it."""
    told = {("north_1", "lead", "swapped"): "north_1: the lead loop; swap them."}
    watch = Parts(up=[*known_faults(told, ())]).watch(tmp_path)
    watch.restore(None, at(1))
    (one,) = watch.issues
    assert one.about == "north_1 swapped"
    assert one.remedy.startswith("Swap them. Once mended, ")
    damaged = Parts(up=[*known_faults(told, troubled().faults_up())]).watch(tmp_path)
    damaged.restore({"boot": 3, "open": [1]}, at(2))
    assert len(damaged.issues) == 6
    damaged.see_events([fault("off", fault="swapped", part="lead")], at(3))
    assert len(damaged.issues) == 5
