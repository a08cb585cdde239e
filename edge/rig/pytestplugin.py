"""The pytest plugin `kerbstone-rig`: a box under test, its street and its wires as fixtures.

pytest loads it by its entry point, in every run where Kerbstone is installed: so nothing of the rig
is imported before a test asks for it.

    def test_one_car(street, records):
        street.lane("north_1").drive(speed_kmh=50, length_m=4.5)
        records.expect("volume", source="north_1", equals=1)
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypeVar, cast

import pytest

if TYPE_CHECKING:
    from edge.rig import testparts
    from edge.rig.outcome import Outcome
    from edge.rig.scenario import LayerName
    from edge.rig.steppedrun import SteppedRun

LAYER: Final = "rig_layer"
"""A fixture, a mark, and a property of reports: on which layer a test runs."""
SCENARIO_ENDING: Final = ".rig.toml"
USUAL_LAYERS: Final = ["sim"]
RUN: Final = pytest.StashKey["SteppedRun"]()
Hook = TypeVar("Hook", bound=Callable[..., Any])
IS_NEW: Final = pytest.version_tuple >= (8, 2)
"""An older one, such as Debian 12 has, does its own work beside this plugin, and none of ours."""
WORDS: Final = {
    "site": "the site file of the box under test",
    "box": "the command of a box that is not this gateway, or mqtt://HOST:PORT of one elsewhere",
    "adapter": "how its messages are read: a file .toml, or MODULE:FUNCTION",
    "broker": "the URL of a broker that is there",
    "guest": "the folder of the guest, for the layer qemu",
    "bench": "the file of a bench: which wire is which, for the layer bench",
}
MARKS: Final = (
    'rig(site="site.toml", seed=1): the site file of the box, from the folder of the test; the '
    "seed of what is random",
    'rig_layer("sim", "pty"): on which layers a test of a box runs',
)


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("kerbstone-rig", "tests of a box (kerbstone-rig)")
    add = group.addoption
    add("--rig-layer", action="append", default=[], metavar="LAYER",
        help="run tests of a box on this layer only; may be repeated")  # fmt: skip
    add("--rig-must-run", action="store_true",
        help="fail if no test of a box has run: there is none, or all were skipped")  # fmt: skip
    add("--rig-report", type=Path, metavar="DIR",
        help="write a page of each test of a box there, and its run for `kerbstone rig "
        "report`")  # fmt: skip
    for name, text in WORDS.items():
        add(f"--rig-{name}", metavar=name.upper(), help=f"{text} (ini: rig_{name})")
        parser.addini(f"rig_{name}", text, default="")
    parser.addini("rig_layers", "layers of tests without the mark rig_layer, and of files "
                  f"*{SCENARIO_ENDING}", "args", default=USUAL_LAYERS)  # fmt: skip


def pytest_configure(config: pytest.Config) -> None:
    for line in MARKS:
        config.addinivalue_line("markers", line)
    if config.getoption("--rig-must-run") and not config.option.collectonly:
        if hasattr(config, "workerinput"):  # xdist brings all reports together elsewhere
            return
        from edge.rig.rancounter import RanCounter

        config.pluginmanager.register(RanCounter(), "kerbstone-rig-counter")


def pytest_collect_file(file_path: Path, parent: pytest.Collector) -> pytest.Collector | None:
    if not IS_NEW or not file_path.name.endswith(SCENARIO_ENDING):
        return None
    from edge.rig.scenarioitem import ScenarioFile

    return cast("pytest.Collector", ScenarioFile.from_parent(parent, path=file_path))


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if LAYER not in metafunc.fixturenames:
        return
    from edge.rig.testedbox import wanted_layers

    mark = metafunc.definition.get_closest_marker(LAYER)
    found = wanted_layers(metafunc.config, None if mark is None else list(mark.args))
    metafunc.parametrize(LAYER, found, indirect=True)


def _around(hook: Hook) -> Hook:
    """A hook that runs around others, in the words that this pytest has."""
    return (pytest.hookimpl(wrapper=True) if IS_NEW else pytest.hookimpl(hookwrapper=True))(hook)


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        layer = _layer_of(item)
        if layer is not None:
            item.user_properties.append((LAYER, layer))


@_around
def pytest_runtest_call(item: pytest.Item) -> Generator[None, object, object]:
    """What the layer cannot do skips the test that asks for it; a fault that nobody has seen to be
    in force fails it."""
    run = item.stash.get(RUN, None)
    if run is None:
        return (yield)
    from edge.rig.testedbox import skipping

    with skipping():
        result = yield
        run.check_faults()
    return result


# -- fixtures -------------------------------------------------------------------------------------


@pytest.fixture
def rig_layer(request: pytest.FixtureRequest) -> str:
    """On which layer the test runs now."""
    return str(request.param)


@pytest.fixture
def rig(request: pytest.FixtureRequest, rig_layer: LayerName) -> Iterator[SteppedRun]:
    """The box of one test, and its wires. All other fixtures of the rig act on it."""
    if not IS_NEW:
        pytest.fail(f"tests of a box need pytest 8.2 or newer; this is {pytest.__version__}")
    from edge.rig.testedbox import stepped_run

    with stepped_run(request, rig_layer, request.config.getoption("--rig-report")) as run:
        request.node.stash[RUN] = run
        yield run


@pytest.fixture
def gateway(rig: SteppedRun) -> testparts.GatewayUnderTest:
    """The box under test, and time: `wait`, `wait_until`, `kill`, `stop`."""
    from edge.rig.testparts import GatewayUnderTest

    return GatewayUnderTest(rig, "gateway")


@pytest.fixture
def street(rig: SteppedRun) -> testparts.StreetUnderTest:
    """Lanes: `street.lane("north_1").drive(speed_kmh=50, length_m=4.5)`."""
    from edge.rig.testparts import StreetUnderTest

    return StreetUnderTest(rig)


@pytest.fixture
def meter(rig: SteppedRun) -> testparts.DevicesUnderTest:
    """The meter of the site, or `meter(NAME)`: `set`, `offset`, `silent`, `fault`."""
    from edge.rig.testparts import meters

    return meters(rig)


@pytest.fixture
def air(rig: SteppedRun) -> testparts.DevicesUnderTest:
    """The other polled device of the site, or `air(NAME)`: `set`, `offset`, `silent`, `fault`."""
    from edge.rig.testparts import air_sensors

    return air_sensors(rig)


@pytest.fixture
def broker(rig: SteppedRun) -> testparts.BrokerUnderTest:
    """The broker of the box: `stop`, `flap`."""
    from edge.rig.testparts import BrokerUnderTest

    return BrokerUnderTest(rig, "broker")


@pytest.fixture
def link(rig: SteppedRun) -> testparts.LinkUnderTest:
    """The way between box and broker: `down`, `reset`, `black_hole`, `latency`, `bandwidth`."""
    from edge.rig.testparts import LinkUnderTest

    return LinkUnderTest(rig, "link")


@pytest.fixture
def power(rig: SteppedRun) -> testparts.PowerUnderTest:
    """The supply of the box: `cut`."""
    from edge.rig.testparts import PowerUnderTest

    return PowerUnderTest(rig, "power")


@pytest.fixture
def clock(rig: SteppedRun) -> testparts.ClockUnderTest:
    """The clock of the box: `jump`."""
    from edge.rig.testparts import ClockUnderTest

    return ClockUnderTest(rig, "clock")


@pytest.fixture
def disk(rig: SteppedRun) -> testparts.DiskUnderTest:
    """The disk of the box: `full`."""
    from edge.rig.testparts import DiskUnderTest

    return DiskUnderTest(rig, "disk")


@pytest.fixture
def records(rig: SteppedRun) -> testparts.RecordsUnderTest:
    """What the box sends: `expect`, with the words of `[[expect]]`."""
    from edge.rig.testparts import RecordsUnderTest

    return RecordsUnderTest(rig)


@pytest.fixture
def run_scenario(
    request: pytest.FixtureRequest, rig_layer: LayerName
) -> Callable[[Path | str], list[Outcome]]:
    """Runs a scenario file on a box of its own: `run_scenario("incident.toml")`, from the folder of
    the test. It fails as `kerbstone rig run` does."""
    from edge.rig.testedbox import run_scenario_file

    reports = request.config.getoption("--rig-report")

    def run(path: Path | str) -> list[Outcome]:
        __tracebackhide__ = True
        return run_scenario_file(request.node, request.path.parent / path, rig_layer, reports)

    return run


def _layer_of(item: pytest.Item) -> str | None:
    if (call := getattr(item, "callspec", None)) is not None:
        return cast("str | None", call.params.get(LAYER))
    return cast("str | None", getattr(item, LAYER, None))  # a scenario file
