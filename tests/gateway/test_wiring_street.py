"""From a file with bays, a signal and approaches to what the engine and the judges are given."""

from pathlib import Path

import pytest

import drivers
from edge.config import load_site
from edge.core import ContactLine
from edge.gateway.wiring import Wiring
from edge.infer.sites import ApproachSite, LaneSite
from edge.process.approachsignal import SignalSetup
from edge.process.baywindow import BaySetup
from edge.process.phase import PhaseSetup
from edge.process.traffic.passage import LENGTH_CLASSES

SITE = """\
[site]
id = "quay"
gateway = "gw-1"
[uplink]
url = "mqtt://localhost"
confirm = "broker"
[bus.loops]
kind = "gpio"
[lane.north_1]
approach = "north"
bus = "loops"
lead = "GPIO17"
trail = "GPIO27"
spacing_m = 4.0
position = "stop"
limit_kmh = 30
effective_m = 2.4
tailgate_s = 1.5
stopped_s = 20
classes = [{ name = "short", to_m = 6.55 }, { name = "long" }]
[lane.north_2]
approach = "north"
bus = "loops"
lead = "GPIO22"
mode = "pulse"
position = "advance"
role = "turn"
[lane.bridge_1]
approach = "bridge"
bus = "loops"
lead = "GPIO23"
[lane.track]
approach = "path"
bus = "loops"
lead = "GPIO24"
kind = "bicycle"
[approach.north]
downstream = "bridge"
distance_m = 220
[approach.bridge]
downstream = "path"
distance_m = 10
[bay.bakery]
kind = "loading"
bus = "loops"
line = "GPIO25"
active = "high"
bias = "down"
max_stay_min = 30
min_stay_s = 5
[device.green]
driver = "contact"
bus = "loops"
line = "GPIO6"
phase = { approach = "north", colour = "green" }
[device.door]
driver = "contact"
bus = "loops"
line = "GPIO7"
event = "door"
"""


@pytest.fixture
def wiring(tmp_path: Path) -> Wiring:
    path = tmp_path / "site.toml"
    path.write_text(SITE)
    return Wiring.of(load_site(path, drivers.catalogue()))


def test_a_lane_has_all_that_was_written(wiring: Wiring) -> None:
    first, second, *_ = wiring.setup().lanes
    assert first.classes[0] == ("short", 655)
    assert [name for name, _ in first.classes] == ["short", "long"]
    assert (first.effective_m, first.limit_kmh, first.tailgate_s) == (2.4, 30, 1.5)
    assert first.stopped_s == 20
    assert (second.classes, second.effective_m) == (LENGTH_CLASSES, None)


def test_a_bay_hangs_on_its_line(wiring: Wiring) -> None:
    assert wiring.setup().bays == (BaySetup("bakery", "loading", 30.0, 5.0),)
    (line,) = (each for each in wiring.lines["loops"] if each.line == "GPIO25")
    assert line.bias == "down"
    assert wiring.lined["GPIO25"] == ContactLine("bakery", on_high=True)


def test_a_phase_is_no_plain_contact(wiring: Wiring) -> None:
    setup = wiring.setup()
    assert [each.name for each in setup.contacts] == ["door"]
    assert setup.signals == (
        SignalSetup(
            "north",
            (PhaseSetup("green", "north", "green"),),
            (("north_1", "stop"), ("north_2", "advance")),
        ),
    )


def test_the_judges_are_told_where_loops_lie(wiring: Wiring) -> None:
    judged = wiring._judged(wiring.setup(), hurry=True)
    assert judged.lanes == (
        LaneSite("north_1", "north", "stop", True, 4.0, 2.0, "presence", 30),
        LaneSite("north_2", "north", "advance", mode="pulse", role="turn"),
        LaneSite("bridge_1", "bridge", "corridor"),
        LaneSite("track", "path", "corridor", role="bicycle"),
    )
    # a path of bicycles is not judged, so nothing goes on there
    assert judged.approaches == (ApproachSite("north", "bridge", 220.0), ApproachSite("bridge"))


def test_the_engine_of_the_site_makes_a_record_of_each(wiring: Wiring) -> None:
    engine = wiring.pipeline().engine
    engine.start(0)
    drafts = engine.close(60_000_000_000)
    assert [(str(each.stream), each.source) for each in drafts] == [
        ("traffic", "north_1"),
        ("traffic", "north_2"),
        ("traffic", "bridge_1"),
        ("traffic", "track"),
        ("bay", "bakery"),
    ]
