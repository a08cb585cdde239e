"""A scenario file that is right is a scenario; else all that is wrong is told at once."""

import contextlib
from dataclasses import dataclass
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge.config import Problem, Problems
from edge.rig.scenario import Scenario
from edge.rig.scenariofile import check_scenario, load_scenario
from tests.long import examples

ROOT = Path(__file__).parents[2]
BAD = Path(__file__).parent / "bad.toml"
SITE = (ROOT / "deploy" / "cabinet.example.toml").read_text(encoding="utf-8")
HEAD = """\
[scenario]
name = "A meter falls silent"
site = "site.toml"
duration_s = 300
settle_s = 60
"""
TRAFFIC = """\
[[traffic]]
lanes = ["north_1"]
until_s = 240
per_hour = 600
speed_kmh = 48
[[vehicle]]
lane = "north_2"
at_s = 20
length_m = 12
"""
VALUE = """\
[[value]]
device = "main_meter"
point = "voltage_l1"
curve = [[0, 230], [60, 231.5]]
"""
FAULT = """\
[[fault]]
name = "meter_dies"
target = "main_meter"
kind = "silent"
at_s = 60
for_s = 120
[[fault]]
name = "far_away"
target = "link"
kind = "latency"
when = [{ state = "volume", of = "north_1", above = 10 }]
after_s = 5
for_s = 30
"""
EXPECT = """\
[[expect]]
name = "It is an open issue within a minute"
what = "issue"
key = "device_fails"
source = "main_meter"
fault = "meter_dies"
within_s = 60
[[expect]]
name = "Every vehicle is counted all the same"
what = "volume"
source = "north_1"
true = true
[[expect]]
name = "Its voltage is right"
what = "value"
source = "main_meter"
key = "voltage_l1"
equals = 231
tolerance = 2
unit = "V"
until_s = 60
[[expect]]
name = "The way was long"
what = "in_force"
fault = "far_away"
[[expect]]
name = "Every record arrives"
what = "complete"
"""
RIGHT = HEAD + TRAFFIC + VALUE + FAULT + EXPECT


@dataclass(frozen=True)
class Mistake:
    """What is written in place of what, and what is said of which key, on the line of `at`."""

    was: str
    now: str
    key: str
    text: str
    at: str = ""

    @property
    def id(self) -> str:
        return f"{self.key}: {self.text}"[:60]


def m(was: str, now: str, key: str, text: str, at: str = "") -> Mistake:
    return Mistake(was, now, key, text, at or now)


MISTAKES = [
    # one value
    m("duration_s = 300", "duration = 300", "scenario.duration", "did you mean duration_s?"),
    m("duration_s = 300\n", "", "scenario.duration_s", "is missing; a number", "[scenario]"),
    m("duration_s = 300", 'duration_s = "300"', "scenario.duration_s", "a number from 1.0"),
    m("settle_s = 60", "settle_s = -1", "scenario.settle_s", "between 0.0 and 86400"),
    m("settle_s = 60", "seed = 1.5", "scenario.seed", "a whole number from 0"),
    m("settle_s = 60", 'layers = ["sin"]', "scenario.layers", 'did you mean sim?'),
    m('"A meter falls silent"', '""', "scenario.name", "a sentence of 1 to 200 characters"),
    m("[scenario]", "[senario]", "senario", "did you mean scenario?"),
    m("[[traffic]]", "[[trafic]]", "trafic", "did you mean traffic?"),
    m("[[value]]", "[value]", "value", "tables [[value]] belong here"),
    m("per_hour = 600", "per_hour = 0", "traffic[0].per_hour", "between 1.0 and 3600.0"),
    m('kind = "latency"', 'kind = "a b"', "fault[1].kind", "1 to 64 of a-z"),
    m('what = "complete"', 'what = "all"', "expect[4].what", 'one of "volume", "value"'),
    m("[[0, 230], [60, 231.5]]", "[0, 230]", "value[0].curve", "pairs such as [[0, 20.5]"),
    m('when = [{ state', 'when = [{ sate', "fault[1].when[0].sate", "did you mean state?"),
    # the site
    m('"site.toml"', '"other.toml"', "scenario.site", "is no file; its name counts from"),
    m('"site.toml"', '"bad.toml"', "scenario.site", "this site file is wrong (1 errors"),
    m('["north_1"]', '["north_3"]', "traffic[0].lanes", "did you mean north_2?"),
    m('lane = "north_2"', 'lane = "main_meter"', "vehicle[0].lane", "no lane is called"),
    m('point = "voltage_l1"', 'point = "voltage_l4"', "value[0].point", "did you mean voltage_l"),
    m('device = "main_meter"', 'device = "charger"', "value[0].device", "no polled device"),
    m("[60, 231.5]", "[60, 2315]", "value[0].curve", "voltage_l1 is 0 to"),
    m("[[value]]", '[[signal]]\napproach = "north"\nred_s = 30\ngreen_s = 20\n[[value]]',
      "signal[0].approach", "needs `phase`", 'approach = "north"'),
    # what does not go together
    m("until_s = 240", "until_s = 400", "traffic[0].until_s", "after the end, 300 s"),
    m("until_s = 240", "from_s = 250\nuntil_s = 240", "traffic[0].until_s", "is not after from_s",
      "until_s = 240"),
    m("at_s = 20\n", "at_s = 300\n", "vehicle[0].at_s", "not before the end of the street"),
    m("length_m = 12", "gap_m = 9", "vehicle[0].gap_m", "leaves less than 1 m"),
    m("speed_kmh = 48", "speed_kmh = 48\nspread_kmh = 40", "traffic[0].spread_kmh",
      "more than half of the mean", "spread_kmh"),
    m("curve = [[0", "constant = 230\ncurve = [[0", "value[0]", "there is constant and curve",
      "[[value]]"),
    m("curve = [[0, 230], [60, 231.5]]\n", "", "value[0]", "there is none of them", "[[value]]"),
    m("[60, 231.5]", "[0, 231.5]", "value[0].curve[1]", "have to grow from pair to pair"),
    m("curve = [[0, 230], [60, 231.5]]", 'series = "no.csv"', "value[0].series", "cannot be read"),
    m("curve = [[0, 230], [60, 231.5]]", 'series = "two.csv"', "value[0].series",
      "has no column voltage_l1"),
    m("[[value]]", '[[trace]]\nfile = "two.csv"\nkind = "vehicles"\nlanes = ["north_2"]\n[[value]]',
      "trace[0].lanes", "is driven by a trace, or by tables", 'lanes = ["north_2"]'),
    m("[[value]]", '[[trace]]\nfile = "two.csv"\nkind = "edges"\nlanes = ["north_2"]\n[[value]]',
      "trace[0].file", "its first line is not t_ms,line,level", 'file = "two.csv"'),
    # faults
    m("at_s = 60\nfor_s", 'at_s = 60\nwhen = [{ state = "queue", above = 1 }]\nfor_s',
      "fault[0].when", "leave one of them out", 'when = [{ state = "queue"'),
    m("at_s = 60\nfor_s", "for_s", "fault[0].at_s", "say when it begins", 'name = "meter_dies"'),
    m("at_s = 60\n", "at_s = 60\nafter_s = 3\n", "fault[0].after_s", "belongs to `when`",
      "after_s = 3"),
    m("for_s = 120\n", "", "fault[0].for_s", "after how many seconds it heals",
      'name = "meter_dies"'),
    m('target = "main_meter"\nkind = "silent"', 'target = "gateway"\nkind = "kill"',
      "fault[0].for_s", "is over at once; leave this out", "for_s = 120"),
    m("for_s = 120", "for_s = 301", "fault[0].for_s", "after the end of the run, 360 s"),
    m('kind = "silent"', 'kind = "silnt"', "fault[0].kind", "did you mean silent?"),
    m('target = "main_meter"\nkind = "silent"', 'target = "main_meter"\nkind = "swapped"',
      "fault[0].kind", "has no fault", 'kind = "swapped"'),
    m('target = "main_meter"\n', 'target = "main_meeter"\n', "fault[0].target",
      "did you mean main_meter?"),
    m('kind = "latency"', 'kind = "latency"\namount = 100', "fault[1].amount",
      "0.001 to 60 s", "amount = 100"),
    m('kind = "latency"', 'kind = "bandwidth"', "fault[1].amount", "is missing; not more than",
      'name = "far_away"'),
    m('kind = "silent"', 'kind = "silent"\namount = 1', "fault[0].amount", "has no measure",
      "amount = 1"),
    m('of = "north_1", above', 'of = "north_9", above', "fault[1].when[0].of", "a lane belongs"),
    m(", above = 10", "", "fault[1].when[0]", "needs `above` or `below`", "when ="),
    m('name = "far_away"', 'name = "meter_dies"', "fault[1].name", "is the name of another",
      'name = "meter_dies"\ntarget = "link"'),
    # expectations
    m('fault = "far_away"', 'fault = "far_awy"', "expect[3].fault", "did you mean far_away?"),
    m('fault = "far_away"', 'fault = "meter_dies"', "fault[1].name",
      'add one with what = "in_force" and fault = "far_away"', 'name = "far_away"'),
    m('key = "device_fails"', 'key = "device_fail"', "expect[0].key", "did you mean device_fails?"),
    m('source = "north_1"\n', 'source = "north_1"\nkey = "x"\n', "expect[1].key",
      'does not belong to what = "volume"', 'key = "x"'),
    m("true = true\n", "", "expect[1].equals", "either `equals`, or `true = true`",
      'name = "Every vehicle'),
    m("equals = 231\n", "", "expect[2].equals", "write the value, or `absent = true`",
      'name = "Its voltage'),
    m('unit = "V"', 'unit = "kV"', "expect[2].unit", "records state voltage_l1"),
    m("until_s = 60\n", "until_s = 600\n", "expect[2].until_s", "after the end, 360 s"),
    m("within_s = 60", "until_s = 60", "expect[0].until_s", "ends at 60 s, and begins at 60 s"),
    m("within_s = 60", "after_s = 30\nuntil_s = 80", "expect[0].until_s", "begins at 90 s: no time",
      "until_s = 80"),
    m("within_s = 60", "from_s = 120\nwithin_s = 60", "expect[0].within_s",
      "ends at 120 s, and begins at 120 s", "within_s = 60"),
    m("within_s = 60", "after_s = 300", "expect[0].after_s", "not before the end of the run, 360"),
    m("within_s = 60", "within_s = 301", "expect[0].within_s", "ends at 361 s"),
    m("until_s = 60\n", "after_s = 60\n", "expect[2].after_s", "counts from a fault"),
    m('source = "north_1"\n', 'source = "north1"\n', "expect[1].source", "did you mean north_1?"),
    m('"Its voltage is right"', '"Every record arrives"', "expect[4].name", "another [[expect]]",
      'name = "Every record arrives"\nwhat = "complete"'),
]  # fmt: skip


def folder_with(folder: Path, text: str) -> Path:
    (folder / "site.toml").write_text(SITE, encoding="utf-8")
    (folder / "bad.toml").write_text(SITE.replace("unit = 1\n", "unit = 999\n"), encoding="utf-8")
    (folder / "two.csv").write_text("t_s,lane,speed_kmh,length_m\n1,north_1,50,4\n")
    file = folder / "scenario.toml"
    file.write_text(text, encoding="utf-8")
    return file


def problems(folder: Path, text: str) -> tuple[Problem, ...]:
    with pytest.raises(Problems) as caught:
        load_scenario(folder_with(folder, text))
    return caught.value.problems


def test_a_right_file_is_a_scenario(tmp_path: Path) -> None:
    checked = check_scenario(folder_with(tmp_path, RIGHT))
    scenario = checked.scenario
    assert checked.warnings == ()
    assert scenario.about.duration_s == 300.0
    assert [one.name for one in scenario.faults] == ["meter_dies", "far_away"]
    assert scenario.faults[0].amount is None
    assert scenario.faults[1].amount == 1.0  # the usual one
    assert scenario.values[0].curve == ((0.0, 230.0), (60.0, 231.5))
    assert (scenario.faults[1].when or ())[0].above == 10.0
    assert len(scenario.expects) == 5


def test_there_are_forty_mistakes_and_more() -> None:
    assert len({(one.was, one.now) for one in MISTAKES}) >= 40


@pytest.mark.parametrize("mistake", MISTAKES, ids=lambda one: one.id)
def test_a_mistake_is_told_with_its_line_and_a_remedy(mistake: Mistake, tmp_path: Path) -> None:
    assert mistake.was in RIGHT
    text = RIGHT.replace(mistake.was, mistake.now, 1)
    found = problems(tmp_path, text)
    here = [one for one in found if one.key == mistake.key and mistake.text in one.text]
    assert here, "\n".join(map(str, found))
    place = text.index(mistake.at)
    near = text.count("\n", 0, place) + 1
    # of what is missing the line of its table's header, right above its first key
    assert here[0].line in (near, near - 1), (here[0], near)
    assert here[0].file.endswith("scenario.toml")


def test_forty_mistakes_of_one_file_are_told_at_once_each_on_its_line(tmp_path: Path) -> None:
    text = BAD.read_text(encoding="utf-8")
    wanted = [
        (number, line.partition("# <- ")[2])
        for number, line in enumerate(text.splitlines(), 1)
        if "# <- " in line
    ]
    found = problems(tmp_path, text)
    missing = [
        (number, words) for number, words in wanted
        if not any(one.line == number and words in one.text for one in found)
    ]  # fmt: skip
    assert missing == [], "\n".join(map(str, found))
    assert len(wanted) >= 40
    assert {one.line for one in found} == {number for number, _ in wanted}  # and nothing else


def test_the_errors_of_the_site_file_are_told_with_its_lines(tmp_path: Path) -> None:
    found = problems(tmp_path, RIGHT.replace('"site.toml"', '"bad.toml"'))
    (of_site,) = [one for one in found if one.file.endswith("bad.toml")]
    assert of_site.key == "device.main_meter.unit"
    assert of_site.line == SITE[: SITE.index("unit = 1\n")].count("\n") + 1


QUOTA = """
[[fault]]
name = "used_up"
target = "broker"
kind = "quota"
at_s = 10
for_s = 10
[[expect]]
name = "It refused"
what = "in_force"
fault = "used_up"
"""


def test_faults_that_no_layer_can_do_are_told_with_the_reason_of_each(tmp_path: Path) -> None:
    slow = 'target = "disk"\nkind = "slow_fsync"'
    text = RIGHT.replace('target = "link"\nkind = "latency"', slow)
    load_scenario(folder_with(tmp_path, text))  # a guest can do that
    found = problems(
        tmp_path, text.replace("settle_s", 'layers = ["sim", "pty", "bench"]\nsettle_s')
    )
    assert {one.key for one in found} == {"scenario.layers"}
    assert [one.text.split(" ")[0] for one in found] == ["sim", "pty", "bench"]


def test_a_quota_and_a_certificate_that_ends_are_two_scenarios(tmp_path: Path) -> None:
    ended = 'target = "broker"\nkind = "expired_certificate"'
    text = RIGHT.replace('target = "link"\nkind = "latency"', ended)
    load_scenario(folder_with(tmp_path, text))
    (found,) = problems(tmp_path, text + QUOTA)
    assert found.text.startswith("`expired_certificate` and `quota` cannot be in one scenario")


def test_a_layer_that_is_wanted_has_to_do_every_fault(tmp_path: Path) -> None:
    text = RIGHT.replace('target = "link"\nkind = "latency"', 'target = "disk"\nkind = "full"')
    load_scenario(folder_with(tmp_path, text))
    (found,) = problems(tmp_path, text.replace("settle_s", 'layers = ["pty", "sim"]\nsettle_s'))
    assert found.key == "scenario.layers"
    assert found.text.startswith("sim cannot do the fault far_away (`full` of disk): the disk")


def test_what_may_not_be_meant_is_a_warning(tmp_path: Path) -> None:
    text = RIGHT.replace("tolerance = 2\n", "").replace("within_s = 60\n", "")
    text = text.replace('[[expect]]\nname = "Every record arrives"\nwhat = "complete"\n', "")
    checked = check_scenario(folder_with(tmp_path, text))
    assert [one.key for one in checked.warnings] == [
        "expect", "expect[0].within_s", "expect[2].tolerance",
    ]  # fmt: skip


def test_a_name_of_two_things_is_written_with_its_table(tmp_path: Path) -> None:
    site = SITE.replace("bus.meters", "bus.main_meter").replace('"meters"', '"main_meter"')
    file = folder_with(tmp_path, RIGHT)
    (tmp_path / "site.toml").write_text(site, encoding="utf-8")
    with pytest.raises(Problems, match=r"write bus\.main_meter or device\.main_meter"):
        load_scenario(file)
    text = RIGHT.replace('target = "main_meter"', 'target = "device.main_meter"')
    file.write_text(text, encoding="utf-8")
    assert load_scenario(file).faults[0].target == "device.main_meter"


def test_an_offset_is_of_a_point(tmp_path: Path) -> None:
    def text(target: str) -> str:
        wanted = f'target = "{target}"\nkind = "offset"\namount = 5'
        return RIGHT.replace('target = "main_meter"\nkind = "silent"', wanted)

    load_scenario(folder_with(tmp_path, text("main_meter.voltage_l1")))
    (found,) = problems(tmp_path, text("main_meter"))
    assert found.text.endswith("the target of `offset` is DEVICE.POINT")


def test_a_trace_without_lanes_stands_alone(tmp_path: Path) -> None:
    trace = '[[trace]]\nfile = "two.csv"\nkind = "vehicles"\n'
    load_scenario(folder_with(tmp_path, HEAD + trace + VALUE + FAULT + EXPECT))
    (found,) = problems(tmp_path, RIGHT + trace)
    assert "say with `lanes` which lanes this trace drives" in found.text


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("x = [", "this is not TOML"),
        ("a.a.a.a.a.a.a.a.a.a = 1", "more than 8 parts"),
        ("version = 2\n" + RIGHT, "reads files of version 1"),
        ("#" * 200_000, "more than 128 kB; this is no scenario"),
        (RIGHT + '[[expect]]\nname = "x"\nwhat = "complete"\n' * 1001, "more than 1000"),
        ("", "a table [scenario] with name and site and duration_s belongs here"),
        (HEAD, "without an expectation nothing can pass"),
    ],
)
def test_a_file_that_is_no_scenario_is_told_why(text: str, says: str, tmp_path: Path) -> None:
    assert any(says in one.text for one in problems(tmp_path, text))


def test_a_file_that_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(Problems, match="cannot be read"):
        load_scenario(tmp_path / "none.toml")
    with pytest.raises(Problems, match="Is a directory"):
        load_scenario(tmp_path)


LINES = RIGHT.splitlines()
ODD = st.sampled_from(
    ["[]", "{}", "nan", "-inf", "1e999", "9" * 400, '"\\u0000"', '""', "true", "[[1]]",
     "2026-12-01", '"../../.."', '"/"', f'"{"x" * 300}"', "[1, 2]", "{ a = 1 }"]
)  # fmt: skip


@st.composite
def damaged(draw: st.DrawFn) -> bytes:
    """Some values are odd, some lines are gone, or doubled, or at another place."""
    lines = list(LINES)
    for _ in range(draw(st.integers(1, 4))):
        at = draw(st.integers(0, len(lines) - 1))
        match draw(st.integers(0, 3)):
            case 0 if len(lines) > 1:
                del lines[at]
            case 1:
                lines.insert(at, lines[draw(st.integers(0, len(lines) - 1))])
            case 2:
                key, equals, _ = lines[at].partition("= ")
                lines[at] = key + equals + draw(ODD)
            case _:
                lines[at] += draw(st.text(max_size=4))
    return "\n".join(lines).encode("utf-8", "surrogatepass")


@given(st.one_of(st.binary(max_size=200), damaged()))
@settings(max_examples=examples(1000), deadline=None)
def test_no_bytes_make_anything_but_a_scenario_or_problems(
    tmp_path_factory: pytest.TempPathFactory, data: bytes
) -> None:
    folder = tmp_path_factory.mktemp("any")
    file = folder_with(folder, RIGHT)
    file.write_bytes(data)
    with contextlib.suppress(Problems):
        assert isinstance(load_scenario(file), Scenario)


def test_the_first_scenario_of_the_page_is_right(tmp_path: Path) -> None:
    page = (ROOT / "docs" / "scenarios.md").read_text(encoding="utf-8")
    text = page.partition("```toml\n")[2].partition("```")[0]
    assert len(text.splitlines()) <= 40
    assert check_scenario(folder_with(tmp_path, text)).scenario.about.name == "A meter falls silent"
