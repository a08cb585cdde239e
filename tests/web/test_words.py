"""Each page has its words in each language, with the same places to fill in, and in its script."""

import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final, get_args

import pytest

import drivers
from edge.commission.contacttest import HOW
from edge.commission.findingkinds import FINDING_KINDS
from edge.commission.loopfields import LOOP_FIELDS
from edge.commission.steps import StepKind
from edge.commission.verdict import StepVerdict
from edge.core import TimeQuality
from edge.core.condition import Condition
from edge.core.quality import Grade, Reason
from edge.diagnose.checks import CHECKS, GROUPS
from edge.gateway.flaglog import FLAGS
from edge.health.issuekinds import ISSUE_KINDS
from edge.web.pages import LANGUAGES, PAGES, SHARED, SHELL
from edge.web.staticfiles import HERE, StaticFiles
from edge.wire.contract.acceptance import AcceptanceStatus
from edge.wire.contract.event import Cause
from edge.wire.contract.terms import Fault
from edge.wire.contract.traffic import LaneHealth

NAMES: Final = (SHELL, *PAGES, *SHARED)
PLACE: Final = re.compile(r"\{(\w+)\}")
HAN: Final = re.compile(r"[\u4e00-\u9fff]")
SAME: Final = {"title", "page_title"}  # made of names only
USED: Final = re.compile(r"""\b(words|shell|w|s)\.(?:text|nodes|count)\(\s*"([^"$]+)"\s*[,)]""")


def table(language: str, name: str) -> dict[str, str]:
    found: dict[str, str] = json.loads((HERE / "words" / language / f"{name}.json").read_text())
    return found


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("language", LANGUAGES[1:])
def test_each_text_is_there_in_each_language_with_the_same_places(language: str, name: str) -> None:
    ours, english = table(language, name), table("en", name)
    assert list(ours) == list(english)
    for key, text in english.items():
        assert text.strip() == text != "", key
        assert ours[key].strip() == ours[key] != "", key
        assert sorted(PLACE.findall(ours[key])) == sorted(PLACE.findall(text)), key


@pytest.mark.parametrize("name", NAMES)
def test_chinese_is_chinese(name: str) -> None:
    for key, text in table("zh", name).items():
        if key in SAME or not re.search(r"[a-z]{3}", PLACE.sub("", table("en", name)[key])):
            continue
        assert HAN.search(text), f"{key}: {text}"


def _used(name: str) -> Iterator[tuple[str, str]]:
    source = (HERE / "static" / f"{name}.js").read_text()
    for which, key in USED.findall(source):
        yield ("shell" if which in ("shell", "s") else "page", key)


@pytest.mark.parametrize("name", PAGES)
def test_a_page_uses_no_word_that_is_not_there(name: str) -> None:
    page, shell = table("en", name), table("en", SHELL)
    for which, key in _used(name):
        known = shell if which == "shell" else page
        assert key in known or f"{key}.other" in known, f"{name}.js: {key}"


@pytest.mark.parametrize("module", ["shell", "login"])
def test_the_frame_uses_no_word_that_is_not_there(module: str) -> None:
    shell = table("en", SHELL)
    for _, key in _used(module):
        assert key in shell or f"{key}.other" in shell, f"{module}.js: {key}"


def test_what_to_do_on_the_page_is_no_command_where_the_page_has_a_button() -> None:
    page, terminal = table("en", "commissioning"), {"not_scanned", "named_only"}
    commands = {n for n, each in FINDING_KINDS.items() if "kerbstone commission" in each.remedy}
    own = {key.partition(".")[2] for key in page if key.startswith("do.")}
    assert own == commands - terminal


def point_name(key: str, words: Mapping[str, str]) -> str | None:
    """As terms.js makes it: of a phase or a tariff that of the whole, and which one."""
    whole, _, part = key.rpartition("_")
    if f"point.{key}" in words:
        return words[f"point.{key}"]
    if f"point.{whole}" in words and f"point_of.{part}" in words:
        return words[f"point_of.{part}"].format(point=words[f"point.{whole}"])
    return None


@pytest.mark.parametrize("language", LANGUAGES)
def test_each_point_of_each_driver_has_a_name_of_its_own(language: str) -> None:
    words = table(language, "terms")
    for driver in drivers.catalogue().values():
        names = {key: point_name(key, words) for key in driver.points}
        assert None not in names.values(), (driver.name, names)
        assert len(set(names.values())) == len(names), (driver.name, names)


def test_no_point_has_a_name_that_no_driver_and_no_lane_uses() -> None:
    known = {key for driver in drivers.catalogue().values() for key in driver.points}
    known |= {key.rpartition("_")[0] for key in known} | {"volume", "speed", "occupancy"}
    named = {key.partition(".")[2] for key in table("en", "terms") if key.startswith("point.")}
    assert named <= known


def test_electrical_points_are_called_as_dl_t_645_calls_them() -> None:
    words = table("zh", "terms")
    for key, name in (
        ("power", "有功功率"), ("power_l1", "A 相有功功率"), ("power_factor_l3", "C 相功率因数"),
        ("energy_import", "正向有功电能"), ("energy_export_t2", "费率 2 反向有功电能"),
        ("energy_combined", "组合有功电能"), ("reactive_energy_q1_l2", "B 相第一象限无功电能"),
        ("frequency", "电网频率"), ("current_n", "零线电流"),
        ("voltage_thd_l1", "A 相电压总谐波畸变率"),
    ):  # fmt: skip
        assert point_name(key, words) == name


def test_each_page_has_its_name_and_its_files() -> None:
    files = StaticFiles()
    for name in PAGES:
        assert f"page.{name}" in table("en", SHELL)
        assert f"static/{name}.js" in files.paths
    assert files.find("static/../webapp.py") is None
    assert files.find("webapp.py") is None


def test_each_word_of_the_server_has_a_sentence() -> None:
    shell = table("en", SHELL)
    here = Path(HERE)
    source = "".join(path.read_text() for path in here.glob("*.py"))
    for code in re.findall(r'RefusedError\(\s*\d+,\s*"(\w+)"', source):
        assert f"error.{code}" in shell, code
    for code in re.findall(r'return 4\d\d, "(\w+)"', source):
        assert f"error.{code}" in shell, code
    for state in ("stopped", "handed_over", "silent", "older", "refused", "closed", "busy"):
        assert f"error.daemon_{state}" in shell
        assert f"state.{state}" in shell


def test_each_word_of_the_closed_lists_is_there() -> None:
    terms, issues, checks, findings = (table("en", name) for name in SHARED)
    kinds = FINDING_KINDS.items()
    told = {name: row.text for name, row in kinds}
    assert findings == told | {f"{n}.remedy": r.remedy for n, r in kinds if r.remedy}
    page = table("en", "commissioning")
    assert {f"kind.{each}" for each in get_args(StepKind)} <= page.keys()
    assert {str(each) for each in StepVerdict} <= page.keys()
    assert {f"how.{each}" for each in HOW.values()} <= page.keys()
    assert {f"look.{each}" for each in LOOP_FIELDS} | {*LOOP_FIELDS} <= page.keys()
    assert all(page[f"look.{name}"] == one.look for name, one in LOOP_FIELDS.items())
    states = get_args(AcceptanceStatus.__annotations__["state"].__args__[0])
    assert {f"state.{each}" for each in states} <= page.keys()
    faults = get_args(Fault)
    assert {f"reason.{each}" for each in Reason} <= terms.keys()
    assert {f"grade.{each}" for each in Grade} <= terms.keys()
    assert {f"condition.{each}" for each in Condition} <= terms.keys()
    assert {f"fault.{each}" for each in faults} <= terms.keys()
    assert {f"cause.{each}" for each in get_args(get_args(Cause)[0])} <= terms.keys()
    assert {f"event.{each.__struct_config__.tag}" for each in FLAGS} <= terms.keys()
    assert {f"clock.{each}" for each in TimeQuality} <= terms.keys()
    for word in get_args(LaneHealth):
        plain = word.removeprefix("trail_")
        assert f"fault.{plain}" in terms or f"health.{plain}" in terms, word
    assert {f"group.{each}" for each in GROUPS} <= terms.keys()
    assert {each for name in ISSUE_KINDS for each in (name, f"{name}.remedy")} == issues.keys()
    assert {f"check.{each}" for each in CHECKS} == checks.keys()


@pytest.mark.parametrize("name", PAGES)
def test_what_a_script_puts_together_is_there(name: str) -> None:
    """Of `words.text(each ? "a" : "b")` both."""
    source = (HERE / "static" / f"{name}.js").read_text()
    page, shell = table("en", name), table("en", SHELL)
    for pair in re.findall(r'\bwords\.text\([\w. =<"]+ \? "(\w+)" : "(\w+)"', source):
        for key in pair:
            assert key in page or key in shell, f"{name}.js: {key}"


def test_no_script_makes_html_of_text_or_runs_text() -> None:
    for path in (HERE / "static").glob("*.js"):
        text = path.read_text()
        for word in ("innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "eval(",
                     "new Function", "WebSocket", "http://", "https://"):  # fmt: skip
            assert word not in text, f"{path.name}: {word}"
    html = (HERE / "static" / "index.html").read_text()
    assert not re.search(r"<style|style=|\son\w+=|<script(?![^>]*src=)", html)
