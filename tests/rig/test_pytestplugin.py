"""The pytest plugin: what a test of a box says when it fails, and when it may not pass."""

import os
import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from xml.etree import ElementTree

import pytest

from edge.rig.judging import judge, verdict_of
from edge.rig.runfile import read_run
from tests.rig.scenes import write_site

ROOT = Path(__file__).parents[2]
PLUGIN = ("-p", "no:kerbstone-rig", "-p", "edge.rig.pytestplugin", "-p", "no:cacheprovider")
INI = "[pytest]\nrig_site = site.toml\n"
BOX = """
import pytest

def test_one_car(street, records):
    driven = street.lane("north_1").drive(speed_kmh=50, length_m=4.5)
    assert (driven.lane, driven.speed_kmh) == ("north_1", 50)
    records.expect("volume", source="north_1", equals=1)
    records.expect("volume", source="north_2", equals=0)
    records.expect("complete")
    records.expect("nothing_else")

def test_who_comes_beside_and_behind(street, records):
    first = street.lane("north_1").drive(speed_kmh=20, length_m=18, wait=False)
    beside = street.lane("north_2").drive(speed_kmh=50, wait=False)
    behind = street.lane("north_1").drive(speed_kmh=60)
    assert beside.on_s == first.on_s and behind.on_s > first.on_s + 3
    records.expect("volume", source="north_1", true=True)
    records.expect("volume", source="north_2", true=True)

def test_traffic_while_the_link_is_down(street, link, gateway, records):
    came = street.lane("north_1").traffic(per_hour=1200, for_s=20)
    with link.down():
        gateway.wait_until("connected", below=1)
        gateway.wait(10)
        assert gateway.seen.queue > 0
    gateway.wait(came[-1].off_s - gateway.now_s + 1)
    records.expect("volume", source="north_1", true=True)
    records.expect("complete")

def test_values_and_their_end(meter, air, records):
    with air.set(temperature=31.5), meter("main_meter").set(voltage_l1=240.0):
        for _ in range(2):
            records.expect("value", source="hut", key="temperature", equals=31.5, tolerance=0.2)
        records.expect("value", source="main_meter", key="voltage_l1", equals=240, tolerance=0.5,
                       unit="V")
    records.expect("value", source="hut", key="temperature", equals=21.6, tolerance=2)

def test_a_meter_that_dies(meter, records, gateway):
    with meter.silent() as dead:
        records.expect("quality", source="main_meter", key="power", reason="silent", fault=dead)
        records.expect("flag", source="main_meter", key="silent", fault=dead, within_s=20)
    records.expect("flag", source="hut", key="silent", absent=True)

@pytest.mark.parametrize("kind", ["kill"])
def test_a_box_that_is_killed(gateway, kind, street, records):
    gateway.wait(4)
    gateway.fault(kind)
    gateway.wait(20)
    records.expect("gap", source="*", key="restart")

def test_a_clock_that_jumps(clock, gateway, records, rig_layer):
    clock.jump(3600)
    gateway.wait(5)
    assert rig_layer == gateway.layer == "sim"
    records.expect("complete")
"""
WRONG = """
import pytest

def test_wrong_count(street, link, gateway, records):
    with link.down():
        street.lane("north_1").drive(speed_kmh=36, length_m=4.0)
        gateway.wait(4)
    records.expect("volume", name="two cars", source="north_1", equals=2)

def test_lost_car(street, records):
    with street.lane("north_1").fault("dead_pair"):
        street.lane("north_1").drive()
    records.expect("volume", source="north_1", true=True)

def test_no_flag(street, records):
    street.lane("north_1").drive()
    records.expect("flag", source="north_1", key="chatter", wait_s=5)

def test_unseen_fault(link):
    with link.latency(0.001):
        pass

def test_a_fault_without_a_with(broker):
    broker.stop()

def test_wrong_words(records):
    records.expect("volumen", source="north_3", tolerance=-1)

def test_no_such_lane(street):
    street.lane("north_9").drive()

def test_no_such_fault(meter):
    meter.fault("sleepy")

def test_no_such_point(meter):
    meter.set(voltage=1.0)

def test_power(power):
    power.cut()

def test_packets(link):
    link.fault("packet_loss", 0.1)
"""
SCENARIO = """
[scenario]
name = "one car"
site = "site.toml"
duration_s = 20
[[vehicle]]
lane = "north_1"
at_s = 3
[[expect]]
name = "{name}"
what = "volume"
source = "north_1"
equals = {count}
"""
POWER = """
[[fault]]
name = "cut"
target = "power"
kind = "cut"
at_s = 5
[[expect]]
name = "it was in force"
what = "in_force"
fault = "cut"
"""


@dataclass(frozen=True)
class Ran:
    """What a run of pytest has come to."""

    code: int
    text: str
    folder: Path

    def outcomes(self) -> dict[str, str]:
        """Test -> passed, failed, error, skipped."""
        found = {}
        for case in ElementTree.parse(self.folder / "junit.xml").iter("testcase"):
            ends = {"failure": "failed", "error": "error", "skipped": "skipped"}
            marks = [ends[one.tag] for one in case if one.tag in ends]
            found[str(case.get("name"))] = marks[0] if marks else "passed"
        return found

    def about(self, test: str) -> str:
        """What the run says of one failure."""
        found = re.search(rf"_{{3,}} {re.escape(test)} _{{3,}}\n(.*?)(?=\n_{{3,}} |\n={{3,}} )",
                          self.text, re.DOTALL)  # fmt: skip
        assert found is not None, self.text
        return found[1]


def tried(folder: Path, *words: str, ini: str = INI, **files: str) -> Ran:
    """pytest in a folder of its own, as its own process: the plugin is not that of this run."""
    write_site(folder)
    (folder / "pytest.ini").write_text(ini, encoding="utf-8")
    for name, text in files.items():
        place = folder / name.replace("__", ".")
        place.write_text(text, encoding="utf-8")
    done = subprocess.run(
        [sys.executable, "-m", "pytest", *PLUGIN, "--junitxml", "junit.xml", "-rs", *words],
        cwd=folder, capture_output=True, text=True, check=False,
        env={**os.environ, "PYTHONPATH": str(ROOT), "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1",
             "COLUMNS": "150"},
    )  # fmt: skip
    return Ran(done.returncode, done.stdout + done.stderr, folder)


def test_a_box_does_what_its_tests_say(tmp_path: Path) -> None:
    ran = tried(tmp_path, "--rig-report", "out", "--rig-must-run", test_box__py=BOX)
    assert set(ran.outcomes().values()) == {"passed"}, ran.text
    assert len(ran.outcomes()) == BOX.count("def test_")
    assert ran.code == 0
    (page,) = (tmp_path / "out").glob("*link_is_down*.html")
    text = page.read_text(encoding="utf-8")
    assert "down_1: down of link" in text
    assert "http://" not in text.replace("http://www.w3.org", "")
    for file in (tmp_path / "out").glob("*.json"):  # judged again it is the same
        again = judge(*read_run(file))
        assert verdict_of(again) == "pass", (file, again)
    scenario, log = read_run(page.with_suffix(".json"))
    assert [one.name for one in scenario.faults] == ["down_1"]
    assert len(scenario.vehicles) == len(log.driven) > 2
    assert len(scenario.expects) == 2
    (case,) = (
        one for one in ElementTree.parse(tmp_path / "junit.xml").iter("testcase")
        if "link_is_down" in str(one.get("name"))
    )  # fmt: skip
    named = {str(one.get("name")): str(one.get("value")) for one in case.iter("property")}
    assert named == {"rig_layer": "sim", "rig_report": str(Path("out") / page.name)}


@pytest.fixture(scope="module")
def wrong(tmp_path_factory: pytest.TempPathFactory) -> Ran:
    return tried(tmp_path_factory.mktemp("wrong"), test_box__py=WRONG)


def test_a_failure_shows_the_timeline(wrong: Ran) -> None:
    text = wrong.about("test_wrong_count[sim]")
    assert "two cars: failed" in text
    assert "Wanted 2 vehicles on north_1. Seen: 1 in " in text
    order = [
        r"fault +down_1 began", r"drove +north_1: 36 km/h, 4 m long",
        r"evidence +down_1: \d+ connections were refused", r"fault +down_1 healed",
        r"> +[\d.]+ s +heard +traffic north_1, .*volume 1",
    ]  # fmt: skip
    places = [found.start() if (found := re.search(one, text)) else -1 for one in order]
    assert places == sorted(places), text
    assert places[0] > 0, text
    moments = [float(one) for one in re.findall(r"^E +>? +(-?[\d.]+) s  ", text, re.MULTILINE)]
    assert moments == sorted(moments)
    assert '>       records.expect("volume", name="two cars"' in text
    assert "steppedrun.py" not in text  # where in the rig it was found is no matter


@pytest.mark.parametrize(
    ("test", "said"),
    [
        ("lost_car", "Wanted 1 vehicles. Seen: 0 on north_1"),
        ("no_flag", "Wanted flag chatter of north_1 between 0 s and the end. It was not seen."),
        ("unseen_fault", "nothing went through while it lasted"),
        ("a_fault_without_a_with", "down_1 was in force: not evaluated"),
        ("wrong_words", '"volumen" is not one of "volume"'),
        ("no_such_lane", "no lane is called 'north_9'; there are north_1, north_2"),
        ("no_such_fault", '"main_meter" has no fault "sleepy"'),
        ("no_such_point", "no point of main_meter is called 'voltage'; the site has: voltage_l1"),
    ],
)
def test_what_cannot_pass_says_why(wrong: Ran, test: str, said: str) -> None:
    assert wrong.outcomes()[f"test_{test}[sim]"] == "failed"
    assert said in wrong.about(f"test_{test}[sim]")


def test_what_a_layer_cannot_do_is_skipped_with_the_reason(wrong: Ran) -> None:
    assert wrong.outcomes()["test_power[sim]"] == wrong.outcomes()["test_packets[sim]"] == "skipped"
    assert "power: not on the layer sim: its disk has no cache" in wrong.text
    assert "link packet_loss: not on the layer sim: TCP within one machine" in wrong.text


def test_a_scenario_file_is_a_test(tmp_path: Path) -> None:
    ran = tried(
        tmp_path, good__rig__toml=SCENARIO.format(name="one is counted", count=1),
        bad__rig__toml=SCENARIO.format(name="two are counted", count=2),
        power__rig__toml=SCENARIO.format(name="one is counted", count=1) + POWER,
        broken__rig__toml=SCENARIO.format(name="one is counted", count='"x"'),
        test_it__py="def test_it(run_scenario):\n    run_scenario('good.rig.toml')\n",
    )  # fmt: skip
    assert "good.rig.toml ." in ran.text
    assert ran.outcomes()["test_it[sim]"] == "passed"
    ends = {name: ran.outcomes()[f"{name}[sim]"] for name in ("good", "bad", "power", "broken")}
    assert ends == {"good": "passed", "bad": "failed", "power": "skipped", "broken": "failed"}
    text = ran.about("bad.rig.toml on sim")
    assert "FAILED     two are counted" in text
    assert "Wanted 2 vehicles on north_1. Seen: 1 in " in text
    assert re.search(r"3\.000 s  drove +north_1", text)
    assert "power.rig.toml is for pty, qemu" in ran.text
    assert "expect[0].equals" in ran.about("broken.rig.toml on sim")


LAYERS = """
import pytest

def test_free(records): pass

@pytest.mark.rig_layer("sim", "pty", "qemu")
def test_marked(rig_layer): pass

@pytest.mark.rig_layer("pty")
def test_pty(rig_layer, power): pass

def test_no_box(): pass
"""


@pytest.mark.parametrize(
    ("words", "names"),
    [
        ((), ["free[sim]", "marked[sim]", "marked[pty]", "marked[qemu]", "pty[pty]", "no_box"]),
        (("--rig-layer", "sim"), ["free[sim]", "marked[sim]", "pty[pty]", "no_box"]),
        (
            ("--rig-layer", "pty", "--rig-layer", "sim"),
            ["free[pty]", "free[sim]", "marked[pty]", "marked[sim]", "pty[pty]", "no_box"],
        ),
    ],
)
def test_marks_and_words_choose_the_layer(
    tmp_path: Path, words: tuple[str, ...], names: list[str]
) -> None:
    ran = tried(tmp_path, "--collect-only", "-q", *words, test_box__py=LAYERS)
    found = re.findall(r"test_box\.py::test_(\S+)", ran.text)
    assert sorted(found) == sorted(names), ran.text
    assert ran.code == 0


def test_a_word_that_is_no_layer_is_refused(tmp_path: Path) -> None:
    ran = tried(tmp_path, "--rig-layer", "moon", test_box__py=LAYERS)
    assert ran.code != 0
    assert "'moon' is no layer; there are sim, pty, qemu, bench" in ran.text


def test_a_run_that_shows_nothing_fails(tmp_path: Path) -> None:
    words = ("--rig-must-run", "--rig-layer", "sim", "-k", "pty or no_box")
    ran = tried(tmp_path, *words, test_box__py=LAYERS)
    assert {*ran.outcomes().values()} == {"passed", "skipped"}
    assert ran.code == 1
    assert "no test of a box has run: it is for pty, and --rig-layer asks for sim" in ran.text
    none = tried(tmp_path, "--rig-must-run", "-k", "no_box")
    assert (none.code, "no test asks for a box" in none.text) == (1, True)
    assert tried(tmp_path, *words[1:]).code == 0


def test_without_a_site_file_it_says_what_to_write(tmp_path: Path) -> None:
    ran = tried(tmp_path, ini="[pytest]\n", test_box__py="def test_a(street): pass\n")
    assert 'no site file: write @pytest.mark.rig(site="site.toml")' in ran.text
    assert ran.outcomes() == {"test_a[sim]": "error"}


def test_who_asks_for_no_box_imports_none_of_it(tmp_path: Path) -> None:
    code = (
        "import sys\n"
        "def test_a():\n"
        "    named = [n for n in sys.modules if n.startswith(('edge.', 'drivers'))]\n"
        "    assert named == ['edge.rig', 'edge.rig.pytestplugin'], named\n"
    )
    assert tried(tmp_path, test_a__py=code).code == 0


@pytest.mark.scene
def test_the_same_tests_pass_on_real_processes(tmp_path: Path) -> None:
    tests = BOX.replace('== "sim"', '== "pty"')
    ran = tried(tmp_path, "--rig-layer", "pty", "--rig-must-run", test_box__py=tests)
    skipped = {name for name, end in ran.outcomes().items() if end == "skipped"}
    assert skipped <= {"test_a_clock_that_jumps[pty]"}, ran.text  # without libfaketime
    assert {end for end in ran.outcomes().values()} <= {"passed", "skipped"}, ran.text
    assert ran.code == 0


def test_an_older_pytest_is_not_disturbed(tmp_path: Path) -> None:
    """That of Debian 12 knows no `wrapper`: each run of it ended where Kerbstone was installed."""
    (tmp_path / "old.py").write_text(
        "import pytest\n"
        "pytest.version_tuple, new = (7, 2, 1), pytest.hookimpl\n"
        "def hookimpl(function=None, hookwrapper=False, optionalhook=False, tryfirst=False,\n"
        "             trylast=False, specname=None):\n"
        "    return new(function, hookwrapper=hookwrapper, trylast=trylast)\n"
        "pytest.hookimpl = hookimpl\n"
    )
    (tmp_path / "test_it.py").write_text(
        "def test_own():\n    pass\n\ndef test_of_a_box(rig):\n    pass\n"
    )
    (tmp_path / "odd.rig.toml").write_text("")
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-p", "old", *PLUGIN, "."],
        cwd=tmp_path, capture_output=True, text=True, check=False,
        env={**os.environ, "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1",
             "PYTHONPATH": f"{tmp_path}{os.pathsep}{ROOT}"},
    )  # fmt: skip
    assert "1 passed, 1 error" in done.stdout, done.stdout + done.stderr
    assert "tests of a box need pytest 8.2 or newer" in done.stdout
