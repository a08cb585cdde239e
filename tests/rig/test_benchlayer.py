"""The layer `bench` with everything but the copper: the lines of the bench are simulated, a thread
is the wires to the lines of the box, its meter is behind pseudo-terminals, and the box is the
daemon as a process of its own, which knows nothing of the rig.
"""

import contextlib
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from drivers.sim.gpio import SimChip
from edge.rig.benchfile import load_bench
from edge.rig.benchlayer import BenchLayer
from edge.rig.judging import judge
from edge.rig.layer import LayerError
from edge.rig.ports import free_port
from edge.rig.runlog import RunLog
from edge.rig.runner import run
from edge.rig.scenario import About, Expect, Fault, Scenario, Trace, Vehicle
from tests.kit.broker import BINARY
from tests.kit.serialport import PtyPair
from tests.rig.benches import Wires, bench_text

pytestmark = pytest.mark.skipif(
    not Path(BINARY).exists(), reason="mosquitto is not installed: apt-get install mosquitto"
)
SITE = """
[site]
id = "s"
gateway = "gw-1"
period_s = 2
[store]
dir = "{folder}/store"
run_dir = "{folder}/run"
[uplink]
url = "{listen}"
confirm = "broker"
encoding = "json"
[bus.loops]
kind = "gpio"
chip = "sim:{folder}/box.sock"
[lane.north_1]
approach = "north"
bus = "loops"
lead = "GPIO17"
trail = "GPIO27"
spacing_m = 4.0
loop_m = 2.0
[bus.meters]
kind = "modbus-rtu"
port = "{port}"
[device.main_meter]
driver = "sdm120"
bus = "meters"
unit = 1
every_s = 1.0
"""
POWER = """
[[serial]]
bus = "meters"
port = "{port}"
[power]
off_command = "{touch} {folder}/off"
on_command = "{touch} {folder}/on"
off_s = 1.0
"""
CARS = tuple(Vehicle(lane="north_1", at_s=float(t_s)) for t_s in range(2, 22, 3))


class Desk:
    """Bench, wires and box in one folder."""

    def __init__(self, folder: Path, stack: contextlib.ExitStack) -> None:
        self.folder, self.listen = folder, f"mqtt://127.0.0.1:{free_port()}"
        pair = PtyPair()
        stack.callback(pair.close)
        for name in ("store", "run"):
            (folder / name).mkdir()
        self.site = folder / "site.toml"
        self.site.write_text(SITE.format(folder=folder, listen=self.listen, port=pair.b))
        power = POWER.format(port=pair.a, folder=folder, touch="/usr/bin/touch")
        self.file = folder / "bench.toml"
        self.file.write_text(bench_text(folder / "bench.sock", self.listen, power))
        names = ("OUT0", "OUT1", "BACK0", "BACK1")
        bench = stack.enter_context(SimChip(names, folder / "bench.sock"))
        box = stack.enter_context(SimChip(("GPIO17", "GPIO27"), folder / "box.sock"))
        wires = {"OUT0": ["GPIO17"], "OUT1": ["GPIO27"]}
        stack.enter_context(Wires(bench, box, wires, pulls=True))
        self._stack = stack

    def switch_on(self) -> None:
        command = [sys.executable, "-m", "edge.cli.main", "run", str(self.site)]
        log = self._stack.enter_context((self.folder / "box.log").open("wb"))
        box = subprocess.Popen(command, stdout=log, stderr=log, cwd=Path(__file__).parents[2])
        self._stack.callback(box.wait, 60)
        self._stack.callback(box.terminate)

    def scenario(self, **tables: Any) -> Scenario:
        about = About(name="bench", site="site.toml", duration_s=25.0, settle_s=60.0)
        return Scenario(file=str(self.folder / "scenario.toml"), about=about, **tables)

    def run(self, scenario: Scenario, ready_s: float = 60.0) -> RunLog:
        bench, site = load_bench(self.file)
        return run(scenario, BenchLayer(self.folder / "rig", bench, site, ready_s=ready_s))


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    with contextlib.ExitStack() as stack:
        yield Desk(tmp_path, stack)


@pytest.mark.scene
def test_a_box_that_knows_nothing_of_the_rig_is_tried_on_its_wires(desk: Desk) -> None:
    faults = (
        Fault(name="quiet", target="main_meter", kind="silent", at_s=4.0, for_s=5.0),
        Fault(name="away", target="link", kind="down", at_s=6.0, for_s=4.0),
        Fault(name="cut", target="power", kind="cut", at_s=12.0),
    )
    expects = (
        Expect(name="counted", what="volume", source="north_1", true=True),
        Expect(name="the meter was silent", what="in_force", fault="quiet"),
        Expect(name="the link was down", what="in_force", fault="away"),
        Expect(name="the supply was cut", what="in_force", fault="cut"),
        Expect(name="complete", what="complete"),
    )
    desk.switch_on()
    played = desk.scenario(vehicles=CARS, faults=faults, expects=expects)
    log = desk.run(played)
    assert (log.ending, log.text) == ("whole", "")
    assert log.layer == "bench"
    found = {one.name: (one.verdict, one.text) for one in judge(played, log)}
    assert [(name, text) for name, (verdict, text) in found.items() if verdict != "pass"] == []
    assert set(found) >= {one.name for one in expects}
    assert 0 < log.clock_bound_s < 3.0
    assert len(log.driven) == len(CARS)
    assert (desk.folder / "off").exists()
    assert (desk.folder / "on").exists()


def test_a_box_that_is_off_is_told(desk: Desk) -> None:
    log = desk.run(desk.scenario(vehicles=CARS), ready_s=0.5)
    assert log.ending == "rig_failed"
    assert "has not read main_meter" in log.text
    assert desk.listen in log.text


def test_a_supply_and_lanes_that_nothing_drives_are_told_before_anything_starts(
    desk: Desk,
) -> None:
    text = desk.file.read_text()
    desk.file.write_text(text[: text.index("[power]")])
    cut = Fault(name="cut", target="power", kind="cut", at_s=1.0)
    assert "[power]" in desk.run(desk.scenario(faults=(cut,))).text
    trail = text[: text.rindex("[[output]]")] + text[text.index("[[serial]]") :]
    desk.file.write_text(trail)
    (desk.folder / "v.csv").write_text("t_s,lane,speed_kmh,length_m\n1,north_1,50,5\n")
    trace = Trace(file="v.csv", kind="vehicles")
    assert "drives north_1.trail" in desk.run(desk.scenario(traces=(trace,))).text


def test_a_place_that_is_not_here_is_told(desk: Desk) -> None:
    desk.file.write_text(desk.file.read_text().replace(desk.listen, "mqtt://192.0.2.7:1883"))
    bench, site = load_bench(desk.file)
    layer = BenchLayer(desk.folder / "rig", bench, site)
    with pytest.raises(LayerError, match="an address of this machine"):
        layer.open(desk.scenario(vehicles=CARS))
