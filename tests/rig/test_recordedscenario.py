"""A running gateway becomes a scenario, which passes when the gateway is tried with it."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import drivers
from edge.config import load_site
from edge.config.maskedtext import mask_secrets
from edge.control.protocol import ask_daemon
from edge.rig.boxrecorder import BoxRecorder
from edge.rig.judging import judge
from edge.rig.recordedinput import RecordedInput
from edge.rig.recordedscenario import recorded_files
from edge.rig.runner import run
from edge.rig.scenario import Scenario
from edge.rig.scenariofile import check_scenario
from edge.rig.scenariosite import ScenarioSite
from edge.rig.simlayer import SimLayer
from tests.rig.crossing import CROSSING, scenario

DOORS = """
[lane.south_1]
approach = "south"
bus = "loops"
position = "stop"
lead = "GPIO5"
[device.green]
driver = "contact"
bus = "loops"
line = "GPIO6"
phase = { approach = "south", colour = "green" }
[device.door]
driver = "contact"
bus = "loops"
line = "GPIO12"
event = "door"
[device.lamps]
driver = "s0"
bus = "loops"
line = "GPIO16"
imp_per_kwh = 1000
"""
VALUES = ("hut.temperature", "meter.voltage_l1")


class Recorded:
    """The gateway of a crossing, recorded while it runs in virtual time."""

    def __init__(self, folder: Path, played: Scenario, seconds: float) -> None:
        self.layer = SimLayer(folder / "box")
        self.layer.open(played)
        self.recorder = BoxRecorder(self.ask, lambda *_: None, self.sleep, self.layer.now_s)
        try:
            self.layer.run_until(130.0)  # two windows: the recorder knows something
            self.result = self.recorder.record(seconds)
        finally:
            self.layer.close()

    def ask(self, **arguments: Any) -> Mapping[str, Any]:
        with self.layer._world.conducted():
            answer = ask_daemon(self.layer._folder / "run", "recorder", **arguments)
        assert answer is not None
        return answer

    def sleep(self, seconds: float) -> None:
        self.layer.run_until(self.layer.now_s() + seconds)


def written(folder: Path, recorded: RecordedInput) -> Path:
    """The files of a scenario, beside their site file."""
    out = folder / "recorded"
    site = load_site(folder / "site.toml", drivers.catalogue())
    files = recorded_files(recorded, ScenarioSite(site), "A crossing")
    files["site.toml"] = mask_secrets((folder / "site.toml").read_text())
    for name, text in files.items():
        (out / name).parent.mkdir(parents=True, exist_ok=True)
        (out / name).write_text(text)
    return out / "scenario.toml"


def test_a_recorded_gateway_passes_its_own_scenario(tmp_path: Path) -> None:
    played = scenario(tmp_path, 600.0, text=CROSSING + DOORS, per_hour=700.0)
    recorded = Recorded(tmp_path, played, 240.0)
    assert recorded.recorder.ending == ""
    file = written(tmp_path, recorded.result)
    checked = check_scenario(file)
    assert [str(one) for one in checked.warnings] == []
    lasted_s = checked.scenario.about.duration_s
    assert lasted_s >= 240.0
    named = {(one.what, one.source, one.key) for one in checked.scenario.expects}
    assert {("volume", lane, "") for lane in ("north_1", "north_2", "south_1")} <= named
    assert {("value", *one.split(".")) for one in VALUES} <= named
    assert {one[0] for one in named} >= {"nothing_else", "complete"}
    volumes = [one.equals for one in checked.scenario.expects if one.what == "volume"]
    assert sum(volume or 0 for volume in volumes) > 60
    log = run(checked.scenario, SimLayer(tmp_path / "again"))
    assert log.ending == "whole", log.text
    wrong = [f"{one.name}: {one.text}" for one in judge(checked.scenario, log)
             if one.verdict != "pass"]  # fmt: skip
    assert wrong == []
