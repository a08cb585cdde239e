"""One loop breaks, at several moments of a window: it is reported once, and of no other loop."""

from pathlib import Path

import msgspec
import pytest

from edge.rig.runner import run
from edge.rig.scenario import Fault
from edge.rig.scenariofile import check_scenario
from edge.rig.scenariolibrary import LIBRARY
from edge.rig.simlayer import SimLayer

MEANT = {"dead": "stuck_off"}  # what the box calls it
LASTS_S = {"chatter": 160.0, "breakup": 240.0}
EACH_TIME = (("chatter", "north_1", 47.3), ("breakup", "north_1.trail", 51.0))
KINDS = ("chatter", "breakup", "undercount", "late_release", "splashover", "stuck_on", "dead")
CASES = [
    pytest.param(
        *case, marks=() if case in EACH_TIME else (pytest.mark.long,), id="-".join(map(str, case))
    )
    for kind in KINDS
    for target in ("north_1", "north_1.trail")
    for at_s in (43.0, 47.3, 51.0, 55.0)
    for case in [(kind, target, at_s)]
]


@pytest.mark.parametrize(("kind", "target", "at_s"), CASES)
def test_one_cause_is_reported_once(kind: str, target: str, at_s: float, tmp_path: Path) -> None:
    base = "loop_breakup" if kind == "breakup" else "loop_chatter"
    scenario = check_scenario(LIBRARY / f"{base}.toml").scenario
    for_s = LASTS_S.get(kind, 400.0)
    wish = msgspec.structs.replace(
        scenario,
        about=msgspec.structs.replace(scenario.about, duration_s=at_s + for_s + 60.0),
        faults=(Fault(name="broken", target=target, kind=kind, at_s=at_s, for_s=for_s),),
        expects=(),
    )
    log = run(wish, SimLayer(tmp_path / "box"))
    bodies = {(h.epoch, h.seq): (h.source, h.body) for h in log.heard if h.stream == "event"}
    told = [
        (source, body["part"], body["fault"])
        for source, body in bodies.values()
        if body["event"] == "sensor_fault" and body["state"] == "on" and "part" in body
    ]
    part = "trail" if target.endswith(".trail") else "lead"
    assert told == [("north_1", part, MEANT.get(kind, kind))]
