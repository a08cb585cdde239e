"""What people and programs get of a run: nothing outside is needed, nothing of a stranger runs."""

import json
import re
from hashlib import sha256
from html.parser import HTMLParser
from pathlib import Path
from xml.etree import ElementTree

import pytest
from msgspec.structs import replace

from edge.rig.htmlreport import html_report
from edge.rig.jsonreport import json_report
from edge.rig.judgedrun import JudgedRun
from edge.rig.judging import judge
from edge.rig.junitreport import junit_report
from edge.rig.outcome import Outcome
from edge.rig.picturerows import MARKS_LIMIT, PictureRow, changes, thin
from edge.rig.runfile import read_run, scenario_of, write_run
from edge.rig.runlog import Evidence, Heard, RunLog
from edge.rig.runpicture import picture
from edge.rig.scenario import Expect, Fault, Scenario
from edge.rig.scenariofile import load_scenario
from tests.kit.command import Command
from tests.rig.madeup import EXPECTS, FAULTS, Writer, made_run, made_scenario

EVIL = "\"'><script>alert(1)</script><img src=x onerror=alert(2)>\u202e]]>&\x00\x1b[31m"
VOID = {"meta", "br", "img", "link", "input"}


class Page(HTMLParser):
    """Elements with their attributes; complains of what is not closed."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.texts: list[str] = []
        self._open: list[str] = []
        self.feed(text)
        self.close()
        assert self._open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID:
            self._open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.texts.append(data)

    def of(self, tag: str) -> list[dict[str, str | None]]:
        return [attrs for name, attrs in self.elements if name == tag]


@pytest.fixture
def bad_run() -> tuple[Scenario, RunLog, list[Outcome]]:
    """One that failed in one place, and was not evaluated in another."""
    scenario = made_scenario()
    log = made_run(scenario)
    log.heard = [h for h in log.heard if (h.source, h.to_s) != ("north_1", 600.0)]
    log.faults[2].evidence.clear()
    return scenario, log, judge(scenario, log)


def hostile_run() -> tuple[Scenario, RunLog]:
    """Every text that a file or a box can give is an attack."""
    fault = Fault(name="f", target=EVIL, kind="chatter", at_s=10.0, for_s=5.0)
    scenario = made_scenario(
        expects=(*EXPECTS, Expect(name=EVIL, what="flag", source=EVIL, key=EVIL)),
        faults=(*FAULTS, fault),
    )
    scenario = replace(scenario, about=replace(scenario.about, name=EVIL, text=EVIL))
    log = made_run(scenario)
    log.scenario += f"# {EVIL}\n"
    log.box, log.text = EVIL, EVIL
    log.faults[-1].evidence.append(Evidence(t_s=11.0, text=EVIL))
    write = Writer()
    log.heard += [
        write.event(EVIL, 100.0, EVIL, state=EVIL, fault=EVIL),
        write.event(EVIL, 110.0, "door", state="on"),
        write.event(EVIL, 120.0, "gap", reason=EVIL, sources=[EVIL], gap=[EVIL, 1e999]),
        write.record("traffic", EVIL, 0.0, 60.0, 61.0, volume=EVIL, health=EVIL),
    ]
    points = {"voltage_l1": {"mean": 1e308, "unit": EVIL, "quality": {EVIL: 1}}}
    odd = write.record("energy", "main_meter", 0.0, 60.0, 70.0, points=points)
    log.heard.append(odd)
    log.heard.append(replace(odd, seq=77, from_s=float("nan"), to_s=1e300))
    return scenario, log


def test_the_page_needs_nothing_from_outside(
    bad_run: tuple[Scenario, RunLog, list[Outcome]],
) -> None:
    text = html_report(*bad_run)
    page = Page(text)
    for name, attrs in page.elements:
        assert name not in ("link", "img", "iframe", "object", "base", "form")
        assert "src" not in attrs
        assert attrs.get("href", "#").startswith("#")  # type: ignore[union-attr]
    assert "url(" not in text
    assert "@import" not in text
    assert len(page.of("script")) == 1


def test_failed_ones_come_first_and_lead_to_their_moment(
    bad_run: tuple[Scenario, RunLog, list[Outcome]],
) -> None:
    _, _, outcomes = bad_run
    page = Page(html_report(*bad_run))
    shown = [str(attrs["class"]) for attrs in page.of("li") if "class" in attrs]
    assert shown == sorted(shown, key=["fail", "not_evaluated", "pass"].index)
    assert shown[0] == "fail"
    assert shown.count("not_evaluated") == 1
    moments = [float(str(attrs["data-at"])) for attrs in page.of("a") if "data-at" in attrs]
    first = next(each for each in outcomes if each.verdict == "fail")
    assert first.moment_s is not None
    assert moments[0] == pytest.approx(first.moment_s, abs=0.001)
    said = " ".join(page.texts)
    assert all(each.text in said for each in outcomes)


def test_the_picture_has_stimulus_and_response_and_says_them_in_words(
    bad_run: tuple[Scenario, RunLog, list[Outcome]],
) -> None:
    scenario, log, outcomes = bad_run
    rows = {row.label: row for row in picture(scenario, JudgedRun(log), outcomes)}
    assert list(rows) == [
        "not passed", "flap: flap of broker", "dead_meter: silent of main_meter",
        "chattering: chatter of north_2.trail", "north_1", "north_2", "main_meter.voltage_l1",
        "hut_air.pm2_5", "sensor_fault chatter of north_2", "records that wait", "no connection",
    ]  # fmt: skip
    assert all(row.words for row in rows.values())
    shapes = {label: "".join(row.shapes) for label, row in rows.items()}
    assert 'class="true"' in shapes["north_1"]
    assert 'class="said"' in shapes["north_1"]
    assert "no record from 540 s to 600 s" in shapes["north_1"]
    assert "no record" not in shapes["north_2"]
    assert 'class="truth"' in shapes["hut_air.pm2_5"]
    assert "no value from 240 s to 420 s" in shapes["main_meter.voltage_l1"]
    assert 'd="M420 2H510V12H420Z"' in shapes["flap: flap of broker"]
    assert "healed at 510 s" in shapes["flap: flap of broker"]
    assert 'd="M345 2H660V12H345Z"' in shapes["sensor_fault chatter of north_2"]
    assert 'd="M420 2H510V12H420Z"' in shapes["no connection"]
    assert "At most 8 records" in rows["records that wait"].words


def test_no_text_of_a_file_or_a_box_becomes_a_part_of_the_page() -> None:
    scenario, log = hostile_run()
    text = html_report(scenario, log, judge(scenario, log))
    page = Page(text)
    assert len(page.of("script")) == 1
    assert page.of("img") == []
    assert [a for _, attrs in page.elements for a in attrs if a.startswith("on")] == []
    assert not re.search("[\x00\x1b\u202e]", text)
    policy = str(page.of("meta")[1]["content"])
    assert policy.startswith("default-src 'none'")
    assert "script-src 'sha256-" in policy
    assert "unsafe-inline'; script" in policy  # of styles only
    assert "nan" not in "".join(str(a.get("d")) for a in page.of("path"))


def test_junit_is_what_jenkins_reads_and_what_was_not_evaluated_is_red(
    bad_run: tuple[Scenario, RunLog, list[Outcome]],
) -> None:
    """By the schema of Jenkins' xUnit plugin (junit-10.xsd): elements, order, required keys."""
    scenario, log, outcomes = bad_run
    root = ElementTree.fromstring(junit_report(scenario, log, outcomes))
    assert root.tag == "testsuites"
    (suite,) = root
    assert [each.tag for each in suite] == ["properties", *["testcase"] * len(outcomes)]
    cases = suite.findall("testcase")
    assert all(case.attrib.keys() == {"classname", "name", "time"} for case in cases)
    ends = {"pass": [], "fail": ["failure"], "not_evaluated": ["error"]}
    assert [[e.tag for e in case] for case in cases] == [ends[o.verdict] for o in outcomes]
    failures = sum(each.verdict == "fail" for each in outcomes)
    errors = sum(each.verdict == "not_evaluated" for each in outcomes)
    for each in (root, suite):
        assert each.attrib["tests"] == str(len(outcomes))
        assert (each.attrib["failures"], each.attrib["errors"]) == (str(failures), str(errors))
    assert (failures, errors) == (3, 1)
    said = suite.find(".//failure")
    assert said is not None
    assert said.attrib["message"] == next(o.text for o in outcomes if o.verdict == "fail")


def test_junit_stays_xml_whatever_a_box_says() -> None:
    scenario, log = hostile_run()
    outcomes = judge(scenario, log)
    root = ElementTree.fromstring(junit_report(scenario, log, outcomes).encode())
    assert len(root.findall(".//testcase")) == len(outcomes)
    assert {each.tag for each in root.iter()} <= {
        "testsuites", "testsuite", "properties", "property", "testcase", "failure", "error"
    }  # fmt: skip


def test_the_json_report_has_the_keys_that_its_page_names(
    bad_run: tuple[Scenario, RunLog, list[Outcome]],
) -> None:
    found = json.loads(json.dumps(json_report(*bad_run)))
    page = Path("docs/rigreport.md").read_text(encoding="utf-8").partition("## JSON")[2]
    assert found["format"] == 1
    assert found["verdict"] == "fail"
    assert found["counts"] == {"fail": 3, "not_evaluated": 1, "pass": 6}
    for keys in (found, found["run"], found["outcomes"][0], found["counts"]):
        assert [key for key in keys if f"`{key}`" not in page] == []


def test_a_run_is_judged_alike_from_its_file(tmp_path: Path) -> None:
    scenario = made_scenario()
    log = made_run(scenario)
    write_run(tmp_path / "run.json", log)
    again, read = read_run(tmp_path / "run.json")
    assert judge(again, read) == judge(scenario, log)
    assert again.about == scenario.about
    write_run(tmp_path / "again.json", read)
    assert (tmp_path / "again.json").read_bytes() == (tmp_path / "run.json").read_bytes()


def test_the_scenario_in_a_run_is_the_one_that_was_checked() -> None:
    """But for what the check adds: amounts that faults have by themselves."""
    file = Path("edge/rig/library/incident.toml")
    checked = load_scenario(file)
    text = file.read_text(encoding="utf-8")
    log = RunLog(scenario=text, layer="sim", seed=checked.about.seed, box="x")
    read = scenario_of(log)
    assert read.expects == checked.expects
    assert [each.name for each in read.faults] == [each.name for each in checked.faults]
    assert (read.traffic, read.values) == (checked.traffic, checked.values)


def test_a_day_of_64_lanes_stays_a_page_that_can_be_sent() -> None:
    """Thinned out, it says so; and a wrong window is marked all the same."""
    scenario = made_scenario(minutes=1440, lanes=64)
    log = made_run(scenario)
    number, heard = next(
        (n, h) for n, h in enumerate(log.heard) if (h.source, h.to_s) == ("north_7", 43_200.0)
    )
    log.heard[number] = replace(heard, body={**heard.body, "volume": 99})
    text = html_report(scenario, log, judge(scenario, log))
    assert len(text) < 4_000_000
    lane = next(r for r in picture(scenario, JudgedRun(log), []) if r.label == "north_7")
    assert re.search(r"One step is the mean of \d windows.* are not drawn one by one", lane.note)
    assert "99 counted" in "".join(lane.shapes)


def test_what_is_thinned_keeps_its_mean_and_its_peaks() -> None:
    steps = [(float(n), n + 1.0, float(n % 4)) for n in range(1000)]
    shown, joined = thin(steps, 250)
    assert (len(shown), joined, {value for _, _, value in shown}) == (250, 4, {1.5})
    assert (shown[0][0], shown[-1][1]) == (0.0, 1000.0)
    peak = [(float(n), 50.0 if n == 777 else float(n % 2)) for n in range(1000)]
    kept = changes(peak, 100)
    assert len(kept) <= 100
    assert (777.0, 50.0) in kept
    row = PictureRow("g", "l", "w")
    row.marks([(float(n), "m") for n in range(MARKS_LIMIT + 3)], "event")
    assert (len(row.shapes), row.note) == (MARKS_LIMIT, " 3 more are not drawn.")


@pytest.mark.parametrize(
    ("change", "code", "last"),
    [
        (lambda log: None, 0, "passed (0 failed, 0 not evaluated, 10 passed)"),
        (lambda log: log.heard.pop(8), 1, "failed ("),
        (lambda log: log.heard.clear(), 4, "not evaluated (0 failed, 10 not evaluated, 0 passed)"),
    ],
)  # fmt: skip
def test_the_command_tells_the_worst_first_and_ends_by_it(
    kerbstone: Command, tmp_path: Path, change: object, code: int, last: str
) -> None:
    log = made_run()
    change(log)  # type: ignore[operator]
    write_run(tmp_path / "run.json", log)
    files = {name: tmp_path / f"report.{name}" for name in ("html", "junit", "json")}
    words = [word for name, file in files.items() for word in (f"--{name}", str(file))]
    said = kerbstone("rig", "report", str(tmp_path / "run.json"), *words)
    assert said.code == code
    lines = said.out.splitlines()
    assert last in lines[-1]
    assert lines[0].startswith({0: "ok", 1: "FAILED", 4: "NOT JUDGED"}[code])
    assert files["html"].read_text().startswith("<!doctype html>")
    assert ElementTree.parse(files["junit"]).getroot().tag == "testsuites"
    assert json.loads(files["json"].read_text())["format"] == 1


@pytest.mark.parametrize(
    "data",
    [b"", b"{}", b"[]", b"\xff", b'{"scenario": "[scenario", "layer": "sim", "seed": 1, "box": ""}',
     b'{"scenario": "", "layer": "sim", "seed": 1, "box": ""}', b"[" * 100_000],
)  # fmt: skip
def test_a_file_that_is_no_run_is_refused_in_one_line(
    kerbstone: Command, tmp_path: Path, data: bytes
) -> None:
    (tmp_path / "run.json").write_bytes(data)
    said = kerbstone("rig", "report", str(tmp_path / "run.json"))
    assert (said.code, said.out) == (2, "")
    assert "is no run of the rig" in said.err
    assert len(said.err.splitlines()) == 1


def test_a_report_that_cannot_be_written_is_told(kerbstone: Command, tmp_path: Path) -> None:
    write_run(tmp_path / "run.json", made_run())
    said = kerbstone("rig", "report", str(tmp_path / "run.json"), "--html", str(tmp_path))
    assert said.code == 3
    assert "Is a directory" in said.err


def test_a_page_of_an_empty_run_is_a_page() -> None:
    scenario = made_scenario()
    log = replace(made_run(scenario), heard=[], driven=[], seen=[], faults=[], lasted_s=0.0)
    assert isinstance(log.heard, list)
    Page(html_report(scenario, log, judge(scenario, log)))
    status = Heard(t_s=1.0, stream="status", source="", body={})
    log.heard.append(status)
    Page(html_report(scenario, log, judge(scenario, log)))


def test_a_flag_ends_in_the_picture_where_its_end_does_not_say_which_it_was() -> None:
    scenario, log = made_scenario(), made_run()
    write = Writer()
    for seq, (at_s, words) in enumerate(
        [(245.0, {"fault": "silent", "state": "on"}), (425.0, {"state": "off"})], 1000
    ):
        said = write.event("main_meter", at_s, "sensor_fault", **words)
        log.heard.append(replace(said, seq=seq))
    drawn = picture(scenario, JudgedRun(log), judge(scenario, log))
    of_meter = [row.words for row in drawn if row.group == "Flags" and "main_meter" in row.label]
    assert of_meter == ["sensor_fault silent of main_meter: on from 245 s to 425 s."]


def test_the_page_says_which_scenario_it_was() -> None:
    scenario, log = made_scenario(), made_run()
    page = html_report(scenario, log, judge(scenario, log))
    assert f"SHA-256 {sha256(log.scenario.encode()).hexdigest()}" in page
